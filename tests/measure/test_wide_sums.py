from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tensorc import te, topi
from tensorc.measure import reference
from tensorc.measure.compare import Reference
from tensorc.measure.measurer import Measurer
from tensorc.measure.options import MeasureOptions
from tensorc.measure.reference import make_task
from tensorc.measure.result import ErrorKind, MeasureInput
from tensorc.measure.wide_sums import with_wide_sums
from tensorc.runtime.arrays import Array
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.profiler import ProfileOptions
from tensorc.schedule.replay import replay
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheWriteStep,
    ComputeAtStep,
    ReorderStep,
    RfactorStep,
    SplitStep,
)
from tensorc.target import Target
from tensorc.te.check import check_program
from tensorc.te.dag import ComputeDAG

TARGET = Target("llvm", num_cores=1)
LONG = 2**24
QUICK = MeasureOptions(profile=ProfileOptions(window=1e-6, budget=1e-6, max_windows=1))
IN_LANES = (
    SplitStep("S", "k", (64,)),
    RfactorStep("S", "k.1", 1),
    ReorderStep("S.rf", ("i", "k.0", "k.1")),
    AnnotationStep("S.rf", "k.1", "vectorize"),
)


def total(n: int, dtype: str = "float32") -> ComputeDAG:
    a, k = te.placeholder((n,), dtype, name="A"), te.reduce_axis((0, n), name="k")
    s = te.compute((1,), lambda i: te.sum(a[k] * a[k], axis=k), name="S")
    return ComputeDAG.from_tensors([a, s])


def right(dag: ComputeDAG) -> tuple[Array, ...]:
    """Inputs and the outputs that candidates are held against."""
    return make_task(dag, TARGET, naive_seconds=1.0).arrays


