"""Convolutions against loops over every output element, tap and channel."""

from dataclasses import dataclass
from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

import kernels_ref
from kernels_ref import Array


@dataclass(frozen=True)
class Convolution:
    """Operands in channels-last layout, whole numbers so that results are exact."""

    data: Array
    weight: Array
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def window(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.stride, self.padding, self.dilation


def whole_numbers(seed: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


@st.composite
def convolutions(draw: st.DrawFn, rank: int, groups: int = 1) -> Convolution:
    def numbers(low: int, high: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(low, high)] * rank))

    kernel, padding, dilation = numbers(1, 3), numbers(0, 2), numbers(1, 2)
    spatial = tuple(
        draw(st.integers(max(1, step * (taps - 1) + 1 - 2 * border), 6))
        for taps, border, step in zip(kernel, padding, dilation, strict=True)
    )
    batch, channels, filters = draw(st.tuples(*[st.integers(1, 2)] * 3))
    return Convolution(
        data=whole_numbers(0, (batch, *spatial, channels * groups)),
        weight=whole_numbers(1, (*kernel, channels, filters * groups)),
        stride=numbers(1, 3),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def convolve_with_loops(case: Convolution) -> Array:
    batch, *spatial, _ = case.data.shape
    *kernel, depth, filters = case.weight.shape
    out = [
        (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
        for size, taps, stride, padding, dilation in zip(
            spatial, kernel, case.stride, case.padding, case.dilation, strict=True
        )
    ]
    result = np.zeros((batch, *out, filters), np.float32)
    for n, co in product(range(batch), range(filters)):
        first_channel = co // (filters // case.groups) * depth
        for place, tap in product(np.ndindex(*out), np.ndindex(*kernel)):
            position = tuple(
                o * stride + t * dilation - padding
                for o, t, stride, padding, dilation in zip(
                    place, tap, case.stride, case.padding, case.dilation, strict=True
                )
            )
            if all(0 <= p < size for p, size in zip(position, spatial, strict=True)):
                pixel = case.data[(n, *position)][first_channel : first_channel + depth]
                result[(n, *place, co)] += sum(pixel * case.weight[tap][:, co])
    return result


@given(convolutions(rank=1))
def test_conv1d_nlc_equals_loops(case: Convolution) -> None:
    result = kernels_ref.conv1d_nlc(case.data, case.weight, *case.window)
    assert_array_equal(result, convolve_with_loops(case), strict=True)


@given(convolutions(rank=2))
def test_conv2d_nhwc_equals_loops(case: Convolution) -> None:
    result = kernels_ref.conv2d_nhwc(case.data, case.weight, *case.window)
    assert_array_equal(result, convolve_with_loops(case), strict=True)


@given(convolutions(rank=3))
def test_conv3d_ndhwc_equals_loops(case: Convolution) -> None:
    result = kernels_ref.conv3d_ndhwc(case.data, case.weight, *case.window)
    assert_array_equal(result, convolve_with_loops(case), strict=True)


@given(convolutions(rank=2, groups=3))
def test_group_conv2d_nhwc_equals_loops(case: Convolution) -> None:
    result = kernels_ref.group_conv2d_nhwc(case.data, case.weight, *case.window, case.groups)
    assert_array_equal(result, convolve_with_loops(case), strict=True)


@given(convolutions(rank=2))
def test_conv2d_nchw_is_conv2d_nhwc_in_another_layout(case: Convolution) -> None:
    data = case.data.transpose(0, 3, 1, 2)
    weight = case.weight.transpose(3, 2, 0, 1)
    result = kernels_ref.conv2d_nchw(data, weight, *case.window)
    assert_array_equal(result, convolve_with_loops(case).transpose(0, 3, 1, 2), strict=True)


@given(convolutions(rank=2, groups=2))
def test_group_conv2d_nchw_is_group_conv2d_nhwc_in_another_layout(case: Convolution) -> None:
    data = case.data.transpose(0, 3, 1, 2)
    weight = case.weight.transpose(3, 2, 0, 1)
    result = kernels_ref.group_conv2d_nchw(data, weight, *case.window, case.groups)
    assert_array_equal(result, convolve_with_loops(case).transpose(0, 3, 1, 2), strict=True)


@given(convolutions(rank=2), st.integers(1, 3), st.integers(1, 2))
def test_depthwise_conv2d_is_a_group_for_each_channel(
    case: Convolution, channels: int, factor: int
) -> None:
    data = whole_numbers(2, (*case.data.shape[:3], channels))
    weight = whole_numbers(3, (*case.weight.shape[:2], 1, channels * factor))
    grouped = Convolution(data, weight, *case.window, groups=channels)
    expected = convolve_with_loops(grouped)
    separate = weight.reshape(*weight.shape[:2], channels, factor)  # [kh, kw, C, factor]

    nhwc = kernels_ref.depthwise_conv2d_nhwc(data, separate.transpose(3, 0, 1, 2), *case.window)
    assert_array_equal(nhwc, expected, strict=True)
    nchw = kernels_ref.depthwise_conv2d_nchw(
        data.transpose(0, 3, 1, 2), separate.transpose(2, 3, 0, 1), *case.window
    )
    assert_array_equal(nchw, expected.transpose(0, 3, 1, 2), strict=True)


@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_conv2d_transpose_nhwc_spreads_each_input_element(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> None:
    out = tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(size, stride, padding, kernel, strict=True)
    )
    data = whole_numbers(0, (2, *size, 3))
    weight = whole_numbers(1, (*kernel, 3, 2))
    expected = np.zeros((2, *(max(n, 0) for n in out), 2), np.float32)
    for (h, w), (i, j) in product(np.ndindex(*size), np.ndindex(*kernel)):
        row, column = h * stride[0] + i - padding[0], w * stride[1] + j - padding[1]
        if 0 <= row < out[0] and 0 <= column < out[1]:
            expected[:, row, column] += data[:, h, w] @ weight[i, j]
    result = kernels_ref.conv2d_transpose_nhwc(data, weight, stride, padding)
    assert_array_equal(result, expected, strict=True)


def test_conv2d_transpose_nhwc_is_the_adjoint_of_conv2d_nhwc() -> None:
    image = whole_numbers(0, (1, 8, 6, 3))
    weight = whole_numbers(1, (4, 4, 3, 2))
    result = kernels_ref.conv2d_nhwc(image, weight, stride=2, padding=1)
    other = whole_numbers(2, result.shape)
    back = kernels_ref.conv2d_transpose_nhwc(other, weight.transpose(0, 1, 3, 2), 2, 1)
    assert np.vdot(result, other) == np.vdot(image, back)


@given(convolutions(rank=2))
def test_conv2d_capsule_nhwijc_multiplies_matrices(case: Convolution) -> None:
    stride, padding = case.stride, case.padding
    *kernel, channels, filters = case.weight.shape
    spatial = (max(6, kernel[0]), max(6, kernel[1]))
    data = whole_numbers(2, (1, *spatial, 2, 3, channels))
    weight = whole_numbers(3, (*kernel, 3, 4, channels, filters))
    result = kernels_ref.conv2d_capsule_nhwijc(data, weight, stride, padding)
    for i, j in np.ndindex(2, 4):
        expected = sum(
            kernels_ref.conv2d_nhwc(data[:, :, :, i, k], weight[:, :, k, j], stride, padding)
            for k in range(3)
        )
        assert_array_equal(result[:, :, :, i, j], expected)


def test_one_number_stands_for_every_axis() -> None:
    data, weight = whole_numbers(0, (1, 9, 8, 2)), whole_numbers(1, (3, 2, 2, 2))
    assert_array_equal(
        kernels_ref.conv2d_nhwc(data, weight, 2, 1, 2),
        kernels_ref.conv2d_nhwc(data, weight, (2, 2), (1, 1), (2, 2)),
    )


def test_sums_do_not_wrap_in_the_dtype_of_the_operands() -> None:
    data = np.full((1, 4, 1), 100, np.int8)
    weight = np.full((2, 1, 1), 100, np.int8)
    result = kernels_ref.conv1d_nlc(data, weight, out_dtype="int32")
    assert_array_equal(result, np.full((1, 3, 1), 20000, np.int32), strict=True)


def test_sums_are_formed_in_float64() -> None:
    data = np.array([[[1e8], [1.0], [-1e8]]], np.float32)
    result = kernels_ref.conv1d_nlc(data, np.ones((3, 1, 1), np.float32))
    assert_array_equal(result, [[[1.0]]])


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="Cannot form 2 groups: 3 input and 4 output channels"):
        kernels_ref.group_conv2d_nhwc(np.ones((1, 4, 4, 3)), np.ones((1, 1, 1, 4)), groups=2)


def test_a_tuple_has_one_number_for_each_axis() -> None:
    with pytest.raises(ValueError, match="Expected 2 numbers"):
        kernels_ref.conv2d_nhwc(np.ones((1, 4, 4, 1)), np.ones((1, 1, 1, 1)), stride=(1, 1, 1))
