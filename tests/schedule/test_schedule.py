"""The fluent face, its text and its code."""

from __future__ import annotations

import pytest

from tensorc.schedule import OPEN, Schedule, replay
from tensorc.schedule.printer import print_state
from tensorc.schedule.python_code import python_code
from tensorc.schedule.steps import Col, LocateStep, MarkStep, SplitStep
from tensorc.support.errors import ScheduleError
from tests.golden_text import GoldenFile
from tests.schedule.programs import chain, matmul


def tiled_matmul() -> Schedule:
    s = Schedule(matmul())
    local = s.cache_write("C", "local")
    i = s.split(local, "i", [4, 4, 8])
    j = s.split(local, "j", [8, 2, 16])
    k = s.split(local, "k", [4])
    s.reorder(local, i[0], j[0], i[1], j[1], k[0], i[2], j[2], k[1], i[3], j[3])
    s.follow_split("C", "i", 1, 2)
    s.follow_split("C", "j", 2, 2)
    s.reorder("C", "i.0", "j.0", "i.1", "j.1", "i.2", "j.2")
    fused = s.fuse("C", "i.0", "j.0", "i.1", "j.1")
    s.compute_at(local, "C", fused)
    s.parallel("C", fused)
    s.vectorize(local, j[3])
    s.pragma(local, i[0], "auto_unroll_max_step", 64)
    s.cache_read("B", "local", [local], (1, 16, (1, 0, 2)))
    return s


def every_step() -> Schedule:
    s = Schedule(chain())
    s.compute_at("B", "C", "i")
    s.compute_root("B")
    s.compute_inline("B")
    s.tile("C", "i", "j", 8, 8)
    s.unroll("C", "i.1")
    s.serial("C", "i.1")
    s.follow_fused_split("D", "j", [3, 4], 0, False)
    s.bind("D", "i", "blockIdx.x")
    s.storage_align("C", "i", 8, 4)
    return s


def factored() -> Schedule:
    s = Schedule(matmul())
    s.split("C", "k", [16])
    s.rfactor("C", "k.1", 2)
    return s


def test_a_schedule_prints_as_ansors_loop_nests(golden: GoldenFile) -> None:
    golden.check("tiled_matmul", after=str(tiled_matmul()))
    golden.check("every_step", after=str(every_step()))
    golden.check("factored", after=str(factored()))


def test_a_schedule_prints_as_python(golden: GoldenFile) -> None:
    golden.check("tiled_matmul_code", after=tiled_matmul().python_code())
    golden.check("every_step_code", after=every_step().python_code())


@pytest.mark.parametrize("build", [tiled_matmul, every_step, factored])
def test_the_code_rebuilds_the_schedule(build: object) -> None:
    assert callable(build)
    s = build()
    scope = {"Schedule": Schedule, "program": s.dag}
    exec(s.python_code(), scope)
    assert scope["s"] == s


def test_iterators_may_be_given_as_a_list() -> None:
    one_by_one, listed = Schedule(matmul()), Schedule(matmul())
    one_by_one.reorder("C", "j", "i")
    listed.reorder("C", ["j", listed["C"].iterators[0]])
    assert listed.fuse("C", ["j", "i"]) == one_by_one.fuse("C", "j", "i")
    assert listed == one_by_one


def test_steps_of_sketches_have_no_code() -> None:
    with pytest.raises(ScheduleError, match="step of a sketch"):
        python_code([MarkStep("C", "parallel", 2)])


def test_replaying_its_steps_gives_the_same_schedule() -> None:
    s = tiled_matmul()
    again = Schedule.from_steps(s.dag, s.steps)
    assert again == s
    assert replay(s.dag, s.steps).steps == s.steps


def test_a_copy_goes_its_own_way() -> None:
    s = Schedule(matmul())
    other = s.copy()
    other.split("C", "i", [4])
    assert not s.steps
    assert s != other


def test_schedules_of_programs_of_one_structure_are_equal() -> None:
    assert Schedule(matmul()) == Schedule(matmul())
    assert Schedule(matmul()) != Schedule(matmul(256))
    assert Schedule(matmul()) != "C"


def test_stages_may_be_given_as_tensors() -> None:
    tensors = matmul()
    s = Schedule(tensors)
    C = tensors[2]
    s.split(C, s[C].iterators[0], [4])
    s.cache_read(tensors[0], "local", [C])
    assert list(s.state.stages) == ["A.local", "C"]


def test_an_inlined_stage_has_no_extents() -> None:
    s = Schedule(chain())
    s.compute_inline("B")
    with pytest.raises(ScheduleError, match="Cannot give extents of stage 'B'"):
        s.extents("B")


def test_an_outer_length_has_to_be_positive() -> None:
    s = Schedule(matmul())
    with pytest.raises(ScheduleError, match="expected positive lengths, got 0"):
        s.split("C", "i", [0], inner_to_outer=False)


def test_open_sizes_are_printed_as_question_marks() -> None:
    steps = [
        SplitStep("D", "i", (Col(0),)),
        LocateStep("C", "D", Col(1), 3),
        MarkStep("D", "parallel", Col(2)),
    ]
    text = print_state(replay(Schedule(chain()).dag, steps, None))
    assert "for i.0 (0,?)" in text
    assert "C inside ? of the 3 loops of D" in text
    assert "D parallel: ?" in text
    decided = print_state(replay(Schedule(chain()).dag, steps, [4, 1, 2]))
    assert "for i.0 (0,16)\n  for i (0,4)\n" in decided


def test_arithmetic_with_an_open_size_is_open() -> None:
    assert all(x is OPEN for x in (OPEN + 1, 3 // OPEN, -OPEN, OPEN % 2, 2 * OPEN, 5 - OPEN))
    assert repr(OPEN) == "?"
