"""Joining statements; `None` stands for nothing to do."""

from __future__ import annotations

from collections.abc import Iterable

from tensorc.ir.affine import Affine
from tensorc.ir.stmt import IfThenElse, Seq, Stmt
from tensorc.lower.predicates import is_data, negation


def sequence(parts: Iterable[Stmt | None]) -> Stmt | None:
    """Statements one after another; neighbours that branch on the same conditions become one.

    Before:  if c: A        After:  if c: A; B
             if c: B
    """
    flat: list[Stmt] = []
    for part in parts:
        if part is None:
            continue
        for item in part.body if isinstance(part, Seq) else (part,):
            merged = _merge(flat[-1], item) if flat else None
            if merged is None:
                flat.append(item)
            else:
                flat[-1] = merged
    if len(flat) < 2:
        return flat[0] if flat else None
    return Seq(tuple(flat))


def _merge(a: Stmt, b: Stmt) -> Stmt | None:
    if not (isinstance(a, IfThenElse) and isinstance(b, IfThenElse)):
        return None
    # What the first branch stores may change a condition on data.
    if a.conditions != b.conditions or any(map(is_data, a.conditions)):
        return None
    then = sequence((a.then, b.then))
    assert then is not None
    return IfThenElse(a.conditions, then, sequence((a.orelse, b.orelse)))


def conditional(p: Affine, then: Stmt | None, orelse: Stmt | None) -> Stmt | None:
    """Branch on one predicate; an empty side needs no branch of its own."""
    if then is not None:
        if then == orelse:  # the predicate made no difference here
            return then
        if orelse is None and isinstance(then, IfThenElse) and then.orelse is None:
            return IfThenElse((p, *then.conditions), then.then)
        return IfThenElse((p,), then, orelse)
    return None if orelse is None else IfThenElse((negation(p),), orelse)


def guarded(conditions: tuple[Affine, ...], s: Stmt) -> Stmt:
    """A statement that runs only if all conditions hold."""
    return IfThenElse(conditions, s) if conditions else s
