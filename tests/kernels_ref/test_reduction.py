"""Reductions: values, axes, dtypes."""

from collections.abc import Callable
from functools import reduce
from operator import add, mul

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import kernels_ref
from kernels_ref import Array

DATA = np.random.default_rng(0).integers(1, 5, (2, 3, 4)).astype(np.float32)
REDUCTIONS: tuple[tuple[Callable[..., Array], Callable[[list[float]], float]], ...] = (
    (kernels_ref.sum, lambda elements: reduce(add, elements)),
    (kernels_ref.prod, lambda elements: reduce(mul, elements)),
    (kernels_ref.max, lambda elements: sorted(elements)[-1]),
    (kernels_ref.min, lambda elements: sorted(elements)[0]),
    (kernels_ref.mean, lambda elements: reduce(add, elements) / len(elements)),
)


@pytest.mark.parametrize(("kernel", "of_list"), REDUCTIONS)
def test_reduction_along_one_axis(
    kernel: Callable[..., Array], of_list: Callable[[list[float]], float]
) -> None:
    result = kernel(DATA, axis=1)
    assert result.dtype == np.float32
    for i, j in np.ndindex(2, 4):
        assert result[i, j] == np.float32(of_list(DATA[i, :, j].tolist()))


@pytest.mark.parametrize(("kernel", "of_list"), REDUCTIONS)
def test_reduction_along_all_axes_has_rank_zero(
    kernel: Callable[..., Array], of_list: Callable[[list[float]], float]
) -> None:
    result = kernel(DATA)
    assert isinstance(result, np.ndarray)
    assert result.shape == ()
    assert_allclose(result, of_list(DATA.ravel().tolist()))


@pytest.mark.parametrize("kernel", [kernel for kernel, _ in REDUCTIONS])
def test_keepdims_leaves_the_axes_in_place(kernel: Callable[..., Array]) -> None:
    kept = kernel(DATA, axis=(0, -1), keepdims=True)
    assert kept.shape == (1, 3, 1)
    assert_array_equal(kept.ravel(), kernel(DATA, axis=(0, -1)))


def test_argmax_and_argmin_give_the_first_of_several() -> None:
    data = np.array([[3, 7, 7, 1, 1]], np.float32)
    assert_array_equal(kernels_ref.argmax(data, 1), np.array([1], np.int32), strict=True)
    assert_array_equal(kernels_ref.argmin(data, 1), np.array([3], np.int32), strict=True)
    kept = kernels_ref.argmax(data, -1, keepdims=True, out_dtype="int64")
    assert_array_equal(kept, np.array([[1]], np.int64), strict=True)
    assert kernels_ref.argmax(data.T) == 1


def test_integers_wrap_as_in_their_dtype() -> None:
    data = np.array([100, 100], np.int8)
    assert_array_equal(kernels_ref.sum(data), np.array(-56, np.int8), strict=True)


def test_sum_is_formed_in_float64() -> None:
    data = np.array([1e8, 1.0, -1e8], np.float32)
    assert kernels_ref.sum(data) == 1.0


def test_norm_bmn_is_one_number_for_each_matrix() -> None:
    data = np.array([[[3, 0], [0, 4]], [[1, 1], [1, 1]]], np.float32)
    assert_array_equal(kernels_ref.norm_bmn(data), np.array([5, 2], np.float32), strict=True)
