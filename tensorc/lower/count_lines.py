"""How much text a function will become: a quick guess for the search, which bounds it."""

from __future__ import annotations

from typing import assert_never

from tensorc.ir.expr import Broadcast, Call, Const, Expr, Load, Var, children
from tensorc.ir.func import PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store

# Lines of loop control, of a test with its labels, and of a call of a function such as `exp`.
_LOOP, _BRANCH, _CALL = 8, 4, 25


def count_lines(func: PrimFunc) -> int:
    """Predicted lines of LLVM text; compile time is about proportional to them."""
    return _stmt(func.body)


def _stmt(s: Stmt) -> int:
    match s:
        case For(_, _, extent, kind, body, lets):
            if kind is ForKind.UNROLLED:
                return extent * (_stmt(body) + len(lets))
            return _LOOP + len(lets) + _stmt(body)
        case Store(_, _, value):
            return 2 + _expr(value)
        case Prefetch():
            return 2
        case Let(_, value, body):
            return _expr(value) + _stmt(body)
        case IfThenElse(conditions, then, orelse):
            other = 0 if orelse is None else _stmt(orelse)
            return _BRANCH * len(conditions) + _stmt(then) + other
        case Allocate(_, body):
            return 1 + _stmt(body)
        case Seq(parts):
            return sum(map(_stmt, parts))
        case _:
            assert_never(s)


def _expr(e: Expr) -> int:
    match e:
        case Const() | Var():
            return 0
        case Broadcast(Const()):
            return 0
        case Load():
            return 2
        case Call(_, args):
            return _CALL + sum(map(_expr, args))
        case _:
            return 1 + sum(map(_expr, children(e)))
