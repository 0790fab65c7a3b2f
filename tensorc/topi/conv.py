"""Convolutions. Layout letters: N batch, L or D, H, W spatial, C channels, I and J capsule.

Stride, padding and dilation are one number for all spatial axes or a tuple with one for each;
padding is zeros, the same on both sides, and a stage of its own. Unless a docstring says otherwise
an output axis has `(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1` elements.
Elements are converted to `out_dtype` (16-bit floats: float32) and summed so.
"""

from __future__ import annotations

from tensorc import te
from tensorc.support.errors import TEError
from tensorc.te import Expr, IterVar, Tensor
from tensorc.topi.array import accumulator, narrow
from tensorc.topi.transform import pad
from tensorc.topi.windows import PerAxis, padded, per_axis, window_counts


def conv1d_nlc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution: data `[N, L, CI]`, weight `[k, CI, CO]` -> `[N, OL, CO]`.

    Raises:
        TEError: data and weight differ in `CI`.
    """
    return _channels_last("conv1d_nlc", data, weight, stride, padding, dilation, 1, out_dtype)


def conv2d_nhwc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution: data `[N, H, W, CI]`, weight `[kh, kw, CI, CO]` -> `[N, OH, OW, CO]`.

    Raises:
        TEError: data and weight differ in `CI`.
    """
    return _channels_last("conv2d_nhwc", data, weight, stride, padding, dilation, 1, out_dtype)


