"""Factorisation of reductions."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.ir.affine import Affine
from tensorc.ir.expr import Read, Select
from tensorc.schedule import OPEN, Schedule, apply_step, initial_state, replay
from tensorc.schedule.steps import Col, FuseStep, RfactorStep, SplitStep
from tensorc.support.errors import ScheduleError
from tests.schedule.programs import argmax, chain, convolution, matmul


def factored(depth: int, length: int, part: str = "k.1") -> Schedule:
    s = Schedule(matmul(8, 8, depth))
    s.split("C", "k", [length])
    s.rfactor("C", part, 2)
    return s


def test_the_factor_becomes_an_axis_of_the_partial_stage() -> None:
    dag = factored(64, 16).state.dag
    partial, final = dag.by_name["C.rf"], dag.by_name["C"]
    assert (partial.axes, partial.shape) == (("i", "j", "k.1"), (8, 8, 16))
    assert partial.reduce_axes == (("k.0", 4),)
    assert final.reduce_axes == (("k.1", 16),)
    assert final.reducer is partial.reducer
    assert dag.reads["C.rf"]["A"][0][1] == Affine(0, (("k.0", 16), ("k.1", 1)))
    assert dag.is_output("C")


def test_a_length_that_divides_needs_no_guard() -> None:
    (body,) = factored(64, 16).state.dag.by_name["C.rf"].body
    assert not isinstance(body, Select)


def test_a_length_that_does_not_divide_is_guarded_by_the_identity() -> None:
    (body,) = factored(60, 16).state.dag.by_name["C.rf"].body
    assert isinstance(body, Select)
    assert body.conditions == (Affine(59, (("k.0", -16), ("k.1", -1))),)
    reducer = factored(60, 16).state.dag.by_name["C"].reducer
    assert reducer is not None
    assert body.b == reducer.identity[0]


def test_each_split_that_does_not_divide_has_its_guard() -> None:
    s = Schedule(matmul(8, 8, 60))
    s.split("C", "k", [16])
    s.split("C", "k.1", [5])
    s.rfactor("C", "k.0", 0)
    (body,) = s.state.dag.by_name["C.rf"].body
    assert isinstance(body, Select)
    assert len(body.conditions) == 2


def test_a_reduction_of_two_outputs_is_factored_in_both() -> None:
    s = Schedule(argmax())
    s.split("C", "k", [6])
    s.rfactor("C", "k.1", 1)
    final = s.state.dag.by_name["C"]
    assert [(e.op, e.output) for e in final.body if isinstance(e, Read)] == [
        ("C.rf", 0),
        ("C.rf", 1),
    ]
    assert len(s.state.dag.by_name["C.rf"].dtypes) == 2


def test_fused_reductions_are_factored() -> None:
    s = Schedule(convolution(channels=4, size=8))
    s.fuse("conv", "rc", "ry", "rx")
    s.split("conv", "rc@ry@rx@", [6])
    s.rfactor("conv", "rc@ry@rx@.1", 4)
    assert s.extents("conv.rf") == {
        "n": 1, "f": 8, "y": 8, "x": 8, "rc@ry@rx@.1": 6, "rc@ry@rx@.0": 6,
    }  # fmt: skip


def test_the_factor_may_be_a_column() -> None:
    dag = Schedule(matmul(8, 8, 64)).dag
    steps = (SplitStep("C", "k", (Col(0),)), RfactorStep("C", "k.1", 2))
    assert replay(dag, steps, None).dag.by_name["C.rf"].shape[2] is OPEN
    several = replay(dag, steps, [np.array([4, 8, 16])]).dag.by_name["C.rf"]
    np.testing.assert_array_equal(several.shape[2], [4, 8, 16])
    np.testing.assert_array_equal(several.reduce_axes[0][1], [16, 8, 4])
    assert not isinstance(several.body[0], Select)
    guarded = replay(dag, steps, [np.array([4, 8, 15])]).dag.by_name["C.rf"]
    assert isinstance(guarded.body[0], Select)


def test_fused_reductions_may_be_factored_by_a_column() -> None:
    dag = Schedule(convolution(channels=4, size=8)).dag
    steps = (
        FuseStep("conv", ("rc", "ry", "rx")),
        SplitStep("conv", "rc@ry@rx@", (Col(0),)),
        RfactorStep("conv", "rc@ry@rx@.1", 4),
    )
    state = replay(dag, steps, [np.array([2, 6, 12])])
    np.testing.assert_array_equal(state.dag.by_name["conv.rf"].shape[4], [2, 6, 12])


def test_a_spatial_iterator_is_not_factored() -> None:
    s = Schedule(matmul())
    with pytest.raises(ScheduleError, match="'i' of stage 'C': it does not walk a reduction"):
        s.rfactor("C", "i", 0)


@pytest.mark.parametrize("axis", [-1, 3])
def test_the_axis_must_exist(axis: int) -> None:
    s = Schedule(matmul())
    with pytest.raises(ScheduleError, match=f"expected axis 0 to 2, got {axis}"):
        s.rfactor("C", "k", axis)


def test_spatial_loops_are_split_after_rfactor() -> None:
    s = Schedule(matmul())
    s.split("C", "i", [4])
    with pytest.raises(ScheduleError, match="its spatial loops are split or fused already"):
        s.rfactor("C", "k", 2)


def test_loops_are_annotated_after_rfactor() -> None:
    s = Schedule(matmul())
    s.parallel("C", "i")
    with pytest.raises(ScheduleError, match="its loops are annotated already"):
        s.rfactor("C", "k", 2)


def test_guests_come_after_rfactor() -> None:
    s = Schedule(matmul())
    s.cache_read("B", "local", ["C"])
    s.compute_at("B.local", "C", "k")
    with pytest.raises(ScheduleError, match=r"'B\.local' computed inside it"):
        s.rfactor("C", "k", 2)


def test_a_stage_without_reduction_has_nothing_to_factor() -> None:
    state = initial_state(te.ComputeDAG.from_tensors(chain()))
    with pytest.raises(ScheduleError, match="it does not walk a reduction"):
        apply_step(state, RfactorStep("C", "i", 0))
