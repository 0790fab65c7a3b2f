"""Give buffers of scope `workspace` their offsets; buffers that are never alive together share.

Before:  A = allocate((1024,), 'float32', 'workspace')    After:  the same, and in the function
         B = allocate((1024,), 'float32', 'workspace')            workspace_bytes=4096, A: 0, B: 0

Buffers inside a parallel loop are in the part of the workspace that each thread has for itself.
Run after `assign_scopes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tensorc.ir.expr import Load
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, Stmt, Store, sub_statements
from tensorc.ir.visit import stmt_exprs, walk_stmt
from tensorc.target import Target

ALIGNMENT = 64


def plan_workspace(func: PrimFunc, target: Target) -> PrimFunc:
    """Lay out the workspace by first fit, largest buffers first."""
    if not any(
        isinstance(s, Allocate) and s.buffer.scope == "workspace" for s in walk_stmt(func.body)
    ):
        return func
    survey = _Survey()
    survey.visit(func.body, parallel=False)
    shared = [b for b in survey.found.values() if not b.parallel]
    threads = [b for b in survey.found.values() if b.parallel]
    shared_bytes, thread_bytes = _lay_out(shared), _lay_out(threads)
    offsets = tuple((name, b.offset) for name, b in survey.found.items())
    return replace(
        func, workspace_bytes=shared_bytes, thread_workspace_bytes=thread_bytes, offsets=offsets
    )


@dataclass(slots=True)
class _Block:
    """A buffer and when it is alive: from statement `first` to statement `last`."""

    nbytes: int
    parallel: bool
    depth: int
    first: int
    last: int
    offset: int = 0

    def overlaps(self, other: _Block) -> bool:
        """Whether both are alive at some time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(slots=True)
class _Survey:
    """Numbers statements in the order of the text and notes when buffers are used."""

    found: dict[str, _Block] = field(default_factory=dict)
    active: dict[str, tuple[_Block, int]] = field(default_factory=dict)
    loops: list[int] = field(default_factory=list)  # number of the first statement of each loop
    touched: list[dict[str, None]] = field(default_factory=list)
    time: int = 0

    def visit(self, s: Stmt, *, parallel: bool) -> None:
        self.time += 1
        self._uses(s)
        match s:
            case Allocate(buffer, body) if buffer.scope == "workspace":
                self._allocate(buffer, body, parallel)
            case For(_, _, _, kind, body):
                self._loop(body, parallel or kind is ForKind.PARALLEL)
            case _:
                for part in sub_statements(s):
                    self.visit(part, parallel=parallel)

    def _allocate(self, buffer: Buffer, body: Stmt, parallel: bool) -> None:
        # Copies of a nest allocate the same buffer again, at the same place.
        block = self.found.setdefault(
            buffer.name, _Block(buffer.nbytes, parallel, len(self.loops), 1 << 60, -1)
        )
        block.nbytes = max(block.nbytes, buffer.nbytes)
        self.active[buffer.name] = (block, len(self.loops))
        self.visit(body, parallel=parallel)
        del self.active[buffer.name]

    def _loop(self, body: Stmt, parallel: bool) -> None:
        self.loops.append(self.time)
        self.touched.append({})
        self.visit(body, parallel=parallel)
        start = self.loops.pop()
        for name in self.touched.pop():
            # What outlives an iteration is alive in all of them.
            if name in self.active and self.active[name][1] <= len(self.loops):
                self._touch(name, start)
                self._touch(name, self.time)

    def _uses(self, s: Stmt) -> None:
        if isinstance(s, Store):
            self._touch(s.buffer.name, self.time)
        for e in stmt_exprs(s):
            if isinstance(e, Load):
                self._touch(e.buffer.name, self.time)

    def _touch(self, name: str, time: int) -> None:
        entry = self.active.get(name)
        if entry is None:
            return
        block, depth = entry
        block.first, block.last = min(block.first, time), max(block.last, time)
        if len(self.touched) > depth:
            self.touched[-1][name] = None


def _lay_out(blocks: list[_Block]) -> int:
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda b: -b.nbytes):
        size = _round_up(block.nbytes)
        offset = 0
        for other in sorted((b for b in placed if b.overlaps(block)), key=lambda b: b.offset):
            if offset + size <= other.offset:
                break
            offset = max(offset, other.offset + _round_up(other.nbytes))
        block.offset = offset
        placed.append(block)
    return max((b.offset + _round_up(b.nbytes) for b in placed), default=0)


def _round_up(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