def test_a_long_sum_of_positive_terms_is_right_in_lanes_and_wrong_without_a_block() -> None:
    some = np.random.default_rng(0).uniform(-1, 1, 2**16).astype(np.float32)
    inputs = {"A": np.tile(some, LONG // some.size)}
    task = make_task(total(LONG), TARGET, inputs=inputs, naive_seconds=0.1)
    exact = np.square(some, dtype=np.float64).sum() * (LONG // some.size)
    assert task.arrays[1][0] == pytest.approx(exact, rel=1e-6)
    with Measurer(task, QUICK) as measurer:
        results = measurer.measure([MeasureInput(IN_LANES), MeasureInput()])
    # What adds the terms one behind the other is off by more than is allowed, tuned or not.
    assert [result.error for result in results] == [ErrorKind.NONE, ErrorKind.WRONG_ANSWER]
    expected = Reference(task.arrays[1], task.tolerances[1])
    blocks = np.full(64, exact / 64, np.float32)
    assert expected.compare(blocks.sum(keepdims=True)) is None
    assert expected.compare(blocks[:-1].sum(keepdims=True)) is not None


def test_a_softmax_of_long_rows_is_held_against_exact_sums() -> None:
    x = te.placeholder((1, 2**20), name="X")
    data, got = right(ComputeDAG.from_tensors([x, topi.softmax(x)]))
    powers = np.exp(data.astype(np.float64) - data.max())
    np.testing.assert_allclose(got, powers / powers.sum(), rtol=1e-6)


def test_the_time_is_that_of_the_program_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float16, that stops adding at 2048."""
    found = []

    def profile(function: CompiledFunction, *inputs: Array, **_: object) -> SimpleNamespace:
        found.append(float(function(*inputs)[0]))
        return SimpleNamespace(seconds=1e-9)

    monkeypatch.setattr(reference, "profile", profile)
    task = make_task(total(2**14, "float16"), TARGET)
    assert task.naive_seconds == 1e-9
    assert len(found) == 1
    assert found[0] < 0.8 * float(task.arrays[1][0])


def test_short_sums_and_what_chooses_stay_as_they_are() -> None:
    a, k = te.placeholder((8192,), name="A"), te.reduce_axis((0, 8192), name="k")
    largest = te.compute((1,), lambda i: te.max(a[k], axis=k), name="L")
    place, value = te.compute((1,), lambda i: te.argmax(a[k], axis=k), name="P")
    for dag in (total(64), ComputeDAG.from_tensors([a, largest, place, value])):
        assert with_wide_sums(dag) is dag


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_sums_that_are_exact_enough_stay_as_they_are(dtype: str) -> None:
    dag = total(8192, dtype)
    assert with_wide_sums(dag) is dag


def test_sums_that_are_read_and_returned_keep_their_types() -> None:
    a, k = te.placeholder((3, 8192), name="A"), te.reduce_axis((0, 8192), name="k")
    s = te.compute((3,), lambda i: te.sum(a[i, k], axis=k), name="S")
    m = te.compute((3,), lambda i: s[i] / 8192, name="M")
    dag = ComputeDAG.from_tensors([a, s, m])
    wide = with_wide_sums(dag)
    check_program(wide.ops, wide.params)
    assert str(wide).splitlines()[1:] == [
        "S(i) += float64(A[i, k])",
        "M(i) = float32(S[i]) / 8192.0",
        "S.cast(i) = float32(S[i])",
    ]
    data, sums, means = right(dag)
    np.testing.assert_allclose(sums, data.sum(axis=1, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(means, sums / 8192, rtol=1e-6)


def test_steps_of_the_untuned_program_apply_to_the_wide_one() -> None:
    a, k = te.placeholder((4, 8192), name="A"), te.reduce_axis((0, 8192), name="k")
    s = te.compute((4,), lambda i: te.sum(a[i, k], axis=k), name="S")
    m = te.compute((4,), lambda i: te.exp(s[i] / 8192), name="M")
    dag = ComputeDAG.from_tensors([a, m])
    steps = (
        SplitStep("S", "k", (32,)),
        CacheWriteStep("M", "local"),
        ComputeAtStep("S", "M.local", "i"),
    )
    task = make_task(dag, TARGET, state=replay(dag, steps), naive_seconds=1.0)
    data, got = task.arrays
    np.testing.assert_allclose(got, np.exp(data.mean(axis=1, dtype=np.float64)), rtol=1e-6)


def test_reducers_of_several_values_are_widened_as_a_whole() -> None:
    """A count beside a sum stays an integer."""
    add = te.comm_reducer(
        lambda x, y: (x[0] + y[0], x[1] + y[1]),
        lambda t, u: (te.const(0, t), te.const(0, u)),
        name="count_and_sum",
    )
    a, k = te.placeholder((8192,), name="A"), te.reduce_axis((0, 8192), name="k")
    c, s = te.compute((1,), lambda i: add((te.const(1, "int32"), a[k]), axis=k), name="S")
    data, count, sums = right(ComputeDAG.from_tensors([a, c, s]))
    assert (count.dtype, sums.dtype) == (np.int32, np.float32)
    assert count[0] == 8192
    np.testing.assert_allclose(sums, data.sum(dtype=np.float64), rtol=1e-6)


def test_inputs_that_are_constant_are_bound_in_either_program() -> None:
    a, w = te.placeholder((2, 8192), name="A"), te.placeholder((8192, 3), name="W")
    dag = ComputeDAG.from_tensors([a, w, topi.matmul(a, w)])
    data, weights, got = make_task(dag, TARGET, constants=["W"]).arrays
    exact = data.astype(np.float64) @ weights.astype(np.float64)
    np.testing.assert_allclose(got, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sums_in_16_bits_are_wide_too_and_held_to_less(dtype: str) -> None:
    dag = total(8192, dtype)
    task = make_task(dag, TARGET, naive_seconds=1.0)
    exact = np.square(task.arrays[0].astype(np.float64)).sum()
    assert float(task.arrays[1][0]) == pytest.approx(exact, rel=2.0**-8)
    short = make_task(total(64, dtype), TARGET, naive_seconds=1.0)
    assert task.tolerances[1].relative > 4 * short.tolerances[1].relative


@pytest.mark.parametrize("kind", ["c", "python"])
def test_other_backends_have_wide_sums_too(kind: str) -> None:
    data, got = make_task(total(4096), Target(kind, num_cores=1)).arrays
    assert got[0] == pytest.approx(np.square(data.astype(np.float64)).sum(), rel=1e-6)
