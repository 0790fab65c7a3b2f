"""The range of an integer value, as far as its expression shows."""

from __future__ import annotations

from itertools import product
from typing import TypeAlias

from tensorc.ir.dtype import BOOL
from tensorc.ir.expr import BinaryOp, Cast, Const, Expr, Index, Select, Where, dtype_of
from tensorc.te.constants import integer_range
from tensorc.te.scope import Scope

Bounds: TypeAlias = tuple[int, int]


def integer_bounds(e: Expr, scope: Scope) -> Bounds:
    """Lowest and highest value of an integer expression; those of its type if nothing is known."""
    whole = integer_range(dtype_of(e))
    found = _bounds(e, scope)
    if found is None or found[0] < whole[0] or found[1] > whole[1]:
        return whole
    return found


def _bounds(e: Expr, scope: Scope) -> Bounds | None:
    match e:
        case Const(value):
            return int(value), int(value)
        case Index(affine):
            return scope.bounds(affine)
        case Cast(value):
            source = dtype_of(value)
            return integer_bounds(value, scope) if source.is_integer or source == BOOL else None
        case BinaryOp(op, a, b):
            return _of_binary(op, integer_bounds(a, scope), integer_bounds(b, scope))
        case Select(conditions, a, b):
            inside = scope.assuming(conditions) or scope
            return _hull(integer_bounds(a, inside), integer_bounds(b, scope))
        case Where(_, a, b):
            return _hull(integer_bounds(a, scope), integer_bounds(b, scope))
        case _:
            return None


def _hull(a: Bounds, b: Bounds) -> Bounds:
    return min(a[0], b[0]), max(a[1], b[1])


def _of_binary(op: str, a: Bounds, b: Bounds) -> Bounds | None:
    match op:
        case "+":
            return a[0] + b[0], a[1] + b[1]
        case "-":
            return a[0] - b[1], a[1] - b[0]
        case "*":
            products = [x * y for x, y in product(a, b)]
            return min(products), max(products)
        case "min":
            return min(a[0], b[0]), min(a[1], b[1])
        case "max":
            return max(a[0], b[0]), max(a[1], b[1])
        case "//" if b[0] > 0:
            quotients = [x // y for x, y in product(a, b)]
            return min(quotients), max(quotients)
        case "truncdiv" if b[0] > 0:
            quotients = [abs(x) // y * (1 if x >= 0 else -1) for x, y in product(a, b)]
            return min(quotients), max(quotients)
        case "%" if b[0] > 0:
            return 0, b[1] - 1
        case "truncmod" if b[0] > 0:
            return (0 if a[0] >= 0 else 1 - b[1]), (0 if a[1] <= 0 else b[1] - 1)
        case "&" if b[0] >= 0:
            return 0, b[1]
        case _:
            return None
