"""Ranges of integer expressions, and conditions that the ranges of variables decide."""

from __future__ import annotations

from itertools import product
from typing import TypeAlias

from tensorc.arith.affine import NO_RANGES, Env, interval
from tensorc.ir.affine import Affine
from tensorc.ir.dtype import DType
from tensorc.ir.expr import (
    BinaryOp,
    Broadcast,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Load,
    Read,
    Select,
    Where,
    dtype_of,
)

IntRange: TypeAlias = tuple[int, int]


def decide(condition: Affine, env: Env) -> bool | None:
    """Whether `condition >= 0` holds for all values of its variables, or for none; else None.

    Sizes that are arrays decide nothing.
    """
    if not condition.terms:
        return bool(condition.const >= 0) if isinstance(condition.const, int) else None
    try:
        low, high = interval(condition, env)
    except KeyError:
        return None
    if not (isinstance(low, int) and isinstance(high, int)):
        return None
    if low >= 0:
        return True
    return False if high < 0 else None


def undecided(conditions: tuple[Affine, ...], env: Env) -> tuple[Affine, ...] | None:
    """The conditions that `env` leaves open, None if one of them never holds."""
    left: list[Affine] = []
    for condition in conditions:
        match decide(condition, env):
            case None:
                if condition not in left:
                    left.append(condition)
            case False:
                return None
            case True:
                pass
    return tuple(left)


def dtype_range(dtype: DType) -> IntRange | None:
    """The values of an integer type or bool, None for floats."""
    match dtype.kind:
        case "bool":
            return 0, 1
        case "uint":
            return 0, 2**dtype.bits - 1
        case "int":
            return -(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1
        case _:
            return None


def expr_range(e: Expr, env: Env = NO_RANGES) -> IntRange | None:
    """Lowest and highest value of an integer or bool expression, None if nothing is known.

    Safe, not always exact. An operation that could overflow its type has the range of the type.
    """
    whole = dtype_range(dtype_of(e))
    if whole is None:
        return None
    found = _known_range(e, env)
    if found is None or found[0] < whole[0] or found[1] > whole[1]:
        return whole
    return found


def _known_range(e: Expr, env: Env) -> IntRange | None:
    match e:
        case Const(value):
            return int(value), int(value)
        case Index():
            return _index_range(e, env)
        case Cast(value) | Broadcast(value):
            return expr_range(value, env)
        case BinaryOp(op, x, y):
            a, b = expr_range(x, env), expr_range(y, env)
            return None if a is None or b is None else _binary_range(op, a, b)
        case Select(_, x, y) | Where(_, x, y):
            a, b = expr_range(x, env), expr_range(y, env)
            return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))
        case Call("abs", (value,)):
            a = expr_range(value, env)
            return None if a is None else _abs_range(a)
        case Load() | Read() | _:
            return None


def _index_range(e: Index, env: Env) -> IntRange | None:
    try:
        low, high = interval(e.affine, env)
    except KeyError:
        return None
    if not (isinstance(low, int) and isinstance(high, int)):
        return None
    span = e.stride * (e.lanes - 1)
    return low + min(0, span), high + max(0, span)


def _abs_range(a: IntRange) -> IntRange:
    low, high = a
    return max(low, -high, 0), max(-low, high)


def _binary_range(op: str, a: IntRange, b: IntRange) -> IntRange | None:
    match op:
        case "+":
            return a[0] + b[0], a[1] + b[1]
        case "-":
            return a[0] - b[1], a[1] - b[0]
        case "*":
            corners = [x * y for x, y in product(a, b)]
            return min(corners), max(corners)
        case "min":
            return min(a[0], b[0]), min(a[1], b[1])
        case "max":
            return max(a[0], b[0]), max(a[1], b[1])
        case "//" if b[0] > 0 or b[1] < 0:
            corners = [x // y for x, y in product(a, b)]
            return min(corners), max(corners)
        case "%" if b[0] > 0:
            # A dividend that is nowhere past the divisor is its own remainder.
            return a if a[0] >= 0 and a[1] < b[0] else (0, b[1] - 1)
        case "%" if b[1] < 0:
            return b[0] + 1, 0
        case "truncmod" if b[0] > 0:
            return max(min(a[0], 0), 1 - b[1]), min(max(a[1], 0), b[1] - 1)
        case _:
            return None
