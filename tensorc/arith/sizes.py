"""Choices over sizes that are either one int or a population-long array.

A `Size` is an int (one candidate) or an int64 array with one value for each candidate of a
population. Every choice that depends on a size goes through these functions and nothing else
tests a size, so that the same code serves both.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.int64]
Size: TypeAlias = int | Array
Flag: TypeAlias = bool | NDArray[np.bool_]


def vmin(a: Any, b: Any) -> Any:
    """The smaller of two sizes, element by element if one is an array."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a if a <= b else b
    return np.minimum(a, b)


def vmax(a: Any, b: Any) -> Any:
    """The larger of two sizes, element by element if one is an array."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a if a >= b else b
    return np.maximum(a, b)


def ceildiv(a: Any, b: Any) -> Any:
    """`a / b` rounded up."""
    return -(-a // b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`; a scalar condition picks without broadcasting."""
    if isinstance(condition, (bool, np.bool_)):
        return a if condition else b
    return np.where(condition, a, b)


def is_one(a: Any) -> bool:
    """Whether a size is the constant 1; False for arrays, whatever they hold."""
    return isinstance(a, int) and a == 1
