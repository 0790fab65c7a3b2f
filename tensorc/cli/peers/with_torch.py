"""PyTorch in eager mode, in the layout (NCHW or channels last) that is faster for the case."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case
from tensorc.cli.peers.peer import Prepared
from tensorc.support.optional import optional_import

# PyTorch is not there to be type-checked against.
Tensor: TypeAlias = Any
Call: TypeAlias = Callable[[], Tensor]
# What computes a case, and how its result becomes one of the suite's layout.
Variant: TypeAlias = tuple[Call, Callable[[Tensor], Tensor]]

_TRIALS: Final = 5


def _load() -> ModuleType:
    return optional_import("torch", extra="bench", purpose="the comparison with PyTorch")


@dataclass(frozen=True, slots=True)
class TorchPeer:
    """PyTorch, with so many threads."""

    threads: int
    name: str = "torch"
    torch: ModuleType = field(default_factory=_load, repr=False)

    @property
    def version(self) -> str:
        """The version that is installed."""
        return str(self.torch.__version__)

    def prepare(self, case: Case, inputs: tuple[Array, ...]) -> Prepared:
        """Lay out the inputs, try the layouts, and return the faster one."""
        self.torch.set_num_threads(self.threads)
        self.torch.set_grad_enabled(False)
        tensors = tuple(self.torch.from_numpy(array) for array in inputs)
        variants = _BUILDERS[case.function](self.torch, tensors, case)
        call, restore = min(variants, key=lambda variant: _quickest(variant[0]))

        def result() -> Array:
            return np.ascontiguousarray(restore(call()).numpy())

        return Prepared(call, result)


def _quickest(call: Call) -> float:
    durations = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return min(durations)


def _conv(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    data, weight = tensors
    rank = data.dim() - 2
    function = (torch.conv1d, torch.conv2d, torch.conv3d)[rank - 1]
    options = {name: case.kwargs.get(name, 1) for name in ("stride", "dilation", "groups")}
    options["padding"] = case.kwargs.get("padding", 0)
    return [
        (partial(function, d, w, None, **options), _channels_last)
        for d, w in _layouts(torch, _channels_first(data), _filters_first(weight))
    ]


def _conv_bn_relu(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    data, weight, bias, scale, offset = tensors
    stride, padding = case.kwargs["stride"], case.kwargs["padding"]
    scale, offset = (vector.reshape(1, -1, 1, 1) for vector in (scale, offset))

    def run(d: Tensor, w: Tensor) -> Tensor:
        result = torch.conv2d(d, w, bias, stride=stride, padding=padding)
        return torch.addcmul(offset, result, scale).relu_()

    return [
        (partial(run, d, w), _channels_last)
        for d, w in _layouts(torch, _channels_first(data), _filters_first(weight))
    ]


def _depthwise(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    data, weight = tensors
    channels = data.shape[-1]
    options = {**case.kwargs, "groups": channels}
    # [1, kh, kw, C] -> [C, 1, kh, kw]
    filters = weight.permute(3, 0, 1, 2).contiguous()
    return [
        (partial(torch.conv2d, d, w, None, **options), _channels_last)
        for d, w in _layouts(torch, _channels_first(data), filters)
    ]


def _transposed(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    data, weight = tensors
    options = case.kwargs
    # [kh, kw, CI, CO] -> [CI, CO, kh, kw]
    filters = weight.permute(2, 3, 0, 1).contiguous()
    return [
        (partial(torch.conv_transpose2d, d, w, None, **options), _channels_last)
        for d, w in _layouts(torch, _channels_first(data), filters)
    ]


def _capsule(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    """The rows of a capsule as images of their own, its columns as channels."""
    data, weight = tensors
    options = case.kwargs
    batch, height, width, rows, inner, channels = data.shape
    columns, filters = weight.shape[3], weight.shape[5]
    images = data.permute(0, 3, 4, 5, 1, 2).reshape(batch * rows, inner * channels, height, width)
    # [kh, kw, K, J, CI, CO] -> [J * CO, K * CI, kh, kw]
    kernels = weight.permute(3, 5, 2, 4, 0, 1)
    kernels = kernels.reshape(columns * filters, inner * channels, *weight.shape[:2])

    def restore(result: Tensor) -> Tensor:
        split = result.reshape(batch, rows, columns, filters, *result.shape[2:])
        return split.permute(0, 4, 5, 1, 2, 3)

    return [
        (partial(torch.conv2d, d, w, None, **options), restore)
        for d, w in _layouts(torch, images.contiguous(), kernels.contiguous())
    ]


def _matmul(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    a, b = tensors
    return [
        (lambda: torch.bmm(a, b), _same),
        (lambda: torch.matmul(a[0], b[0])[None] if len(a) == 1 else torch.matmul(a, b), _same),
    ]


def _attention_scores(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    query, value = tensors
    return [(lambda: torch.matmul(query.permute(0, 2, 1, 3), value.permute(0, 2, 3, 1)), _same)]


def _norm(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    (data,) = tensors
    return [
        (lambda: torch.linalg.vector_norm(data, dim=(1, 2)), _same),
        (lambda: (data * data).sum((1, 2)).sqrt_(), _same),
    ]


def _softmax(torch: ModuleType, tensors: tuple[Tensor, ...], case: Case) -> list[Variant]:
    (data,) = tensors
    return [(lambda: torch.softmax(data, -1), _same)]


def _layouts(torch: ModuleType, data: Tensor, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Both operands contiguous, and both with the channels innermost where PyTorch has that."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    plain = (data.contiguous(), weight.contiguous())
    if data.dim() not in formats:
        return [plain]
    last = formats[data.dim()]
    return [plain, (data.to(memory_format=last), weight.to(memory_format=last))]


def _same(result: Tensor) -> Tensor:
    return result


def _channels_first(data: Tensor) -> Tensor:
    return data.movedim(-1, 1)


def _channels_last(result: Tensor) -> Tensor:
    return result.movedim(1, -1)


def _filters_first(weight: Tensor) -> Tensor:
    """`[*taps, CI, CO]` to `[CO, CI, *taps]`."""
    return weight.movedim((-1, -2), (0, 1))


_BUILDERS: Final[dict[str, Callable[[ModuleType, tuple[Tensor, ...], Case], list[Variant]]]] = {
    "batch_matmul": _matmul,
    "conv1d_nlc": _conv,
    "conv2d_bn_relu": _conv_bn_relu,
    "conv2d_capsule_nhwijc": _capsule,
    "conv2d_nhwc": _conv,
    "conv2d_transpose_nhwc": _transposed,
    "conv3d_ndhwc": _conv,
    "depthwise_conv2d_nhwc": _depthwise,
    "group_conv2d_nhwc": _conv,
    "norm_bmn": _norm,
    "softmax": _softmax,
    "transpose_batch_matmul": _attention_scores,
}
