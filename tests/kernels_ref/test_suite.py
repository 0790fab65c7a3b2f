"""The benchmark suite: its shapes, its counts, and that the reference kernels accept it."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import kernels_ref
from kernels_ref import extra
from kernels_ref.suite import CODES, WORKLOADS, Case, Workload, cases

EVERY = (*WORKLOADS, *extra.WORKLOADS)

# Microseconds and GFLOP/s that the Ansor authors' logs give for batch 1; the product is the count.
PUBLISHED = {
    "C1D.1": (7.5, 844),
    "C1D.4": (56.4, 892),
    "C2D.1": (158.3, 1491),
    "C3D.1": (7774.9, 1700),
    "GMM.3": (251.8, 1066),
    "GRP.1": (21.9, 1321),
    "GRP.4": (81.1, 713),
    "DIL.1": (186.0, 1202),
    "DIL.4": (151.1, 781),
    "DEP.1": (8.5, 845),
    "DEP.3": (3.4, 131),
    "T2D.1": (118.4, 567),
    "T2D.4": (18.9, 334),
    "CAP.1": (57.1, 1322),
    "CAP.4": (17.4, 1083),
    "NRM.4": (236.6, 35),
    "CBR.1": (179.5, 1315),
    "CBR.3": (10.9, 1178),
    "TBG.1": (24.8, 1014),
    "TBG.4": (42.6, 1182),
}


def only(op: str, shape: int, batch: int = 1) -> Case:
    (case,) = cases(op, shape, (batch,))
    return case


def test_thirteen_workloads_of_four_shapes_at_two_batch_sizes() -> None:
    assert " ".join(CODES) == "C1D C2D C3D GMM GRP DIL DEP T2D CAP NRM SFM CBR TBG"
    names = [case.name for case in cases()]
    assert len(names) == len(set(names)) == 13 * 4 * 2
    assert names[:3] == ["C1D.1.b1", "C1D.1.b16", "C1D.2.b1"]


def test_selection_by_code_shape_and_batch() -> None:
    assert [case.name for case in cases("C2D", batch=(1,))] == [f"C2D.{i}.b1" for i in (1, 2, 3, 4)]
    assert [case.name for case in cases("SFM", 2)] == ["SFM.2.b1", "SFM.2.b16"]


def test_unknown_code_is_refused() -> None:
    with pytest.raises(ValueError, match="No workload is called 'CONV'; the codes are C1D, C2D"):
        cases("CONV")


def test_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="No case has shape number 5"):
        cases("C2D", 5)


@pytest.mark.parametrize("workload", EVERY, ids=lambda workload: workload.code)
def test_each_shape_has_a_number_for_each_size(workload: Workload) -> None:
    assert len(workload.shapes) == 4
    assert {len(shape) for shape in workload.shapes} == {len(workload.sizes)}


@pytest.mark.parametrize("case", cases(batch=(1,), workloads=EVERY), ids=lambda case: case.name)
def test_reference_of_each_case_has_the_stated_shape(case: Case) -> None:
    result = case.reference(*case.inputs(np.random.default_rng(0)))
    assert result.shape == case.output_shape
    assert result.dtype == np.float32
    assert np.all(np.isfinite(result))


@pytest.mark.parametrize("case", cases(shape=1, workloads=EVERY), ids=lambda case: case.name)
def test_arguments_are_the_parameters_of_the_kernel(case: Case) -> None:
    parameters = list(inspect.signature(getattr(kernels_ref, case.function)).parameters)
    names = [argument.name for argument in case.arguments]
    assert parameters[: len(names)] == names
    assert set(case.kwargs) <= set(parameters[len(names) :])
    assert set(case.weights) < set(names)


@pytest.mark.parametrize("op", CODES)
def test_batch_scales_flops_and_output(op: str) -> None:
    one, many = only(op, 1), only(op, 1, 16)
    assert many.flops == 16 * one.flops
    assert np.prod(many.output_shape) == 16 * np.prod(one.output_shape)


def test_matmul_512_takes_two_operations_for_each_product() -> None:
    assert only("GMM", 3).flops == 2 * 512**3


@pytest.mark.parametrize("name", PUBLISHED)
def test_flops_agree_with_published_rates(name: str) -> None:
    microseconds, gflops = PUBLISHED[name]
    case = only(name[:3], int(name[4]))
    assert case.flops == pytest.approx(microseconds * gflops * 1e3, rel=0.02)


def test_bytes_count_each_operand_once() -> None:
    assert only("GMM", 3).bytes == 4 * 3 * 512**2
    assert only("NRM", 1, 16).bytes == 4 * (16 * 256**2 + 16)
    assert only("SFM", 1).bytes == 4 * 2 * 256**2


def test_bytes_leave_out_what_a_stride_skips() -> None:
    data, weight = only("C1D", 2).arguments  # kernel 1, stride 2: every other position is read
    assert data.read * 2 == np.prod(data.shape)
    assert weight.read == np.prod(weight.shape)


def test_dilated_shapes_shrink_because_padding_is_not_scaled() -> None:
    assert [case.output_shape[1] for case in cases("DIL", batch=(1,))] == [109, 56, 12, 5]


def test_inputs_are_a_function_of_the_generator() -> None:
    case = only("CBR", 3)
    first, second = (case.inputs(np.random.default_rng(7)) for _ in range(2))
    for one, other, argument in zip(first, second, case.arguments, strict=True):
        assert_array_equal(one, other, strict=True)
        assert one.shape == argument.shape
        assert one.dtype == np.float32


def test_a_case_calls_its_kernel_by_name() -> None:
    case = only("GRP", 3)
    assert case.function == "group_conv2d_nhwc"
    assert case.kwargs == {"stride": 1, "padding": 1, "dilation": 1, "groups": 4}
    assert [argument.shape for argument in case.arguments] == [(1, 14, 14, 256), (3, 3, 64, 256)]
