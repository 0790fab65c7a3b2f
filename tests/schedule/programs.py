"""Programs that the tests of schedules share, as lists of tensors."""

from __future__ import annotations

from tensorc import te
from tensorc.te.tensor import Tensor


def matmul(n: int = 512, m: int = 512, depth: int = 512) -> list[Tensor]:
    """C = A · B."""
    A = te.placeholder((n, depth), name="A")
    B = te.placeholder((depth, m), name="B")
    k = te.reduce_axis((0, depth), name="k")
    C = te.compute((n, m), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    return [A, B, C]


def chain(n: int = 64, m: int = 32) -> list[Tensor]:
    """D = (A · 2 + 1)²: elementwise, through B and C."""
    A = te.placeholder((n, m), name="A")
    B = te.compute((n, m), lambda i, j: A[i, j] * 2.0, name="B")
    C = te.compute((n, m), lambda i, j: B[i, j] + 1.0, name="C")
    D = te.compute((n, m), lambda i, j: C[i, j] * C[i, j], name="D")
    return [A, D]


def convolution(
    size: int = 28, channels: int = 16, filters: int = 8, kernel: int = 3, stride: int = 1
) -> list[Tensor]:
    """Padded 2-D convolution, scaled, then relu."""
    pad = kernel // 2
    out = (size + 2 * pad - kernel) // stride + 1
    data = te.placeholder((1, channels, size, size), name="data")
    weight = te.placeholder((filters, channels, kernel, kernel), name="weight")
    scale = te.placeholder((filters,), name="scale")
    rc = te.reduce_axis((0, channels), name="rc")
    ry = te.reduce_axis((0, kernel), name="ry")
    rx = te.reduce_axis((0, kernel), name="rx")
    padded = te.compute(
        (1, channels, size + 2 * pad, size + 2 * pad),
        lambda n, c, y, x: te.if_then_else(
            te.all(y >= pad, y < size + pad, x >= pad, x < size + pad),
            data[n, c, y - pad, x - pad],
            0.0,
        ),
        name="pad",
    )
    conv = te.compute(
        (1, filters, out, out),
        lambda n, f, y, x: te.sum(
            padded[n, rc, y * stride + ry, x * stride + rx] * weight[f, rc, ry, rx],
            axis=[rc, ry, rx],
        ),
        name="conv",
    )
    scaled = te.compute(conv.shape, lambda n, f, y, x: conv[n, f, y, x] * scale[f], name="scaled")
    relu = te.compute(
        conv.shape, lambda n, f, y, x: te.maximum(scaled[n, f, y, x], 0.0), name="relu"
    )
    return [data, weight, scale, relu]


def softmax(rows: int = 16, columns: int = 40) -> list[Tensor]:
    """Softmax over the last dimension: a stage with two readers, one of them attached."""
    A = te.placeholder((rows, columns), name="A")
    k = te.reduce_axis((0, columns), name="k")
    q = te.reduce_axis((0, columns), name="q")
    top = te.compute((rows,), lambda i: te.max(A[i, k], axis=k), name="top")
    exp = te.compute((rows, columns), lambda i, j: te.exp(A[i, j] - top[i]), name="exp")
    total = te.compute((rows,), lambda i: te.sum(exp[i, q], axis=q), name="total")
    norm = te.compute((rows, columns), lambda i, j: exp[i, j] / total[i], name="norm")
    return [A, norm]


def two_outputs(n: int = 16) -> list[Tensor]:
    """A stage of two outputs, summed."""
    A = te.placeholder((n, n), name="A")
    low, high = te.compute((n, n), lambda i, j: (A[i, j] + 1.0, A[i, j] / 2.0), name="split")
    B = te.compute((n, n), lambda i, j: low[i, j] + high[i, j], name="B")
    return [A, B]


def argmax(n: int = 8, depth: int = 60) -> list[Tensor]:
    """Position of the largest element of each row: a reduction of two outputs."""
    A = te.placeholder((n, depth), name="A")
    k = te.reduce_axis((0, depth), name="k")
    found, value = te.compute((n,), lambda i: te.argmax(A[i, k], axis=k), name="C")
    return [A, found, value]


def cached_kernel() -> list[Tensor]:
    """Ansor's program for caches: the kernel is the sum of two outputs of one stage."""
    data = te.placeholder((4, 512, 7, 7), name="Data")
    kernel_data = te.placeholder((512, 512, 3, 3), name="Kernel_data")
    k0, k1 = te.compute(
        (512, 512, 3, 3),
        lambda o, i, y, x: (kernel_data[o, i, y, x] + 1.0, kernel_data[o, i, y, x] / 2.0),
        name="Kernel_split",
    )
    kernel = te.compute(
        (512, 512, 3, 3),
        lambda o, i, y, x: k0[o, i, y, x] + k1[o, i, y, x],
        name="Kernel",
    )
    padded = te.compute(
        (4, 512, 9, 9),
        lambda n, c, y, x: te.if_then_else(
            te.all(y >= 1, y < 8, x >= 1, x < 8), data[n, c, y - 1, x - 1], 0.0
        ),
        name="pad_temp",
    )
    rc = te.reduce_axis((0, 512), name="rc")
    ry = te.reduce_axis((0, 3), name="ry")
    rx = te.reduce_axis((0, 3), name="rx")
    conv = te.compute(
        (4, 512, 7, 7),
        lambda nn, ff, yy, xx: te.sum(
            padded[nn, rc, yy + ry, xx + rx] * kernel[ff, rc, ry, rx], axis=[rc, ry, rx]
        ),
        name="conv",
    )
    relu = te.compute(
        (4, 512, 7, 7), lambda i, j, y, x: te.maximum(conv[i, j, y, x], 0.0), name="relu"
    )
    add = te.compute(
        (4, 512, 7, 7), lambda i, j, y, x: data[i, j, y, x] + relu[i, j, y, x], name="Add"
    )
    return [data, kernel_data, add]


def conv_bn_relu() -> list[Tensor]:
    """Ansor's 7×7 convolution of stride 2 with bias, batch normalisation and relu."""
    data = te.placeholder((1, 3, 224, 224), name="data")
    kernel = te.placeholder((64, 3, 7, 7), name="kernel")
    bias = te.placeholder((64, 1, 1), name="bias")
    bn_scale = te.placeholder((64, 1, 1), name="bn_scale")
    bn_offset = te.placeholder((64, 1, 1), name="bn_offset")
    padded = te.compute(
        (1, 3, 230, 230),
        lambda n, c, y, x: te.if_then_else(
            te.all(y >= 3, y < 227, x >= 3, x < 227), data[n, c, y - 3, x - 3], 0.0
        ),
        name="pad",
    )
    rc = te.reduce_axis((0, 3), name="rc")
    ry = te.reduce_axis((0, 7), name="ry")
    rx = te.reduce_axis((0, 7), name="rx")
    shape = (1, 64, 112, 112)
    conv = te.compute(
        shape,
        lambda n, f, y, x: te.sum(
            padded[n, rc, y * 2 + ry, x * 2 + rx] * kernel[f, rc, ry, rx], axis=[rc, ry, rx]
        ),
        name="conv",
    )
    bias_add = te.compute(
        shape, lambda i, j, k, x: conv[i, j, k, x] + bias[j, 0, 0], name="bias_add"
    )
    bn_mul = te.compute(
        shape, lambda i, j, k, x: bias_add[i, j, k, x] * bn_scale[j, 0, 0], name="bn_mul"
    )
    bn_add = te.compute(
        shape, lambda i, j, k, x: bn_mul[i, j, k, x] + bn_offset[j, 0, 0], name="bn_add"
    )
    relu = te.compute(shape, lambda i, j, k, x: te.maximum(bn_add[i, j, k, x], 0.0), name="relu")
    return [data, kernel, bias, bn_offset, bn_scale, relu]
