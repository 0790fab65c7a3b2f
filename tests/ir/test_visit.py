"""Walks and rewrites."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tensorc.ir.affine import FloorMod, Opaque, of_atom, variable
from tensorc.ir.dtype import FLOAT32, INT32
from tensorc.ir.expr import BinaryOp, Const, Expr, Load, Var
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Seq, Stmt, Store
from tensorc.ir.visit import (
    map_affines,
    rewrite_expr,
    rewrite_stmt,
    walk_expr,
    walk_exprs,
    walk_stmt,
)
from tests.random_programs import random_func

A = Buffer("A", (8,), FLOAT32, "global")
table = Buffer("I", (8,), INT32, "global")
gather = Load(A, of_atom(FloorMod(of_atom(Opaque(Load(table, variable("i")), 0, 7)), 8)))


@given(st.integers(0, 10**9))
def test_rewriting_nothing_returns_the_same_object(seed: int) -> None:
    body = random_func(Random(seed)).body
    assert rewrite_stmt(body, lambda s: None, lambda e: None) is body
    assert map_affines(body, lambda a: a) is body


def test_operands_come_before_their_operator() -> None:
    seen: list[Expr] = []
    x, y = Var("x", FLOAT32), Var("y", FLOAT32)
    rewrite_expr(BinaryOp("+", x, y), lambda e: seen.append(e))
    assert seen == [x, y, BinaryOp("+", x, y)]


def test_rule_reaches_into_opaque_indices() -> None:
    other = Buffer("J", (8,), INT32, "global")

    def rename(e: Expr) -> Expr | None:
        return Load(other, e.index) if isinstance(e, Load) and e.buffer == table else None

    expected = of_atom(FloorMod(of_atom(Opaque(Load(other, variable("i")), 0, 7)), 8))
    assert rewrite_expr(gather, rename) == Load(A, expected)
    store = Store(A, gather.index, Const(1.0, FLOAT32))
    assert rewrite_stmt(store, expr_rule=rename) == Store(A, expected, Const(1.0, FLOAT32))


def test_statement_rule_sees_rewritten_parts() -> None:
    store = Store(A, variable("i"), Const(1.0, FLOAT32))

    def drop_stores(s: Stmt) -> Stmt | None:
        return Seq(()) if isinstance(s, Store) else None

    def drop_empty(s: Stmt) -> Stmt | None:
        match s:
            case Seq(parts):
                return Seq(tuple(p for p in parts if p != Seq(())))
            case _:
                return drop_stores(s)

    assert rewrite_stmt(Seq((store, store)), drop_empty) == Seq(())


def test_walks_start_at_the_top() -> None:
    assert [type(e).__name__ for e in walk_expr(gather)] == ["Load", "Load"]
    body = Seq((Store(A, variable("i"), gather),))
    assert [type(s).__name__ for s in walk_stmt(body)] == ["Seq", "Store"]
    assert list(walk_exprs(body)) == list(walk_expr(gather))
