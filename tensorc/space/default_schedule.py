"""The schedule of a program that was never tuned: safe everywhere, decent on dense work.

Every stage stays at the root, strictly inlineable ones are inlined. The innermost spatial axis is
vectorised, outer ones run in parallel, and a reduction works on a register tile of a few rows by
two vectors. No measurement went into the numbers: they fit the registers of every CPU target.
"""

from __future__ import annotations

from tensorc.arith.sizes import Size
from tensorc.passes.vector_lanes import vector_lanes
from tensorc.schedule.replay import apply_step, initial_state
from tensorc.schedule.stage import Annotation
from tensorc.schedule.state import State
from tensorc.schedule.steps import (
    AnnotationStep,
    ComputeInlineStep,
    FuseStep,
    ReorderStep,
    SplitStep,
    Step,
)
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op

TILE_ROWS = 4
TILE_VECTORS = 2


def default_schedule(dag: ComputeDAG, target: Target) -> State:
    """Return the state of `dag` that `compile` uses where there is no record."""
    state = initial_state(dag)
    for op in reversed(dag.ops):
        if op.is_placeholder:
            continue
        inlined = not dag.is_output(op.name) and op.reducer is None
        if inlined and len(op.dtypes) == 1 and dag.is_strictly_inlineable(op.name):
            state = apply_step(state, ComputeInlineStep(op.name))
        else:
            state = _schedule_stage(state, op, target)
    return state


def _schedule_stage(state: State, op: Op, target: Target) -> State:
    spatial = list(op.axes)
    if not spatial or any(isinstance(e, int) and e == 0 for e in op.extents().values()):
        return state
    if op.reducer is not None:
        state, spatial, inner = _tile(state, op, target)
    else:
        inner = spatial.pop()
    if _extent(op, op.axes[-1]) > 1:
        state = apply_step(state, AnnotationStep(op.name, inner, Annotation.VECTORIZE))
    return _parallelise(state, op.name, spatial, target)


def _tile(state: State, op: Op, target: Target) -> tuple[State, list[str], str]:
    """Split off a register tile, move the reductions outside it, unroll its rows."""
    name, columns = op.name, op.axes[-1]
    lanes = min(vector_lanes(dtype, target) for dtype in op.dtypes)
    steps: list[Step] = [SplitStep(name, columns, (TILE_VECTORS * lanes,))]
    outer = [*op.axes[:-1], f"{columns}.0"]
    tile = [f"{columns}.1"]
    if len(op.axes) > 1 and _extent(op, op.axes[-2]) > 1:
        rows = op.axes[-2]
        steps.append(SplitStep(name, rows, (TILE_ROWS,)))
        outer[-2] = f"{rows}.0"
        tile.insert(0, f"{rows}.1")
        steps.append(AnnotationStep(name, f"{rows}.1", Annotation.UNROLL))
    reductions = [axis for axis, _ in op.reduce_axes]
    steps.append(ReorderStep(name, (*outer, *reductions, *tile)))
    for step in steps:
        state = apply_step(state, step)
    return state, outer, tile[-1]


def _parallelise(state: State, name: str, outer: list[str], target: Target) -> State:
    if not outer or target.num_cores == 1 or target.is_gpu:
        return state
    if len(outer) > 1:
        state = apply_step(state, FuseStep(name, tuple(outer)))
    first = state[name].names()[0]
    return apply_step(state, AnnotationStep(name, first, Annotation.PARALLEL))


def _extent(op: Op, axis: str) -> Size:
    return op.extents()[axis]
