"""Annotations, pragmas, alignment."""

from __future__ import annotations

import pytest

from tensorc.schedule import Schedule, apply_step, initial_state
from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import MarkStep
from tensorc.support.errors import ScheduleError
from tests.schedule.programs import matmul


@pytest.fixture
def s() -> Schedule:
    return Schedule(matmul(64, 32, 48))


@pytest.mark.parametrize(
    ("method", "deed"), [("parallel", "parallelize"), ("vectorize", "vectorize")]
)
def test_iterations_of_a_reduction_are_not_independent(s: Schedule, method: str, deed: str) -> None:
    with pytest.raises(ScheduleError, match=f"Cannot {deed} 'k' of stage 'C': .*reduction"):
        getattr(s, method)("C", "k")


@pytest.mark.parametrize("index", ["blockIdx.x", "blockIdx.y", "vthread"])
def test_a_reduction_is_not_spread_over_blocks(s: Schedule, index: str) -> None:
    with pytest.raises(ScheduleError, match="it walks a reduction"):
        s.bind("C", "k", index)


def test_threads_may_share_a_reduction(s: Schedule) -> None:
    s.bind("C", "k", "threadIdx.x")
    assert s["C"].iterators[2].annotation is Annotation.THREAD_X


def test_a_reduction_may_be_unrolled(s: Schedule) -> None:
    s.unroll("C", "k")
    assert s["C"].iterators[2].annotation is Annotation.UNROLL


def test_two_loops_are_not_bound_to_one_index(s: Schedule) -> None:
    s.bind("C", "i", "threadIdx.x")
    with pytest.raises(
        ScheduleError, match=r"Cannot bind 'j' of stage 'C' to 'threadIdx.x': 'i' is"
    ):
        s.bind("C", "j", "threadIdx.x")


def test_an_unknown_index_is_refused_with_those_there_are(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match=r"'blockIdx.x'.*got 'warpIdx.x'"):
        s.bind("C", "i", "warpIdx.x")


@pytest.mark.parametrize(
    ("method", "deed"), [("unroll", "unroll 'x' of"), ("serial", "make 'x' of stage 'C' serial")]
)
def test_an_unknown_iterator_is_not_marked(s: Schedule, method: str, deed: str) -> None:
    with pytest.raises(ScheduleError, match=f"Cannot {deed}"):
        getattr(s, method)("C", "x")


def test_a_later_pragma_replaces_an_earlier_one(s: Schedule) -> None:
    s.pragma("C", "i", "auto_unroll_max_step", 16)
    s.pragma("C", "i", "auto_unroll_max_step", 64)
    assert s["C"].pragmas == (("i", "auto_unroll_max_step", 64),)


def test_an_unknown_pragma_is_refused_with_those_there_are(s: Schedule) -> None:
    known = (
        "'auto_unroll_max_step', 'vector_reduction', 'loop_strength_reduction', 'prefetch', "
        "'streaming_stores'"
    )
    with pytest.raises(ScheduleError, match=f"expected one of {known}, got 'auto_unrol'"):
        s.pragma("C", "i", "auto_unrol", 16)


def test_a_negative_pragma_is_refused(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="expected a value of at least 0, got -1"):
        s.pragma("C", "i", "auto_unroll_max_step", -1)


def test_a_prefetch_further_ahead_than_addresses_reach_is_refused(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match=r"'prefetch' to 'i' .* at most 1048576, got 1048577"):
        s.pragma("C", "i", "prefetch", (1 << 20) + 1)


def test_alignment_is_of_a_spatial_axis(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="one of its spatial axes 'i', 'j'"):
        s.storage_align("C", "k", 8, 4)


@pytest.mark.parametrize(("factor", "offset"), [(0, 0), (8, 8), (8, -1)])
def test_an_odd_alignment_is_refused(s: Schedule, factor: int, offset: int) -> None:
    with pytest.raises(ScheduleError, match=f"got {factor} and {offset}"):
        s.storage_align("C", "i", factor, offset)


def test_a_later_mark_replaces_an_earlier_one(s: Schedule) -> None:
    state = initial_state(s.dag)
    for amount in (1, 2):
        state = apply_step(state, MarkStep("C", "parallel", amount))
    assert state["C"].marks == (("parallel", 2),)
