"""Convolutions. Layout letters: N batch, L or D, H, W spatial, C channels, I and J capsule.

Stride, padding and dilation are one number for all spatial axes or a tuple with one for each;
padding is zeros, the same on both sides. Unless a docstring says otherwise an output axis has
`(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1` elements.
Sums are formed in float64 and converted to `out_dtype`.
"""

import numpy as np

from kernels_ref.array import Array, narrow, widen
from kernels_ref.windows import PerAxis, per_axis, sliding_windows


def conv1d_nlc(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution: data `[N, L, CI]`, weight `[k, CI, CO]` -> `[N, OL, CO]`."""
    return narrow(_convolve(data, weight, stride, padding, dilation), out_dtype)


def conv2d_nhwc(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution: data `[N, H, W, CI]`, weight `[kh, kw, CI, CO]` -> `[N, OH, OW, CO]`."""
    return narrow(_convolve(data, weight, stride, padding, dilation), out_dtype)


def conv2d_nchw(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution: data `[N, CI, H, W]`, weight `[CO, CI, kh, kw]` -> `[N, CO, OH, OW]`."""
    return group_conv2d_nchw(data, weight, stride, padding, dilation, 1, out_dtype)


def conv3d_ndhwc(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution of volumes.

    Data `[N, D, H, W, CI]`, weight `[kd, kh, kw, CI, CO]` -> `[N, OD, OH, OW, CO]`.
    """
    return narrow(_convolve(data, weight, stride, padding, dilation), out_dtype)


def group_conv2d_nhwc(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution within groups of channels.

    Data `[N, H, W, CI]`, weight `[kh, kw, CI // groups, CO]` -> `[N, OH, OW, CO]`.
    Output channel `co` sees the input channels of group `co // (CO // groups)` only.

    Raises:
        ValueError: `groups` does not divide both channel counts.
    """
    if data.shape[-1] % groups != 0 or weight.shape[-1] % groups != 0:
        raise ValueError(
            f"Cannot form {groups} groups: "
            f"{data.shape[-1]} input and {weight.shape[-1]} output channels."
        )
    results = [
        _convolve(data_group, weight_group, stride, padding, dilation)
        for data_group, weight_group in zip(
            np.split(data, groups, axis=-1), np.split(weight, groups, axis=-1), strict=True
        )
    ]
    return narrow(np.concatenate(results, axis=-1), out_dtype)


def group_conv2d_nchw(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution within groups of channels.

    Data `[N, CI, H, W]`, weight `[CO, CI // groups, kh, kw]` -> `[N, CO, OH, OW]`.

    Raises:
        ValueError: `groups` does not divide both channel counts.
    """
    result = group_conv2d_nhwc(
        data.transpose(0, 2, 3, 1),
        weight.transpose(2, 3, 1, 0),
        stride,
        padding,
        dilation,
        groups,
        out_dtype,
    )
    return narrow(result.transpose(0, 3, 1, 2), out_dtype)


def depthwise_conv2d_nhwc(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution of each channel by itself.

    Data `[N, H, W, C]`, weight `[factor, kh, kw, C]` -> `[N, OH, OW, C * factor]`.
    Output channel `c * factor + m` is input channel `c` convolved with `weight[m, :, :, c]`.
    """
    factor, *kernel, channels = weight.shape
    images = []
    for image in data:
        windows = sliding_windows(widen(image), tuple(kernel), stride, padding, dilation)
        result = np.einsum("ijhwc,mijc->hwcm", windows, widen(weight))
        images.append(result.reshape(*result.shape[:2], channels * factor))
    return narrow(np.stack(images), out_dtype)


def depthwise_conv2d_nchw(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Array:
    """Convolution of each channel by itself.

    Data `[N, C, H, W]`, weight `[C, factor, kh, kw]` -> `[N, C * factor, OH, OW]`.
    Output channel `c * factor + m` is input channel `c` convolved with `weight[c, m]`.
    """
    result = depthwise_conv2d_nhwc(
        data.transpose(0, 2, 3, 1),
        weight.transpose(1, 2, 3, 0),
        stride,
        padding,
        dilation,
        out_dtype,
    )
    return narrow(result.transpose(0, 3, 1, 2), out_dtype)


def conv2d_transpose_nhwc(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    out_dtype: str = "float32",
) -> Array:
    """Transposed convolution (the gradient of a convolution with respect to its data).

    Data `[N, H, W, CI]`, weight `[kh, kw, CI, CO]` -> `[N, OH, OW, CO]`.
    Input element `(h, w)` adds its product with tap `(i, j)` to output element
    `(h * stride + i - padding, w * stride + j - padding)`, where that exists;
    `OH = (H - 1) * stride - 2 * padding + kh`, and `OW` likewise.
    """
    batch, height, width, _ = data.shape
    kernel_height, kernel_width, _, channels = weight.shape
    stride_height, stride_width = per_axis(stride, 2)
    pad_height, pad_width = per_axis(padding, 2)
    full_height = (height - 1) * stride_height + kernel_height
    full_width = (width - 1) * stride_width + kernel_width
    full = np.zeros((batch, full_height, full_width, channels))
    for i, j in np.ndindex(kernel_height, kernel_width):
        rows = slice(i, i + height * stride_height, stride_height)
        columns = slice(j, j + width * stride_width, stride_width)
        full[:, rows, columns] += widen(data) @ widen(weight[i, j])
    cropped = full[:, pad_height : full_height - pad_height, pad_width : full_width - pad_width]
    return narrow(cropped, out_dtype)


def conv2d_capsule_nhwijc(
    data: Array,
    weight: Array,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    out_dtype: str = "float32",
) -> Array:
    """Convolution of small matrices (capsules): elements multiply as `[I, K]` by `[K, J]`.

    Data `[N, H, W, I, K, CI]`, weight `[kh, kw, K, J, CI, CO]` -> `[N, OH, OW, I, J, CO]`.
    """
    taps = weight.shape[:2]
    # The capsule axes ride along as channels: [N, H, W, I * K * CI].
    pixels = widen(data).reshape(*data.shape[:3], -1)
    images = []
    for image in pixels:
        windows = sliding_windows(image, taps, stride, padding)
        windows = windows.reshape(*windows.shape[:4], *data.shape[3:])
        images.append(np.einsum("xyhwikc,xykjco->hwijo", windows, widen(weight), optimize=True))
    return narrow(np.stack(images), out_dtype)


def _convolve(
    data: Array, weight: Array, stride: PerAxis, padding: PerAxis, dilation: PerAxis
) -> Array:
    """Convolution: data `[N, *spatial, CI]`, weight `[*kernel, CI, CO]` -> float64 `[N, *out, CO]`.

    One matrix product for each image and each tap along the first spatial axis, so that the
    gathered windows stay small.
    """
    kernel = weight.shape[:-2]
    wide_weight = widen(weight)
    summed = tuple(range(len(kernel) - 1))
    result = []
    for image in data:
        windows = sliding_windows(widen(image), kernel, stride, padding, dilation)
        products = (
            np.tensordot(plane, taps, axes=((*summed, -1), (*summed, -2)))
            for plane, taps in zip(windows, wide_weight, strict=True)
        )
        result.append(sum(products))
    return np.stack(result)
