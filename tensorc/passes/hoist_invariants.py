"""Compute what is the same in all iterations of a loop once, before it, where that is dear.

Before:  for j in serial(0, 64):             After:  scale = rsqrt(V[i] / 768.0)
             C[ramp(16*j, 16)] = …                   for j in serial(0, 64):
                 * broadcast(rsqrt(V[i] / 768.0), 16)    C[ramp(16*j, 16)] = …
                                                             * broadcast(scale, 16)

Dear are divisions and functions; addresses and splats are the emitters' business. Run after
`vectorize_loops`, which shows what is the same in all lanes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tensorc.ir.affine import affine_variables
from tensorc.ir.expr import (
    BinaryOp,
    Call,
    Const,
    Expr,
    Load,
    Select,
    Var,
    Where,
    children,
    dtype_of,
    lanes_of,
)
from tensorc.ir.func import PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.ir.visit import expr_affines, map_stmt, rewrite_expr, walk_expr, walk_exprs, walk_stmt
from tensorc.support.names import fresh
from tensorc.target import Target

_DEAR = frozenset({"/", "//", "%"})


def hoist_invariants(func: PrimFunc, target: Target) -> PrimFunc:
    """Move divisions and calls out of the loops that do not change them."""
    if not any(_is_dear(e) for e in walk_exprs(func.body)):
        return func
    taken = {func.name, *(b.name for b in func.params)}
    for s in walk_stmt(func.body):
        match s:
            case For(var, _, _, _, _, lets):
                taken |= {var, *(name for name, _ in lets)}
            case Let(data, _, _):
                taken.add(data.name)
            case Allocate(buffer, _):
                taken.add(buffer.name)
            case _:
                pass
    return replace(func, body=_Hoisting(taken).visit(func.body))


def _is_dear(e: Expr) -> bool:
    return isinstance(e, Call) or (isinstance(e, BinaryOp) and e.op in _DEAR)


@dataclass(slots=True)
class _Hoisting:
    """Rewrites loops, outermost first; `taken` are the names in use."""

    taken: set[str]

    def visit(self, s: Stmt) -> Stmt:
        if isinstance(s, For) and s.extent > 0 and s.kind is not ForKind.PARALLEL:
            return self._loop(s)
        return map_stmt(s, self.visit, lambda e: e, lambda a: a)

    def _loop(self, s: For) -> Stmt:
        found = _Invariants.of(s)
        if not found:
            body = self.visit(s.body)
            return s if body is s.body else replace(s, body=body)
        names: dict[Expr, Var] = {}
        for e in found:
            name = fresh("invariant", self.taken)
            self.taken.add(name)
            names[e] = Var(name, dtype_of(e), lanes_of(e))
        hoisted: Stmt = self.visit(replace(s, body=_substitute(s.body, names)))
        for e, var in reversed(names.items()):
            hoisted = Let(var, e, hoisted)
        return hoisted


def _substitute(s: Stmt, names: dict[Expr, Var]) -> Stmt:
    def on_expr(e: Expr) -> Expr:
        return rewrite_expr(e, names.get)

    def on_stmt(x: Stmt) -> Stmt:
        return map_stmt(x, on_stmt, on_expr, lambda a: a)

    return on_stmt(s)


@dataclass(slots=True)
class _Invariants:
    """The greatest dear expressions that every iteration of a loop computes alike.

    `bound` are the names that the loop binds, `written` the buffers it writes or allocates.
    """

    bound: set[str]
    written: set[str]
    found: dict[Expr, None] = field(default_factory=dict)

    @classmethod
    def of(cls, loop: For) -> list[Expr]:
        search = cls({loop.var, *(name for name, _ in loop.lets)}, set())
        for s in walk_stmt(loop.body):
            match s:
                case For(var, _, _, _, _, lets):
                    search.bound |= {var, *(name for name, _ in lets)}
                case Let(data, _, _):
                    search.bound.add(data.name)
                case Store(buffer, _, _, _) | Allocate(buffer, _):
                    search.written.add(buffer.name)
                case _:
                    pass
        for value in _sure_values(loop.body):
            search.visit(value)
        return list(search.found)

    def visit(self, e: Expr) -> None:
        if isinstance(e, Select | Where):
            return  # perhaps only one side may be evaluated
        if not self._is_invariant(e):
            for child in children(e):
                self.visit(child)
        elif any(map(_is_dear, walk_expr(e))) and not isinstance(e, Const):
            self._note(e)

    def _note(self, e: Expr) -> None:
        """Keep scalars scalar: what repeats a value in all lanes stays where it is."""
        if lanes_of(e) > 1 and not _is_dear(e):
            for child in children(e):
                self.visit(child)
            return
        self.found[e] = None

    def _is_invariant(self, e: Expr) -> bool:
        for part in walk_expr(e):
            match part:
                case Var(name, _, _) if name in self.bound:
                    return False
                case Load(buffer, _, _, _) if buffer.name in self.written:
                    return False
                case Select() | Where():
                    return False
                case _:
                    pass
            for a in expr_affines(part):
                if not all(isinstance(atom, str) for atom, _ in a.terms):
                    return False
                if any(v in self.bound for v in affine_variables(a)):
                    return False
        return True


def _sure_values(s: Stmt) -> Iterator[Expr]:
    """The values that are surely computed whenever the statement runs."""
    match s:
        case Store(_, _, value, _):
            yield value
        case Let(_, value, body):
            yield value
            yield from _sure_values(body)
        case For(_, _, extent, _, body, _):
            if extent > 0:
                yield from _sure_values(body)
        case Allocate(_, body):
            yield from _sure_values(body)
        case Seq(parts):
            for part in parts:
                yield from _sure_values(part)
        case IfThenElse() | Prefetch():
            return
