from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.measure.measurer import Measurer
from tensorc.measure.options import MeasureOptions
from tensorc.measure.reference import make_inputs, make_task, params_of_dag
from tensorc.measure.result import ErrorKind, MeasureInput
from tensorc.schedule.steps import AnnotationStep, SplitStep
from tensorc.support.errors import MeasureError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

TARGET = Target("llvm", num_cores=1)


def matmul(n: int = 24) -> ComputeDAG:
    a, b = te.placeholder((n, n), name="A"), te.placeholder((n, n), name="B")
    k = te.reduce_axis((0, n), name="k")
    c = te.compute((n, n), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="C")
    return ComputeDAG.from_tensors([a, b, c])


def test_the_untuned_program_gives_the_right_outputs_and_its_time() -> None:
    task = make_task(matmul(), TARGET)
    a, b, c = task.arrays
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-5)
    assert 0 < task.naive_seconds < 1
    assert task.key == matmul().structural_hash()


def test_inputs_outputs_and_time_may_be_given() -> None:
    a = np.ones((24, 24), np.float32)
    c = np.full((24, 24), 7, np.float32)
    task = make_task(matmul(), TARGET, inputs={"A": a}, outputs={"C": c}, naive_seconds=0.5)
    assert (task.arrays[0] == 1).all()
    assert (task.arrays[2] == 7).all()
    assert task.naive_seconds == 0.5


def test_inputs_are_the_same_for_a_seed() -> None:
    first, again = (make_inputs(matmul(), seed=3) for _ in range(2))
    assert (first["A"] == again["A"]).all()
    assert (first["A"] != make_inputs(matmul(), seed=4)["A"]).any()


def test_inputs_that_index_lie_within_what_they_index() -> None:
    table, index = te.placeholder((5, 4), name="T"), te.placeholder((9,), "int32", name="I")
    rows = te.compute((9, 4), lambda i, j: table[index[i], j], name="R")
    dag = ComputeDAG.from_tensors([table, index, rows])
    values = make_inputs(dag)["I"]
    assert values.min() >= 0
    assert values.max() <= 4
    assert len(set(values.tolist())) > 1


def test_parameters_are_those_of_the_kernel() -> None:
    names = [(param.name, param.shape, param.is_output) for param in params_of_dag(matmul(3))]
    assert names == [("A", (3, 3), False), ("B", (3, 3), False), ("C", (3, 3), True)]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": {"D": np.zeros(3)}}, "Bad input 'D': expected one of A, B"),
        ({"inputs": {"A": np.zeros(3)}}, r"'A'.*shape \(24, 24\), got.*\(3,\)"),
        ({"outputs": {}, "naive_seconds": 1.0}, "expected one for 'C'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, object], message: str) -> None:
    with pytest.raises((MeasureError, ValueError), match=message):
        make_task(matmul(), TARGET, **arrays)


def test_schedules_are_built_run_and_checked() -> None:
    good = (SplitStep("C", "i", (4,)), AnnotationStep("C", "i.0", "parallel"))
    with Measurer(make_task(matmul(), TARGET), MeasureOptions(fast=False)) as measurer:
        results = measurer.measure(
            [MeasureInput(good), MeasureInput((SplitStep("D", "i", (4,)),)), MeasureInput()]
        )
    assert [result.error for result in results] == [
        ErrorKind.NONE, ErrorKind.INSTANTIATION_ERROR, ErrorKind.NONE,
    ]  # fmt: skip
    assert "'D' is not a stage" in results[1].message
    assert results[1].phase == "replay"
    assert all(result.build_seconds > 0 for result in results)


def test_wrong_reference_outputs_show_as_wrong_answers() -> None:
    wrong = np.zeros((24, 24), np.float32)
    task = make_task(matmul(), TARGET, outputs={"C": wrong})
    with Measurer(task) as measurer:
        (result,) = measurer.measure([MeasureInput()])
    assert result.error is ErrorKind.WRONG_ANSWER


@pytest.mark.parametrize("kind", ["c", "python"])
def test_other_backends_are_measured_too(kind: str) -> None:
    with Measurer(make_task(matmul(6), Target(kind, num_cores=1))) as measurer:
        results = measurer.measure([MeasureInput(), MeasureInput((SplitStep("C", "i", (4,)),))])
    assert [result.error for result in results] == [ErrorKind.NONE] * 2


def test_a_build_that_takes_too_long_is_ended() -> None:
    with Measurer(make_task(matmul(), TARGET), MeasureOptions(build_limit=1e-4)) as measurer:
        (result,) = measurer.measure([MeasureInput()])
    assert (result.error, result.phase) == (ErrorKind.BUILD_TIMEOUT, "build")
    assert result.build_seconds > 0


@pytest.mark.parametrize("overlap", [True, False])
def test_many_candidates_pass_with_and_without_overlap(overlap: bool) -> None:
    task = make_task(matmul(), Target("llvm", num_cores=2))
    batch = [MeasureInput((SplitStep("C", "i", (1 + i % 7,)),)) for i in range(24)]
    with Measurer(task, MeasureOptions(overlap=overlap, builders=2)) as measurer:
        results = measurer.measure(batch)
        assert measurer.measure(batch[:1])[0].error is ErrorKind.NONE
    assert all(result.error is ErrorKind.NONE for result in results)
    assert all(result.build_seconds > 0 for result in results)


def test_arrays_without_dimensions_stay_so() -> None:
    a, n = te.placeholder((), name="A"), te.placeholder((), "int32", name="N")
    dag = ComputeDAG.from_tensors([a, n, te.compute((), lambda: a() + n(), name="B")])
    task = make_task(dag, TARGET, inputs={"A": np.array(0.5, np.float32)})
    assert [array.shape for array in task.arrays] == [(), (), ()]
    assert task.arrays[2] == task.arrays[0] + task.arrays[1]