def conv2d_nchw(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution: data `[N, CI, H, W]`, weight `[CO, CI, kh, kw]` -> `[N, CO, OH, OW]`.

    Raises:
        TEError: data and weight differ in `CI`.
    """
    return _conv2d_nchw("conv2d_nchw", data, weight, stride, padding, dilation, 1, out_dtype)


def conv3d_ndhwc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution of volumes.

    Data `[N, D, H, W, CI]`, weight `[kd, kh, kw, CI, CO]` -> `[N, OD, OH, OW, CO]`.

    Raises:
        TEError: data and weight differ in `CI`.
    """
    return _channels_last("conv3d_ndhwc", data, weight, stride, padding, dilation, 1, out_dtype)


def group_conv2d_nhwc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution within groups of channels.

    Data `[N, H, W, CI]`, weight `[kh, kw, CI // groups, CO]` -> `[N, OH, OW, CO]`.
    Output channel `co` sees the input channels of group `co // (CO // groups)` only.

    Raises:
        TEError: `groups` does not divide both channel counts, or the weight has others.
    """
    name = "group_conv2d_nhwc"
    return _channels_last(name, data, weight, stride, padding, dilation, groups, out_dtype)


def group_conv2d_nchw(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution within groups of channels.

    Data `[N, CI, H, W]`, weight `[CO, CI // groups, kh, kw]` -> `[N, CO, OH, OW]`.

    Raises:
        TEError: `groups` does not divide both channel counts, or the weight has others.
    """
    name = "group_conv2d_nchw"
    return _conv2d_nchw(name, data, weight, stride, padding, dilation, groups, out_dtype)


def _taps(kernel: tuple[int, ...]) -> list[IterVar]:
    """An axis over the taps of each spatial axis."""
    letters = {1: "l", 2: "hw", 3: "dhw"}[len(kernel)]
    return [
        te.reduce_axis((0, n), name=f"r{letter}") for n, letter in zip(kernel, letters, strict=True)
    ]


def _positions(
    windows: tuple[Expr, ...], taps: list[IterVar], stride: PerAxis, dilation: PerAxis
) -> list[Expr]:
    """Where on each spatial axis of the padded data the taps of a window are."""
    rank = len(taps)
    steps, gaps = per_axis(stride, rank), per_axis(dilation, rank)
    return [o * s + r * d for o, s, r, d in zip(windows, steps, taps, gaps, strict=True)]


def _check_groups(inputs: int, per_group: int, outputs: int, groups: int) -> None:
    if groups < 1 or inputs % groups or outputs % groups:
        raise TEError(f"Cannot form {groups} groups: {inputs} input and {outputs} output channels.")
    if inputs // groups != per_group:
        raise TEError(f"Expected weights for {inputs // groups} input channels, got {per_group}.")


def _channels_last(
    name: str,
    data: Tensor,
    weight: Tensor,
    stride: PerAxis,
    padding: PerAxis,
    dilation: PerAxis,
    groups: int,
    out_dtype: str,
) -> Tensor:
    """Data `[N, *spatial, CI]`, weight `[*kernel, CI // groups, CO]` -> `[N, *out, CO]`."""
    batch, *sizes, ci = data.shape
    *kernel, ci_group, co_count = weight.shape
    _check_groups(ci, ci_group, co_count, groups)
    rank = len(sizes)
    out = window_counts(tuple(sizes), tuple(kernel), stride, padding, dilation)
    source, wide = padded(data, padding, 1, rank), accumulator(out_dtype)
    taps, rc = _taps(tuple(kernel)), te.reduce_axis((0, ci_group), name="rc")

    def product(n: Expr, windows: tuple[Expr, ...], co: Expr) -> Expr:
        channel = co // (co_count // groups) * ci_group + rc
        element = source(n, *_positions(windows, taps, stride, dilation), channel)
        return element.astype(wide) * weight(*taps, rc, co).astype(wide)

    names = {1: ("l",), 2: ("h", "w"), 3: ("d", "h", "w")}[rank]
    result = te.compute(
        (batch, *out, co_count),
        lambda *i: te.sum(product(i[0], i[1:-1], i[-1]), axis=[*taps, rc]),
        name_hint=name,
        varargs_names=("n", *names, "co"),
        attrs={"layout_free_placeholders": [weight]},
    )
    return narrow(result, out_dtype)


def _conv2d_nchw(
    name: str,
    data: Tensor,
    weight: Tensor,
    stride: PerAxis,
    padding: PerAxis,
    dilation: PerAxis,
    groups: int,
    out_dtype: str,
) -> Tensor:
    batch, ci, *sizes = data.shape
    co_count, ci_group, *kernel = weight.shape
    _check_groups(ci, ci_group, co_count, groups)
    out = window_counts(tuple(sizes), tuple(kernel), stride, padding, dilation)
    source, wide = padded(data, padding, 2, 2), accumulator(out_dtype)
    taps, rc = _taps(tuple(kernel)), te.reduce_axis((0, ci_group), name="rc")

    def product(n: Expr, co: Expr, windows: tuple[Expr, ...]) -> Expr:
        channel = co // (co_count // groups) * ci_group + rc
        element = source(n, channel, *_positions(windows, taps, stride, dilation))
        return element.astype(wide) * weight(co, rc, *taps).astype(wide)

    result = te.compute(
        (batch, co_count, *out),
        lambda n, co, h, w: te.sum(product(n, co, (h, w)), axis=[rc, *taps]),
        name_hint=name,
        attrs={"layout_free_placeholders": [weight]},
    )
    return narrow(result, out_dtype)


def depthwise_conv2d_nhwc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution of each channel by itself.

    Data `[N, H, W, C]`, weight `[factor, kh, kw, C]` -> `[N, OH, OW, C * factor]`.
    Output channel `c * factor + m` is input channel `c` convolved with `weight[m, :, :, c]`.

    Raises:
        TEError: the `C` of the weight does not fit that of the data.
    """
    batch, height, width, channels = data.shape
    factor, *kernel, _ = weight.shape
    _check_groups(channels, 1, weight.shape[-1], channels)
    out = window_counts((height, width), tuple(kernel), stride, padding, dilation)
    source, wide = padded(data, padding, 1, 2), accumulator(out_dtype)
    taps = _taps(tuple(kernel))

    def product(n: Expr, windows: tuple[Expr, ...], c: Expr) -> Expr:
        channel, copy = te.indexdiv(c, factor), te.indexmod(c, factor)
        element = source(n, *_positions(windows, taps, stride, dilation), channel)
        return element.astype(wide) * weight(copy, *taps, channel).astype(wide)

    result = te.compute(
        (batch, *out, channels * factor),
        lambda n, h, w, c: te.sum(product(n, (h, w), c), axis=taps),
        name_hint="depthwise_conv2d_nhwc",
        attrs={"layout_free_placeholders": [weight]},
    )
    return narrow(result, out_dtype)


def depthwise_conv2d_nchw(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution of each channel by itself.

    Data `[N, C, H, W]`, weight `[C, factor, kh, kw]` -> `[N, C * factor, OH, OW]`.
    Output channel `c * factor + m` is input channel `c` convolved with `weight[c, m]`.

    Raises:
        TEError: the `C` of the weight does not fit that of the data.
    """
    batch, channels, height, width = data.shape
    _, factor, *kernel = weight.shape
    _check_groups(channels, 1, weight.shape[0], channels)
    out = window_counts((height, width), tuple(kernel), stride, padding, dilation)
    source, wide = padded(data, padding, 2, 2), accumulator(out_dtype)
    taps = _taps(tuple(kernel))

    def product(n: Expr, c: Expr, windows: tuple[Expr, ...]) -> Expr:
        channel, copy = te.indexdiv(c, factor), te.indexmod(c, factor)
        element = source(n, channel, *_positions(windows, taps, stride, dilation))
        return element.astype(wide) * weight(channel, copy, *taps).astype(wide)

    result = te.compute(
        (batch, channels * factor, *out),
        lambda n, c, h, w: te.sum(product(n, c, (h, w)), axis=taps),
        name_hint="depthwise_conv2d_nchw",
        attrs={"layout_free_placeholders": [weight]},
    )
    return narrow(result, out_dtype)


def conv2d_transpose_nhwc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    out_dtype: str = "float32",
) -> Tensor:
    """Transposed convolution (the gradient of a convolution with respect to its data).

    Data `[N, H, W, CI]`, weight `[kh, kw, CI, CO]` -> `[N, OH, OW, CO]`.
    Input element `(h, w)` adds its product with tap `(i, j)` to output element
    `(h * stride + i - padding, w * stride + j - padding)`, where that exists;
    `OH = (H - 1) * stride - 2 * padding + kh`, and `OW` likewise.

    The zeros between the elements of the data are a condition inside the product, so that unrolling
    drops the multiplications by them.

    Raises:
        TEError: data and weight differ in `CI`.
    """
    batch, *sizes, ci = data.shape
    *kernel, weight_ci, co_count = weight.shape
    _check_groups(ci, weight_ci, co_count, 1)
    steps, borders = per_axis(stride, 2), per_axis(padding, 2)
    # The data, stretched by the stride and with this border around, is convolved plainly. Of the
    # border only whole strides are made, `shift` is what these are too much.
    rims = [k - 1 - p for k, p in zip(kernel, borders, strict=True)]
    whole = [max(-(-rim // s), 0) for rim, s in zip(rims, steps, strict=True)]
    shift = [n * s - rim for n, s, rim in zip(whole, steps, rims, strict=True)]
    source = pad(data, (0, *whole, 0)) if any(whole) else data
    out = [
        (size - 1) * s - 2 * p + k
        for size, s, p, k in zip(sizes, steps, borders, kernel, strict=True)
    ]
    wide = accumulator(out_dtype)
    taps, rc = _taps(tuple(kernel)), te.reduce_axis((0, ci), name="rc")

    def stretched(n: Expr, places: list[Expr]) -> Expr:
        stepped = [(place, s) for place, s in zip(places, steps, strict=True) if s > 1]
        element = source(n, *(te.indexdiv(x, s) for x, s in zip(places, steps, strict=True)), rc)
        hit = te.all(*(te.indexmod(place, s).equal(0) for place, s in stepped))
        return te.if_then_else(hit, element.astype(wide), te.const(0, wide))

    def product(n: Expr, h: Expr, w: Expr, co: Expr) -> Expr:
        places = [o + r + extra for o, r, extra in zip((h, w), taps, shift, strict=True)]
        flipped = [k - 1 - r for k, r in zip(kernel, taps, strict=True)]
        return stretched(n, places) * weight(*flipped, rc, co).astype(wide)

    result = te.compute(
        (batch, *out, co_count),
        lambda n, h, w, co: te.sum(product(n, h, w, co), axis=[*taps, rc]),
        name_hint="conv2d_transpose_nhwc",
        attrs={
            "auto_scheduler_always_unroll_inner": ["h", "w", "rh", "rw"],
            "layout_free_placeholders": [weight],
        },
    )
    return narrow(result, out_dtype)


def conv2d_capsule_nhwijc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    out_dtype: str = "float32",
) -> Tensor:
    """Convolution of small matrices (capsules): elements multiply as `[I, K]` by `[K, J]`.

    Data `[N, H, W, I, K, CI]`, weight `[kh, kw, K, J, CI, CO]` -> `[N, OH, OW, I, J, CO]`.

    Raises:
        TEError: data and weight differ in `K` or `CI`.
    """
    batch, height, width, rows, inner, ci = data.shape
    *kernel, weight_inner, columns, weight_ci, co_count = weight.shape
    if (inner, ci) != (weight_inner, weight_ci):
        raise TEError(f"Cannot convolve shape {data.shape} with weights of {weight.shape}.")
    out = window_counts((height, width), tuple(kernel), stride, padding)
    source, wide = padded(data, padding, 1, 2), accumulator(out_dtype)
    taps = _taps(tuple(kernel))
    cap_k = te.reduce_axis((0, inner), name="cap_k")
    rc = te.reduce_axis((0, ci), name="rc")

    def product(n: Expr, windows: tuple[Expr, ...], i: Expr, j: Expr, co: Expr) -> Expr:
        element = source(n, *_positions(windows, taps, stride, 1), i, cap_k, rc)
        return element.astype(wide) * weight(*taps, cap_k, j, rc, co).astype(wide)

    result = te.compute(
        (batch, *out, rows, columns, co_count),
        lambda n, h, w, cap_i, cap_j, co: te.sum(
            product(n, (h, w), cap_i, cap_j, co), axis=[*taps, cap_k, rc]
        ),
        name_hint="conv2d_capsule_nhwijc",
        attrs={"layout_free_placeholders": [weight]},
    )
    return narrow(result, out_dtype)
