"""Cut loops whose vectors are columns into blocks that can be transposed in registers.

Before:  for i in serial(0, 64):                  After:  for i_block in serial(0, 8):
             for j in serial(0, 4):                           for j in serial(0, 4):
                 C[ramp(…, 8)] = A[ramp(… + i, 8, 64)]            for i in unrolled(0, 8):
                                                                      C[ramp(…, 8)] = …

One iteration of `i` reads an element of eight rows each, the next one their neighbours: eight
iterations together are a square, which the LLVM backend loads by rows. Each row's cache line is
used at once, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tensorc.arith.affine import substitute
from tensorc.ir.affine import Affine, affine_variables, coefficient
from tensorc.ir.expr import Expr, Load, Select, Where, children
from tensorc.ir.func import PrimFunc
from tensorc.ir.stmt import For, ForKind, Prefetch, Seq, Stmt, Store
from tensorc.ir.visit import map_affines, rewrite_stmt, walk_exprs, walk_stmt
from tensorc.target import Target

# Lanes at most so far apart are loaded with what lies between them, and shuffled.
MOST_SHUFFLED: Final = 4
# Fewer lanes than these are not worth a block.
_LEAST_LANES: Final = 4


def block_transpositions(func: PrimFunc, target: Target) -> PrimFunc:
    """Unroll blocks of iterations around vectors of far lanes that they step through."""
    if not any(isinstance(e, Load) and _is_far(e) for e in walk_exprs(func.body)):
        return func
    body = rewrite_stmt(func.body, _blocked)
    return func if body is func.body else replace(func, body=body)


def is_column(e: Load, var: str) -> bool:
    """Whether a vector's lanes are far apart, and the next iteration reads their neighbours."""
    if not _is_far(e) or coefficient(e.index, var) != 1:
        return False
    return all(isinstance(atom, str) for atom, _ in e.index.terms)


def _is_far(e: Load) -> bool:
    return e.stride > MOST_SHUFFLED and e.lanes >= _LEAST_LANES


def columns(e: Expr, var: str) -> Iterator[Load]:
    """The columns among the vectors of an expression that are read in any case."""
    match e:
        case Select() | Where():
            return
        case Load() if is_column(e, var):
            yield e
        case _:
            for child in children(e):
                yield from columns(child, var)


def _blocked(s: Stmt) -> Stmt | None:
    if not isinstance(s, For) or s.kind is not ForKind.SERIAL or s.lets:
        return None
    stores = list(_stores(s.body))
    if not stores:
        return None
    lanes = max((e.lanes for x in stores for e in columns(x.value, s.var)), default=0)
    if not lanes or s.extent < lanes or not _is_any_order(s, stores):
        return None
    return _cut(s, lanes)


def _stores(s: Stmt) -> Iterator[Store]:
    """The stores of a nest of loops; none if there is anything else in it."""
    inner = list(walk_stmt(s))
    simple = all(
        isinstance(x, (Seq, Store, Prefetch))
        or (isinstance(x, For) and x.kind is not ForKind.PARALLEL and not x.lets)
        for x in inner
    )
    if simple:
        yield from (x for x in inner if isinstance(x, Store))


def _is_any_order(loop: For, stores: list[Store]) -> bool:
    """Whether iterations may change places: each writes elsewhere, and reads what none writes."""
    written = {x.buffer.name for x in stores}
    read = {e.buffer.name for e in walk_exprs(loop.body) if isinstance(e, Load)}
    return not written & read and all(loop.var in affine_variables(x.index) for x in stores)


def _cut(loop: For, size: int) -> Stmt:
    blocks, rest = divmod(loop.extent, size)
    whole = loop.body
    parts: list[Stmt] = []
    if blocks > 1:
        outer = f"{loop.var}_block"
        moved = Affine(loop.start, ((outer, size), (loop.var, 1)))
        body = map_affines(whole, lambda a: substitute(a, {loop.var: moved}))
        parts.append(For(outer, 0, blocks, ForKind.SERIAL, _inwards(body, loop.var, 0, size)))
    else:
        parts.append(_inwards(whole, loop.var, loop.start, size))
    if rest:
        parts.append(replace(loop, start=loop.start + blocks * size, extent=rest))
    return parts[0] if len(parts) == 1 else Seq(tuple(parts))


def _inwards(s: Stmt, var: str, start: int, size: int) -> Stmt:
    """Put the iterations of a block around each store."""
    match s:
        case Seq(parts):
            return Seq(tuple(_inwards(part, var, start, size) for part in parts))
        case Prefetch(_, index) if var not in affine_variables(index):
            return s
        case For(_, _, _, _, body):  # a block is long enough to be the only one that is unrolled
            return replace(s, kind=ForKind.SERIAL, body=_inwards(body, var, start, size))
        case _:
            return For(var, start, size, ForKind.UNROLLED, s)
