"""Activations, normalisation, pooling and padding.

The result has the dtype of the data unless `out_dtype` says otherwise; 16-bit floats are summed in
float32. What TVM's programs call by `topi.nn`, with the same arguments in the same order, is here
too: the convolutions, `dense`, `pad`, `pool2d` and `get_pad_tuple`.
"""

from __future__ import annotations

import math

from tensorc import te
from tensorc.ir.dtype import FLOAT32, INT64, DType
from tensorc.support.errors import TEError
from tensorc.te import Expr, Tensor
from tensorc.topi.array import accumulator, positive_axes
from tensorc.topi.conv import conv2d_nchw as conv2d_nchw
from tensorc.topi.conv import conv2d_nhwc as conv2d_nhwc
from tensorc.topi.conv import group_conv2d_nchw as group_conv2d_nchw
from tensorc.topi.conv import group_conv2d_nhwc as group_conv2d_nhwc
from tensorc.topi.matmul import dense as dense
from tensorc.topi.transform import pad as pad
from tensorc.topi.windows import PerAxis, padded, per_axis, window_counts
from tensorc.topi.windows import get_pad_tuple as get_pad_tuple


def _wide(data: Tensor) -> DType:
    """The floating-point type to compute in."""
    return accumulator(data.dtype) if data.element_type.is_float else FLOAT32


def relu(data: Tensor) -> Tensor:
    """`max(data, 0)`."""
    return te.compute(
        data.shape, lambda *i: te.maximum(data(*i), 0), name_hint="T_relu", tag="elemwise"
    )


def gelu(data: Tensor) -> Tensor:
    """`data` times the normal distribution function of `data`."""

    def element(*i: Expr) -> Expr:
        x = data(*i).astype(_wide(data))
        return te.cast(data.dtype, x * 0.5 * (1.0 + te.erf(x * math.sqrt(0.5))))

    return te.compute(data.shape, element, name_hint="T_gelu", tag="elemwise")


def gelu_tanh(data: Tensor) -> Tensor:
    """The approximation `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))` of `gelu`."""

    def element(*i: Expr) -> Expr:
        x = data(*i).astype(_wide(data))
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
        # (1 + tanh(a)) / 2 is 1 / (1 + exp(-2a)): one function instead of two.
        return te.cast(data.dtype, x / (1.0 + te.exp(inner * -2.0)))

    return te.compute(data.shape, element, name_hint="T_gelu_tanh", tag="elemwise")


