"""Split, fuse, reorder, and the splits that follow others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorc.arith.affine import interval
from tensorc.schedule import Schedule
from tensorc.schedule.relations import axis_values, extents
from tensorc.schedule.stage import At, FuseRelation, IterKind, SplitRelation
from tensorc.support.errors import ScheduleError
from tests.schedule.programs import chain, matmul


@pytest.fixture
def s() -> Schedule:
    return Schedule(matmul(64, 32, 48))


def test_a_split_keeps_the_kind_of_the_iterator(s: Schedule) -> None:
    s.split("C", "k", [4])
    assert [i.kind for i in s["C"].iterators[2:]] == [IterKind.REDUCE] * 2


def test_a_split_moves_attached_stages_to_its_innermost_part() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    s.split("D", "i", [2, 8])
    assert s["C"].location == At("D", "i.2")


def test_a_fuse_moves_attached_stages_to_the_fused_iterator() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    s.fuse("D", "i", "j")
    assert s["C"].location == At("D", "i@j@")


def test_pragmas_move_with_their_iterator(s: Schedule) -> None:
    s.pragma("C", "i", "auto_unroll_max_step", 16)
    s.split("C", "i", [4])
    assert s["C"].pragmas == (("i.0", "auto_unroll_max_step", 16),)
    s.fuse("C", "i.0", "i.1")
    assert s["C"].pragmas == (("i.0@i.1@", "auto_unroll_max_step", 16),)


def test_spatial_loops_may_go_inside_reductions(s: Schedule) -> None:
    s.reorder("C", "k", "i", "j")
    assert s["C"].names() == ("k", "i", "j")


def test_a_partial_order_moves_only_those_named(s: Schedule) -> None:
    s.reorder("C", "k", "i")
    assert s["C"].names() == ("k", "j", "i")


def test_one_iterator_may_be_fused_alone(s: Schedule) -> None:
    assert s.fuse("C", "i") == "i@"


def test_a_tile_is_two_splits_and_a_reorder(s: Schedule) -> None:
    assert s.tile("C", "i", "j", 8, 4) == ("i.0", "j.0", "i.1", "j.1")
    assert s["C"].names() == ("i.0", "j.0", "i.1", "j.1", "k")


@pytest.mark.parametrize("length", [0, -3])
def test_lengths_have_to_be_positive(s: Schedule, length: int) -> None:
    with pytest.raises(ScheduleError, match=f"expected positive lengths, got {length}"):
        s.split("C", "i", [4, length])


def test_a_split_needs_a_length(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="at least one length"):
        s.split("C", "i", [])


def test_an_unknown_stage_is_refused_with_those_there_are(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="'X' is not a stage; expected one of 'C'"):
        s.split("X", "i", [4])


def test_a_placeholder_is_no_stage(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="'A' is a placeholder"):
        s.split("A", "i", [4])


def test_an_unknown_iterator_is_refused_with_those_there_are(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="no iterator 'x'; expected one of 'i', 'j', 'k'"):
        s.split("C", "x", [4])


def test_an_annotated_iterator_is_not_split(s: Schedule) -> None:
    s.parallel("C", "i")
    with pytest.raises(ScheduleError, match="'i' is already marked 'parallel'"):
        s.split("C", "i", [4])


def test_a_name_must_be_free(s: Schedule) -> None:
    s.split("C", "i", [4])
    s.fuse("C", "i.0", "i.1")
    assert s["C"].names()[0] == "i.0@i.1@"


def test_fusing_spatial_and_reduction_loops_is_refused(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="some are spatial and some walk a reduction"):
        s.fuse("C", "j", "k")


@pytest.mark.parametrize("order", [("i", "k"), ("j", "i"), ("i", "i")])
def test_only_adjacent_loops_are_fused(s: Schedule, order: tuple[str, str]) -> None:
    with pytest.raises(ScheduleError, match="not adjacent in this order"):
        s.fuse("C", *order)


def test_fusing_nothing_is_refused(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="at least one iterator"):
        s.fuse("C")


def test_annotated_iterators_are_not_fused(s: Schedule) -> None:
    s.vectorize("C", "j")
    with pytest.raises(ScheduleError, match="'j' is already marked 'vectorize'"):
        s.fuse("C", "i", "j")


def test_an_iterator_is_named_once_in_an_order(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="expected each once"):
        s.reorder("C", "i", "i")


def test_only_splits_can_be_followed(s: Schedule) -> None:
    s.fuse("C", "i", "j")
    with pytest.raises(ScheduleError, match="step 0 is not an earlier split"):
        s.follow_split("C", "k", 0, 1)
    with pytest.raises(ScheduleError, match="step 7 is not an earlier split"):
        s.follow_fused_split("C", "k", [7], 0)


@pytest.mark.parametrize("parts", [0, 4])
def test_a_split_is_followed_with_as_many_parts_as_it_has(s: Schedule, parts: int) -> None:
    s.split("C", "i", [4, 2])
    with pytest.raises(ScheduleError, match=f"expected 1 to 3 parts, got {parts}"):
        s.follow_split("C", "j", 0, parts)


def test_a_followed_level_must_exist(s: Schedule) -> None:
    s.split("C", "i", [4, 2])
    with pytest.raises(ScheduleError, match="expected a level below 2"):
        s.follow_fused_split("C", "j", [0], 2)


def test_something_has_to_be_followed(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="at least one step to follow"):
        s.follow_fused_split("C", "j", [], 0)


@given(st.integers(1, 60), st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_a_split_reaches_every_value_of_its_iterator(extent: int, lengths: list[int]) -> None:
    parts = tuple(f"i.{k}" for k in range(len(lengths) + 1))
    relations = (SplitRelation("i", parts, tuple(lengths)),)
    sizes = extents(relations, {"i": extent})
    value = axis_values(relations, sizes, parts)["i"]
    low, high = interval(value, {p: (0, sizes[p] - 1) for p in parts})
    assert low == 0
    assert high >= extent - 1


def test_values_of_fused_loops_are_quotient_and_remainder() -> None:
    relations = (FuseRelation(("i", "j"), "i@j@"),)
    values = axis_values(relations, {"i": 4, "j": 8, "i@j@": 32}, ["i@j@"])
    env = {"i@j@": (0, 31)}
    assert interval(values["i"], env) == (0, 3)
    assert interval(values["j"], env) == (0, 7)
