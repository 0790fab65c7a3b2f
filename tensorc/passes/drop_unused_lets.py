"""Remove parts of fused loops that nothing refers to.

Before:  for f in serial(0, 12):      After:  for f in serial(0, 12):
             i = f//4                             j = f%4
             j = f%4                              A[f] = B[j]
             A[f] = B[j]
"""

from __future__ import annotations

from dataclasses import replace

from tensorc.ir.affine import affine_variables
from tensorc.ir.func import PrimFunc
from tensorc.ir.stmt import For, Stmt
from tensorc.ir.visit import expr_affines, rewrite_stmt, stmt_affines, stmt_exprs, walk_stmt
from tensorc.target import Target


def drop_unused_lets(func: PrimFunc, target: Target) -> PrimFunc:
    """Keep only those lets of loops that an index or a condition needs."""
    loops = [s for s in walk_stmt(func.body) if isinstance(s, For) and s.lets]
    if not loops:
        return func
    used = _used_names(func.body)
    # Lets refer to earlier ones, so the last one that is not used goes first.
    for loop in reversed(loops):
        for name, definition in reversed(loop.lets):
            if name in used:
                used.update(affine_variables(definition))

    def shorten(s: Stmt) -> Stmt | None:
        if not isinstance(s, For) or not s.lets:
            return None
        lets = tuple(item for item in s.lets if item[0] in used)
        return None if len(lets) == len(s.lets) else replace(s, lets=lets)

    return replace(func, body=rewrite_stmt(func.body, shorten))


def _used_names(body: Stmt) -> set[str]:
    used: set[str] = set()
    for s in walk_stmt(body):
        if not isinstance(s, For):
            for a in stmt_affines(s):
                used.update(affine_variables(a))
        for e in stmt_exprs(s):
            for a in expr_affines(e):
                used.update(affine_variables(a))
    return used
