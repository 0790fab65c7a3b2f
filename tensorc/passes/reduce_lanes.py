"""Turn a vectorised loop that sums up into operations on vectors, and their lanes into one value.

Before:  for k in vectorized(0, 32):   After:  p = allocate((16,), 'float32', 'stack')
             S[i] = S[i] + A[k]                p[ramp(0, 16)] = A[ramp(0, 16)]
                                               p[ramp(0, 16)] = p[ramp(0, 16)] + A[ramp(16, 16)]
                                               p[ramp(0, 8)] = p[ramp(0, 8)] + p[ramp(8, 8)]
                                               …
                                               S[i] = S[i] + p[0]

The order of terms changes, which the loop allows by being marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tensorc.ir.affine import Affine, affine_variables, variable
from tensorc.ir.expr import BinaryOp, BinaryOperator, Expr, Load, dtype_of
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Allocate, For, ForKind, Seq, Stmt, Store
from tensorc.ir.visit import walk_expr

# Operators whose terms may come in any order.
_ASSOCIATIVE: Final = frozenset({"+", "*", "max", "min"})

# A term in `lanes` lanes from iteration `base` on.
Widen = Callable[[Expr, Affine, int], Expr]


def reduced_term(loop: For) -> tuple[Store, BinaryOp] | None:
    """The store of a loop that only combines a term into one element, and its combination."""
    store = loop.body
    if not isinstance(store, Store) or not isinstance(store.value, BinaryOp):
        return None
    value, place = store.value, Load(store.buffer, store.index)
    if value.op not in _ASSOCIATIVE or value.a != place:
        return None
    if loop.var in affine_variables(store.index) or dtype_of(value.b) != store.buffer.dtype:
        return None
    loads = [e for e in walk_expr(value.b) if isinstance(e, Load)]
    return None if any(e.buffer == store.buffer for e in loads) else (store, value)


def reduce_lanes(loop: For, lanes: int, unrolled: int, name: str, widen: Widen) -> Stmt | None:
    """Combine `lanes` terms at a time; None if the loop is none that does this.

    Args:
        loop: The loop.
        lanes: Elements of a vector, a power of two.
        unrolled: Vectors that are unrolled at most.
        name: Of the buffer for partial results.
        widen: Makes a term for several lanes.
    """
    found = reduced_term(loop)
    if found is None:
        return None
    store, value = found
    whole = loop.extent // lanes
    if lanes < 2 or whole < 1:
        return None
    partial = Buffer(name, (lanes,), store.buffer.dtype, "stack")
    body = (
        *_fill(loop, value, partial, unrolled, widen),
        *_halve(value.op, partial),
        Store(store.buffer, store.index, BinaryOp(value.op, value.a, Load(partial, Affine(0)))),
    )
    done = loop.start + whole * lanes
    rest = loop.start + loop.extent - done
    reduced: Stmt = Allocate(partial, Seq(body))
    if rest:
        reduced = Seq((reduced, For(loop.var, done, rest, ForKind.UNROLLED, loop.body)))
    return reduced


def _fill(
    loop: For, value: BinaryOp, partial: Buffer, unrolled: int, widen: Widen
) -> Iterator[Stmt]:
    """The first vector, and the combination of all others with it."""
    lanes = partial.shape[0]
    whole = loop.extent // lanes
    at = Affine(0)
    yield Store(partial, at, widen(value.b, Affine(loop.start), lanes))
    if whole == 1:
        return
    kind = ForKind.UNROLLED if whole <= unrolled else ForKind.SERIAL
    term = widen(value.b, Affine(loop.start) + variable(loop.var) * lanes, lanes)
    step = Store(partial, at, BinaryOp(value.op, Load(partial, at, lanes), term))
    yield For(loop.var, 1, whole - 1, kind, step)


def _halve(op: BinaryOperator, partial: Buffer) -> Iterator[Stmt]:
    """Combine the upper half of the lanes with the lower, until one is left."""
    lanes = partial.shape[0]
    while lanes > 1:
        lanes //= 2
        low, high = (Load(partial, Affine(at), lanes) for at in (0, lanes))
        yield Store(partial, Affine(0), BinaryOp(op, low, high))
