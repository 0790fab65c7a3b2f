"""Is a candidate's output the reference's, as far as rounding allows?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorc.runtime.arrays import Array

# Rounding of a sum of n values in another order grows with √n; the factors leave room for the
# polynomials of mathematical functions and for a chain of a few operations. Longer sums than
# `_MOST_TERMS` are worth having in lanes or blocks only, whose errors grow no more: millions of
# values of one sign one behind the other are off by a percent, as if part of them were missing.
_BASE, _PER_ROOT, _MOST_TERMS = 128.0, 16.0, 2**20
_ROUNDINGS_OF_16_BITS = 8.0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Greatest difference: `relative · (|reference| + typical size of the reference)`.

    Attributes:
        relative: As above.
        of_largest: As much of the largest magnitude of the reference is allowed in any case.
    """

    relative: float
    of_largest: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether every bit has to agree (NaN with NaN)."""
        return self.relative == 0.0 and self.of_largest == 0.0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where an output is wrong.

    Attributes:
        count: How many elements.
        size: Out of how many.
        index: The worst of them.
        got: Its value.
        expected: The reference's.
    """

    count: int
    size: int
    index: tuple[int, ...]
    got: str
    expected: str

    def __str__(self) -> str:
        return (
            f"{self.count} of {self.size} elements are wrong, the worst at {list(self.index)}: "
            f"expected {self.expected}, got {self.got}"
        )


def tolerance_for(dtypes: list[np.dtype[Any]], terms: int, coarse_terms: int = 1) -> Tolerance:
    """Return the tolerance of a program.

    Args:
        dtypes: The types of its output and of what the output is computed from.
        terms: The most terms that one sum of it has.
        coarse_terms: The most terms that one sum in 16 bits has.
    """
    widest = max(dtypes, key=_epsilon)
    if _epsilon(dtypes[0]) == 0.0:
        return Tolerance(0.0)
    growth = _BASE + _PER_ROOT * math.sqrt(min(terms, _MOST_TERMS))
    if widest.itemsize > 2:
        return Tolerance(_epsilon(widest) * growth)
    computed = float(np.finfo(np.float32).eps) * growth
    roundings = _ROUNDINGS_OF_16_BITS + math.sqrt(max(1, coarse_terms)) - 1
    return Tolerance(roundings * _epsilon(widest) + computed)


class Reference:
    """A right output, to hold others against.

    NaN agrees with NaN, and infinity with the same infinity.
    """

    def __init__(self, expected: Array, tolerance: Tolerance) -> None:
        """Work out how far each element may be off."""
        self._expected = expected
        self._is_exact = tolerance.is_exact or _epsilon(expected.dtype) == 0.0
        if self._is_exact or not expected.size:
            return
        work = np.float64 if expected.dtype.itemsize == 8 else np.float32
        self._values = expected.astype(work, copy=False)
        bound = (np.abs(self._values) + work(_typical(self._values))) * work(tolerance.relative)
        if tolerance.of_largest:
            bound = np.maximum(bound, work(tolerance.of_largest * _largest(self._values)))
        # Of infinity only the same will do.
        self._bound = np.where(np.isfinite(self._values), bound, work(0))
        self._difference = np.empty_like(self._values)

    def compare(self, got: Array) -> Mismatch | None:
        """Return where an output differs, None if nowhere."""
        if not got.size:
            return None
        if self._is_exact:
            wrong = got != self._expected
            return _mismatch(wrong, wrong, got, self._expected) if wrong.any() else None
        values = got.astype(self._values.dtype, copy=False)
        with np.errstate(invalid="ignore", over="ignore"):
            np.subtract(values, self._values, out=self._difference)
            np.abs(self._difference, out=self._difference)
            right = self._difference <= self._bound
        if right.all():
            return None
        right |= (values == self._values) | (np.isnan(values) & np.isnan(self._values))
        if right.all():
            return None
        return _mismatch(~right, self._difference, got, self._expected)


def _typical(values: Array) -> float:
    """The root of the mean square of the finite values."""
    finite = values[np.isfinite(values)].astype(np.float64)
    return math.sqrt(float(np.dot(finite, finite)) / max(1, finite.size))


def _largest(values: Array) -> float:
    """The largest magnitude of the finite values."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _epsilon(dtype: np.dtype[Any]) -> float:
    """Distance from 1 to the next number; 0 for integers and bool."""
    if dtype.name == "bfloat16":
        return 2.0**-7
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def _mismatch(wrong: Array, difference: Array, got: Array, expected: Array) -> Mismatch:
    ranked = np.where(wrong, np.nan_to_num(difference.astype(np.float64), nan=np.inf), -1.0)
    index = np.unravel_index(int(ranked.argmax()), wrong.shape)
    place = tuple(int(i) for i in index)
    return Mismatch(int(wrong.sum()), wrong.size, place, str(got[place]), str(expected[place]))
