"""Operators that move elements and change none: the result has the dtype of the data."""

import numpy as np

from kernels_ref.array import Array, narrow


def transpose(data: Array, axes: tuple[int, ...] | None = None) -> Array:
    """Axis `i` of the result is axis `axes[i]` of the data; without `axes`, in reverse order."""
    return narrow(np.transpose(data, axes), data.dtype)


def reshape(data: Array, shape: tuple[int, ...]) -> Array:
    """The elements of `data`, in row-major order, as an array of `shape`; one entry may be -1."""
    return narrow(np.reshape(data, shape), data.dtype)


def concatenate(arrays: tuple[Array, ...], axis: int = 0) -> Array:
    """The arrays one after another along `axis`; their other axes agree."""
    return narrow(np.concatenate(arrays, axis=axis), np.result_type(*arrays))


def strided_slice(
    data: Array,
    begin: tuple[int, ...],
    end: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    axes: tuple[int, ...] | None = None,
) -> Array:
    """`data[begin:end:stride]` along each of `axes`, by default the first `len(begin)` axes.

    Limits are Python's: negative ones count from the end, those out of range are clamped. To go
    backwards up to and including the first element, let `end` be below `-size`.
    """
    chosen = tuple(range(len(begin))) if axes is None else axes
    steps = (1,) * len(begin) if strides is None else strides
    index = [slice(None)] * data.ndim
    for axis, first, last, step in zip(chosen, begin, end, steps, strict=True):
        index[axis] = slice(first, last, step)
    return narrow(data[tuple(index)], data.dtype)


def take(data: Array, indices: Array, axis: int = 0) -> Array:
    """The slices `indices` (integers of any shape) of `data` along `axis`.

    The result's shape is the data's with `axis` replaced by the shape of `indices`. Negative
    indices count from the end; others out of range raise `IndexError`.
    """
    return narrow(np.take(data, indices, axis=axis), data.dtype)


def gather(data: Array, indices: Array, axis: int = 0) -> Array:
    """One element of `data` for each of `indices`, which replaces the coordinate on `axis`.

    With `axis=0`, `result[i, j] = data[indices[i, j], j]`. `indices` has the data's rank, and its
    extents except on `axis`; negative indices count from the end.
    """
    return narrow(np.take_along_axis(data, indices, axis=axis), data.dtype)
