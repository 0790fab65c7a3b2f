"""Vectors whose lanes are far apart, read or written row by row and transposed in registers.

In `for i in unrolled(0, 8): C[ramp(…, 8)] = A[ramp(i, 8, 1024)]` the vectors of all iterations are
the columns of a block of eight rows. Eight loads and 24 shuffles give all of them, where lane by
lane it takes 64 loads and 64 insertions.

In `for i in unrolled(0, 3): C[ramp(i, 8, 1024)] = …` the lanes of all iterations are the rows: eight
rows of three elements are stored after eight shuffles, where lane by lane there are 24 of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from tensorc.codegen.llvm.access import Access
from tensorc.codegen.llvm.casts import from_memory
from tensorc.codegen.llvm.expressions import ExpressionWriter
from tensorc.codegen.llvm.types import memory_type, vector
from tensorc.ir.affine import coefficient
from tensorc.ir.expr import Expr, Load, lanes_of
from tensorc.ir.stmt import For, ForKind, Let, Seq, Stmt, Store
from tensorc.ir.visit import walk_expr, walk_stmt
from tensorc.passes.block_transpositions import columns

_POISON = "poison"


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


def store_blocks(
    writer: ExpressionWriter, loop: For, stored: Callable[[Store, int], str]
) -> bool:
    """Store what the iterations of an unrolled loop write side by side; False if they do not.

    `stored` writes the value of a store, in memory form.
    """
    inner, s = _column_store(loop)
    if s is None:
        return False
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
    return True


def _column_store(loop: For) -> tuple[list[For], Store | None]:
    """The store of a loop whose lanes each iteration follows with neighbours, and loops between."""
    inner: list[For] = []
    body = loop.body
    while isinstance(body, For) and body.kind is ForKind.UNROLLED and not body.lets:
        inner.append(body)
        body = body.body
    if not isinstance(body, Store) or loop.lets or body.buffer.scope == "local":
        return inner, None
    plain = all(isinstance(atom, str) for atom, _ in body.index.terms)
    beside = coefficient(body.index, loop.var) == 1 and 1 < loop.extent <= body.stride
    read = any(isinstance(e, Load) and e.buffer is body.buffer for e in walk_expr(body.value))
    worth = lanes_of(body.value) >= _LEAST_LANES
    return inner, body if plain and beside and worth and not read else None


def _store_block(
    writer: ExpressionWriter, s: Store, access: Access, const: int, rows: list[str]
) -> None:
    """Store vectors side by side, of which the lanes are `s.stride` apart."""
    count, lanes, of = len(rows), access.lanes, access.of
    width = 1 << (count - 1).bit_length()
    found = _transposed(writer, [*rows, *[_POISON] * (width - count)], of, lanes)
    part, mask = memory_type(s.buffer.dtype, count), vector("i32", count)
    for lane in range(lanes):
        x, first = found[lane % width], lane // width * width
        if count < lanes:
            picks = ", ".join(f"i32 {first + k}" for k in range(count))
            x = writer.op(f"shufflevector {of} {x}, {of} {_POISON}, {mask} <{picks}>")
        writer.emit(f"store {part} {x}, {writer.place(access, const + lane * s.stride)}")


def _transposed(
    writer: ExpressionWriter, rows: list[str], of: str, lanes: int | None = None
) -> list[str]:
    """The columns of a square block: halves change places, then quarters, and so on.

    If rows have more `lanes` than there are rows, they are several blocks side by side.
    """
    rows = list(rows)
    distance = len(rows) // 2
    lanes = lanes or len(rows)
    while distance:
        near = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
        far = [lane + distance if not lane & distance else lanes + lane for lane in range(lanes)]
        for row in range(lanes):
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
