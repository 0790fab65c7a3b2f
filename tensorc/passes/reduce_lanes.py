"""Turn a vectorised loop that sums up into operations on vectors, and their lanes into one value.

Before:  for k in vectorized(0, 32):   After:  p = allocate((16,), 'float32', 'stack')
             S[i] = S[i] + A[k]                p[ramp(0, 16)] = A[ramp(0, 16)]
                                               p[ramp(0, 16)] = p[ramp(0, 16)] + A[ramp(16, 16)]
                                               p[ramp(0, 8)] = p[ramp(0, 8)] + p[ramp(8, 8)]
                                               …
                                               S[i] = S[i] + p[0]

The last terms, which do not fill a vector, join in when the halves are as long as they are. The
order of terms changes, which the loop allows by being marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tensorc.ir.affine import Affine, affine_variables, variable
from tensorc.ir.dtype import BOOL, DType
from tensorc.ir.expr import (
    BinaryOp,
    BinaryOperator,
    Broadcast,
    Const,
    Expr,
    Load,
    dtype_of,
)
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Allocate, For, ForKind, Seq, Stmt, Store
from tensorc.ir.visit import walk_expr
from tensorc.passes.spare_lanes import power_above

# Operators whose terms may come in any order.
_ASSOCIATIVE: Final = frozenset({"+", "*", "max", "min"})

# A term in so many lanes from an iteration on, the last so many of them dead.
Widen = Callable[[Expr, Affine, int, int], Expr]


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


def reduce_lanes(
    loop: For, lanes: int, unrolled: int, name: str, widen: Widen, *, whole: bool = False
) -> Stmt | None:
    """Combine `lanes` terms at a time; None if the loop is none that does this.

    Args:
        loop: The loop.
        lanes: Elements of a vector, a power of two.
        unrolled: Vectors that are unrolled at most.
        name: Of the buffer for partial results.
        widen: Makes a term for several lanes.
        whole: Whether no vector may have dead lanes.
    """
    found = reduced_term(loop)
    if found is None or lanes < 2:
        return None
    store, value = found
    count, rest = divmod(loop.extent, lanes)
    dtype = store.buffer.dtype
    if not count and (whole or dtype == BOOL):
        return None
    tail = power_above(rest) if rest > 1 and not (whole and rest.bit_count() > 1) else 0
    partial = Buffer(name, (lanes,), dtype, "stack")
    step = _Step(loop, value, partial, widen)
    body = (
        *(step.fill(count, unrolled) if count else step.first(rest)),
        *step.halve(tail if count else 0, rest),
        Store(store.buffer, store.index, BinaryOp(value.op, value.a, Load(partial, Affine(0)))),
    )
    reduced: Stmt = Allocate(partial, Seq(body))
    if rest and count and not tail:
        done = loop.start + count * lanes
        reduced = Seq((reduced, For(loop.var, done, rest, ForKind.UNROLLED, loop.body)))
    return reduced


@dataclass(frozen=True, slots=True)
class _Step:
    """The terms of a loop, and the vector that they are combined in."""

    loop: For
    value: BinaryOp
    partial: Buffer
    widen: Widen

    @property
    def lanes(self) -> int:
        return self.partial.shape[0]

    def fill(self, count: int, unrolled: int) -> Iterator[Stmt]:
        """The first vector, and the combination of all others with it."""
        loop, value, partial, lanes = self.loop, self.value, self.partial, self.lanes
        at = Affine(0)
        yield Store(partial, at, self.widen(value.b, Affine(loop.start), lanes, 0))
        if count == 1:
            return
        kind = ForKind.UNROLLED if count <= unrolled else ForKind.SERIAL
        term = self.widen(value.b, Affine(loop.start) + variable(loop.var) * lanes, lanes, 0)
        step = Store(partial, at, BinaryOp(value.op, Load(partial, at, lanes), term))
        yield For(loop.var, 1, count - 1, kind, step)

    def first(self, live: int) -> Iterator[Stmt]:
        """The only vector: the identity in the lanes that no term falls to."""
        at, lanes = Affine(0), self.lanes
        term = self.widen(self.value.b, Affine(self.loop.start), lanes, lanes - live)
        identity = _identity(self.value.op, self.partial.dtype)
        yield Store(self.partial, at, Broadcast(identity, lanes))
        yield Store(self.partial, at, term, dead=lanes - live)

    def halve(self, tail: int, live: int) -> Iterator[Stmt]:
        """Combine the upper half of the lanes with the lower, until one is left.

        When `tail` lanes are left, the last terms of the loop, `live` of them, are added.
        """
        op, partial, lanes = self.value.op, self.partial, self.lanes
        while True:
            if lanes == tail:
                yield self._add_tail(lanes, live)
            if lanes == 1:
                return
            lanes //= 2
            low, high = (Load(partial, Affine(at), lanes) for at in (0, lanes))
            yield Store(partial, Affine(0), BinaryOp(op, low, high))

    def _add_tail(self, lanes: int, live: int) -> Stmt:
        at, dead = Affine(0), lanes - live
        end = self.loop.start + self.loop.extent
        term = self.widen(self.value.b, Affine(end - live), lanes, dead)
        combined = BinaryOp(self.value.op, Load(self.partial, at, lanes), term)
        return Store(self.partial, at, combined, dead=dead)


def _identity(op: BinaryOperator, dtype: DType) -> Const:
    """What changes nothing when it is combined with a value."""
    least = -(1 << (dtype.bits - 1)) if dtype.kind == "int" else 0
    value: float
    if op in ("+", "*"):
        value = int(op == "*")
    elif dtype.is_float:
        value = math.inf if op == "min" else -math.inf
    else:
        value = least + (1 << dtype.bits) - 1 if op == "min" else least
    return Const(float(value) if dtype.is_float else value, dtype)
