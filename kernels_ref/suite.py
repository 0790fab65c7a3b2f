"""The operator suite: thirteen workloads of four shapes each, at batch 1 and 16, in float32.

The workloads and shapes are those of the Ansor paper (OSDI 2020, section 7.1 and 7.2), with softmax
added, as the authors' code states them: where the paper's appendix prints another number (GRP.1,
NRM.4, CBR.2), the code's is the one their published times belong to.

A case is plain data: `getattr(topi, case.function)(*placeholders, **case.kwargs)`, with one
placeholder for each of `case.arguments`, builds it in tensor expressions, and
`case.reference(*arrays)` computes it with NumPy.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np

import kernels_ref
from kernels_ref import Array

Shape: TypeAlias = tuple[int, ...]

FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Argument:
    """An input tensor; `read` is the number of its elements that the result depends on."""

    name: str
    shape: Shape
    read: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One call of a kernel.

    `flops` counts the useful operations of the direct algorithm: two for each product that is
    summed, those with padding included. Epilogues (bias, batch norm, relu, square root) do not
    count, so that rates compare with published ones; softmax counts five for each element.
    """

    arguments: tuple[Argument, ...]
    output_shape: Shape
    flops: int
    options: tuple[tuple[str, int | Shape], ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """An operator and its shapes.

    Attributes:
        code: three letters, as in the paper's figures.
        title: what it computes.
        function: the name of the kernel in `tensorc.topi` and in `kernels_ref`.
        sizes: the names of the numbers in a shape, batch left out.
        shapes: the four shapes, each in the order of `sizes`.
        problem: what a batch size and a shape become.
        weights: the arguments that a trained model holds: the same in every call.
    """

    code: str
    title: str
    function: str
    sizes: tuple[str, ...]
    shapes: tuple[Shape, ...]
    problem: Callable[[int, Shape], Problem]
    weights: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A workload with one of its shapes (`index` counts from 1) and a batch size."""

    workload: Workload
    index: int
    batch: int

    @property
    def name(self) -> str:
        """For instance `"C2D.1.b16"`: code, shape, batch."""
        return f"{self.workload.code}.{self.index}.b{self.batch}"

    @property
    def function(self) -> str:
        """The name of the kernel in `tensorc.topi` and in `kernels_ref`."""
        return self.workload.function

    @property
    def shape(self) -> Shape:
        """The numbers that `workload.sizes` names."""
        return self.workload.shapes[self.index - 1]

    @property
    def problem(self) -> Problem:
        """Arguments, options and cost."""
        return self.workload.problem(self.batch, self.shape)

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """The input tensors, in the order of the kernel's parameters."""
        return self.problem.arguments

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of the arguments that are constants where the operator is deployed."""
        return self.workload.weights

    @property
    def kwargs(self) -> dict[str, Any]:
        """The kernel's arguments after the tensors: stride, padding and the like."""
        return dict(self.problem.options)

    @property
    def output_shape(self) -> Shape:
        """The shape of the result."""
        return self.problem.output_shape

    @property
    def flops(self) -> int:
        """Useful floating-point operations; see `Problem`."""
        return self.problem.flops

    @property
    def bytes(self) -> int:
        """Compulsory traffic: every needed input element read once, the output written once."""
        read = sum(argument.read for argument in self.arguments)
        return FLOAT32_BYTES * (read + prod(self.output_shape))

    def inputs(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Random arrays for `arguments`: float32, standard normal."""
        return tuple(
            rng.standard_normal(argument.shape, dtype=np.float32) for argument in self.arguments
        )

    def reference(self, *inputs: Array) -> Array:
        """The result by `kernels_ref`: float32, of `output_shape`."""
        kernel: Callable[..., Array] = getattr(kernels_ref, self.function)
        return kernel(*inputs, **self.kwargs)


def cases(
    op: str | None = None,
    shape: int | None = None,
    batch: tuple[int, ...] = (1, 16),
    workloads: tuple[Workload, ...] | None = None,
) -> tuple[Case, ...]:
    """The suite, or the part of it with code `op`, shape number `shape` (from 1) and `batch` sizes.

    Other `workloads` than those of the suite are selected from in the same way.

    Raises:
        ValueError: there is no such code or shape.
    """
    chosen = WORKLOADS if workloads is None else workloads
    codes = [workload.code for workload in chosen]
    if op is not None and op not in codes:
        raise ValueError(f"No workload is called '{op}'; the codes are {', '.join(codes)}.")
    selected = tuple(
        Case(workload, index, size)
        for workload in chosen
        for index in range(1, len(workload.shapes) + 1)
        for size in batch
        if op in (None, workload.code) and shape in (None, index)
    )
    if not selected:
        raise ValueError(f"No case has shape number {shape} and a batch size of {batch}.")
    return selected


def _argument(name: str, *shape: int) -> Argument:
    """An argument of which every element matters."""
    return Argument(name, shape, prod(shape))


def _convolution(batch: int, shape: Shape, *, rank: int) -> Problem:
    """Channels-last convolution with `rank` spatial axes."""
    spatial, (channels, filters, kernel, *window) = shape[:rank], shape[rank:]
    stride, padding, dilation, groups = (*window, 1, 1)[:4]
    taps = (kernel,) * rank
    output = tuple(_output_size(size, kernel, stride, padding, dilation) for size in spatial)
    touched = [_touched(size, kernel, stride, padding, dilation) for size in spatial]
    data = Argument("data", (batch, *spatial, channels), batch * prod(touched) * channels)
    weight = _argument("weight", *taps, channels // groups, filters)
    output_shape = (batch, *output, filters)
    return Problem(
        arguments=(data, weight),
        output_shape=output_shape,
        flops=2 * prod(output_shape) * prod(taps) * (channels // groups),
        options=tuple(zip(("stride", "padding", "dilation", "groups"), window, strict=False)),
    )


def _conv2d_bn_relu(batch: int, shape: Shape) -> Problem:
    convolution = _convolution(batch, shape, rank=2)
    filters = convolution.output_shape[-1]
    vectors = (_argument(name, filters) for name in ("bias", "bn_scale", "bn_offset"))
    return replace(convolution, arguments=(*convolution.arguments, *vectors))


def _depthwise(batch: int, shape: Shape) -> Problem:
    height, width, channels, kernel, stride, padding = shape
    convolution = _convolution(
        batch, (height, width, channels, channels, kernel, stride, padding, 1, channels), rank=2
    )
    weight = _argument("weight", 1, kernel, kernel, channels)
    return replace(
        convolution,
        arguments=(convolution.arguments[0], weight),
        options=(("stride", stride), ("padding", padding)),
    )


def _conv2d_transpose(batch: int, shape: Shape) -> Problem:
    height, width, channels, filters, kernel, stride, padding = shape
    output = (((size - 1) * stride - 2 * padding + kernel) for size in (height, width))
    return Problem(
        arguments=(
            _argument("data", batch, height, width, channels),
            _argument("weight", kernel, kernel, channels, filters),
        ),
        output_shape=(batch, *output, filters),
        flops=2 * batch * height * width * channels * filters * kernel**2,
        options=(("stride", stride), ("padding", padding)),
    )


def _conv2d_capsule(batch: int, shape: Shape) -> Problem:
    capsule = 4
    *_, channels, filters, kernel, _, _ = shape
    scalar = _convolution(batch, shape, rank=2)
    data, _ = scalar.arguments
    return Problem(
        arguments=(
            Argument("data", (*data.shape[:3], capsule, capsule, channels), data.read * capsule**2),
            _argument("weight", kernel, kernel, capsule, capsule, channels, filters),
        ),
        output_shape=(*scalar.output_shape[:3], capsule, capsule, filters),
        flops=scalar.flops * capsule**3,
        options=scalar.options,
    )


def _batch_matmul(batch: int, shape: Shape) -> Problem:
    rows, columns, depth = shape
    return Problem(
        arguments=(_argument("a", batch, rows, depth), _argument("b", batch, depth, columns)),
        output_shape=(batch, rows, columns),
        flops=2 * batch * rows * columns * depth,
    )


def _transpose_batch_matmul(batch: int, shape: Shape) -> Problem:
    sequence, heads, depth = shape
    return Problem(
        arguments=(
            _argument("query", batch, sequence, heads, depth),
            _argument("value", batch, sequence, heads, depth),
        ),
        output_shape=(batch, heads, sequence, sequence),
        flops=2 * batch * heads * sequence**2 * depth,
    )


def _norm(batch: int, shape: Shape) -> Problem:
    return Problem(
        arguments=(_argument("data", batch, *shape),),
        output_shape=(batch,),
        flops=2 * batch * prod(shape),
    )


def _softmax(batch: int, shape: Shape) -> Problem:
    """A batch multiplies the rows, each of which is a softmax of its own."""
    rows, columns = shape
    return Problem(
        arguments=(_argument("data", batch * rows, columns),),
        output_shape=(batch * rows, columns),
        # Each element is compared, subtracted from, exponentiated, summed and divided.
        flops=5 * batch * rows * columns,
    )


def _output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Extent of a convolution's output along an axis of extent `size`."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _touched(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many positions of an axis of extent `size` some window of a convolution reads."""
    positions = {
        window * stride + tap * dilation - padding
        for window in range(_output_size(size, kernel, stride, padding, dilation))
        for tap in range(kernel)
    }
    return len(positions & set(range(size)))


_CONV2D_SHAPES = (
    (224, 224, 3, 64, 7, 2, 3),
    (56, 56, 64, 64, 1, 1, 0),
    (14, 14, 256, 256, 3, 1, 1),
    (7, 7, 512, 512, 3, 1, 1),
)
_CONV2D_SIZES = ("H", "W", "CI", "CO", "kernel", "stride", "padding")

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        code="C1D",
        title="1D convolution",
        function="conv1d_nlc",
        sizes=("L", *_CONV2D_SIZES[2:]),
        shapes=(
            (256, 64, 128, 3, 2, 1),
            (128, 128, 256, 1, 2, 0),
            (64, 256, 256, 5, 1, 2),
            (32, 512, 512, 3, 1, 1),
        ),
        problem=partial(_convolution, rank=1),
        weights=("weight",),
    ),
    Workload(
        code="C2D",
        title="2D convolution",
        function="conv2d_nhwc",
        sizes=_CONV2D_SIZES,
        shapes=_CONV2D_SHAPES,
        problem=partial(_convolution, rank=2),
        weights=("weight",),
    ),
    Workload(
        code="C3D",
        title="3D convolution",
        function="conv3d_ndhwc",
        sizes=("D", *_CONV2D_SIZES),
        shapes=tuple((16, *shape) for shape in _CONV2D_SHAPES),
        problem=partial(_convolution, rank=3),
        weights=("weight",),
    ),
    Workload(
        code="GMM",
        title="matrix product",
        function="batch_matmul",
        sizes=("N", "M", "K"),
        shapes=((128, 128, 128), (512, 32, 512), (512, 512, 512), (1024, 1024, 1024)),
        problem=_batch_matmul,
    ),
    Workload(
        code="GRP",
        title="2D convolution in groups",
        function="group_conv2d_nhwc",
        sizes=(*_CONV2D_SIZES, "dilation", "groups"),
        shapes=(
            (56, 56, 64, 128, 3, 2, 1, 1, 4),
            (56, 56, 64, 64, 1, 1, 0, 1, 4),
            (14, 14, 256, 256, 3, 1, 1, 1, 4),
            (7, 7, 512, 512, 3, 1, 1, 1, 4),
        ),
        problem=partial(_convolution, rank=2),
        weights=("weight",),
    ),
    Workload(
        code="DIL",
        title="dilated 2D convolution",
        function="conv2d_nhwc",
        sizes=(*_CONV2D_SIZES, "dilation"),
        shapes=tuple((*shape, 2) for shape in _CONV2D_SHAPES),
        problem=partial(_convolution, rank=2),
        weights=("weight",),
    ),
    Workload(
        code="DEP",
        title="depthwise 2D convolution",
        function="depthwise_conv2d_nhwc",
        sizes=("H", "W", "C", "kernel", "stride", "padding"),
        shapes=(
            (112, 112, 32, 3, 1, 1),
            (112, 112, 64, 3, 2, 1),
            (14, 14, 512, 3, 2, 1),
            (7, 7, 1024, 3, 1, 1),
        ),
        problem=_depthwise,
        weights=("weight",),
    ),
    Workload(
        code="T2D",
        title="transposed 2D convolution",
        function="conv2d_transpose_nhwc",
        sizes=_CONV2D_SIZES,
        shapes=(
            (4, 4, 512, 256, 4, 2, 1),
            (8, 8, 256, 128, 4, 2, 1),
            (16, 16, 128, 64, 4, 2, 1),
            (32, 32, 64, 3, 4, 2, 1),
        ),
        problem=_conv2d_transpose,
        weights=("weight",),
    ),
    Workload(
        code="CAP",
        title="2D convolution of 4x4 capsules",
        function="conv2d_capsule_nhwijc",
        sizes=_CONV2D_SIZES,
        shapes=(
            (16, 16, 32, 32, 3, 2, 1),
            (8, 8, 32, 32, 3, 1, 1),
            (16, 16, 8, 16, 3, 2, 1),
            (8, 8, 16, 16, 3, 1, 1),
        ),
        problem=_conv2d_capsule,
        weights=("weight",),
    ),
    Workload(
        code="NRM",
        title="matrix 2-norm",
        function="norm_bmn",
        sizes=("M", "N"),
        shapes=((256, 256), (512, 512), (1024, 1024), (4096, 1024)),
        problem=_norm,
    ),
    Workload(
        code="SFM",
        title="softmax of rows",
        function="softmax",
        sizes=("M", "N"),
        shapes=((256, 256), (512, 512), (1024, 1024), (2048, 2048)),
        problem=_softmax,
    ),
    Workload(
        code="CBR",
        title="2D convolution, batch norm and relu",
        function="conv2d_bn_relu",
        sizes=_CONV2D_SIZES,
        shapes=(
            (224, 224, 3, 64, 7, 2, 3),
            (56, 56, 64, 128, 3, 2, 1),
            (28, 28, 128, 256, 1, 2, 0),
            (7, 7, 512, 512, 3, 1, 1),
        ),
        problem=_conv2d_bn_relu,
        weights=("weight", "bias", "bn_scale", "bn_offset"),
    ),
    Workload(
        code="TBG",
        title="matrix product of transposed operands",
        function="transpose_batch_matmul",
        sizes=("sequence", "heads", "dim"),
        shapes=((128, 12, 64), (128, 16, 64), (64, 12, 128), (128, 12, 128)),
        problem=_transpose_batch_matmul,
    ),
)

CODES: tuple[str, ...] = tuple(workload.code for workload in WORKLOADS)
