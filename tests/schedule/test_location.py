"""Where stages may be computed, and where not."""

from __future__ import annotations

import pytest

from tensorc import te
from tensorc.ir.expr import Read
from tensorc.ir.visit import walk_expr
from tensorc.schedule import Schedule, apply_step, body_of, consumers, producers
from tensorc.schedule.stage import At
from tensorc.schedule.steps import LocateStep
from tensorc.support.errors import ScheduleError
from tests.schedule.programs import chain, convolution, matmul, softmax, two_outputs


def reads(s: Schedule, name: str) -> set[str]:
    return {
        e.op for value in body_of(s.state, name) for e in walk_expr(value) if isinstance(e, Read)
    }


def test_readers_and_producers_are_seen_through_inlined_stages() -> None:
    s = Schedule(chain())
    s.compute_inline("C")
    s.compute_inline("B")
    assert consumers(s.state, "A") == ("D",)
    assert producers(s.state, "D") == ("A",)
    assert reads(s, "D") == {"A"}


def test_what_only_chooses_among_equal_elements_is_not_read_once_these_are_inlined() -> None:
    index = te.placeholder((64,), "int32", name="I")
    halves = te.compute((1000,), lambda i: -0.5, name="Z")
    k = te.reduce_axis((0, 64), name="k")
    total = te.compute((16,), lambda i: te.sum(halves[index[k]], axis=k), name="G")
    s = Schedule([index, total])
    assert consumers(s.state, "I") == ("G",)
    assert producers(s.state, "G") == ("Z", "I")
    s.compute_inline("Z")
    assert consumers(s.state, "I") == producers(s.state, "G") == ()


def test_a_body_without_inlined_producers_is_that_of_the_operation() -> None:
    s = Schedule(chain())
    assert body_of(s.state, "D") is s.state.dag.by_name["D"].body


def test_an_inlined_stage_may_come_back() -> None:
    s = Schedule(chain())
    s.compute_inline("C")
    s.compute_at("C", "D", "j")
    assert s["C"].location == At("D", "j")


def test_a_chain_may_hang_on_one_loop() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    s.compute_at("B", "D", "i")
    assert s.extents("B") == {"i": 1, "j": 32}


def test_a_chain_may_nest() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    s.compute_at("B", "C", "j")
    assert s.extents("B") == {"i": 1, "j": 1}


def test_both_readers_inside_the_loop_are_fine() -> None:
    s = Schedule(softmax())
    s.compute_at("total", "norm", "i")
    s.compute_at("exp", "norm", "i")
    assert s.extents("exp") == {"i": 1, "j": 40}


def test_a_reader_outside_the_loop_is_refused() -> None:
    s = Schedule(softmax())
    with pytest.raises(ScheduleError, match="'total' reads 'exp' outside iterator 'i' of 'norm'"):
        s.compute_at("exp", "norm", "i")


def test_a_reader_further_out_is_refused() -> None:
    s = Schedule(softmax())
    s.compute_at("total", "norm", "i")
    with pytest.raises(ScheduleError, match="'total' reads 'exp' outside iterator 'j'"):
        s.compute_at("exp", "norm", "j")


def test_a_stage_that_does_not_read_it_is_refused() -> None:
    s = Schedule(softmax())
    with pytest.raises(ScheduleError, match="nothing computed in 'top' reads it"):
        s.compute_at("exp", "top", "i")


def test_an_output_is_computed_as_a_whole() -> None:
    s = Schedule(matmul())
    s.cache_write("C", "local")
    with pytest.raises(ScheduleError, match="it is an output"):
        s.compute_at("C", "C.local", "i")
    with pytest.raises(ScheduleError, match="it is an output"):
        s.compute_inline("C")


def test_a_parameter_that_is_read_is_an_output_too() -> None:
    A = te.placeholder((8,), name="A")
    B = te.compute((8,), lambda i: A[i] * 2.0, name="B")
    C = te.compute((8,), lambda i: B[i] + 1.0, name="C")
    s = Schedule([A, B, C])
    with pytest.raises(ScheduleError, match="Cannot inline 'B': it is an output"):
        s.compute_inline(B)


def test_a_stage_has_no_place_inside_itself() -> None:
    s = Schedule(chain())
    with pytest.raises(ScheduleError, match="no place inside itself"):
        s.compute_at("C", "C", "i")


def test_a_stage_has_no_place_inside_its_guests() -> None:
    s = Schedule(chain())
    s.compute_at("B", "C", "i")
    with pytest.raises(ScheduleError, match="'B' is itself computed inside 'C'"):
        s.compute_at("C", "B", "i")


def test_an_inlined_stage_has_no_loops_to_hang_on() -> None:
    s = Schedule(chain())
    s.compute_inline("C")
    with pytest.raises(ScheduleError, match="'C' is inlined"):
        s.compute_at("B", "C", "i")


def test_reductions_are_not_inlined() -> None:
    s = Schedule(convolution())
    with pytest.raises(ScheduleError, match="Cannot inline 'conv': it is a reduction"):
        s.compute_inline("conv")


def test_several_outputs_are_not_inlined() -> None:
    s = Schedule(two_outputs())
    with pytest.raises(ScheduleError, match="it has 2 outputs"):
        s.compute_inline("split")


def test_hosts_are_not_inlined() -> None:
    s = Schedule(chain())
    s.compute_at("B", "C", "i")
    with pytest.raises(ScheduleError, match="'B' computed inside it"):
        s.compute_inline("C")


def test_a_reader_does_not_leave_the_loop_of_what_it_reads() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    s.compute_at("B", "D", "i")
    with pytest.raises(ScheduleError, match="Cannot compute 'C' at the root: 'C' reads 'B'"):
        s.compute_root("C")


def test_a_reorder_keeps_readers_inside() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "j")
    s.compute_at("B", "D", "i")
    with pytest.raises(ScheduleError, match="'C' reads 'B' outside iterator 'i' of 'D'"):
        s.reorder("D", "j", "i")


def test_a_refused_step_changes_nothing() -> None:
    s = Schedule(matmul())
    before = s.state
    with pytest.raises(ScheduleError):
        s.compute_inline("C")
    assert s.state is before


@pytest.mark.parametrize(("level", "limit"), [(-1, 2), (3, 2), (0, -1)])
def test_a_level_lies_within_its_limit(level: int, limit: int) -> None:
    s = Schedule(chain())
    with pytest.raises(ScheduleError, match="expected a level from 0"):
        apply_step(s.state, LocateStep("C", "D", level, limit))
