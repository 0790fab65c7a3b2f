"""Reductions: terms that may be skipped, and one step of the combination."""

from __future__ import annotations

from collections.abc import Mapping

from tensorc.ir.affine import Affine
from tensorc.ir.expr import BinaryOp, Cast, Const, Expr, Select, Var
from tensorc.ir.visit import map_expr, walk_expr
from tensorc.te.op import Reducer


def split_guards(
    reducer: Reducer, bodies: tuple[Expr, ...]
) -> tuple[tuple[Expr, ...], tuple[Affine, ...]]:
    """Bodies without the conditions under which a term changes nothing, and these conditions.

    `reduce(select(c, x, identity))` skips the step where `c` is false; for sums the zero may be a
    factor: `sum(select(c, x, 0) * w)` skips it too (so it takes `0 * w` for 0, also for infinite
    `w`).
    """
    if len(bodies) == 1 and _adds(reducer):
        guards: list[Affine] = []
        return (_strip_zero(bodies[0], guards),), tuple(guards)
    conditions: tuple[Affine, ...] = ()
    while all(_is_guarded(b, i, bodies[0]) for b, i in zip(bodies, reducer.identity, strict=True)):
        assert isinstance(bodies[0], Select)
        conditions += bodies[0].conditions
        bodies = tuple(b.a for b in bodies if isinstance(b, Select))
    return bodies, conditions


def _adds(reducer: Reducer) -> bool:
    match reducer.combine[0], reducer.identity[0]:
        case BinaryOp("+", Var(), Var()), Const(zero):
            return not zero
        case _:
            return False


def _is_guarded(body: Expr, identity: Const, first: Expr) -> bool:
    return (
        isinstance(body, Select)
        and isinstance(first, Select)
        and body.b == identity
        and body.conditions == first.conditions
    )


def _strip_zero(e: Expr, guards: list[Affine]) -> Expr:
    match e:
        case Select(conditions, a, Const(value)) if not value:
            guards.extend(conditions)
            return _strip_zero(a, guards)
        case BinaryOp("*", a, b):
            x, y = _strip_zero(a, guards), _strip_zero(b, guards)
            return e if x is a and y is b else BinaryOp("*", x, y)
        case Cast(value, dtype):
            x = _strip_zero(value, guards)
            return e if x is value else Cast(x, dtype)
        case _:
            return e


def changes_nothing(reducer: Reducer, term: Expr) -> bool:
    """Whether a step with this term surely leaves the running value alone.

    A literal zero factor makes a term of a sum zero, as in `split_guards`.
    """
    match term:
        case Const(value):
            return bool(value == reducer.identity[0].value)
        case BinaryOp("*", a, b) if _adds(reducer):
            return changes_nothing(reducer, a) or changes_nothing(reducer, b)
        case Cast(value) if _adds(reducer):
            return changes_nothing(reducer, value)
        case _:
            return False


def combines_in_place(reducer: Reducer) -> bool:
    """Whether each operand occurs at most once, so that no value has to be named."""
    if len(reducer.combine) > 1:
        return False
    names = [e.name for e in walk_expr(reducer.combine[0]) if isinstance(e, Var)]
    return len(names) == len(set(names))


def replace_vars(e: Expr, values: Mapping[str, Expr]) -> Expr:
    """Put expressions in the place of data variables."""

    def visit(x: Expr) -> Expr:
        if isinstance(x, Var):
            return values.get(x.name, x)
        return map_expr(x, visit, lambda a: a)

    return visit(e)
