"""What the names in the text of loop IR mean when Python runs it.

Values are NumPy scalars and vectors of the very type the IR says, so that every operation rounds
and wraps as it should. 16-bit floats are float32 values from load to store.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tensorc.ir.dtype import ALL_DTYPES, BFLOAT16, FLOAT16, DType, compute_dtype

Value: TypeAlias = Any  # a NumPy scalar, or a vector of them


@dataclass(frozen=True, slots=True)
class Partial:
    """A vector of `lanes` positions of which only the first ones, `live`, may be touched."""

    live: slice
    lanes: int


Position: TypeAlias = int | slice | NDArray[np.int64] | Partial


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The type of the elements of an array in memory."""
    return np.dtype(ml_dtypes.bfloat16 if dtype == BFLOAT16 else dtype.name)


class FlatArray:
    """A buffer: elements by flat position, with no way to miss it unnoticed."""

    __slots__ = ("data", "name", "size")

    def __init__(self, name: str, data: NDArray[Any]) -> None:
        self.name, self.data, self.size = name, data, data.size

    def check(self, position: Position) -> None:
        """Refuse what NumPy would take for a position from the end, or cut off.

        Raises:
            IndexError: if a position is outside of the buffer.
        """
        match position:
            case int():
                inside = 0 <= position < self.size
            case slice():
                inside = position.start >= 0 and position.stop <= self.size
            case Partial():
                return self.check(position.live)
            case _:
                inside = bool(position.min() >= 0 and position.max() < self.size)
        if not inside:
            raise IndexError(f"Position {position} of '{self.name}' is not in [0, {self.size}).")
        return None

    def __getitem__(self, position: Position) -> Value:
        self.check(position)
        if isinstance(position, Partial):
            found = np.zeros(position.lanes, self.data.dtype)
            live = self.data[position.live]
            found[: len(live)] = live
            return found
        # A copy: a vector that is loaded does not change with a later store.
        return self.data[position].copy()

    def __setitem__(self, position: Position, value: Value) -> None:
        self.check(position)
        if isinstance(position, Partial):
            live = position.live
            self.data[live] = value[: live.stop - live.start]
        else:
            self.data[position] = value


class HalfArray(FlatArray):
    """A buffer of 16-bit floats, whose values are float32 once loaded; a store rounds to even."""

    __slots__ = ()

    def __getitem__(self, position: Position) -> Value:
        return FlatArray.__getitem__(self, position).astype(np.float32)


def flat_array(name: str, dtype: DType, data: NDArray[Any]) -> FlatArray:
    """A buffer over a flat array."""
    return (FlatArray if compute_dtype(dtype) == dtype else HalfArray)(name, data)


def _allocate(shape: tuple[int, ...], dtype: str, scope: str) -> FlatArray:
    # Nobody may rely on what is there: floats are NaN, other bytes 0x5a.
    kind = next(d for d in ALL_DTYPES if d.name == dtype)
    size = math.prod(shape)
    if kind.is_float:
        data = np.full(size, np.nan, numpy_dtype(kind))
    else:
        data = np.full(size * kind.itemsize, 0x5A, np.uint8).view(numpy_dtype(kind))
    return flat_array(f"a {scope} buffer", kind, data)


def _ramp(first: int, lanes: int, stride: int = 1, *, dead: int = 0) -> Position:
    if dead:
        return Partial(slice(first, first + lanes - dead), lanes)
    if stride > 0:
        return slice(first, first + (lanes - 1) * stride + 1, stride)
    return first + stride * np.arange(lanes)


def _index(position: int | slice | NDArray[np.int64], dtype: str = "int32") -> Value:
    if isinstance(position, slice):
        position = np.arange(position.start, position.stop, position.step)
    return np.int64(position).astype(dtype)


def _opaque(value: Value, low: int, high: int) -> int:
    return int(value)


def _converter(dtype: DType) -> Callable[[Value], Value]:
    kind: Any = numpy_dtype(dtype).type

    def convert(x: Value) -> Value:
        return x.astype(kind) if isinstance(x, (np.generic, np.ndarray)) else kind(x)

    def round_to_half(x: Value) -> Value:
        return convert(x).astype(np.float32)

    return round_to_half if dtype in (FLOAT16, BFLOAT16) else convert


def _where(condition: Value, a: Value, b: Value) -> Value:
    # A side written `lambda: x` is evaluated only where some lane wants it.
    if not isinstance(condition, np.ndarray):
        chosen = a if condition else b
        return chosen() if callable(chosen) else chosen
    if callable(a):
        a = a() if condition.any() else b
    if callable(b):
        b = a if condition.all() else b()
    return np.where(condition, a() if callable(a) else a, b)


def _min(a: Value, b: Value) -> Value:
    return _where(a < b, a, b)


def _max(a: Value, b: Value) -> Value:
    return _where(a > b, a, b)


def _truncdiv(a: Value, b: Value) -> Value:
    if np.issubdtype(a.dtype, np.floating):
        return np.trunc(a / b)
    return (a - np.fmod(a, b)) // b


def _popcount(x: Value) -> Value:
    return np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype)


def _erf(x: Value) -> Value:
    # NumPy has no erf; Python's own is a float64 function, more exact than any tolerance.
    values = [math.erf(v) for v in np.ravel(x)]
    return np.array(values, x.dtype) if isinstance(x, np.ndarray) else x.dtype.type(values[0])


def _sigmoid(x: Value) -> Value:
    one = x.dtype.type(1)
    return one / (one + np.exp(-x))


def _rsqrt(x: Value) -> Value:
    return x.dtype.type(1) / np.sqrt(x)


_FUNCTIONS: Final[dict[str, Callable[..., Value]]] = {
    name: getattr(np, name)
    for name in (
        "exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "sqrt", "tanh", "sin", "cos",
        "tan", "sinh", "cosh", "floor", "ceil", "trunc", "isnan", "isinf", "isfinite", "fmod",
        "copysign", "logical_and", "logical_or", "logical_not",
    )
}  # fmt: skip

NAMESPACE: Final[Mapping[str, object]] = MappingProxyType(
    {
        **_FUNCTIONS,
        **{d.name: _converter(d) for d in ALL_DTYPES},
        **dict.fromkeys(("serial", "parallel", "unrolled", "vectorized"), range),
        **dict.fromkeys(("seq", "scope"), nullcontext),
        "abs": np.abs,
        "allocate": _allocate,
        "atan": np.arctan,
        "atan2": np.arctan2,
        "bitwise_not": np.invert,
        "broadcast": lambda value, lanes: np.full(lanes, value),
        "buffer": lambda *_: None,
        "erf": _erf,
        "index": _index,
        "inf": math.inf,
        "max": _max,
        "min": _min,
        "nan": math.nan,
        "opaque": _opaque,
        "popcount": _popcount,
        "pow": np.power,
        "prefetch": lambda *_: None,
        "prim_func": lambda **_: lambda function: function,
        "ramp": _ramp,
        "round": np.rint,
        "rsqrt": _rsqrt,
        "sigmoid": _sigmoid,
        "stream": FlatArray.__setitem__,
        "truncdiv": _truncdiv,
        "truncmod": np.fmod,
        "where": _where,
    }
)
