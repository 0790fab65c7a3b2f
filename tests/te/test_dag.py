"""ComputeDAG: order, access analysis, FLOPs, text: Ansor's own expectations, and some more."""

from __future__ import annotations

import pytest

from tensorc import te
from tensorc.support.errors import TEError
from tensorc.te import ComputeDAG
from tensorc.topi.nn import pad, relu
from tests.te import workloads

CONV = (1, 224, 224, 3, 64, 7, 2, 3)


@pytest.fixture(name="conv")
def fixture_conv() -> ComputeDAG:
    return ComputeDAG.from_tensors(workloads.conv2d_nchw_bn_relu(*CONV))


def names_where(dag: ComputeDAG, holds) -> list[str]:
    return [op.name for op in dag.ops if not op.is_placeholder and holds(op.name)]


def test_only_the_convolution_needs_tiling(conv: ComputeDAG) -> None:
    assert names_where(conv, conv.needs_multi_level_tiling) == ["conv"]


def test_all_but_the_convolution_access_simply(conv: ComputeDAG) -> None:
    expected = ["pad_temp", "Bias_add", "Bn_mul", "Bn_add", "relu"]
    assert names_where(conv, conv.is_simple_access) == expected


def test_elementwise_stages_are_strictly_inlineable(conv: ComputeDAG) -> None:
    expected = ["Bias_add", "Bn_mul", "Bn_add", "relu"]
    assert names_where(conv, conv.is_strictly_inlineable) == expected


def test_the_last_stage_is_the_output(conv: ComputeDAG) -> None:
    assert names_where(conv, conv.is_output) == ["relu"]
    assert conv.outputs == ("relu",)


@pytest.mark.parametrize(
    ("a", "b", "count"), [("conv", "Bias_add", 4), ("conv", "relu", 4), ("Data", "relu", 1)]
)
def test_common_outer_iterators(conv: ComputeDAG, a: str, b: str, count: int) -> None:
    assert conv.num_common_outer_iterators(a, b) == count


def test_common_outer_iterators_of_unrelated_stages_are_none(conv: ComputeDAG) -> None:
    assert conv.num_common_outer_iterators("relu", "conv") == 0


def test_elementwise_match(conv: ComputeDAG) -> None:
    assert conv.elementwise_match("conv", "Bias_add")
    assert conv.elementwise_match("conv", "relu")
    assert not conv.elementwise_match("Data", "pad_temp")


def test_consumers_and_producers(conv: ComputeDAG) -> None:
    assert conv.read_by["conv"] == ("Bias_add",)
    assert list(conv.reads["conv"]) == ["pad_temp", "Kernel"]


def test_stages_are_in_ansors_order() -> None:
    dag = ComputeDAG.from_tensors(workloads.conv2d_winograd_nhwc(1, 28, 28, 128, 128, 3, 1, 1))
    assert [op.name for op in dag.ops] == [
        "inputs", "data_pad", "input_tile", "B", "data_pack", "weight", "bgemm", "A", "inverse",
        "conv2d_winograd",
    ]  # fmt: skip


def test_winograd_is_tiled_and_inlined_where_ansor_does_it() -> None:
    dag = ComputeDAG.from_tensors(workloads.conv2d_winograd_nhwc(1, 28, 28, 128, 128, 3, 1, 1))
    assert names_where(dag, dag.needs_multi_level_tiling) == ["bgemm"]
    assert names_where(dag, dag.is_strictly_inlineable) == ["B", "A"]


def test_softmax_keeps_its_exponential() -> None:
    dag = ComputeDAG.from_tensors(workloads.softmax_nm(1, 1024))
    assert names_where(dag, dag.is_strictly_inlineable) == ["T_softmax_norm"]
    assert names_where(dag, dag.needs_multi_level_tiling) == []


def test_a_transpose_is_not_strictly_inlineable() -> None:
    A = te.placeholder((3, 4), name="A")
    B = te.compute((4, 3), lambda i, j: A[j, i], name="B")
    C = te.compute((3,), lambda i: A[i, i], name="C")
    dag = ComputeDAG.from_tensors([A, B, C])
    assert names_where(dag, dag.is_simple_access) == ["B", "C"]
    assert names_where(dag, dag.is_strictly_inlineable) == []


