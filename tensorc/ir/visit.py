"""Walks over expressions and statements, and rewriting bottom-up.

A rewrite that changes nothing returns the very object it was given, so `is` tells whether
anything happened. Expressions inside opaque index atoms are visited too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar, assert_never

from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque, of_atom, total
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
    children,
)
from tensorc.ir.stmt import (
    Allocate,
    For,
    IfThenElse,
    Let,
    Prefetch,
    Seq,
    Stmt,
    Store,
    sub_statements,
)

ExprRule: TypeAlias = Callable[[Expr], Expr | None]
StmtRule: TypeAlias = Callable[[Stmt], Stmt | None]
AffineMap: TypeAlias = Callable[[Affine], Affine]
T = TypeVar("T")


def rewrite_expr(e: Expr, rule: ExprRule) -> Expr:
    """Apply `rule` to every expression, operands first; None from the rule leaves a node as is."""

    def visit(x: Expr) -> Expr:
        rebuilt = map_expr(x, visit, in_opaque)
        replaced = rule(rebuilt)
        return rebuilt if replaced is None else replaced

    def in_opaque(a: Affine) -> Affine:
        return map_opaque(a, visit)

    return visit(e)


def rewrite_stmt(
    s: Stmt, stmt_rule: StmtRule | None = None, expr_rule: ExprRule | None = None
) -> Stmt:
    """Apply the rules to every statement and every expression, innermost first."""

    def on_expr(e: Expr) -> Expr:
        return e if expr_rule is None else rewrite_expr(e, expr_rule)

    def on_affine(a: Affine) -> Affine:
        return a if expr_rule is None else map_opaque(a, on_expr)

    def visit(x: Stmt) -> Stmt:
        rebuilt = map_stmt(x, visit, on_expr, on_affine)
        replaced = None if stmt_rule is None else stmt_rule(rebuilt)
        return rebuilt if replaced is None else replaced

    return visit(s)


def map_affines(node: T, f: AffineMap) -> T:
    """Replace each affine of an expression or a statement by `f` of it.

    `f` gets whole affines: indices, conditions, and the values of a loop's lets. What lies inside
    `//`, `%` and opaque atoms is its own business (see `tensorc.arith.affine.substitute`).
    """

    def on_expr(e: Expr) -> Expr:
        return map_expr(e, on_expr, f)

    def on_stmt(s: Stmt) -> Stmt:
        return map_stmt(s, on_stmt, on_expr, f)

    mapped: Any
    if isinstance(node, (For, Store, Prefetch, Let, IfThenElse, Allocate, Seq)):
        mapped = on_stmt(node)
    else:
        mapped = on_expr(node)  # type: ignore[arg-type]  # T is Expr or Stmt, not either at once
    return mapped  # type: ignore[no-any-return]  # the same kind of node as came in


def map_expr(e: Expr, on_expr: Callable[[Expr], Expr], on_affine: AffineMap) -> Expr:
    """Rebuild one expression from mapped operands and affines; itself if none of them changed."""
    match e:
        case Const() | Var():
            return e
        case Load(buffer, index, lanes, stride, dead):
            i = on_affine(index)
            return e if i is index else Load(buffer, i, lanes, stride, dead)
        case BinaryOp(op, a, b):
            x, y = on_expr(a), on_expr(b)
            return e if x is a and y is b else BinaryOp(op, x, y)
        case Broadcast(value, lanes):
            x = on_expr(value)
            return e if x is value else Broadcast(x, lanes)
        case Cast(value, dtype):
            x = on_expr(value)
            return e if x is value else Cast(x, dtype)
        case Call(function, args):
            values = _map_tuple(args, on_expr)
            return e if values is args else Call(function, values)
        case Where(condition, a, b):
            c, x, y = on_expr(condition), on_expr(a), on_expr(b)
            return e if c is condition and x is a and y is b else Where(c, x, y)
        case Select(conditions, a, b):
            cs, x, y = _map_tuple(conditions, on_affine), on_expr(a), on_expr(b)
            return e if cs is conditions and x is a and y is b else Select(cs, x, y)
        case Index(affine, dtype, lanes, stride):
            i = on_affine(affine)
            return e if i is affine else Index(i, dtype, lanes, stride)
        case Read(name, indices, dtype, output):
            mapped = _map_tuple(indices, on_affine)
            return e if mapped is indices else Read(name, mapped, dtype, output)
        case _:
            assert_never(e)


def map_stmt(
    s: Stmt,
    on_stmt: Callable[[Stmt], Stmt],
    on_expr: Callable[[Expr], Expr],
    on_affine: AffineMap,
) -> Stmt:
    """Rebuild one statement from mapped parts; itself if none of them changed."""
    match s:
        case Store(buffer, index, value, stride, dead, streams):
            i, v = on_affine(index), on_expr(value)
            same = i is index and v is value
            return s if same else Store(buffer, i, v, stride, dead, streams)
        case Prefetch(buffer, index):
            i = on_affine(index)
            return s if i is index else Prefetch(buffer, i)
        case For(var, start, extent, kind, body, lets):
            new, bound = on_stmt(body), _map_lets(lets, on_affine)
            same = new is body and bound is lets
            return s if same else For(var, start, extent, kind, new, bound)
        case Let(data, value, body):
            v, new = on_expr(value), on_stmt(body)
            return s if v is value and new is body else Let(data, v, new)
        case IfThenElse(conditions, then, orelse):
            cs, x = _map_tuple(conditions, on_affine), on_stmt(then)
            y = None if orelse is None else on_stmt(orelse)
            return s if cs is conditions and x is then and y is orelse else IfThenElse(cs, x, y)
        case Allocate(buffer, body):
            new = on_stmt(body)
            return s if new is body else Allocate(buffer, new)
        case Seq(parts):
            new_parts = _map_tuple(parts, on_stmt)
            return s if new_parts is parts else Seq(new_parts)
        case _:
            assert_never(s)


def map_opaque(a: Affine, on_expr: Callable[[Expr], Expr]) -> Affine:
    """Replace the expressions inside the opaque atoms of an affine."""
    if all(isinstance(atom, str) for atom, _ in a.terms):
        return a
    mapped = [(_map_atom(atom, on_expr), c) for atom, c in a.terms]
    if all(new is old for (new, _), (old, _) in zip(mapped, a.terms, strict=True)):
        return a
    return total(Affine(a.const), (of_atom(atom) * c for atom, c in mapped))


def _map_atom(atom: Atom, on_expr: Callable[[Expr], Expr]) -> Atom:
    match atom:
        case str():
            return atom
        case FloorDiv(inner, divisor):
            a = map_opaque(inner, on_expr)
            return atom if a is inner else FloorDiv(a, divisor)
        case FloorMod(inner, divisor):
            a = map_opaque(inner, on_expr)
            return atom if a is inner else FloorMod(a, divisor)
        case Opaque(value, low, high):
            v = on_expr(value)
            return atom if v is value else Opaque(v, low, high)
        case _:
            assert_never(atom)


def _map_tuple(items: tuple[T, ...], f: Callable[[T], T]) -> tuple[T, ...]:
    mapped = tuple(map(f, items))
    return items if all(x is y for x, y in zip(mapped, items, strict=True)) else mapped


def _map_lets(lets: tuple[tuple[str, Affine], ...], f: AffineMap) -> tuple[tuple[str, Affine], ...]:
    if not lets:
        return lets
    mapped = tuple((name, f(a)) for name, a in lets)
    same = all(x is y for (_, x), (_, y) in zip(mapped, lets, strict=True))
    return lets if same else mapped


def expr_affines(e: Expr) -> tuple[Affine, ...]:
    """The affines directly in an expression: an index, or the conditions of a select."""
    match e:
        case Load(_, a) | Index(a):
            return (a,)
        case Read(_, indices):
            return indices
        case Select(conditions):
            return conditions
        case Const() | Var() | Cast() | BinaryOp() | Call() | Where() | Broadcast():
            return ()
        case _:
            assert_never(e)


def stmt_affines(s: Stmt) -> tuple[Affine, ...]:
    """The affines directly in a statement: a store's index, conditions, the values of lets."""
    match s:
        case Store(_, index) | Prefetch(_, index):
            return (index,)
        case IfThenElse(conditions):
            return conditions
        case For():
            return tuple(a for _, a in s.lets)
        case Let() | Allocate() | Seq():
            return ()
        case _:
            assert_never(s)


