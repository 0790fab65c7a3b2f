"""Take what depends on constants only out of a kernel, into a prologue that runs once.

Before:  def kernel(A, B, C):              After:  def kernel_prologue(B, P):
             P = allocate((8, 64, 16), …)              for jo in serial(0, 8): P[…] = B[…]
             for jo in serial(0, 8): P[…] = B[…]   def kernel(A, C, P):
             for io in serial(0, 9): C[…] = …          for io in serial(0, 9): C[…] = …

Buffers that the prologue fills and the kernel reads become parameters, behind those that are left.
A constant that the kernel does not read any more is no parameter of it. Run on the plain loop nest,
before storage is decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

from tensorc.ir.expr import Expr, Load
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, Prefetch, Seq, Stmt, Store
from tensorc.ir.visit import rewrite_stmt, stmt_exprs, walk_stmt
from tensorc.support.names import fresh


def split_prologue(func: PrimFunc, constants: Collection[str]) -> tuple[PrimFunc | None, PrimFunc]:
    """Return the prologue, None if it would have nothing to do, and what is left of the kernel.

    Args:
        func: The loop nest of a kernel.
        constants: The parameters that are the same in every call.
    """
    whole = _apart(func.body, {b.name for b in _allocated_inside(func.body)})
    parts = list(map(_Part.of, _root(whole)))
    varying = {b.name for b in func.params if b.name not in constants}
    early = _independent(parts, varying)
    filled = {name for k in early for name in parts[k].writes}
    later = {name for k, part in enumerate(parts) if k not in early for name in part.touches}
    results = {b.name: b for b in _allocated(whole) if b.name in filled & later}
    if not results:
        return None, func
    promoted = {name: replace(b, scope="global") for name, b in results.items()}
    used = {name for k in early for name in parts[k].touches}

    def body(kept: frozenset[int]) -> Stmt:
        return _promote(_some(whole, count(), kept) or Seq(()), promoted)

    read = [b for b in func.params if b.name in used]
    left = [b for b in func.params if b.name in later or b.name not in constants]
    prologue = PrimFunc(
        f"{func.name}_prologue", (*read, *promoted.values()), tuple(promoted), body(early)
    )
    late = frozenset(range(len(parts))) - early
    return prologue, replace(func, params=(*left, *promoted.values()), body=body(late))


@dataclass(frozen=True, slots=True)
class _Part:
    """A statement at the root of a kernel, and the buffers from outside that it uses."""

    writes: frozenset[str]
    touches: frozenset[str]

    @classmethod
    def of(cls, s: Stmt) -> _Part:
        writes: set[str] = set()
        reads: set[str] = set()
        own: set[str] = set()
        for part in walk_stmt(s):
            if isinstance(part, Allocate):
                own.add(part.buffer.name)
            if isinstance(part, Store):
                writes.add(part.buffer.name)
            if isinstance(part, Prefetch):
                reads.add(part.buffer.name)
            reads.update(e.buffer.name for e in stmt_exprs(part) if isinstance(e, Load))
        return cls(frozenset(writes - own), frozenset((writes | reads) - own))


def _root(s: Stmt) -> Iterator[Stmt]:
    """The statements that are inside no loop, in order."""
    match s:
        case Seq(parts):
            for part in parts:
                yield from _root(part)
        case Allocate(_, body):
            yield from _root(body)
        case _:
            yield s


def _allocated(s: Stmt) -> Iterator[Buffer]:
    """The buffers allocated inside no loop."""
    match s:
        case Seq(parts):
            for part in parts:
                yield from _allocated(part)
        case Allocate(buffer, body):
            yield buffer
            yield from _allocated(body)
        case _:
            pass


def _allocated_inside(s: Stmt) -> Iterator[Buffer]:
    """The buffers allocated inside loops."""
    for part in _root(s):
        yield from (x.buffer for x in walk_stmt(part) if isinstance(x, Allocate))


def _apart(s: Stmt, taken: set[str]) -> Stmt:
    """Give buffers allocated inside no loop names that nothing else has.

    Register tiles of the tails of a stage have one name, each in a scope of its own.
    """
    match s:
        case Seq(parts):
            return Seq(tuple(_apart(part, taken) for part in parts))
        case Allocate(buffer, body):
            new = replace(buffer, name=fresh(buffer.name, taken))
            taken.add(new.name)
            if new != buffer:
                body = _exchange(body, {buffer.name: new})
            return Allocate(new, _apart(body, taken))
        case _:
            return s


def _independent(parts: list[_Part], varying: set[str]) -> frozenset[int]:
    """The numbers of the parts that nothing varying goes into, directly or through buffers."""
    left = dict(enumerate(parts))
    while True:
        found = [k for k, part in left.items() if part.touches & varying]
        if not found:
            return frozenset(left)
        for k in found:
            varying |= left.pop(k).writes


def _some(s: Stmt, number: Iterator[int], kept: frozenset[int]) -> Stmt | None:
    """What is left of the root statements; None if nothing is."""
    match s:
        case Seq(parts):
            left = [_some(part, number, kept) for part in parts]
            some = tuple(part for part in left if part is not None)
            return some[0] if len(some) == 1 else Seq(some) if some else None
        case Allocate(buffer, body):
            inner = _some(body, number, kept)
            unused = inner is None or buffer.name not in _Part.of(inner).touches
            return inner if inner is None or unused else Allocate(buffer, inner)
        case _:
            return s if next(number) in kept else None


def _promote(s: Stmt, promoted: Mapping[str, Buffer]) -> Stmt:
    """Make parameters of buffers that were allocated."""
    bare = rewrite_stmt(
        s, lambda x: x.body if isinstance(x, Allocate) and x.buffer.name in promoted else None
    )
    return _exchange(bare, promoted)


def _exchange(s: Stmt, new: Mapping[str, Buffer]) -> Stmt:
    """Put other buffers in the place of those of some names."""

    def in_stmt(s: Stmt) -> Stmt | None:
        if not isinstance(s, Store) or s.buffer.name not in new:
            return None
        return replace(s, buffer=new[s.buffer.name])

    def in_expr(e: Expr) -> Expr | None:
        if not isinstance(e, Load) or e.buffer.name not in new:
            return None
        return replace(e, buffer=new[e.buffer.name])

    return rewrite_stmt(s, in_stmt, in_expr)
