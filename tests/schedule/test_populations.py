"""A population's state and bounds equal those of its rows, one by one, and locations in columns
equal explicit ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorc.schedule import Bounds, Schedule, State, apply_step, replay
from tensorc.schedule.bounds import region
from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    Col,
    ComputeAtStep,
    ComputeInlineStep,
    FollowFusedSplitStep,
    FollowSplitStep,
    FuseStep,
    Layout,
    LocateStep,
    ReorderStep,
    RfactorStep,
    SplitStep,
    Step,
)
from tensorc.te import ComputeDAG
from tensorc.te.tensor import Tensor
from tests.schedule.programs import convolution, matmul, softmax

# A program, steps with columns, and the greatest value of each column.
Sketch = tuple[Callable[[], list[Tensor]], tuple[Step, ...], tuple[int, ...]]


def cols(first: int, count: int) -> tuple[Col, ...]:
    return tuple(Col(first + k) for k in range(count))


def tiled_matmul() -> Sketch:
    local = "C.local"
    steps = (
        CacheWriteStep("C", "local"),
        SplitStep(local, "i", cols(0, 3)),
        SplitStep(local, "j", cols(3, 3)),
        SplitStep(local, "k", cols(6, 1)),
        ReorderStep(local, ("i.0", "j.0", "i.1", "j.1", "k.0", "i.2", "j.2", "k.1", "i.3", "j.3")),
        FollowSplitStep("C", "i", 1, 2),
        FollowSplitStep("C", "j", 2, 2),
        ReorderStep("C", ("i.0", "j.0", "i.1", "j.1", "i.2", "j.2")),
        ComputeAtStep(local, "C", "j.1"),
        CacheReadStep("B", "global", (local,), Layout(1, Col(5), (1, 0, 2))),
        LocateStep("B.global", "C", Col(7), 4),
        CacheReadStep("A", "local", (local,)),
        ComputeAtStep("A.local", local, "k.0"),
    )
    return lambda: matmul(22, 18, 20), steps, (6, 5, 4, 3, 4, 6, 8, 4)


def gpu_matmul() -> Sketch:
    local = "C.local"
    steps = (
        CacheWriteStep("C", "local"),
        SplitStep(local, "i", cols(0, 2)),
        SplitStep(local, "j", cols(2, 2)),
        SplitStep(local, "k", cols(4, 1)),
        ReorderStep(local, ("i.0", "j.0", "i.1", "j.1", "k.0", "k.1", "i.2", "j.2")),
        FollowSplitStep("C", "i", 1, 2),
        FollowSplitStep("C", "j", 2, 2),
        ReorderStep("C", ("i.0", "j.0", "i.1", "j.1", "i.2", "j.2")),
        FuseStep("C", ("i.0", "j.0")),
        FuseStep("C", ("i.1", "j.1")),
        AnnotationStep("C", "i.0@j.0@", Annotation.BLOCK_X),
        AnnotationStep("C", "i.1@j.1@", Annotation.THREAD_X),
        ComputeAtStep(local, "C", "i.1@j.1@"),
        CacheReadStep("A", "shared", (local,)),
        ComputeAtStep("A.shared", local, "k.0"),
        FuseStep("A.shared", ("ax0", "ax1")),
        FollowFusedSplitStep("A.shared", "ax0@ax1@", (1, 2), 0),
        AnnotationStep("A.shared", "ax0@ax1@.1", Annotation.THREAD_X),
    )
    return lambda: matmul(16, 24, 12), steps, (4, 3, 4, 3, 6)


def factored_convolution() -> Sketch:
    fused = "rc@ry@rx@"
    steps = (
        FuseStep("conv", ("rc", "ry", "rx")),
        SplitStep("conv", fused, cols(0, 1)),
        RfactorStep("conv", f"{fused}.1", 4),
        SplitStep("conv.rf", "y", cols(1, 1)),
        ComputeInlineStep("scaled"),
        ComputeInlineStep("pad"),
    )
    return lambda: convolution(6, 4, 2, 3, 1), steps, (12, 4)


def located_convolution() -> Sketch:
    steps = (
        ComputeInlineStep("scaled"),
        SplitStep("relu", "y", cols(0, 1)),
        SplitStep("relu", "x", cols(1, 2)),
        ReorderStep("relu", ("n", "f", "y.0", "x.0", "y.1", "x.1", "x.2")),
        LocateStep("conv", "relu", Col(3), 7),
        LocateStep("pad", "relu", Col(4), 7),
    )
    return lambda: convolution(9, 2, 3, 3, 2), steps, (4, 3, 3, 7, 7)


def located_softmax() -> Sketch:
    steps = (
        SplitStep("norm", "i", cols(0, 1)),
        SplitStep("norm", "j", cols(1, 1)),
        LocateStep("total", "norm", Col(2), 2),
        LocateStep("exp", "norm", Col(3), 2),
        LocateStep("top", "norm", Col(4), 2),
    )
    return lambda: softmax(9, 11), steps, (4, 5, 2, 2, 2)


SKETCHES = [tiled_matmul, gpu_matmul, factored_convolution, located_convolution, located_softmax]


def sample(most: tuple[int, ...], rows: int, levels: tuple[int, ...], seed: int) -> np.ndarray:
    """Random rows; locations may be 0, and no stage is deeper than its readers."""
    rng = np.random.default_rng(seed)
    low = [0 if c in levels else 1 for c in range(len(most))]
    matrix = rng.integers(low, np.array(most) + 1, (rows, len(most)))
    for outer, inner in pairwise(levels):
        matrix[:, inner] = np.minimum(matrix[:, inner], matrix[:, outer])
    return matrix


def level_columns(steps: tuple[Step, ...]) -> tuple[int, ...]:
    return tuple(
        s.level.index for s in steps if isinstance(s, LocateStep) and not isinstance(s.level, int)
    )


def sizes(state: State) -> Iterator[tuple[str, object]]:
    """Everything that bounds say."""
    bounds = Bounds(state)
    for name in bounds.order:
        nest = bounds.nests[name]
        for axis, extent in nest.extents.items():
            yield f"{name}.{axis}", extent
        for k, loop in enumerate(nest.loops):
            yield f"{name} loop {k}", loop.extent
        for level in range(len(nest.loops) + 1):
            for relax in (False, True):
                ranges = bounds.ranges(name, level, relax)
                for axis, extent in ranges.items():
                    yield f"{name}.{axis} at {level} {relax}", extent
                for producer, reads in bounds.accesses[name].items():
                    for d, extent in enumerate(region(reads, ranges)):
                        yield f"{name} reads {producer} {d} at {level} {relax}", extent


@pytest.mark.parametrize("sketch", SKETCHES)
def test_a_population_equals_its_rows_one_by_one(sketch: Callable[[], Sketch]) -> None:
    program, steps, most = sketch()
    dag = ComputeDAG.from_tensors(program())
    rows = sample(most, 24, level_columns(steps), seed=7)
    together = dict(sizes(replay(dag, steps, rows.T.copy())))
    for k, row in enumerate(rows):
        alone = dict(sizes(replay(dag, steps, row)))
        assert alone.keys() == together.keys()
        for what, extent in alone.items():
            assert isinstance(extent, int), what
            assert extent == np.broadcast_to(np.asarray(together[what]), len(rows))[k], (what, row)


@pytest.mark.parametrize("sketch", SKETCHES)
def test_a_sketch_is_replayed_without_columns(sketch: Callable[[], Sketch]) -> None:
    program, steps, most = sketch()
    dag = ComputeDAG.from_tensors(program())
    opened = replay(dag, steps, None)
    assert list(opened.stages) == list(replay(dag, steps, most).stages)
    assert "?" in str(opened)


def explicit(dag: ComputeDAG, steps: tuple[Step, ...], row: np.ndarray) -> State:
    """The state of a row, with locations in its columns made explicit."""
    state = replay(dag, [s for s in steps if not isinstance(s, LocateStep)], row)
    for step in steps:
        if isinstance(step, LocateStep) and isinstance(step.level, Col):
            level = int(row[step.level.index])
            if level:
                at = ComputeAtStep(step.stage, step.target, state[step.target].names()[level - 1])
                state = apply_step(state, at)
    return state


@pytest.mark.parametrize("sketch", [located_convolution, located_softmax])
@given(seed=st.integers(0, 1000))
def test_a_location_column_equals_the_explicit_location(
    sketch: Callable[[], Sketch], seed: int
) -> None:
    program, steps, most = sketch()
    dag = ComputeDAG.from_tensors(program())
    (row,) = sample(most, 1, level_columns(steps), seed)
    masked, plain = Bounds(replay(dag, steps, row)), Bounds(explicit(dag, steps, row))
    for name in masked.order:
        assert masked.nests[name].extents == plain.nests[name].extents
        live = [loop.extent for loop in masked.nests[name].loops if loop.extent != 1]
        assert live == [loop.extent for loop in plain.nests[name].loops if loop.extent != 1]


def test_threads_keep_their_number_and_share_what_they_fetch() -> None:
    program, steps, _ = gpu_matmul()
    state = replay(ComputeDAG.from_tensors(program()), steps, [2, 2, 4, 1, 3])
    bounds = Bounds(state)
    shared = bounds.nests["A.shared"]
    assert (shared.extents["ax0"], shared.extents["ax1"]) == (4, 3)
    (fetch,) = [loop for loop in shared.own if loop.annotation is Annotation.THREAD_X]
    assert fetch.extent == 8
    assert all(loop.annotation is not Annotation.THREAD_X for loop in shared.outer)


def test_a_thread_loop_does_not_shrink_with_its_region() -> None:
    s = Schedule(matmul(6, 6, 6))
    s.split("C", "i", [32])
    s.bind("C", "i.1", "threadIdx.x")
    assert s.extents("C")["i.1"] == 32
    s.serial("C", "i.1")
    assert s.extents("C")["i.1"] == 6