def opaque_values(a: Affine) -> list[Expr]:
    """The expressions in the opaque atoms of an affine, those under `//` and `%` included."""
    found: list[Expr] = []
    for atom, _ in a.terms:
        match atom:
            case str():
                pass
            case FloorDiv(inner) | FloorMod(inner):
                found += opaque_values(inner)
            case Opaque(value):
                found.append(value)
            case _:
                assert_never(atom)
    return found


def walk_expr(e: Expr) -> Iterator[Expr]:
    """An expression and all below it, itself first, those in opaque index atoms included."""
    waiting = [e]
    while waiting:
        x = waiting.pop()
        yield x
        waiting.extend(reversed(children(x)))
        for a in reversed(expr_affines(x)):
            waiting.extend(reversed(opaque_values(a)))


def walk_stmt(s: Stmt) -> Iterator[Stmt]:
    """A statement and all below it, itself first, in the order of the text."""
    waiting = [s]
    while waiting:
        x = waiting.pop()
        yield x
        waiting.extend(reversed(sub_statements(x)))


def stmt_exprs(s: Stmt) -> Iterator[Expr]:
    """Every expression of a statement itself (not of its sub-statements), operands included."""
    for a in stmt_affines(s):
        for value in opaque_values(a):
            yield from walk_expr(value)
    if isinstance(s, (Store, Let)):
        yield from walk_expr(s.value)


def walk_exprs(s: Stmt) -> Iterator[Expr]:
    """Every expression of a statement and its sub-statements."""
    for part in walk_stmt(s):
        yield from stmt_exprs(part)
