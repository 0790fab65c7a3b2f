"""The cases in TVM's tensor expressions, by its own operators wherever it has them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, TypeAlias

from kernels_ref.suite import Case

# TVM is not there to be type-checked against.
Tensor: TypeAlias = Any


def tvm_tensors(tvm: ModuleType, case: Case) -> list[Tensor]:
    """Return a case's inputs and output."""
    te = tvm.te
    inputs = [te.placeholder(a.shape, name=a.name, dtype="float32") for a in case.arguments]
    return [*inputs, _BUILDERS[case.function](tvm, inputs, case.kwargs)]


Options: TypeAlias = dict[str, Any]


def _window(options: Options) -> tuple[int, int, int]:
    return options["stride"], options["padding"], options.get("dilation", 1)


def _conv1d(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.nn.conv1d_nwc(*inputs, *_window(options))


def _conv2d(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.nn.conv2d_nhwc(*inputs, *_window(options))


def _conv3d(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.nn.conv3d_ndhwc(*inputs, *_window(options), 1)


def _group_conv2d(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.nn.group_conv2d_nhwc(*inputs, *_window(options), options["groups"])


def _conv2d_bn_relu(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    data, weight, bias, scale, offset = inputs
    conv = _conv2d(tvm, [data, weight], options)
    scaled = tvm.te.compute(
        conv.shape, lambda n, h, w, c: (conv[n, h, w, c] + bias[c]) * scale[c] + offset[c]
    )
    return tvm.topi.nn.relu(scaled)


def _depthwise(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    te, (data, weight) = tvm.te, inputs
    stride, padding, _ = _window(options)
    batch, height, width, channels = data.shape
    _, rows, columns, _ = weight.shape
    padded = _padded(tvm, data, padding)
    out = [(n + 2 * padding - k) // stride + 1 for n, k in ((height, rows), (width, columns))]
    i, j = te.reduce_axis((0, rows), "i"), te.reduce_axis((0, columns), "j")
    return te.compute(
        (batch, *out, channels),
        lambda n, h, w, c: te.sum(
            padded[n, h * stride + i, w * stride + j, c] * weight[0, i, j, c], axis=[i, j]
        ),
        name="depthwise",
    )


def _capsule(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    te, (data, weight) = tvm.te, inputs
    stride, padding, _ = _window(options)
    batch, height, width, size, _, channels = data.shape
    kernel, filters = weight.shape[0], weight.shape[-1]
    padded = _padded(tvm, data, padding)
    out = [(n + 2 * padding - kernel) // stride + 1 for n in (height, width)]
    rh, rw = te.reduce_axis((0, kernel), "rh"), te.reduce_axis((0, kernel), "rw")
    rk, rc = te.reduce_axis((0, size), "rk"), te.reduce_axis((0, channels), "rc")
    return te.compute(
        (batch, *out, size, size, filters),
        lambda n, h, w, i, j, c: te.sum(
            padded[n, h * stride + rh, w * stride + rw, i, rk, rc] * weight[rh, rw, rk, j, rc, c],
            axis=[rh, rw, rk, rc],
        ),
        name="capsule",
    )


def _padded(tvm: ModuleType, data: Tensor, padding: int) -> Tensor:
    border = [0, padding, padding, *[0] * (len(data.shape) - 3)]
    return tvm.topi.nn.pad(data, border, border) if padding else data


def _transposed(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    """The definition of TVM's own operator, with channels last."""
    te, topi, (data, weight) = tvm.te, tvm.topi, inputs
    stride, padding = options["stride"], options["padding"]
    batch, height, width, channels = data.shape
    kernel, filters = weight.shape[0], weight.shape[-1]
    dilated = topi.nn.dilate(data, (1, stride, stride, 1))
    padded = _padded(tvm, dilated, kernel - 1 - padding)
    out = [(n - 1) * stride - 2 * padding + kernel for n in (height, width)]
    rh, rw = te.reduce_axis((0, kernel), "rh"), te.reduce_axis((0, kernel), "rw")
    rc = te.reduce_axis((0, channels), "rc")
    return te.compute(
        (batch, *out, filters),
        lambda n, h, w, c: te.sum(
            padded[n, h + rh, w + rw, rc] * weight[kernel - 1 - rh, kernel - 1 - rw, rc, c],
            axis=[rh, rw, rc],
        ),
        name="transposed",
    )


def _matmul(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    te, (a, b) = tvm.te, inputs
    k = te.reduce_axis((0, a.shape[-1]), "k")
    return te.compute(
        (a.shape[0], b.shape[1]), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="product"
    )


def _batch_matmul(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    te, (a, b) = tvm.te, inputs
    k = te.reduce_axis((0, a.shape[-1]), "k")
    return te.compute(
        (a.shape[0], a.shape[1], b.shape[2]),
        lambda n, i, j: te.sum(a[n, i, k] * b[n, k, j], axis=k),
        name="product",
    )


def _attention_scores(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    te, topi, (query, value) = tvm.te, tvm.topi, inputs
    rows, columns = topi.transpose(query, (0, 2, 1, 3)), topi.transpose(value, (0, 2, 3, 1))
    batch, heads, sequence, depth = rows.shape
    k = te.reduce_axis((0, depth), "k")
    return te.compute(
        (batch, heads, sequence, sequence),
        lambda b, h, i, j: te.sum(rows[b, h, i, k] * columns[b, h, k, j], axis=k),
        name="scores",
    )


def _norm(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    te, (data,) = tvm.te, inputs
    i, j = (te.reduce_axis((0, n), name) for n, name in zip(data.shape[1:], "ij", strict=True))
    total = te.compute(
        (data.shape[0],), lambda b: te.sum(data[b, i, j] * data[b, i, j], axis=[i, j])
    )
    return tvm.topi.sqrt(total)


def _softmax(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.nn.softmax(*inputs, axis=-1)


def _layer_norm(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.nn.layer_norm(*inputs, [1], 1e-5)


def _bias_gelu(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    te, (data, bias) = tvm.te, inputs
    biased = te.compute(data.shape, lambda i, j: data[i, j] + bias[j])
    return te.compute(
        data.shape, lambda i, j: biased[i, j] * 0.5 * (1.0 + te.erf(biased[i, j] * 0.5**0.5))
    )


def _sum(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.sum(*inputs, axis=options["axis"])


def _transpose(tvm: ModuleType, inputs: list[Tensor], options: Options) -> Tensor:
    return tvm.topi.transpose(*inputs, options["axes"])


_BUILDERS: Final[dict[str, Callable[[ModuleType, list[Tensor], Options], Tensor]]] = {
    "batch_matmul": _batch_matmul,
    "bias_gelu": _bias_gelu,
    "conv1d_nlc": _conv1d,
    "conv2d_bn_relu": _conv2d_bn_relu,
    "conv2d_capsule_nhwijc": _capsule,
    "conv2d_nhwc": _conv2d,
    "conv2d_transpose_nhwc": _transposed,
    "conv3d_ndhwc": _conv3d,
    "depthwise_conv2d_nhwc": _depthwise,
    "group_conv2d_nhwc": _group_conv2d,
    "layer_norm": _layer_norm,
    "matmul": _matmul,
    "norm_bmn": _norm,
    "softmax": _softmax,
    "sum": _sum,
    "transpose": _transpose,
    "transpose_batch_matmul": _attention_scores,
}
