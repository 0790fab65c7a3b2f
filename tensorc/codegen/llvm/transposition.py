"""Vectors whose lanes are far apart, read or written row by row and transposed in registers.

In `for i in unrolled(0, 8): C[ramp(…, 8)] = A[ramp(i, 8, 1024)]` the vectors of all iterations are
the columns of a block of eight rows. Eight loads and 24 shuffles give all of them, where lane by
lane it takes 64 loads and 64 insertions.

In `for i in unrolled(0, 3): C[ramp(i, 8, 1024)] = …` they are the columns of eight rows of three
elements. A few shuffles make the rows, where lane by lane it takes 24 extractions and 24 stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

from tensorc.codegen.llvm.access import Access
from tensorc.codegen.llvm.casts import from_memory
from tensorc.codegen.llvm.expressions import ExpressionWriter
from tensorc.codegen.llvm.streaming import emit_store
from tensorc.codegen.llvm.types import vector
from tensorc.ir.affine import coefficient
from tensorc.ir.expr import Expr, Load, lanes_of
from tensorc.ir.stmt import For, ForKind, Let, Seq, Stmt, Store
from tensorc.ir.visit import walk_expr, walk_stmt
from tensorc.passes.block_transpositions import columns

_POISON = "poison"
# Fewer lanes than these are stored one by one.
_LEAST_LANES = 4


@dataclass(frozen=True, slots=True)
class ColumnStore:
    """A store of far lanes beside which the next iteration of `loop` stores, and loops between."""

    loop: For
    inner: tuple[For, ...]
    store: Store


def columns_of(loop: For) -> list[Load]:
    """What the iterations of an unrolled loop read as columns."""
    if loop.lets:
        return []
    return list(dict.fromkeys(e for x in _values(loop.body) for e in columns(x, loop.var)))


def load_blocks(writer: ExpressionWriter, loop: For, found: list[Load]) -> None:
    """Load the columns of an unrolled loop, so that its iterations find them loaded."""
    written = {s.buffer.name for s in walk_stmt(loop.body) if isinstance(s, Store)}
    for e in found:
        if e.buffer.scope == "local" or e.buffer.name in written:
            continue
        for start in range(loop.start, loop.start + loop.extent - e.lanes + 1, e.lanes):
            writer.index[loop.var] = start
            _load_block(writer, e)
    writer.index.pop(loop.var, None)


def _values(s: Stmt) -> Iterator[Expr]:
    """The values that every iteration computes outside of loops and branches."""
    match s:
        case Store(_, _, value, _):
            yield value
        case Let(_, value, body):
            yield value
            yield from _values(body)
        case Seq(parts):
            for part in parts:
                yield from _values(part)
        case _:
            return


def _load_block(writer: ExpressionWriter, e: Load) -> None:
    """Load the columns from the one on that the index stands at, as many as there are lanes."""
    access, const = writer.access(e, e.lanes)
    dtype, lanes, of = e.buffer.dtype, e.lanes, access.of
    rows = []
    for row in range(lanes):
        place = writer.place(access, const + row * e.stride)
        rows.append(writer.op(f"load {of}, {place}"))
    cache = writer.scopes[-1].loads.setdefault(e.buffer.name, {})
    for number, x in enumerate(_transposed(writer, rows, of)):
        key = (access.pointer, const + number, lanes, e.stride)
        cache[key] = from_memory(writer, x, dtype, lanes) if access.converts else x


def column_store(loop: For) -> ColumnStore | None:
    """The store of an unrolled loop whose iterations store columns side by side."""
    inner: list[For] = []
    s = loop.body
    while isinstance(s, For) and s.kind is ForKind.UNROLLED and not s.lets:
        inner.append(s)
        s = s.body
    if not isinstance(s, Store) or loop.lets or s.buffer.scope == "local":
        return None
    beside = coefficient(s.index, loop.var) == 1 and 1 < loop.extent <= s.stride
    if not beside or lanes_of(s.value) < _LEAST_LANES:
        return None
    plain = all(isinstance(atom, str) for atom, _ in s.index.terms)
    read = any(isinstance(e, Load) and e.buffer.name == s.buffer.name for e in walk_expr(s.value))
    return ColumnStore(loop, tuple(inner), s) if plain and not read else None


def store_blocks(
    writer: ExpressionWriter, column: ColumnStore, stored: Callable[[Store, int], str]
) -> None:
    """Store columns by rows; `stored` writes the value of a store, in memory form."""
    loop, inner, s = column.loop, column.inner, column.store
    lanes, end = lanes_of(s.value), loop.start + loop.extent
    for places in product(*(range(x.start, x.start + x.extent) for x in inner)):
        writer.index.update(zip((x.var for x in inner), places, strict=True))
        for start in range(loop.start, end, lanes):
            rows = []
            for number in range(start, min(start + lanes, end)):
                writer.index[loop.var] = number
                rows.append(stored(s, lanes))
            writer.index[loop.var] = start
            _store_block(writer, s, *writer.access(s, lanes), rows)
    for x in (loop, *inner):
        writer.index.pop(x.var, None)


def _store_block(
    writer: ExpressionWriter, s: Store, access: Access, const: int, rows: list[str]
) -> None:
    """Store vectors side by side, of which the lanes are `s.stride` apart."""
    count, lanes, of = len(rows), access.lanes, access.of
    width = 1 << (count - 1).bit_length()
    found = _transposed(writer, [*rows, *[_POISON] * (width - count)], of, lanes)
    mask = vector("i32", count)
    for lane in range(lanes):
        x, first = found[lane % width], lane // width * width
        if count == 1:
            x = writer.op(f"extractelement {of} {x}, i64 {lane}")
        elif count < lanes:
            picks = ", ".join(f"i32 {first + k}" for k in range(count))
            x = writer.op(f"shufflevector {of} {x}, {of} {_POISON}, {mask} <{picks}>")
        emit_store(writer, s, access, const + lane * s.stride, count, x)


def _transposed(
    writer: ExpressionWriter, rows: list[str], of: str, lanes: int | None = None
) -> list[str]:
    """The columns of a square block: halves change places, then quarters, and so on.

    If rows have more `lanes` than there are rows, they are several blocks side by side.
    """
    rows = list(rows)
    distance = len(rows) // 2
    lanes = len(rows) if lanes is None else lanes
    while distance:
        near = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
        far = [lane + distance if not lane & distance else lanes + lane for lane in range(lanes)]
        for row in range(len(rows)):
            if row & distance:
                continue
            a, b = rows[row], rows[row + distance]
            if a == b == _POISON:
                continue
            rows[row], rows[row + distance] = (
                _shuffle(writer, a, b, order, of) for order in (near, far)
            )
        distance //= 2
    return rows


def _shuffle(writer: ExpressionWriter, a: str, b: str, order: list[int], of: str) -> str:
    picks = ", ".join(f"i32 {place}" for place in order)
    mask = vector("i32", len(order))
    return writer.op(f"shufflevector {of} {a}, {of} {b}, {mask} <{picks}>")
