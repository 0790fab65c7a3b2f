"""Vectors whose lanes are far apart, read row by row and transposed in registers.

In `for i in unrolled(0, 8): C[ramp(…, 8)] = A[ramp(i, 8, 1024)]` the vectors of all iterations are
the columns of a block of eight rows. Eight loads and 24 shuffles give all of them, where lane by
lane it takes 64 loads and 64 insertions.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorc.codegen.llvm.casts import from_memory
from tensorc.codegen.llvm.expressions import ExpressionWriter
from tensorc.codegen.llvm.types import vector
from tensorc.ir.expr import Expr, Load
from tensorc.ir.stmt import For, Let, Seq, Stmt, Store
from tensorc.ir.visit import walk_stmt
from tensorc.passes.block_transpositions import columns


def load_blocks(writer: ExpressionWriter, loop: For) -> None:
    """Load what the iterations of an unrolled loop read as columns, so that they find it loaded."""
    found = list(dict.fromkeys(e for x in _values(loop.body) for e in columns(x, loop.var)))
    if not found:
        return
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


def _transposed(writer: ExpressionWriter, rows: list[str], of: str) -> list[str]:
    """The columns of a square block: halves change places, then quarters, and so on."""
    lanes = len(rows)
    rows = list(rows)
    distance = lanes // 2
    while distance:
        near = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
        far = [lane + distance if not lane & distance else lanes + lane for lane in range(lanes)]
        for row in range(lanes):
            if row & distance:
                continue
            a, b = rows[row], rows[row + distance]
            rows[row], rows[row + distance] = (
                _shuffle(writer, a, b, order, of) for order in (near, far)
            )
        distance //= 2
    return rows


def _shuffle(writer: ExpressionWriter, a: str, b: str, order: list[int], of: str) -> str:
    picks = ", ".join(f"i32 {place}" for place in order)
    mask = vector("i32", len(order))
    return writer.op(f"shufflevector {of} {a}, {of} {b}, {mask} <{picks}>")
