"""Default rules about memory: reductions across rows, transpositions, lanes of reductions."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te, topi
from tensorc.schedule.steps import ComputeAtStep, PragmaStep, RfactorStep
from tensorc.space.sketch import Sketch, generate_sketches
from tensorc.te.tensor import Tensor
from tests.space import workloads

ONE = "llvm -num-cores=1 -vector-bytes=32 -vector-registers=16"


def loops(sketch: Sketch, stage: str) -> list[str]:
    return [i.name for i in sketch.state.stages[stage].iterators]


def total(axis: int, shape: tuple[int, int] = (512, 256)) -> list[Tensor]:
    A = te.placeholder(shape, name="A")
    return [A, topi.sum(A, axis=axis)]


def test_sums_across_rows_are_tiled_and_need_no_partial_sums() -> None:
    tiled, plain = generate_sketches(total(0), ONE)
    (stage,) = tiled.state.stages
    assert loops(tiled, stage) == ["i0.0", "k0.0", "i0.1", "k0.1", "i0.2"]
    assert loops(plain, stage) == ["i0", "k0"]


@pytest.mark.parametrize("terms", [256, 259])
def test_sums_along_rows_are_partial_sums_of_lanes_only(terms: int) -> None:
    (sketch,) = generate_sketches(total(1, (512, terms)), ONE)
    (step,) = (s for s in sketch.steps if isinstance(s, RfactorStep))
    assert step.iterator == "k1.1"


def test_sums_along_rows_without_a_whole_vector_keep_the_plain_loops() -> None:
    found = generate_sketches(total(1, (512, 12)), ONE)
    assert any(not any(isinstance(s, RfactorStep) for s in f.steps) for f in found)


def test_few_sums_are_partial_sums_of_cores_too() -> None:
    A = te.placeholder((512, 256), name="A")
    found = generate_sketches([A, topi.sum(A)], workloads.CPU)
    factored = [s.iterator for f in found for s in f.steps if isinstance(s, RfactorStep)]
    assert [name.split(".")[-1] for name in factored] == ["0", "2", "1"]


def test_lanes_of_partial_sums_are_combined_as_vectors() -> None:
    (space,) = workloads.spaces(total(1), ONE)
    for row in space.sample(4, np.random.default_rng(0)):
        pragmas = [s for s in space.steps(row) if isinstance(s, PragmaStep)]
        assert ("k1.1", "vector_reduction") in [(p.iterator, p.pragma) for p in pragmas]


def test_windows_are_tiled_and_channels_stay_outside() -> None:
    A = te.placeholder((1, 8, 20, 20), name="A")
    tiled = generate_sketches([A, topi.max_pool2d_nchw(A, 3, 2, 0)], ONE)[0]
    (name,) = tiled.state.stages
    assert loops(tiled, name)[:4] == ["n", "c", "h.0", "w.0"]


@pytest.mark.parametrize(("axes", "count"), [((1, 0, 2), 1), ((2, 1, 0), 2), ((0, 2, 1), 2)])
def test_transpositions_of_rows_are_tiled(axes: tuple[int, ...], count: int) -> None:
    A = te.placeholder((32, 16, 24), name="A")
    found = generate_sketches([A, topi.transpose(A, axes)], ONE)
    assert len(found) == count
    if count == 2:
        (name,) = found[0].state.stages
        assert loops(found[0], name)[-1].endswith(".2")


def test_transpositions_that_tiled_stages_read_are_not_tiled() -> None:
    A, B = te.placeholder((64, 48), name="A"), te.placeholder((64, 32), name="B")
    k = te.reduce_axis((0, 64), name="k")
    T = te.compute((48, 64), lambda i, j: A[j, i], name="T")
    C = te.compute((48, 32), lambda i, j: te.sum(T[i, k] * B[k, j], axis=k), name="C")
    assert not any("T.0" in str(s) for s in generate_sketches([A, B, C], ONE))


def test_partial_sums_are_where_they_are_combined() -> None:
    A = te.placeholder((64, 128), name="A")
    (space,) = workloads.spaces([A, topi.softmax(A)], ONE)
    for row in space.sample(32, np.random.default_rng(0)):
        steps = space.steps(row)
        places = {s.stage: (s.target, s.iterator) for s in steps if isinstance(s, ComputeAtStep)}
        for stage in ("T_softmax_maxelem", "T_softmax_expsum"):
            assert (stage, "i0") == places.get(f"{stage}.rf")
        found = space.row(steps)
        assert found is not None
        assert (found == row).all()


def test_sums_of_short_rows_that_lie_one_behind_the_other_are_not_tiled() -> None:
    def stages(shape: tuple[int, ...]) -> list[list[str]]:
        A = te.placeholder(shape, name="A")
        sums = topi.sum(A, axis=1)
        (stage, *_) = generate_sketches([A, sums], ONE)[0].state.stages
        return [loops(sketch, stage) for sketch in generate_sketches([A, sums], ONE)]

    assert stages((4, 512, 32)) == [["i0", "i1", "k1"]]
    assert len(stages((4, 512, 256))) == 2
