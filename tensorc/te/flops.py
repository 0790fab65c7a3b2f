"""How many operations a program makes, by Ansor's rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, assert_never

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
    Var,
    Where,
    dtype_of,
)
from tensorc.te.op import Op


def estimate_flops(ops: Sequence[Op]) -> float:
    """The number of operations of a program; the attribute `FLOP` of an op counts in its place."""
    return sum(map(_flops_of_op, ops), 0.0)


def _flops_of_op(op: Op) -> float:
    if op.is_placeholder:
        return 0.0
    given = op.attr("FLOP")
    if isinstance(given, (int, float)):
        return float(given)
    combine = () if op.reducer is None else op.reducer.combine
    kind = op.dtype.kind
    points: Any = math.prod(op.extents().values())
    return float(points * sum(_flops(e, kind) for e in (*op.body, *combine)))


def _flops(e: Expr, kind: str) -> float:
    """Operators that work on values of `kind`; functions count for nothing, nor do indices."""
    match e:
        case Const() | Var() | Index() | Read() | Load():
            return 0.0
        case Cast(value) | Broadcast(value):
            return _flops(value, kind)
        case BinaryOp(_, a, b):
            return (dtype_of(a).kind == kind) + _flops(a, kind) + _flops(b, kind)
        case Call(_, args):
            return sum(_flops(x, kind) for x in args)
        case Select(_, a, b):
            return max(_flops(a, kind), _flops(b, kind))
        case Where(condition, a, b):
            return _flops(condition, kind) + max(_flops(a, kind), _flops(b, kind))
        case _:
            assert_never(e)
