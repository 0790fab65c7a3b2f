"""Stores past the caches, and cache lines asked for ahead of their use.

A vector goes past the caches only if it starts at a multiple of its length. Parameters are aligned
to their elements only, so a kernel with such stores has two bodies and looks at the addresses of
its outputs first. Other threads see such stores in order only after a fence: there is one before
a parallel loop begins, and where a function ends.
"""

from __future__ import annotations

from typing import Final

from tensorc.codegen.llvm.access import Access
from tensorc.codegen.llvm.indices import IndexWriter
from tensorc.codegen.llvm.types import memory_type
from tensorc.codegen.llvm.writer import Lines
from tensorc.ir.stmt import Prefetch, Stmt, Store
from tensorc.ir.visit import rewrite_stmt, walk_stmt

# What the outputs of a body with streaming stores are aligned to.
ALIGNMENT: Final = 64
# Of shorter vectors and of single elements, few instructions go past the caches.
_LEAST_BYTES: Final = 16
_FENCE: Final = "void @llvm.x86.sse.sfence()"


def streamed(s: Stmt) -> tuple[str, ...]:
    """The buffers that a statement writes past the caches."""
    stores = (x for x in walk_stmt(s) if isinstance(x, Store) and x.streams)
    return tuple(dict.fromkeys(x.buffer.name for x in stores))


def without_streams(s: Stmt) -> Stmt:
    """The same with ordinary stores only."""

    def ordinary(x: Stmt) -> Stmt | None:
        if not isinstance(x, Store) or not x.streams:
            return None
        return Store(x.buffer, x.index, x.value, x.stride, x.dead)

    return rewrite_stmt(s, ordinary)


def are_aligned(w: IndexWriter, buffers: tuple[str, ...]) -> str:
    """A test of the addresses of buffers."""
    total = ""
    for name in buffers:
        x = w.op(f"ptrtoint ptr {w.base[name]} to i64")
        total = w.op(f"or i64 {total}, {x}") if total else x
    rest = w.op(f"and i64 {total}, {ALIGNMENT - 1}")
    return w.op(f"icmp eq i64 {rest}, 0")


def emit_store(w: IndexWriter, s: Store, access: Access, const: int, lanes: int, x: str) -> None:
    """Store so many neighbours, a value in memory form, past the caches if it streams."""
    place, of = w.place(access, const), memory_type(s.buffer.dtype, lanes)
    align, nbytes = access.alignment_within(const), lanes * s.buffer.dtype.itemsize
    if s.streams and _LEAST_BYTES <= nbytes <= align:
        w.module.declarations.add("!0 = !{i32 1}")
        pointer = place.partition(",")[0]
        w.emit(f"store {of} {x}, {pointer}, align {align}, !nontemporal !0")
        w.streams = w.module.streams = True
    else:
        w.emit(f"store {of} {x}, {place}")


def fence(w: IndexWriter, place: Lines) -> None:
    """Have a function's stores past the caches, if it has any, done before what follows a place."""
    if w.streams:
        w.declare(_FENCE)
        place.append(f"  call {_FENCE}")


def prefetch(w: IndexWriter, s: Prefetch) -> None:
    """Ask for a cache line, for reading, to all levels."""
    access, const = w.access(s, 1)
    pointer = w.place(access, const).partition(",")[0]
    w.declare("void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    w.emit(f"call void @llvm.prefetch.p0({pointer}, i32 0, i32 3, i32 1)")
