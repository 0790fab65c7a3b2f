"""NumPy in float32: matrix products of its BLAS wherever the operator has one in it."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case
from tensorc.cli.peers.peer import Prepared

Run = Callable[[], Array]

# Gathered windows of a convolution are multiplied while they are still in the cache.
_GATHER_BYTES: Final = 2 << 20
_BLAS_SETTERS: Final = (
    "scipy_openblas_set_num_threads64_",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
    "MKL_Set_Num_Threads",
)


@dataclass(frozen=True, slots=True)
class NumPyPeer:
    """NumPy, with so many threads in its BLAS; all else of it runs on one."""

    threads: int
    name: str = "numpy"
    version: str = np.__version__

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Lay out the inputs and return what computes the case."""
        limit_blas_threads(self.threads)
        build = _BUILDERS.get(case.function)
        if build is None:
            return None  # NumPy has no error function
        run = build(inputs, case)
        return Prepared(run, run)


def limit_blas_threads(threads: int) -> bool:
    """Let the BLAS of this process use so many threads; False where it has none that listens."""
    found = False
    for path in _loaded_libraries():
        if "openblas" not in path and "mkl_rt" not in path:
            continue
        library = ctypes.CDLL(path)
        for name in _BLAS_SETTERS:
            setter = getattr(library, name, None)
            if setter is not None:
                setter(ctypes.c_int(threads))
                found = True
    return found


def _loaded_libraries() -> set[str]:
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return set()
    return {line.split()[-1] for line in lines if ".so" in line}


def _conv(inputs: tuple[Array, ...], case: Case) -> Run:
    data, weight = inputs
    options = case.kwargs
    return _Convolution(
        data=data,
        weight=weight,
        stride=options.get("stride", 1),
        padding=options.get("padding", 0),
        dilation=options.get("dilation", 1),
        groups=options.get("groups", 1),
    ).run


@dataclass(frozen=True, slots=True)
class _Convolution:
    """Windows gathered into a matrix, a few rows of the output at a time, times the weight."""

    data: Array
    weight: Array
    stride: int
    padding: int
    dilation: int
    groups: int = 1

    def run(self) -> Array:
        """Compute `[N, *out, CO]`."""
        windows = self._windows()
        batch, *out = windows.shape[: self.data.ndim - 1]
        channels = self.weight.shape[-1]
        result = np.empty((batch, *out, channels), np.float32)
        matrix = self.weight.reshape(-1, channels)
        for image, target in zip(windows, result, strict=True):
            for rows in _chunks(len(image), image[0].nbytes):
                self._multiply(image[rows], matrix, target[rows])
        return result

    def _multiply(self, windows: Array, matrix: Array, target: Array) -> None:
        depth, channels = matrix.shape
        inner, outer = windows.shape[-1] // self.groups, channels // self.groups
        flat = target.reshape(-1, channels)
        for group in range(self.groups):
            mine = slice(group * outer, (group + 1) * outer)
            gathered = windows[..., group * inner : (group + 1) * inner].reshape(-1, depth)
            np.matmul(gathered, matrix[:, mine], out=flat[:, mine])

    def _windows(self) -> Array:
        """A view `[N, *out, *taps, CI]` of the padded data."""
        rank = self.data.ndim - 2
        axes = tuple(range(1, rank + 1))
        spans = tuple(self.dilation * (taps - 1) + 1 for taps in self.weight.shape[:rank])
        views = np.lib.stride_tricks.sliding_window_view(_padded(self), spans, axes)
        step = (slice(None, None, self.stride),) * rank
        taps = (slice(None, None, self.dilation),) * rank
        return np.moveaxis(views[(slice(None), *step, slice(None), *taps)], rank + 1, -1)


def _padded(conv: _Convolution) -> Array:
    if not conv.padding:
        return conv.data
    border = (conv.padding, conv.padding)
    return np.pad(conv.data, [(0, 0), *[border] * (conv.data.ndim - 2), (0, 0)])


