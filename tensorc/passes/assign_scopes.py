"""Decide where each scratch buffer lives: in registers, on the stack, or in the workspace.

Before:  T = allocate((4, 8), 'float32', 'stack')      After:  T = allocate(…, 'local')
         for i in unrolled(0, 4):                              …
             T[ramp(8*i, 8)] = …

A buffer of which every index is constant once unrolled loops are expanded is `local`, unless
vectors partly overlap or reach behind its end (registers are whole vectors); small ones are on the
stack, the rest in the workspace. Run after `vectorize_loops`, which settles what is unrolled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeAlias

from tensorc.ir.affine import Affine
from tensorc.ir.expr import Expr, Load, lanes_of
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.ir.visit import map_expr, map_opaque, map_stmt, stmt_exprs
from tensorc.target import Target

# Vectors of one register tile; more would only make LLVM slow.
MAX_LOCAL_VECTORS = 128
# Bytes of one buffer, and of all buffers of a function, on the stack.
MAX_STACK_BYTES = 64 << 10
MAX_STACK_TOTAL = 256 << 10


def assign_scopes(func: PrimFunc, target: Target) -> PrimFunc:
    """Give every allocation the best scope that its indices and its size allow."""
    survey = _Survey()
    survey.visit(func.body, 0)
    if not survey.found:
        return func
    budget = _Budget(MAX_LOCAL_VECTORS * target.vector_bytes)
    scopes = {key: budget.buffer(use) for key, use in survey.found.items()}
    return replace(func, body=_rewrite(func.body, scopes, {}))


# An access: first index, number of elements, and their distance.
_Access: TypeAlias = tuple[Affine, int, int]
_Extents: TypeAlias = tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class _Use:
    buffer: Buffer
    depth: int
    constant: bool = True
    # Distinct vector accesses, with start and extent of the unrolled loops they run in.
    vectors: dict[_Access, _Extents] = field(default_factory=dict)
    # Whether some of them have dead lanes, which may lie behind the end of the buffer.
    partial: bool = False


@dataclass(slots=True)
class _Survey:
    """Which allocations are only used at constant indices, by identity of the statement."""

    found: dict[int, _Use] = field(default_factory=dict)
    active: dict[str, _Use] = field(default_factory=dict)
    unrolled: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # depth, range
    parallel: int = -1  # depth of the innermost parallel loop

    def visit(self, s: Stmt, depth: int) -> None:
        match s:
            case Allocate(buffer, body):
                use = self.found.setdefault(id(s), _Use(buffer, depth))
                self.active[buffer.name] = use
                self.visit(body, depth + 1)
                del self.active[buffer.name]
            case For(var, start, extent, kind, body):
                self._exprs(s)
                outside = self.parallel
                if kind is ForKind.PARALLEL:
                    self.parallel = depth
                elif kind is ForKind.UNROLLED:
                    self.unrolled[var] = (depth, start, extent)
                self.visit(body, depth + 1)
                self.parallel = outside
                self.unrolled.pop(var, None)
            case Store(buffer, index, value, stride, dead):
                self._access(buffer, (index, lanes_of(value), stride), dead)
                self._exprs(s)
            case Let(_, _, body):
                self._exprs(s)
                self.visit(body, depth + 1)
            case IfThenElse(_, then, orelse):
                self._exprs(s)
                self.visit(then, depth + 1)
                if orelse is not None:
                    self.visit(orelse, depth + 1)
            case Seq(parts):
                for part in parts:
                    self.visit(part, depth + 1)
            case Prefetch():
                pass  # of parameters only

    def _exprs(self, s: Stmt) -> None:
        for e in stmt_exprs(s):
            if isinstance(e, Load):
                self._access(e.buffer, (e.index, e.lanes, e.stride), e.dead)

    def _access(self, buffer: Buffer, access: _Access, dead: int) -> None:
        use = self.active.get(buffer.name)
        if use is None or not use.constant:
            return
        index, lanes, _ = access
        loops = []
        for atom, _ in index.terms:
            known = self.unrolled.get(atom) if isinstance(atom, str) else None
            if known is None or known[0] <= use.depth:
                use.constant = False
                return
            loops.append((str(atom), known[1], known[2]))
        use.constant = self.parallel <= use.depth
        if lanes > 1:
            use.vectors[access] = tuple(loops)
            use.partial = use.partial or dead > 0


@dataclass(slots=True)
class _Budget:
    """Hands out stack space."""

    local_bytes: int
    used: int = 0

    def buffer(self, use: _Use) -> Buffer:
        """The buffer in its scope."""
        buffer = use.buffer
        small = use.constant and buffer.nbytes <= self.local_bytes
        if small and _tiles(use.vectors) and not (use.partial and _overhangs(use)):
            return replace(buffer, scope="local")
        if buffer.nbytes <= min(MAX_STACK_BYTES, MAX_STACK_TOTAL - self.used):
            self.used += buffer.nbytes
            return replace(buffer, scope="stack")
        return replace(buffer, scope="workspace")


def _tiles(vectors: dict[_Access, _Extents]) -> bool:
    """Whether any two vectors are disjoint, or one lies in the other."""
    if len({lanes for _, lanes, _ in vectors}) == 1 and all(
        stride == 1 and all(c % lanes == 0 for c in (index.const, *(c for _, c in index.terms)))
        for index, lanes, stride in vectors
    ):
        return True
    slices = sorted(
        {piece for access, loops in vectors.items() for piece in _slices(access, loops)},
        key=lambda piece: (piece[0], -piece[1]),
    )
    ends: list[int] = []
    for start, end in slices:
        while ends and ends[-1] <= start:
            ends.pop()
        if ends and end > ends[-1]:
            return False
        ends.append(end)
    return True


def _overhangs(use: _Use) -> bool:
    """Whether some vector, dead lanes included, reaches beyond the buffer."""
    pieces = (piece for access, loops in use.vectors.items() for piece in _slices(access, loops))
    return any(end > use.buffer.size for _, end in pieces)


def _slices(access: _Access, loops: _Extents) -> Iterator[tuple[int, int]]:
    """First element and end of every vector that an access becomes."""
    index, lanes, stride = access
    if stride not in (1, -1):
        return  # done one element at a time
    coefficients = dict(index.terms)
    runs = (
        [coefficients[name] * value for value in range(start, start + extent)]
        for name, start, extent in loops
    )
    shift = index.const if stride == 1 else index.const - lanes + 1
    for offsets in product(*runs):
        first = shift + sum(offsets)
        yield first, first + lanes


def _rewrite(s: Stmt, scopes: dict[int, Buffer], active: dict[str, Buffer]) -> Stmt:
    def on_stmt(x: Stmt) -> Stmt:
        match x:
            case Allocate(buffer, body):
                new = scopes[id(x)]
                return Allocate(new, _rewrite(body, scopes, {**active, buffer.name: new}))
            case Store(buffer, index, value, stride, dead, streams):
                target = active.get(buffer.name, buffer)
                return Store(target, on_affine(index), on_expr(value), stride, dead, streams)
            case _:
                return map_stmt(x, on_stmt, on_expr, on_affine)

    def on_expr(e: Expr) -> Expr:
        if isinstance(e, Load):
            index = on_affine(e.index)
            found = active.get(e.buffer.name, e.buffer)
            if found is e.buffer and index is e.index:
                return e
            return Load(found, index, e.lanes, e.stride, e.dead)
        return map_expr(e, on_expr, on_affine)

    def on_affine(a: Affine) -> Affine:
        return map_opaque(a, on_expr)

    return on_stmt(s)
