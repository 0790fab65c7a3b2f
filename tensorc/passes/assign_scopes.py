"""Decide where each scratch buffer lives: in registers, on the stack, or in the workspace.

Before:  T = allocate((4, 8), 'float32', 'stack')      After:  T = allocate(…, 'local')
         for i in unrolled(0, 4):                              …
             T[ramp(8*i, 8)] = …

A buffer of which every index is constant once unrolled loops are expanded is `local`; small ones
are on the stack, the rest in the workspace. Run after `vectorize_loops`, which settles what is
unrolled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tensorc.ir.affine import Affine, affine_variables
from tensorc.ir.expr import Expr, Load
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Seq, Stmt, Store
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


@dataclass(slots=True)
class _Use:
    buffer: Buffer
    depth: int
    constant: bool = True


@dataclass(slots=True)
class _Survey:
    """Which allocations are only used at constant indices, by identity of the statement."""

    found: dict[int, _Use] = field(default_factory=dict)
    active: dict[str, _Use] = field(default_factory=dict)
    unrolled: dict[str, int] = field(default_factory=dict)  # loop variable: depth
    parallel: int = -1  # depth of the innermost parallel loop

    def visit(self, s: Stmt, depth: int) -> None:
        match s:
            case Allocate(buffer, body):
                use = self.found.setdefault(id(s), _Use(buffer, depth))
                self.active[buffer.name] = use
                self.visit(body, depth + 1)
                del self.active[buffer.name]
            case For(var, _, _, kind, body, lets):
                self._exprs(s)
                outside = self.parallel
                if kind is ForKind.PARALLEL:
                    self.parallel = depth
                elif kind is ForKind.UNROLLED:
                    self.unrolled[var] = depth
                    # Parts of a constant are constants.
                    self.unrolled |= {n: depth for n, a in lets if self._is_constant(a, -1)}
                self.visit(body, depth + 1)
                self.parallel = outside
                for name in (var, *(n for n, _ in lets)):
                    self.unrolled.pop(name, None)
            case Store(buffer, index, _, _):
                self._access(buffer, index)
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

    def _exprs(self, s: Stmt) -> None:
        for e in stmt_exprs(s):
            if isinstance(e, Load):
                self._access(e.buffer, e.index)

    def _access(self, buffer: Buffer, index: Affine) -> None:
        use = self.active.get(buffer.name)
        if use is None or not use.constant:
            return
        shared = self.parallel > use.depth
        use.constant = not shared and self._is_constant(index, use.depth)

    def _is_constant(self, index: Affine, depth: int) -> bool:
        return all(self.unrolled.get(v, -2) > depth for v in affine_variables(index))


@dataclass(slots=True)
class _Budget:
    """Hands out stack space."""

    local_bytes: int
    used: int = 0

    def buffer(self, use: _Use) -> Buffer:
        """The buffer in its scope."""
        buffer = use.buffer
        if use.constant and buffer.nbytes <= self.local_bytes:
            return replace(buffer, scope="local")
        if buffer.nbytes <= min(MAX_STACK_BYTES, MAX_STACK_TOTAL - self.used):
            self.used += buffer.nbytes
            return replace(buffer, scope="stack")
        return replace(buffer, scope="workspace")


def _rewrite(s: Stmt, scopes: dict[int, Buffer], active: dict[str, Buffer]) -> Stmt:
    def on_stmt(x: Stmt) -> Stmt:
        match x:
            case Allocate(buffer, body):
                new = scopes[id(x)]
                return Allocate(new, _rewrite(body, scopes, {**active, buffer.name: new}))
            case Store(buffer, index, value, stride):
                target = active.get(buffer.name, buffer)
                return Store(target, on_affine(index), on_expr(value), stride)
            case _:
                return map_stmt(x, on_stmt, on_expr, on_affine)

    def on_expr(e: Expr) -> Expr:
        if isinstance(e, Load):
            index = on_affine(e.index)
            found = active.get(e.buffer.name, e.buffer)
            if found is e.buffer and index is e.index:
                return e
            return Load(found, index, e.lanes, e.stride)
        return map_expr(e, on_expr, on_affine)

    def on_affine(a: Affine) -> Affine:
        return map_opaque(a, on_expr)

    return on_stmt(s)
