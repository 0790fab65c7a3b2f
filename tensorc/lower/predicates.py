"""Predicates: affines that must be ≥ 0. What is known of them, and where they change.

Split tails, the overhang of regions, tails of reductions and conditions of selects are all
predicates; `lower.nest` places them.
"""

from __future__ import annotations

from collections.abc import Iterable

from tensorc.arith.affine import Env, Range, divmod_affine, interval
from tensorc.ir.affine import Affine, Opaque, affine_variables, coefficient
from tensorc.ir.expr import Expr, Select, children
from tensorc.ir.visit import map_expr, opaque_values


def tighten(p: Affine, env: Env) -> Affine:
    """Drop inner terms that move a predicate only within a step of the outer ones.

    `p ≥ 0 ⟺ p // g ≥ 0` for any positive `g`: taken from the coefficients, largest first, where
    the quotient is free of `//`. So `767 - 16·j - 8·v - lane ≥ 0` becomes `47 - j ≥ 0`.
    """
    for g in sorted({abs(c) for _, c in p.terms} - {1}, reverse=True):
        quotient = divmod_affine(p, g, env)[0]
        if all(isinstance(atom, str) for atom, _ in quotient.terms):
            return quotient
    return p


def status(p: Affine, env: Env, facts: tuple[Affine, ...]) -> bool | None:
    """Whether `p ≥ 0` surely holds, surely does not, or (None) may do either."""
    low, high = interval(p, env)
    if low >= 0:
        return True
    if high < 0:
        return False
    for fact in facts:
        if len(fact.terms) != len(p.terms):
            continue
        if p.const >= fact.const and _same_terms(p, fact, 1):
            return True
        if p.const + fact.const < 0 and _same_terms(p, fact, -1):
            return False
    return None


def _same_terms(a: Affine, b: Affine, sign: int) -> bool:
    if sign == 1 and a.terms == b.terms:
        return True
    terms = dict(b.terms)
    return all(terms.get(atom) == sign * c for atom, c in a.terms)


def negation(p: Affine) -> Affine:
    """The predicate that holds exactly where `p` does not."""
    return Affine(-1) - p


def is_data(p: Affine) -> bool:
    """Whether a predicate depends on values in memory, or on more than loop variables."""
    return bool(opaque_values(p))


def limits(p: Affine, v: str, env: Env) -> tuple[Range, Range] | None:
    """Where along `v` a predicate changes, everything else running over `env`.

    Returns `((true_low, true_high), (may_low, may_high))`, ranges of `v` (possibly beyond its own)
    in which `p ≥ 0` surely holds, and outside of which it surely does not; None if `v` is not a
    plain term of `p`.
    """
    a = coefficient(p, v)
    if a == 0 or _hidden(p, v):
        return None
    low, high = env[v]
    least, most = interval(p, env)
    if a > 0:  # true from -least/a on
        least, most = least - a * low, most - a * high
        return (-(least // a), high), (-(most // a), high)
    least, most = least - a * high, most - a * low
    return (low, least // -a), (low, most // -a)


def _hidden(p: Affine, v: str) -> bool:
    return any(
        not isinstance(atom, str)
        and (isinstance(atom, Opaque) or v in affine_variables(atom.affine))
        for atom, _ in p.terms
    )


def conditions_in(
    values: Iterable[Expr], env: Env, facts: tuple[Affine, ...]
) -> tuple[Affine, ...]:
    """The conditions of selects that are still open, each once."""
    found: dict[Affine, None] = {}

    def visit(e: Expr) -> None:
        if isinstance(e, Select):
            for c in e.conditions:
                if status(c, env, facts) is None:
                    found[c] = None
        for child in children(e):
            visit(child)

    for value in values:
        visit(value)
    return tuple(found)


def prune(e: Expr, env: Env, facts: tuple[Affine, ...]) -> Expr:
    """Drop the sides of selects that are surely not taken, and conditions that surely hold."""

    def same(a: Affine) -> Affine:
        return a

    def visit(x: Expr) -> Expr:
        if not isinstance(x, Select):
            return map_expr(x, visit, same)
        verdicts = [(c, status(c, env, facts)) for c in x.conditions]
        if any(verdict is False for _, verdict in verdicts):
            return visit(x.b)
        rest = tuple(c for c, verdict in verdicts if verdict is None)
        if not rest:
            return visit(x.a)
        a, b = visit(x.a), visit(x.b)
        return x if rest == x.conditions and a is x.a and b is x.b else Select(rest, a, b)

    return visit(e)
