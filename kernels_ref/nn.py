"""Activations, normalisation, pooling and padding.

Values are computed in float64; the result has the dtype of the data unless `out_dtype` says
otherwise.
"""

import math

import numpy as np

from kernels_ref.array import Array, narrow, widen
from kernels_ref.conv import conv2d_nhwc
from kernels_ref.elementwise import erf
from kernels_ref.windows import PerAxis, per_axis, sliding_windows


def relu(data: Array) -> Array:
    """`max(data, 0)`."""
    return narrow(np.maximum(data, 0), data.dtype)


def gelu(data: Array) -> Array:
    """`data` times the normal distribution function of `data`."""
    wide = widen(data)
    return narrow(0.5 * wide * (1.0 + erf(wide / math.sqrt(2.0))), data.dtype)


def gelu_tanh(data: Array) -> Array:
    """The approximation `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))` of `gelu`."""
    wide = widen(data)
    inner = math.sqrt(2.0 / math.pi) * (wide + 0.044715 * wide**3)
    return narrow(0.5 * wide * (1.0 + np.tanh(inner)), data.dtype)


def softmax(data: Array, axis: int = -1) -> Array:
    """Exponentials divided by their sum along `axis`."""
    wide = widen(data)
    exponentials = np.exp(wide - np.max(wide, axis=axis, keepdims=True))
    return narrow(exponentials / np.sum(exponentials, axis=axis, keepdims=True), data.dtype)


def layer_norm(
    data: Array, gamma: Array, beta: Array, axis: int = -1, epsilon: float = 1e-5
) -> Array:
    """`(data - mean) / sqrt(variance + epsilon) * gamma + beta`.

    Mean and (biased) variance are taken over the axes from `axis` to the last; `gamma` and `beta`
    have the shape of those axes.
    """
    axes = tuple(range(axis % data.ndim, data.ndim))
    wide = widen(data)
    centred = wide - np.mean(wide, axis=axes, keepdims=True)
    variance = np.mean(np.square(centred), axis=axes, keepdims=True)
    normal = centred / np.sqrt(variance + epsilon)
    return narrow(normal * widen(gamma) + widen(beta), data.dtype)


def bias_add(data: Array, bias: Array, axis: int = -1) -> Array:
    """`data` plus `bias` `[C]` laid along `axis`."""
    column = bias.reshape(-1, *(1,) * (data.ndim - 1 - axis % data.ndim))
    return narrow(widen(data) + widen(column), data.dtype)


def bias_gelu(data: Array, bias: Array) -> Array:
    """`gelu(bias_add(data, bias))`, rounded once."""
    wide = widen(data) + widen(bias)
    return narrow(0.5 * wide * (1.0 + erf(wide / math.sqrt(2.0))), data.dtype)


def conv2d_bn_relu(
    data: Array,
    weight: Array,
    bias: Array,
    bn_scale: Array,
    bn_offset: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Array:
    """`relu((conv2d_nhwc(data, weight) + bias) * bn_scale + bn_offset)`.

    data `[N, H, W, CI]`, weight `[kh, kw, CI, CO]`, the other three `[CO]` -> `[N, OH, OW, CO]`.
    """
    conv = conv2d_nhwc(data, weight, stride, padding, dilation, out_dtype="float64")
    return narrow(relu((conv + widen(bias)) * widen(bn_scale) + widen(bn_offset)), out_dtype)


def max_pool2d_nchw(
    data: Array,
    kernel_size: PerAxis,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
) -> Array:
    """Largest element of each window: `[N, C, H, W]` -> `[N, C, OH, OW]`.

    Output sizes are those of `conv2d_nchw`; padding never wins.
    """
    windows = _pool(data, kernel_size, stride, padding, dilation, pad_value=-math.inf)
    return narrow(np.max(windows, axis=(-2, -1)), data.dtype)


def avg_pool2d_nchw(
    data: Array,
    kernel_size: PerAxis,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    count_include_pad: bool = False,
) -> Array:
    """Mean of each window: `[N, C, H, W]` -> `[N, C, OH, OW]`.

    Output sizes are those of `conv2d_nchw`; padding counts as zeros if `count_include_pad`, else
    not at all.
    """
    windows = _pool(data, kernel_size, stride, padding, dilation, pad_value=0.0)
    counts = _pool(
        np.ones_like(data),
        kernel_size,
        stride,
        padding,
        dilation,
        pad_value=float(count_include_pad),
    )
    return narrow(np.sum(windows, axis=(-2, -1)) / np.sum(counts, axis=(-2, -1)), data.dtype)


def pad(
    data: Array,
    pad_before: tuple[int, ...],
    pad_after: tuple[int, ...] | None = None,
    pad_value: float = 0.0,
) -> Array:
    """`data` with `pad_before[i]` and `pad_after[i]` elements of `pad_value` around axis `i`.

    `pad_after` is `pad_before` if not given.
    """
    after = pad_before if pad_after is None else pad_after
    widths = list(zip(pad_before, after, strict=True))
    return narrow(np.pad(data, widths, constant_values=pad_value), data.dtype)


def _pool(
    data: Array,
    kernel_size: PerAxis,
    stride: PerAxis,
    padding: PerAxis,
    dilation: PerAxis,
    *,
    pad_value: float,
) -> Array:
    """Windows of float64: data `[N, C, H, W]` -> `[N, C, OH, OW, kh, kw]`."""
    kernel = per_axis(kernel_size, 2)
    windows = [
        sliding_windows(
            image.astype(np.float64), kernel, stride, padding, dilation, pad_value=pad_value
        )
        for image in data.transpose(0, 2, 3, 1)
    ]
    return np.stack(windows).transpose(0, 5, 3, 4, 1, 2)