def softmax(data: Tensor, axis: int = -1) -> Tensor:
    """Exponentials divided by their sum along `axis`."""
    (along,) = positive_axes(axis, data.ndim)
    wide = _wide(data)
    kept = (*data.shape[:along], *data.shape[along + 1 :])

    def without(indices: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return (*indices[:along], *indices[along + 1 :])

    def line(indices: tuple[Expr, ...], k: Expr) -> tuple[Expr, ...]:
        return (*indices[:along], k, *indices[along:])

    k1 = te.reduce_axis((0, data.shape[along]), name="k")
    largest = te.compute(
        kept, lambda *i: te.max(data(*line(i, k1)), axis=k1), name_hint="T_softmax_maxelem"
    )
    powers = te.compute(
        data.shape,
        lambda *i: te.exp(data(*i).astype(wide) - largest(*without(i)).astype(wide)),
        name_hint="T_softmax_exp",
    )
    k2 = te.reduce_axis((0, data.shape[along]), name="k")
    total = te.compute(
        kept, lambda *i: te.sum(powers(*line(i, k2)), axis=k2), name_hint="T_softmax_expsum"
    )
    return te.compute(
        data.shape,
        # The reciprocal is the same for a whole line: one division, not one for each element.
        lambda *i: te.cast(data.dtype, powers(*i) * (1.0 / total(*without(i)))),
        name_hint="T_softmax_norm",
    )


def layer_norm(
    data: Tensor, gamma: Tensor, beta: Tensor, axis: int = -1, epsilon: float = 1e-5
) -> Tensor:
    """`(data - mean) / sqrt(variance + epsilon) * gamma + beta`.

    Mean and (biased) variance are taken over the axes from `axis` to the last; `gamma` and `beta`
    have the shape of those axes.
    """
    (first,) = positive_axes(axis, data.ndim)
    wide = _wide(data)
    outer, inner = data.shape[:first], data.shape[first:]
    count = math.prod(inner)

    def axes() -> list[te.IterVar]:
        return [te.reduce_axis((0, n), name=f"k{d}") for d, n in enumerate(inner)]

    k = axes()
    total = te.compute(
        outer, lambda *i: te.sum(data(*i, *k).astype(wide), axis=k), name_hint="T_layer_norm_sum"
    )

    def centred(outer_index: tuple[Expr, ...], inner_index: tuple[Expr, ...]) -> Expr:
        return data(*outer_index, *inner_index).astype(wide) - total(*outer_index) / count

    m = axes()
    squares = te.compute(
        outer,
        lambda *i: te.sum(te.power(centred(i, tuple(m)), 2), axis=m),
        name_hint="T_layer_norm_squares",
    )

    def element(*i: Expr) -> Expr:
        scale = te.rsqrt(squares(*i[:first]) / count + epsilon)
        normal = centred(i[:first], i[first:]) * scale
        return te.cast(
            data.dtype,
            normal * gamma(*i[first:]).astype(wide) + beta(*i[first:]).astype(wide),
        )

    return te.compute(data.shape, element, name_hint="T_layer_norm")


def bias_add(data: Tensor, bias: Tensor, axis: int = -1) -> Tensor:
    """`data` plus `bias` `[C]` laid along `axis`."""
    (along,) = positive_axes(axis, data.ndim)
    return te.compute(
        data.shape,
        lambda *i: te.cast(data.dtype, data(*i) + bias[i[along]]),
        name_hint="T_bias_add",
        tag="broadcast",
    )


def bias_gelu(data: Tensor, bias: Tensor) -> Tensor:
    """`gelu(bias_add(data, bias))`: `bias` `[C]` lies along the last axis of `data`."""
    wide = _wide(data)

    def element(*i: Expr) -> Expr:
        x = biased(*i)
        return te.cast(data.dtype, x * 0.5 * (1.0 + te.erf(x * math.sqrt(0.5))))

    biased = te.compute(
        data.shape,
        lambda *i: data(*i).astype(wide) + bias[i[-1]].astype(wide),
        name_hint="T_bias_add",
        tag="broadcast",
    )
    return te.compute(data.shape, element, name_hint="T_gelu", tag="elemwise")


def conv2d_bn_relu(
    data: Tensor,
    weight: Tensor,
    bias: Tensor,
    bn_scale: Tensor,
    bn_offset: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
) -> Tensor:
    """`relu((conv2d_nhwc(data, weight) + bias) * bn_scale + bn_offset)`.

    data `[N, H, W, CI]`, weight `[kh, kw, CI, CO]`, the other three `[CO]` -> `[N, OH, OW, CO]`.
    """
    wide = accumulator(out_dtype)
    conv = conv2d_nhwc(data, weight, stride, padding, dilation, wide.name)
    shape = conv.shape
    biased = te.compute(
        shape, lambda n, h, w, c: conv[n, h, w, c] + bias[c].astype(wide), name_hint="bias_add"
    )
    scaled = te.compute(
        shape, lambda n, h, w, c: biased[n, h, w, c] * bn_scale[c].astype(wide), name_hint="bn_mul"
    )
    shifted = te.compute(
        shape, lambda n, h, w, c: scaled[n, h, w, c] + bn_offset[c].astype(wide), name_hint="bn_add"
    )
    return te.compute(
        shape, lambda *i: te.cast(out_dtype, te.maximum(shifted(*i), 0)), name_hint="T_relu"
    )


def max_pool2d_nchw(
    data: Tensor,
    kernel_size: PerAxis,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
) -> Tensor:
    """Largest element of each window: `[N, C, H, W]` -> `[N, C, OH, OW]`.

    Output sizes are those of `conv2d_nchw`; padding never wins.
    """
    dtype = data.element_type
    lowest = -math.inf if dtype.is_float else te.min_value(dtype).value
    return _pool("max_pool2d", te.max, data, kernel_size, stride, padding, dilation, lowest, dtype)


def avg_pool2d_nchw(
    data: Tensor,
    kernel_size: PerAxis,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    count_include_pad: bool = False,
) -> Tensor:
    """Mean of each window: `[N, C, H, W]` -> `[N, C, OH, OW]`.

    Output sizes are those of `conv2d_nchw`; padding counts as zeros if `count_include_pad`, else
    not at all.
    """
    dtype = data.element_type
    wide = _wide(data) if dtype.is_float else INT64
    total = _pool("pool_sum", te.sum, data, kernel_size, stride, padding, dilation, 0, wide)
    kernel = per_axis(kernel_size, 2)
    steps, borders, gaps = (per_axis(v, 2) for v in (stride, padding, dilation))

    def taps_inside(window: Expr, d: int) -> Expr | int:
        """How many taps of a window lie on the data, along spatial axis `d`."""
        if count_include_pad or not borders[d]:
            return kernel[d]
        start = window * steps[d] - borders[d]
        first = te.maximum(te.ceildiv(-start, gaps[d]), 0)
        last = te.minimum((data.shape[2 + d] - 1 - start) // gaps[d], kernel[d] - 1)
        return last - first + 1

    def element(n: Expr, c: Expr, h: Expr, w: Expr) -> Expr:
        count = te.const(1) * taps_inside(h, 0) * taps_inside(w, 1)
        return te.cast(dtype, te.div(total[n, c, h, w], count.astype(wide)))

    return te.compute(total.shape, element, name_hint="avg_pool2d")


def pool2d(
    data: Tensor,
    kernel: PerAxis,
    stride: PerAxis,
    dilation: PerAxis,
    padding: PerAxis,
    pool_type: str,
    count_include_pad: bool = True,
) -> Tensor:
    """TVM's spelling of `max_pool2d_nchw` and `avg_pool2d_nchw`: `pool_type` is 'max' or 'avg'.

    `padding` is as in `get_pad_tuple`.

    Raises:
        TEError: the type is another one, or the borders of an axis differ.
    """
    top, left, bottom, right = get_pad_tuple(padding, per_axis(kernel, 2))
    if (top, left) != (bottom, right):
        raise TEError(f"Expected the same padding on both sides of a pool, got {padding}.")
    if pool_type == "max":
        return max_pool2d_nchw(data, kernel, stride, (top, left), dilation)
    if pool_type == "avg":
        borders = (top, left)
        return avg_pool2d_nchw(data, kernel, stride, borders, dilation, count_include_pad)
    raise TEError(f"Unknown pool '{pool_type}': expected 'max' or 'avg'.")


def _pool(
    name: str,
    reducer: te.CommReducer,
    data: Tensor,
    kernel_size: PerAxis,
    stride: PerAxis,
    padding: PerAxis,
    dilation: PerAxis,
    pad_value: float,
    wide: DType,
) -> Tensor:
    """Windows combined by `reducer` in type `wide`."""
    batch, channels, *sizes = data.shape
    kernel = per_axis(kernel_size, 2)
    out = window_counts(tuple(sizes), kernel, stride, padding, dilation)
    source = padded(data, padding, 2, 2, pad_value)
    steps, gaps = per_axis(stride, 2), per_axis(dilation, 2)
    rh = te.reduce_axis((0, kernel[0]), name="rh")
    rw = te.reduce_axis((0, kernel[1]), name="rw")
    return te.compute(
        (batch, channels, *out),
        lambda n, c, h, w: reducer(
            source[n, c, h * steps[0] + rh * gaps[0], w * steps[1] + rw * gaps[1]].astype(wide),
            axis=[rh, rw],
        ),
        name_hint=name,
    )
