"""Steps as JSON; among them Ansor's test of records (ME01)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tensorc.schedule import Schedule, steps_from_json, steps_to_json
from tensorc.schedule.steps import Col, Layout, LocateStep, MarkStep, SplitStep, Step
from tensorc.support.errors import RecordError, ScheduleError
from tests.schedule.programs import chain, matmul


def splits(s: Schedule) -> None:
    s.split("C", "i", [4, 8])
    s.split("C", "j", [2], inner_to_outer=False)
    s.follow_split("D", "i", 0, 2)
    s.follow_fused_split("D", "j", [0, 1], 0, True)
    s.follow_fused_split("D", "i.0", [0, 1], 0, False)


def loops(s: Schedule) -> None:
    s.fuse("C", "i", "j")
    s.split("C", "i@j@", [8])
    s.reorder("C", "i@j@.1", "i@j@.0")


def annotations(s: Schedule) -> None:
    s.tile("C", "i", "j", 8, 8)
    s.parallel("C", "i.0")
    s.vectorize("C", "j.1")
    s.unroll("C", "i.1")
    s.bind("D", "i", "blockIdx.x")
    s.bind("D", "j", "threadIdx.x")
    s.serial("C", "i.1")


def locations(s: Schedule) -> None:
    s.compute_at("B", "C", "i")
    s.compute_root("B")
    s.compute_inline("B")


def caches(s: Schedule) -> None:
    s.cache_write("D", "local")
    s.cache_read("A", "shared", ["B"])
    s.cache_read("C", "local", ["D.local"], (1, 8, (1, 0, 2)))


def storage(s: Schedule) -> None:
    s.pragma("D", "i", "auto_unroll_max_step", 64)
    s.pragma("D", "i", "prefetch", 4)
    s.pragma("D", "i", "streaming_stores", 1)
    s.storage_align("C", "i", 8, 4)


def factored(s: Schedule) -> None:
    s.split("C", "k", [16])
    s.rfactor("C", "k.0", 2)


CASES = [splits, loops, annotations, locations, caches, storage]


@pytest.mark.parametrize("build", [*CASES, factored])
def test_me01_every_step_survives_a_record(build: Callable[[Schedule], None]) -> None:
    program = matmul() if build is factored else chain()
    s, untouched = Schedule(program), Schedule(program)
    build(s)
    text = json.dumps(steps_to_json(s.steps))
    again = Schedule.from_steps(program, steps_from_json(json.loads(text)))
    assert again.steps == s.steps
    assert again == s
    assert hash(again) == hash(s)
    assert str(again) == str(s)
    assert again != untouched
    assert str(again) != str(untouched) or build is locations


def test_every_kind_of_step_is_covered() -> None:
    codes = set()
    for build in [*CASES, factored]:
        s = Schedule(matmul() if build is factored else chain())
        build(s)
        codes.update(entry[0] for entry in steps_to_json(s.steps))
    cache = {"CHR", "CHW", "CA", "CI", "CR", "RF"}
    assert codes == cache | {"AN", "FU", "PR", "RE", "SP", "FSP", "FFSP", "SA"}


def test_a_split_reads_like_ansors() -> None:
    assert steps_to_json([SplitStep("C", "i", (4, 8))]) == [["SP", "C", "i", [4, 8]]]


@pytest.mark.parametrize(
    "step",
    [
        SplitStep("C", "i", (Col(0),)),
        LocateStep("B", "C", 1, 2),
        MarkStep("C", "parallel", 2),
    ],
)
def test_steps_of_sketches_are_not_written(step: Step) -> None:
    with pytest.raises(ScheduleError, match="step of a sketch"):
        steps_to_json([step])


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "SP",
        ["XX", "C"],
        [3, "C"],
        ["SP", "C", "i", 4],
        ["SP", "C", "i", ["4"]],
        ["SP", "C", "i", [True]],
        ["SP", "C", "i"],
        ["SP", "C", "i", [4], True],
        ["AN", "C", "i", "sideways"],
        ["FU", "C", "ij"],
        ["RE", 3, ["i"]],
        ["CHR", "A", "register", ["C"], None],
        ["CHR", "A", "local", ["C"], [1, 8]],
        ["CHR", "A", "local", ["C"], [1, 8.0, [0, 1]]],
        ["FFSP", "C", "i", [0], 0, 1],
        {"SP": 1},
    ],
)
def test_foreign_data_is_refused(entry: object) -> None:
    with pytest.raises(RecordError, match="Expected a schedule step"):
        steps_from_json([entry])


def test_anything_but_a_list_is_refused() -> None:
    with pytest.raises(RecordError, match="Expected a list"):
        steps_from_json({"steps": []})


def test_a_layout_survives() -> None:
    s = Schedule(matmul())
    s.cache_read("B", "local", ["C"], Layout(1, 16, (1, 0, 2)))
    assert steps_from_json(steps_to_json(s.steps)) == s.steps