def test_flops_of_a_matmul() -> None:
    n = 512
    *inputs, C = workloads.matmul(n, n, n)
    assert ComputeDAG.from_tensors([*inputs, C]).flops() == 2 * n**3
    assert ComputeDAG.from_tensors([*inputs, relu(C)]).flops() == 2 * n**3 + n * n


def test_flops_do_not_count_the_comparisons_of_padding() -> None:
    n = 512
    *inputs, C = workloads.matmul(n, n, n)
    E = pad(C, (1, 1))
    assert ComputeDAG.from_tensors([*inputs, E]).flops() == 2 * n**3
    F = te.compute((n, n), lambda i, j: E[i, j], name="F", attrs={"FLOP": 1234})
    assert ComputeDAG.from_tensors([*inputs, F]).flops() == 2 * n**3 + 1234


def test_flops_of_a_condition_on_data() -> None:
    n = 512
    A = te.placeholder((n, n), name="A")
    F = te.compute((n, n), lambda i, j: te.if_then_else(A[i, j] > 0, A[i, j], 0))
    assert ComputeDAG.from_tensors([A, F]).flops() == n * n


def test_equal_names_of_axes_are_refused() -> None:
    with pytest.raises(TEError, match="unique names of axes in tensor 'B', got 'r1' twice"):
        ComputeDAG.from_tensors(workloads.invalid_compute_definition())


def test_text_is_ansors() -> None:
    assert str(ComputeDAG.from_tensors(workloads.softmax_nm(2, 8))).splitlines() == [
        "A = PLACEHOLDER [2, 8]",
        "T_softmax_maxelem(i0) max= A[i0, k1]",
        "T_softmax_exp(i0, i1) = exp(A[i0, i1] - T_softmax_maxelem[i0])",
        "T_softmax_expsum(i0) += T_softmax_exp[i0, k2]",
        "T_softmax_norm(i0, i1) = T_softmax_exp[i0, i1] / T_softmax_expsum[i0]",
    ]


def test_text_shows_the_outputs_of_a_tuple() -> None:
    A = te.placeholder((2, 8), name="A")
    k = te.reduce_axis((0, 8), name="k")
    position, largest = te.compute((2,), lambda i: te.argmax(A[i, k], axis=k), name="B")
    assert str(ComputeDAG.from_tensors([A, position, largest])).splitlines()[1:] == [
        "B(i).v0 select= index(k)",
        "B(i).v1 select= A[i, k]",
    ]


def test_parameters_are_in_the_given_order() -> None:
    A, B, C = workloads.matmul(2, 3, 4)
    assert ComputeDAG.from_tensors([C, B, A]).params == (("C", 0), ("B", 0), ("A", 0))


def test_a_parameter_that_is_read_is_an_output_too() -> None:
    A = te.placeholder((4,), name="A")
    B = te.compute((4,), lambda i: A[i] + 1, name="B")
    C = te.compute((4,), lambda i: B[i] * 2, name="C")
    dag = ComputeDAG.from_tensors([A, B, C])
    assert dag.outputs == ("B", "C")
    assert dag.is_output("B")
    assert not ComputeDAG.from_tensors([A, C]).is_output("B")


def test_unnamed_operations_are_numbered() -> None:
    A = te.placeholder((4,))
    B = te.compute((4,), lambda i: A[i] + 1)
    C = te.compute((4,), lambda i: B[i] * 2)
    assert [op.name for op in ComputeDAG.from_tensors([A, C]).ops] == [
        "placeholder", "compute", "compute_1",
    ]  # fmt: skip


def test_with_ops_keeps_the_parameters() -> None:
    dag = ComputeDAG.from_tensors(workloads.min_nm(2, 3))
    assert dag.with_ops(dag.ops[:1]).params == dag.params


def test_operations_have_names_that_code_accepts() -> None:
    a = te.placeholder((4,), name="my input")
    b = te.compute((4,), lambda i: a[i] * 2.0, name="B")
    dag = ComputeDAG.of([a, b])
    assert dag.names_of([a, b]) == {a.op: "my_input", b.op: "B"}
    assert ComputeDAG.of(dag) is dag
    assert not dag.names_of(dag)
