"""Reductions over one axis, several, or (`axis=None`) all.

The result has the dtype of the data. `keepdims` leaves reduced axes in place with extent 1.
"""

import numpy as np

from kernels_ref.array import Array, Axes, narrow, widen


def sum(data: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Sum of the elements along `axis`."""
    return narrow(np.sum(widen(data), axis=axis, keepdims=keepdims), data.dtype)


def prod(data: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Product of the elements along `axis`."""
    return narrow(np.prod(widen(data), axis=axis, keepdims=keepdims), data.dtype)


def max(data: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Largest element along `axis`."""
    return narrow(np.max(data, axis=axis, keepdims=keepdims), data.dtype)


def min(data: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Smallest element along `axis`."""
    return narrow(np.min(data, axis=axis, keepdims=keepdims), data.dtype)


def mean(data: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """Arithmetic mean along `axis`; for integers, rounded toward zero."""
    return narrow(np.mean(widen(data), axis=axis, keepdims=keepdims), data.dtype)


def argmax(
    data: Array, axis: int | None = None, keepdims: bool = False, out_dtype: str = "int32"
) -> Array:
    """Index of the largest element along `axis`, the first of several.

    `axis=None` gives the index into the flattened data.
    """
    return narrow(np.argmax(data, axis=axis, keepdims=keepdims), out_dtype)


def argmin(
    data: Array, axis: int | None = None, keepdims: bool = False, out_dtype: str = "int32"
) -> Array:
    """Index of the smallest element along `axis`, the first of several.

    `axis=None` gives the index into the flattened data.
    """
    return narrow(np.argmin(data, axis=axis, keepdims=keepdims), out_dtype)


def norm_bmn(data: Array) -> Array:
    """Square root of the sum of squares of each matrix: `[B, M, N]` -> `[B]`."""
    return narrow(np.sqrt(np.sum(np.square(widen(data)), axis=(1, 2))), data.dtype)