def _chunks(rows: int, nbytes: int) -> Iterator[slice]:
    step = max(1, _GATHER_BYTES // max(1, nbytes))
    return (slice(start, start + step) for start in range(0, rows, step))


def _conv_bn_relu(inputs: tuple[Array, ...], case: Case) -> Run:
    data, weight, bias, scale, offset = inputs
    convolve = _conv((data, weight), case)

    def run() -> Array:
        result = convolve()
        result += bias
        result *= scale
        result += offset
        return np.maximum(result, 0, out=result)

    return run


def _depthwise(inputs: tuple[Array, ...], case: Case) -> Run:
    data, weight = inputs
    stride = case.kwargs.get("stride", 1)
    conv = _Convolution(data, weight[0][..., None], stride, case.kwargs.get("padding", 0), 1)
    _, height, width, _ = case.output_shape

    def run() -> Array:
        padded = _padded(conv)
        result = np.zeros(case.output_shape, np.float32)
        product = np.empty_like(result)
        for i, j in np.ndindex(weight.shape[1:3]):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            columns = slice(j, j + stride * (width - 1) + 1, stride)
            np.multiply(padded[:, rows, columns], weight[0, i, j], out=product)
            result += product
        return result

    return run


def _transposed(inputs: tuple[Array, ...], case: Case) -> Run:
    data, weight = inputs
    kernel, channels = weight.shape[0], weight.shape[-1]
    stride, padding = case.kwargs["stride"], case.kwargs["padding"]
    batch, height, width, depth = data.shape
    # All taps in one product: [N * H * W, CI] times [CI, kh * kw * CO].
    matrix = np.ascontiguousarray(weight.transpose(2, 0, 1, 3)).reshape(depth, -1)
    full = (batch, (height - 1) * stride + kernel, (width - 1) * stride + kernel, channels)

    def run() -> Array:
        products = (data.reshape(-1, depth) @ matrix).reshape(*data.shape[:3], kernel, kernel, -1)
        result = np.zeros(full, np.float32)
        for i, j in np.ndindex(kernel, kernel):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            columns = slice(j, j + stride * (width - 1) + 1, stride)
            result[:, rows, columns] += products[:, :, :, i, j]
        return result[:, padding : full[1] - padding, padding : full[2] - padding]

    return run


def _capsule(inputs: tuple[Array, ...], case: Case) -> Run:
    data, weight = inputs
    options = case.kwargs
    batch, height, width, rows, inner, channels = data.shape
    columns, filters = weight.shape[3], weight.shape[5]
    # The rows of a capsule are images of their own: [N * I, H, W, K * CI].
    images = np.ascontiguousarray(data.transpose(0, 3, 1, 2, 4, 5))
    matrix = np.ascontiguousarray(weight.transpose(0, 1, 2, 4, 3, 5))
    conv = _Convolution(
        images.reshape(batch * rows, height, width, inner * channels),
        matrix.reshape(*weight.shape[:2], inner * channels, columns * filters),
        options["stride"],
        options["padding"],
        1,
    )

    def run() -> Array:
        result = conv.run()
        split = result.reshape(batch, rows, *result.shape[1:3], columns, filters)
        return np.ascontiguousarray(split.transpose(0, 2, 3, 1, 4, 5))

    return run


def _matmul(inputs: tuple[Array, ...], case: Case) -> Run:
    a, b = inputs
    result = np.empty(case.output_shape, np.float32)
    return partial(np.matmul, a, b, out=result)


def _attention_scores(inputs: tuple[Array, ...], case: Case) -> Run:
    query, value = inputs
    result = np.empty(case.output_shape, np.float32)
    rows, columns = query.transpose(0, 2, 1, 3), value.transpose(0, 2, 3, 1)
    return partial(np.matmul, rows, columns, out=result)


def _norm(inputs: tuple[Array, ...], case: Case) -> Run:
    flat = inputs[0].reshape(inputs[0].shape[0], -1)
    return lambda: np.array([math.sqrt(np.dot(row, row)) for row in flat], np.float32)


def _softmax(inputs: tuple[Array, ...], case: Case) -> Run:
    (data,) = inputs

    def run() -> Array:
        result: Array = data - data.max(-1, keepdims=True)
        np.exp(result, out=result)
        result /= result.sum(-1, keepdims=True)
        return result

    return run


def _layer_norm(inputs: tuple[Array, ...], case: Case) -> Run:
    data, gamma, beta = inputs

    def run() -> Array:
        result: Array = data - data.mean(-1, keepdims=True)
        variance = np.einsum("ij,ij->i", result, result) / np.float32(data.shape[-1])
        result /= np.sqrt(variance + np.float32(1e-5))[:, None]
        result *= gamma
        result += beta
        return result

    return run


def _sum(inputs: tuple[Array, ...], case: Case) -> Run:
    result = np.empty(case.output_shape, np.float32)
    return partial(np.sum, inputs[0], axis=case.kwargs["axis"], out=result)


def _transpose(inputs: tuple[Array, ...], case: Case) -> Run:
    result = np.empty(case.output_shape, np.float32)
    view = inputs[0].transpose(case.kwargs["axes"])

    def run() -> Array:
        np.copyto(result, view)
        return result

    return run


_BUILDERS: Final[dict[str, Callable[[tuple[Array, ...], Case], Run]]] = {
    "batch_matmul": _matmul,
    "conv1d_nlc": _conv,
    "conv2d_bn_relu": _conv_bn_relu,
    "conv2d_capsule_nhwijc": _capsule,
    "conv2d_nhwc": _conv,
    "conv2d_transpose_nhwc": _transposed,
    "conv3d_ndhwc": _conv,
    "depthwise_conv2d_nhwc": _depthwise,
    "group_conv2d_nhwc": _conv,
    "layer_norm": _layer_norm,
    "matmul": _matmul,
    "norm_bmn": _norm,
    "softmax": _softmax,
    "sum": _sum,
    "transpose": _transpose,
    "transpose_batch_matmul": _attention_scores,
}
