"""Vectors whose last lanes must not be touched.

Where the target has masks, one instruction loads or stores the others. Else they are loaded and
stored in vectors of 8, 4, 2, 1. In a register tile the whole vector is loaded, and stored with what
its dead lanes held.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorc.codegen.llvm.access import Access
from tensorc.codegen.llvm.indices import IndexWriter
from tensorc.codegen.llvm.types import memory_type, vector
from tensorc.ir.dtype import DType
from tensorc.target import Target


def load_live(w: IndexWriter, access: Access, const: int, dead: int) -> str:
    """The elements from a position on, in memory form; 0 in the dead lanes."""
    of, lanes, mask = access.of, access.lanes, _mask(access.lanes, dead)
    if _is_register(w, access, const):
        x = w.op(f"load {of}, {w.place(access, const)}")
        return w.op(f"select {mask}, {of} {x}, {of} zeroinitializer")
    dtype = access.buffer.dtype
    if _has_masks(w.module.target, dtype, lanes, stores=False):
        name = f"@llvm.masked.load.{_suffix(dtype, lanes)}.p0"
        w.declare(f"{of} {name}(ptr, {vector('i1', lanes)}, {of})")
        return w.op(f"call {of} {name}({_aligned(w, access, const)}, {mask}, {of} zeroinitializer)")
    x = "zeroinitializer"
    for start, count in _pieces(lanes - dead):
        x = _insert(w, access, const, x, (start, count))
    return x


def store_live(w: IndexWriter, access: Access, const: int, x: str, dead: int) -> None:
    """Write all but the dead lanes of a value in memory form."""
    of, lanes, mask = access.of, access.lanes, _mask(access.lanes, dead)
    if _is_register(w, access, const):
        place = w.place(access, const)
        old = w.op(f"load {of}, {place}")
        new = w.op(f"select {mask}, {of} {x}, {of} {old}")
        w.emit(f"store {of} {new}, {place}")
        return
    dtype = access.buffer.dtype
    # A masked store of one truncated lane writes as many bytes as the lane had before (LLVM 22).
    if lanes - dead > 1 and _has_masks(w.module.target, dtype, lanes, stores=True):
        name = f"@llvm.masked.store.{_suffix(dtype, lanes)}.p0"
        w.declare(f"void {name}({of}, ptr, {vector('i1', lanes)})")
        w.emit(f"call void {name}({of} {x}, {_aligned(w, access, const)}, {mask})")
        return
    for start, count in _pieces(lanes - dead):
        part = _lanes(w, x, of, start, count)
        w.emit(f"store {memory_type(dtype, count)} {part}, {w.place(access, const + start)}")


def _is_register(w: IndexWriter, access: Access, const: int) -> bool:
    """Whether all lanes have a place in a register tile."""
    buffer = access.buffer
    fixed = buffer.scope == "local" and access.pointer == w.base[buffer.name]
    return fixed and const + access.lanes <= buffer.size


def _aligned(w: IndexWriter, access: Access, const: int) -> str:
    """A pointer as an argument."""
    pointer, align = w.place(access, const).removeprefix("ptr ").split(", ")
    return f"ptr {align} {pointer}"


def _has_masks(target: Target, dtype: DType, lanes: int, *, stores: bool) -> bool:
    """Whether one instruction loads or stores some lanes of a vector.

    That of AVX stores slowly on some processors.
    """
    features, bits = target.features, 8 * dtype.itemsize
    if "avx512f" in features and ("avx512vl" in features or bits * lanes == 512):
        return bits >= 32 or "avx512bw" in features
    return not stores and bits >= 32 and "avx" in features


def _mask(lanes: int, dead: int) -> str:
    bits = ", ".join(["i1 true"] * (lanes - dead) + ["i1 false"] * dead)
    return f"{vector('i1', lanes)} <{bits}>"


def _suffix(dtype: DType, lanes: int) -> str:
    scalar = memory_type(dtype).replace("float", "f32").replace("double", "f64")
    return f"v{lanes}{scalar}"


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    """Start and length of the powers of two that a number of lanes is made of."""
    start = 0
    while start < count:
        size = 1 << ((count - start).bit_length() - 1)
        yield start, size
        start += size


def _insert(w: IndexWriter, access: Access, const: int, x: str, piece: tuple[int, int]) -> str:
    """A vector with some of its lanes loaded."""
    (start, count), of, lanes = piece, access.of, access.lanes
    part = memory_type(access.buffer.dtype, count)
    y = w.op(f"load {part}, {w.place(access, const + start)}")
    if count == 1:
        return w.op(f"insertelement {of} {x}, {part} {y}, i64 {start}")
    wide = _lanes(w, y, part, 0, lanes, known=count)
    order = [lanes + n - start if start <= n < start + count else n for n in range(lanes)]
    return w.op(f"shufflevector {of} {x}, {of} {wide}, {_order(order)}")


def _lanes(
    w: IndexWriter, x: str, of: str, start: int, count: int, known: int | None = None
) -> str:
    """Some lanes of a vector, those beyond the known ones undefined."""
    if count == 1:
        return w.op(f"extractelement {of} {x}, i64 {start}")
    order = [start + n if known is None or n < known else -1 for n in range(count)]
    return w.op(f"shufflevector {of} {x}, {of} poison, {_order(order)}")


def _order(order: list[int]) -> str:
    picks = ", ".join("i32 poison" if n < 0 else f"i32 {n}" for n in order)
    return f"{vector('i32', len(order))} <{picks}>"
