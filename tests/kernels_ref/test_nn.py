"""Activations, normalisation, pooling and padding against definitions written out."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given
from numpy.testing import assert_allclose, assert_array_equal

import kernels_ref
from kernels_ref import Array


def normals(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def test_relu_keeps_the_dtype() -> None:
    result = kernels_ref.relu(np.array([-1, 0, 2], np.int8))
    assert_array_equal(result, np.array([0, 0, 2], np.int8), strict=True)


def test_gelu_known_values() -> None:
    data = np.array([-1.0, 0.0, 1.0, 3.0])
    distribution = [0.15865525393145707, 0.5, 0.8413447460685429, 0.9986501019683699]
    assert_allclose(kernels_ref.gelu(data), data * distribution, rtol=1e-15)


def test_gelu_tanh_approximates_gelu() -> None:
    data = np.linspace(-5, 5, 101)
    exact, approximate = kernels_ref.gelu(data), kernels_ref.gelu_tanh(data)
    assert 1e-4 < np.max(np.abs(exact - approximate)) < 1e-3
    assert_allclose(kernels_ref.gelu_tanh(np.array([1.0])), [0.8411919906082768], rtol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_equals_its_definition(axis: int) -> None:
    data = normals(3, 4, 5)
    result = kernels_ref.softmax(data, axis)
    for line, expected in zip(
        np.moveaxis(result, axis, -1).reshape(-1, data.shape[axis]),
        np.moveaxis(data, axis, -1).reshape(-1, data.shape[axis]),
        strict=True,
    ):
        total = sum(math.exp(x) for x in expected)
        assert_allclose(line, [math.exp(x) / total for x in expected], rtol=1e-6)


def test_softmax_of_large_numbers_does_not_overflow() -> None:
    result = kernels_ref.softmax(np.array([[1e30, 1e30, -1e30]], np.float32))
    assert_array_equal(result, np.array([[0.5, 0.5, 0.0]], np.float32), strict=True)


@pytest.mark.parametrize("axis", [1, -1, -2])
def test_layer_norm_equals_its_definition(axis: int) -> None:
    data = normals(2, 3, 4)
    lines = data.reshape(math.prod(data.shape[:axis]), -1)
    gamma, beta = normals(lines.shape[1]), normals(lines.shape[1]) + 1
    result = kernels_ref.layer_norm(
        data, gamma.reshape(data.shape[axis:]), beta.reshape(data.shape[axis:]), axis, 1e-3
    )
    for line, x in zip(result.reshape(lines.shape), lines.astype(np.float64), strict=True):
        mean = sum(x) / len(x)
        variance = sum((x - mean) ** 2) / len(x)
        assert_allclose(line, (x - mean) / math.sqrt(variance + 1e-3) * gamma + beta, rtol=2e-6)


def test_bias_add_lies_along_the_axis() -> None:
    data, bias = np.zeros((2, 3, 4), np.float32), np.array([1, 2, 3], np.float32)
    result = kernels_ref.bias_add(data, bias, axis=1)
    assert_array_equal(result, np.broadcast_to(bias[None, :, None], (2, 3, 4)), strict=True)
    assert_array_equal(kernels_ref.bias_add(data, bias, axis=-2), result)


def test_bias_gelu_is_the_chain_of_its_parts() -> None:
    data, bias = normals(2, 3, 4), normals(4)
    chain = kernels_ref.gelu(kernels_ref.bias_add(data, bias))
    assert_allclose(kernels_ref.bias_gelu(data, bias), chain, rtol=1e-5, atol=1e-6)


def test_conv2d_bn_relu_is_the_chain_of_its_parts() -> None:
    data, weight = normals(2, 5, 6, 3), normals(3, 3, 3, 4)
    bias, scale, offset = normals(3, 4)
    result = kernels_ref.conv2d_bn_relu(data, weight, bias, scale, offset, 2, 1, 2)
    conv = kernels_ref.conv2d_nhwc(data, weight, 2, 1, 2)
    assert result.dtype == np.float32
    assert_allclose(result, np.maximum((conv + bias) * scale + offset, 0), rtol=1e-4, atol=1e-5)
    assert 0.1 < np.mean(result == 0) < 0.9


@given(
    size=st.tuples(st.integers(4, 6), st.integers(4, 6)),
    kernel=st.tuples(st.integers(2, 3), st.integers(2, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
    dilation=st.integers(1, 2),
)
def test_pooling_equals_loops(
    size: tuple[int, int], kernel: tuple[int, int], stride: int, padding: int, dilation: int
) -> None:
    data = normals(2, 2, *size)
    out = [
        (n + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        for n, k in zip(size, kernel, strict=True)
    ]
    assume(min(out) >= 1)
    window = (kernel, stride, padding, dilation)
    largest = kernels_ref.max_pool2d_nchw(data, *window)
    mean = kernels_ref.avg_pool2d_nchw(data, *window)
    padded_mean = kernels_ref.avg_pool2d_nchw(data, *window, count_include_pad=True)
    assert largest.shape == mean.shape == padded_mean.shape == (2, 2, *out)
    for n, c, h, w in np.ndindex(*largest.shape):
        rows = [h * stride + i * dilation - padding for i in range(kernel[0])]
        columns = [w * stride + j * dilation - padding for j in range(kernel[1])]
        inside = [
            data[n, c, row, column]
            for row in rows
            for column in columns
            if 0 <= row < size[0] and 0 <= column < size[1]
        ]
        place = (n, c, h, w)
        assert largest[place] == max(inside)
        assert_allclose(mean[place], sum(inside) / len(inside), rtol=1e-5, atol=1e-6)
        assert_allclose(padded_mean[place], sum(inside) / math.prod(kernel), rtol=1e-5, atol=1e-6)


def test_max_pool_of_negative_numbers_ignores_padding() -> None:
    data = np.full((1, 1, 2, 2), -3, np.int8)
    result = kernels_ref.max_pool2d_nchw(data, 3, 1, 1)
    assert_array_equal(result, data, strict=True)


def test_pad_before_and_after() -> None:
    data = np.ones((1, 2), np.float32)
    result = kernels_ref.pad(data, (0, 1), (1, 0), pad_value=-2.0)
    assert_array_equal(result, np.array([[-2, 1, 1], [-2, -2, -2]], np.float32), strict=True)
    assert kernels_ref.pad(data, (1, 2)).shape == (3, 6)
