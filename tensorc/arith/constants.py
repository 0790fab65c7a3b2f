"""Operations on literals, done once and for all.

Integers wrap as in two's complement, floats are computed in their own type. Where the result of
an operation is unspecified, or is rounded at another place than it would be at run time (16-bit
floats), nothing is folded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tensorc.arith.bounds import dtype_range
from tensorc.ir.dtype import BOOL, DType, compute_dtype
from tensorc.ir.expr import COMPARISONS, Const

_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "min": lambda a, b: a if a < b else b,
    "max": lambda a, b: a if a > b else b,
}
_BITWISE: Final[dict[str, Callable[[int, int], int]]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
_DIVISIONS: Final[dict[str, Callable[[int, int], int]]] = {
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "truncdiv": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "truncmod": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
}


def wrap(value: int, dtype: DType) -> int:
    """The integer that the low bits of `value` mean in an integer type."""
    low = value & ((1 << dtype.bits) - 1)
    return low - (1 << dtype.bits) if dtype.kind == "int" and low >> (dtype.bits - 1) else low


def fold_binary(op: str, a: Const, b: Const) -> Const | None:
    """The literal that an operator makes of two literals of one type, None if left to run time."""
    if op in COMPARISONS:
        return Const(_COMPARE[op](a.value, b.value), BOOL)
    if a.dtype.is_float:
        return _fold_float(op, a, b)
    x, y = int(a.value), int(b.value)
    if op in _BITWISE:
        value = _BITWISE[op](x, y)
        return Const(bool(value), BOOL) if a.dtype == BOOL else Const(value, a.dtype)
    if a.dtype == BOOL:
        return None
    if op in _ARITHMETIC:
        return Const(wrap(_ARITHMETIC[op](x, y), a.dtype), a.dtype)
    if op in _DIVISIONS and y != 0:
        return Const(wrap(_DIVISIONS[op](x, y), a.dtype), a.dtype)
    if op in ("<<", ">>") and 0 <= y < a.dtype.bits:
        return Const(wrap(x << y if op == "<<" else x >> y, a.dtype), a.dtype)
    return None


def _fold_float(op: str, a: Const, b: Const) -> Const | None:
    if compute_dtype(a.dtype) != a.dtype:
        return None
    kind = np.float32 if a.dtype.bits == 32 else np.float64
    x, y = kind(a.value), kind(b.value)
    with np.errstate(all="ignore"):
        if op in _ARITHMETIC:
            return Const(float(_ARITHMETIC[op](x, y)), a.dtype)
        return Const(float(x / y), a.dtype) if op == "/" else None


def fold_call(function: str, args: tuple[Const, ...]) -> Const | None:
    """The literal that a function makes of literals, if it is the same on every machine."""
    if len(args) != 1:
        return None
    (a,) = args
    match function:
        case "not" if a.dtype == BOOL:
            return Const(not a.value, BOOL)
        case "abs" if a.dtype.is_float:
            return Const(abs(a.value), a.dtype)
        case "abs" if a.dtype.is_integer:
            return Const(wrap(abs(int(a.value)), a.dtype), a.dtype)
        case "isnan" | "isinf" | "isfinite" if a.dtype.is_float:
            return Const(bool(getattr(math, function)(a.value)), BOOL)
        case _:
            return None


def fold_cast(a: Const, dtype: DType) -> Const | None:
    """The literal converted, None where the conversion is unspecified or is left to run time."""
    if dtype == BOOL:
        return Const(bool(a.value), BOOL)
    if dtype.is_float:
        half = any(compute_dtype(d) != d for d in (a.dtype, dtype))
        return None if half else Const(_rounded(a, dtype), dtype)
    if a.dtype.is_float and not math.isfinite(a.value):
        return None
    value = int(a.value)
    whole = dtype_range(dtype)
    if a.dtype.is_float and not (whole and whole[0] <= value <= whole[1]):
        return None
    return Const(wrap(value, dtype), dtype)


def _rounded(a: Const, dtype: DType) -> float:
    source = np.float32(a.value) if a.dtype.bits == 32 and a.dtype.is_float else a.value
    with np.errstate(all="ignore"):
        return float(np.float32(source) if dtype.bits == 32 else np.float64(source))
