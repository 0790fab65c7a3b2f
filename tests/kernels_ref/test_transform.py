"""Kernels that move elements."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

import kernels_ref

DATA = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@given(st.permutations(range(3)))
def test_transpose_moves_axes(axes: list[int]) -> None:
    result = kernels_ref.transpose(DATA, tuple(axes))
    for index in np.ndindex(*DATA.shape):
        assert result[tuple(index[axis] for axis in axes)] == DATA[index]


def test_transpose_reverses_by_default() -> None:
    assert_array_equal(kernels_ref.transpose(DATA), DATA.T, strict=True)


def test_results_are_fresh_and_contiguous() -> None:
    for result in (kernels_ref.transpose(DATA), kernels_ref.reshape(DATA, (4, 6))):
        assert not np.shares_memory(result, DATA)
        assert result.flags.c_contiguous


def test_reshape_keeps_the_order() -> None:
    result = kernels_ref.reshape(DATA, (3, -1))
    assert result.shape == (3, 8)
    assert result.ravel().tolist() == list(range(24))


def test_concatenate_along_an_axis() -> None:
    result = kernels_ref.concatenate((DATA, DATA[:, :1]), axis=1)
    assert result.shape == (2, 4, 4)
    assert_array_equal(result[:, 3], DATA[:, 0])


def test_strided_slice_by_leading_and_by_named_axes() -> None:
    leading = kernels_ref.strided_slice(DATA, (1, 0), (2, 3), (1, 2))
    assert_array_equal(leading, DATA[1:2, 0:3:2], strict=True)
    named = kernels_ref.strided_slice(DATA, (-3,), (100,), axes=(-1,))
    assert_array_equal(named, DATA[:, :, 1:], strict=True)


def test_strided_slice_backwards() -> None:
    result = kernels_ref.strided_slice(DATA, (3,), (-100,), (-1,), axes=(2,))
    assert_array_equal(result, DATA[:, :, ::-1], strict=True)


def test_take_replaces_the_axis_by_the_indices() -> None:
    indices = np.array([[0, -1], [2, 2]])
    result = kernels_ref.take(DATA, indices, axis=1)
    assert result.shape == (2, 2, 2, 4)
    for i, a, b, k in np.ndindex(*result.shape):
        assert result[i, a, b, k] == DATA[i, indices[a, b], k]


def test_gather_picks_single_elements() -> None:
    indices = np.array([[2, 0], [1, -1]])
    data = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    result = kernels_ref.gather(data, indices, axis=1)
    assert_array_equal(result, np.array([[3, 1], [5, 6]], np.float32), strict=True)


def test_an_index_out_of_range_is_refused() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        kernels_ref.take(DATA, np.array([3]), axis=1)
