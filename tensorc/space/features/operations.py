"""How many operations of each kind a statement makes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tensorc.ir.affine import Affine, FloorDiv, FloorMod, Opaque
from tensorc.ir.expr import (
    BinaryOp,
    Call,
    Cast,
    Expr,
    Index,
    Read,
    Select,
    Where,
    children,
    dtype_of,
)
from tensorc.ir.visit import walk_expr
from tensorc.te.op import Op

_KINDS = {
    **dict.fromkeys(("+", "-"), 1),
    "*": 2,
    **dict.fromkeys(("/", "//", "%", "truncdiv", "truncmod"), 3),
    **dict.fromkeys(("min", "max", "<", "<=", ">", ">=", "==", "!="), 4),
}
_MATH, _OTHER = 5, 6
_INT, _BOOL, _SELECT = 7, 14, 15
# Lines of text that a mathematical function takes when it is written out for vectors.
_FUNCTION_LINES = 25


def operation_counts(op: Op, body: tuple[Expr, ...]) -> NDArray[np.float64]:
    """Counts per iteration, in the order of their names; index arithmetic counts as integer."""
    counts = np.zeros(16)
    combined = () if op.reducer is None else op.reducer.combine
    for e in chain.from_iterable(walk_expr(value) for value in (*body, *combined)):
        _count(e, counts)
    if op.reducer is not None and op.reducer.name == "sum":
        kind = 0 if op.dtype.is_float else _INT
        fused = sum(isinstance(e, BinaryOp) and e.op == "*" for e in body)
        counts[kind : kind + 3] += (fused, -fused, -fused)
    return counts


def _count(e: Expr, counts: NDArray[np.float64]) -> None:
    match e:
        case BinaryOp("and" | "or", _, _):
            counts[_BOOL] += 1
        case BinaryOp(operator, a, _):
            offset = 0 if dtype_of(a).is_float else _INT
            counts[offset + _KINDS.get(operator, _OTHER)] += 1
        case Call(_, args):
            counts[(0 if dtype_of(args[0]).is_float else _INT) + _MATH] += 1
        case Read(_, indices):
            _count_indices(indices, counts)
        case Index(affine):
            _count_indices((affine,), counts)
        case Select(conditions):
            counts[_SELECT] += 1
            counts[_BOOL] += len(conditions) - 1
            counts[_INT + 4] += len(conditions)
            _count_indices(conditions, counts)
        case Where():
            counts[_SELECT] += 1
        case _:
            pass


def _count_indices(indices: Iterable[Affine], counts: NDArray[np.float64]) -> None:
    for index in indices:
        constant = not (isinstance(index.const, int) and index.const == 0)
        counts[_INT + 1] += max(len(index.terms) + constant - 1, 0)
        for atom, coefficient in index.terms:
            counts[_INT + 2] += not (isinstance(coefficient, int) and abs(coefficient) == 1)
            if isinstance(atom, FloorDiv | FloorMod):
                counts[_INT + 3] += 1
                _count_indices((atom.affine,), counts)
            elif isinstance(atom, Opaque):
                counts[_INT + _OTHER] += 1


def lines_per_step(body: tuple[Expr, ...]) -> int:
    """About how many lines of generated text one unrolled iteration takes."""
    return sum(_lines(e) for e in body)


def _lines(e: Expr) -> int:
    below = sum(map(_lines, children(e)))
    match e:
        case Call():
            return _FUNCTION_LINES + below
        case Read():
            return 2
        case Cast() | BinaryOp() | Select() | Where():
            return 1 + below
        case _:
            return below
