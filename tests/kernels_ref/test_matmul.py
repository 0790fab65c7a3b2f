"""Matrix products against loops."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from numpy.testing import assert_array_equal

import kernels_ref
from kernels_ref import Array

extents = st.integers(1, 5)


def whole_numbers(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float32)


def multiply_with_loops(a: Array, b: Array) -> Array:
    result = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for i, j, k in np.ndindex(*a.shape[:1], *b.shape[1:], *b.shape[:1]):
        result[i, j] += a[i, k] * b[k, j]
    return result


@given(extents, extents, extents)
def test_matmul_and_dense_equal_loops(n: int, m: int, k: int) -> None:
    a, b, bias = whole_numbers(0, n, k), whole_numbers(1, k, m), whole_numbers(2, m)
    expected = multiply_with_loops(a, b)
    assert_array_equal(kernels_ref.matmul(a, b), expected, strict=True)
    assert_array_equal(kernels_ref.dense(a, b.T), expected, strict=True)
    assert_array_equal(kernels_ref.dense(a, b.T, bias), expected + bias, strict=True)


@given(extents, extents, extents, extents)
def test_batch_matmul_multiplies_pairs(batch: int, n: int, m: int, k: int) -> None:
    a, b = whole_numbers(0, batch, n, k), whole_numbers(1, batch, k, m)
    expected = np.stack([multiply_with_loops(*pair) for pair in zip(a, b, strict=True)])
    assert_array_equal(kernels_ref.batch_matmul(a, b), expected, strict=True)


@given(extents, extents, extents, extents)
def test_transpose_batch_matmul_scores_positions(
    batch: int, sequence: int, heads: int, depth: int
) -> None:
    query = whole_numbers(0, batch, sequence, heads, depth)
    value = whole_numbers(1, batch, sequence, heads, depth)
    result = kernels_ref.transpose_batch_matmul(query, value)
    assert result.shape == (batch, heads, sequence, sequence)
    for n, head, i, j in np.ndindex(*result.shape):
        assert result[n, head, i, j] == sum(query[n, i, head] * value[n, j, head])


def test_half_precision_operands_accumulate_wide() -> None:
    ones = np.ones((1, 4096), np.float16)
    result = kernels_ref.matmul(ones, ones.T)
    assert_array_equal(result, np.array([[4096]], np.float32), strict=True)
