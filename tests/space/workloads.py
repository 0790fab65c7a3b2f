"""Small programs, one of each kind, that compile in a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tensorc import te, topi
from tensorc.space.sketch import Rules, generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.te.tensor import Tensor
from tests.te import workloads as ansor

CPU: Final = "llvm -num-cores=4 -vector-bytes=32 -vector-registers=16"
GPU: Final = "cuda"


def dense(n: int, m: int, k: int) -> list[Tensor]:
    """`A · Wᵀ`: the weights are stored by output."""
    A, W = te.placeholder((n, k), name="A"), te.placeholder((m, k), name="W")
    r = te.reduce_axis((0, k), name="k")
    return [A, W, te.compute((n, m), lambda i, j: te.sum(A[i, r] * W[j, r], axis=r), name="C")]


def exponential(n: int) -> list[Tensor]:
    A = te.placeholder((n,), name="A")
    return [A, te.compute((n,), lambda i: te.exp(A[i]), name="B")]


def conv2d_nhwc(n: int, size: int, inputs: int, outputs: int) -> list[Tensor]:
    data = te.placeholder((n, size, size, inputs), name="data")
    kernel = te.placeholder((3, 3, inputs, outputs), name="kernel")
    return [data, kernel, topi.conv2d_nhwc(data, kernel, stride=1, padding=1)]


def depthwise(size: int, channels: int) -> list[Tensor]:
    data = te.placeholder((1, size, size, channels), name="data")
    kernel = te.placeholder((3, 3, 1, channels), name="kernel")
    return [data, kernel, topi.depthwise_conv2d_nhwc(data, kernel, stride=1, padding=1)]


def transposed(kernel: int, stride: int, padding: int, outputs: int = 24) -> list[Tensor]:
    size = (3, 4) if outputs == 24 else (3, 16)
    data = te.placeholder((1, *size, 5), name="data")
    weight = te.placeholder((kernel, kernel, 5, outputs), name="weight")
    return [data, weight, topi.conv2d_transpose_nhwc(data, weight, stride, padding)]


def conv2d_nchw(inputs: int, outputs: int, size: int) -> list[Tensor]:
    data = te.placeholder((1, inputs, size, size), name="data")
    weight = te.placeholder((outputs, inputs, 3, 3), name="weight")
    return [data, weight, topi.conv2d_nchw(data, weight, 1, 1)]


def conv2d_winograd(size: int, inputs: int, outputs: int) -> list[Tensor]:
    """A convolution whose data and weights are multiplied by constant matrices, as sums."""
    data = te.placeholder((1, size, size, inputs), name="data")
    weight = te.placeholder((3, 3, inputs, outputs), name="weight")
    return [data, weight, topi.conv2d_winograd_nhwc(data, weight, padding=1, tile_size=2)]


def few_channels(stride: int, *, relu: bool = False) -> list[Tensor]:
    """A convolution of 32 columns whose output has three channels."""
    data = te.placeholder((1, 6, 32 * stride, 5), name="data")
    weight = te.placeholder((3, 3, 5, 3), name="weight")
    result = topi.conv2d_nhwc(data, weight, stride, 1)
    return [data, weight, topi.relu(result) if relu else result]


SMALL: Final[dict[str, Callable[[], list[Tensor]]]] = {
    "matmul": lambda: ansor.matmul(13, 40, 24),
    "long_matmul": lambda: ansor.matmul(8, 8, 512),
    "packed_matmul": lambda: ansor.matmul(40, 300, 20),
    "dense": lambda: dense(33, 50, 24),
    "double_matmul": lambda: ansor.double_matmul(24),
    "conv_bn_relu": lambda: ansor.conv2d_nchw_bn_relu(1, 6, 14, 8, 8, 3, 1, 1),
    "conv_nhwc": lambda: conv2d_nhwc(1, 6, 4, 136),
    "transposed": lambda: transposed(4, 2, 1),
    "odd_transposed": lambda: transposed(5, 3, 1),
    "few_channels": lambda: transposed(4, 2, 1, 3),
    "narrow_matmul": lambda: ansor.matmul(40, 3, 20),
    "narrow_conv": lambda: conv2d_nchw(6, 24, 7),
    "strided_conv": lambda: few_channels(2, relu=True),
    "depthwise": lambda: depthwise(8, 24),
    "winograd": lambda: ansor.conv2d_winograd_nhwc(1, 8, 8, 8, 16, 3, 1, 1),
    "max_pool": lambda: ansor.max_pool2d(1, 6, 10, 16, 1),
    "min": lambda: ansor.min_nm(10, 64),
    "softmax": lambda: ansor.softmax_nm(6, 64),
    "zero_rank": lambda: ansor.zero_rank_reduce(128),
    "exp": lambda: exponential(20000),
}
# These and one that has many more sketches than any of them, for what takes little time of each.
PROGRAMS: Final = {**SMALL, "topi_winograd": lambda: conv2d_winograd(6, 4, 16)}


def spaces(tensors: list[Tensor], target: str = CPU, rules: Rules = "default") -> list[Space]:
    task = SearchTask.of(tensors, target)
    return [Space(task, sketch) for sketch in generate_sketches(task, rules=rules)]
