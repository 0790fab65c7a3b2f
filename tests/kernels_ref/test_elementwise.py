"""Elementwise kernels: known values, dtypes, broadcasting."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import kernels_ref
from kernels_ref import Array

# Values to 16 digits from tables (Abramowitz and Stegun, 7.1) or exact identities.
KNOWN: tuple[tuple[Callable[[Array], Array], float, float], ...] = (
    (kernels_ref.erf, 0.0, 0.0),
    (kernels_ref.erf, 1e-10, 1.1283791670955126e-10),
    (kernels_ref.erf, 0.5, 0.5204998778130465),
    (kernels_ref.erf, 1.0, 0.8427007929497149),
    (kernels_ref.erf, -2.0, -0.9953222650189527),
    (kernels_ref.erf, 30.0, 1.0),
    (kernels_ref.sigmoid, 0.0, 0.5),
    (kernels_ref.sigmoid, math.log(3.0), 0.75),
    (kernels_ref.sigmoid, -50.0, 1.928749847963918e-22),
    (kernels_ref.sigmoid, -1e4, 0.0),
    (kernels_ref.sigmoid, 1e4, 1.0),
    (kernels_ref.tanh, 1.0, 0.7615941559557649),
    (kernels_ref.exp, 1.0, math.e),
    (kernels_ref.exp, 1e4, math.inf),
    (kernels_ref.log, math.e, 1.0),
    (kernels_ref.log, 0.0, -math.inf),
    (kernels_ref.sqrt, 2.25, 1.5),
    (kernels_ref.sqrt, -1.0, math.nan),
    (kernels_ref.rsqrt, 4.0, 0.5),
    (kernels_ref.rsqrt, 0.0, math.inf),
    (kernels_ref.abs, -1.5, 1.5),
    (kernels_ref.negative, 1.5, -1.5),
    (kernels_ref.floor, -1.5, -2.0),
    (kernels_ref.ceil, -1.5, -1.0),
    (kernels_ref.round, 2.5, 2.0),
    (kernels_ref.round, 3.5, 4.0),
)

BINARY: tuple[tuple[Callable[[Array, Array], Array], float], ...] = (
    (kernels_ref.add, 2.5),
    (kernels_ref.subtract, 1.5),
    (kernels_ref.multiply, 1.0),
    (kernels_ref.divide, 4.0),
    (kernels_ref.power, math.sqrt(2.0)),
    (kernels_ref.maximum, 2.0),
    (kernels_ref.minimum, 0.5),
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kernel", "argument", "value"), KNOWN)
def test_known_value(kernel: Callable[[Array], Array], argument: float, value: float) -> None:
    assert_allclose(kernel(np.array([argument])), [value], rtol=4e-16)
    narrow = kernel(np.full((2, 1), argument, np.float32))
    assert narrow.shape == (2, 1)
    assert narrow.dtype == np.float32


@pytest.mark.parametrize(("kernel", "value"), BINARY)
def test_binary_value_and_broadcast(kernel: Callable[[Array, Array], Array], value: float) -> None:
    result = kernel(np.full((3, 1), 2.0, np.float32), np.full(4, 0.5, np.float32))
    assert_array_equal(result, np.full((3, 4), value, np.float32), strict=True)


def test_result_is_rounded_once() -> None:
    third = kernels_ref.divide(np.array(1, np.float32), np.array(3, np.float32))
    assert_array_equal(third, np.array(np.float32(1 / 3)), strict=True)


def test_integers_divide_toward_zero_and_wrap() -> None:
    a = np.array([7, -7, 2**31 - 1], np.int32)
    b = np.array([2, 2, 1], np.int32)
    assert_array_equal(kernels_ref.divide(a, b), np.array([3, -3, 2**31 - 1], np.int32))
    assert_array_equal(kernels_ref.add(a, b), np.array([9, -5, -(2**31)], np.int32), strict=True)


def test_operands_promote() -> None:
    result = kernels_ref.add(np.ones(1, np.float32), np.ones(1, np.float64))
    assert result.dtype == np.float64


def test_where_clip_and_cast() -> None:
    data = np.array([-1.5, 0.5, 2.5], np.float32)
    chosen = kernels_ref.where(data > 0, data, np.zeros(1, np.float32))
    assert_array_equal(chosen, np.array([0, 0.5, 2.5], np.float32), strict=True)
    clipped = kernels_ref.clip(data, -1, 1)
    assert_array_equal(clipped, np.array([-1, 0.5, 1], np.float32), strict=True)
    assert_array_equal(kernels_ref.cast(data, "int32"), np.array([-1, 0, 2], np.int32), strict=True)


def test_rank_zero_stays_an_array() -> None:
    assert isinstance(kernels_ref.exp(np.array(0.0)), np.ndarray)
    assert isinstance(kernels_ref.erf(np.array(0.0)), np.ndarray)
