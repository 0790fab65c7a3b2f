"""Turn each loop marked `vectorized` into operations on vectors.

Before:  for j in vectorized(0, 23):   After:  for j in unrolled(0, 2):
             C[j] = A[j] + 1.0                     C[ramp(8*j, 8)] = A[ramp(8*j, 8)] + …
                                               C[ramp(16, 8, dead=1)] = A[ramp(16, 8, dead=1)] + …

The widest type decides the number of lanes. Up to eight vectors are unrolled, more make a serial
loop; the tail is one vector, the shortest that holds it. Its dead lanes touch no memory, except in
rows that have room for them (see `spare_lanes`); where lanes are not neighbours, or divide
integers, the tail is done in smaller and smaller vectors without any. A loop that combines terms in
one element is done lane by lane (see `reduce_lanes`). What has no vector form (a store that is
guarded lane by lane, an index that is not linear in the lane) stays scalar: unrolled if short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tensorc.arith.affine import substitute
from tensorc.ir.affine import Affine, variable
from tensorc.ir.expr import Cast, Expr, Index, Load
from tensorc.ir.func import PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.ir.visit import map_affines, walk_exprs, walk_stmt
from tensorc.passes.assign_scopes import MAX_LOCAL_VECTORS
from tensorc.passes.reduce_lanes import reduce_lanes, reduced_term
from tensorc.passes.spare_lanes import Ranges, Row, inside, power_above, used_rows
from tensorc.passes.vector_lanes import vector_lanes
from tensorc.passes.widen import LANE, NoVectorForm, Widening
from tensorc.target import Target

# Vectors of one loop that are unrolled; accumulators of longer ones would not fit registers.
MAX_UNROLLED = 8
# Iterations that are unrolled where there is no vector form.
MAX_SCALARS = 64

Rows = Mapping[str, Row]


def vectorize_loops(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace vectorised loops; the result has none."""
    odd = any(map(_has_tail, walk_stmt(func.body)))
    body = _Vectorizing(target, used_rows(func.body, {}) if odd else {}).visit(func.body, {}, {})
    if body is func.body:
        return func
    return PrimFunc(
        func.name, func.params, func.outputs, body,
        func.workspace_bytes, func.thread_workspace_bytes, func.offsets,
    )  # fmt: skip


def _has_tail(s: Stmt) -> bool:
    """Whether a loop may end in a vector that is not whole."""
    return isinstance(s, For) and s.kind is ForKind.VECTORIZED and s.extent.bit_count() > 1


@dataclass(frozen=True, slots=True)
class _Vectorizing:
    """Rewrites the statements of a function.

    Attributes:
        target: The machine.
        found: Rows that are not used whole, by the identity of the allocation.
    """

    target: Target
    found: Mapping[int, Row]

    def visit(self, s: Stmt, env: Ranges, rows: Rows) -> Stmt:
        """The statement without vectorised loops; `rows` are those of buffers in scope."""
        match s:
            case For(_, _, _, ForKind.VECTORIZED):
                return self._vectorize(s, env, rows)
            case For(var, start, extent, kind, body, lets):
                new = self.visit(body, inside(s, env), rows)
                return s if new is body else For(var, start, extent, kind, new, lets)
            case Seq(parts):
                new_parts = tuple(self.visit(part, env, rows) for part in parts)
                same = all(x is y for x, y in zip(new_parts, parts, strict=True))
                return s if same else Seq(tuple(_flat(new_parts)))
            case IfThenElse(conditions, then, orelse):
                new = self.visit(then, env, rows)
                other = None if orelse is None else self.visit(orelse, env, rows)
                same = new is then and other is orelse
                return s if same else IfThenElse(conditions, new, other)
            case Allocate(buffer, body):
                known = {name: row for name, row in rows.items() if name != buffer.name}
                if id(s) in self.found:
                    known[buffer.name] = self.found[id(s)]
                new = self.visit(body, env, known)
                return s if new is body else Allocate(buffer, new)
            case Let(data, value, body):
                new = self.visit(body, env, rows)
                return s if new is body else Let(data, value, new)
            case Store() | Prefetch():
                return s

    def _vectorize(self, loop: For, env: Ranges, rows: Rows) -> Stmt:
        most = _shortest(loop.body, self.target) if _is_simple(loop.body) else 1
        lanes = min(most, power_above(max(loop.extent, 1)))
        plain = _inline_lets(loop, env)
        tile_bytes = MAX_LOCAL_VECTORS * self.target.vector_bytes
        while lanes > 1:
            # A vector with dead lanes at the end, or else no vector that is longer than the rest.
            for whole in (False, True):
                if whole and (lanes > loop.extent or not _rest_is_odd(loop.extent, lanes)):
                    continue
                try:
                    return _Pieces(plain, lanes, env, rows, tile_bytes, whole).statement()
                except NoVectorForm:
                    pass
            lanes //= 2
        return self.visit(_as_scalars(loop), env, rows)


def _rest_is_odd(extent: int, lanes: int) -> bool:
    return (extent % lanes).bit_count() > 1


def _flat(parts: tuple[Stmt, ...]) -> Iterator[Stmt]:
    for part in parts:
        if isinstance(part, Seq):
            yield from part.body
        else:
            yield part


def _is_simple(body: Stmt) -> bool:
    """Whether a body has no storage and no vectors or threads of its own."""
    for s in walk_stmt(body):
        if isinstance(s, Allocate):
            return False
        if isinstance(s, For) and s.kind in (ForKind.VECTORIZED, ForKind.PARALLEL):
            return False
    return True


def _shortest(body: Stmt, target: Target) -> int:
    """Lanes of the widest type that a body stores, loads or casts to."""
    dtypes = {s.buffer.dtype for s in walk_stmt(body) if isinstance(s, Store)}
    for e in walk_exprs(body):
        match e:
            case Load(buffer):
                dtypes.add(buffer.dtype)
            case Cast(_, dtype) | Index(_, dtype):
                dtypes.add(dtype)
            case _:
                pass
    return min((vector_lanes(dtype, target) for dtype in dtypes), default=target.lanes(8))


def _inline_lets(loop: For, env: Ranges) -> For:
    if not loop.lets:
        return loop
    known = inside(loop, env)
    mapping: dict[str, Affine] = {}
    for name, definition in loop.lets:
        mapping[name] = substitute(definition, mapping, known)
    body = map_affines(loop.body, lambda a: substitute(a, mapping, known))
    return For(loop.var, loop.start, loop.extent, loop.kind, body)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """One loop in vectors of `lanes`, its tail in one vector, or in `whole` ones."""

    loop: For
    lanes: int
    env: Ranges
    rows: Rows
    tile_bytes: int
    whole: bool

    def statement(self) -> Stmt:
        """The statements for all iterations.

        Raises:
            NoVectorForm: if there is no vector form.
        """
        if reduced_term(self.loop) is None:
            parts = tuple(_flat(tuple(self._parts())))
            return parts[0] if len(parts) == 1 else Seq(parts)
        name = f"{self.loop.var}_lanes"
        found = reduce_lanes(
            self.loop, self.lanes, MAX_UNROLLED, name, self._term, whole=self.whole
        )
        if found is None:
            raise NoVectorForm
        return found

    def _term(self, term: Expr, base: Affine, lanes: int, dead: int) -> Expr:
        env = {**self.env, self.loop.var: (0, self.loop.extent - 1)}
        widening = self._widening(base, lanes, dead, env)
        return widening.spread(widening.expression(term))

    def _parts(self) -> Iterator[Stmt]:
        """Full vectors, then the tail, the last of its vectors perhaps a scalar."""
        loop, lanes = self.loop, self.lanes
        count, rest = divmod(loop.extent, lanes)
        if count == 1:
            yield self._widen(Affine(loop.start), lanes, 0, self.env)
        elif count:
            kind = ForKind.UNROLLED if count <= MAX_UNROLLED else ForKind.SERIAL
            known = {**self.env, loop.var: (0, count - 1)}
            base = Affine(loop.start, ((loop.var, lanes),))
            yield For(loop.var, 0, count, kind, self._widen(base, lanes, 0, known))
        start = loop.start + count * lanes
        while rest:
            lanes = power_above(rest)
            if self.whole and lanes > rest:
                lanes //= 2
            dead = max(lanes - rest, 0)
            yield self._widen(Affine(start), lanes, dead, self.env)
            start, rest = start + lanes, rest - lanes + dead

    def _widen(self, base: Affine, lanes: int, dead: int, env: Ranges) -> Stmt:
        var, body = self.loop.var, self.loop.body
        if lanes == 1:
            known = {v: r for v, r in env.items() if v != var}
            return map_affines(body, lambda a: substitute(a, {var: base}, known))
        return self._widening(base, lanes, dead, env).statement(body)

    def _widening(self, base: Affine, lanes: int, dead: int, env: Ranges) -> Widening:
        known = {**env, LANE: (0, lanes - dead - 1)}
        value = base + variable(LANE)
        return Widening(self.loop.var, value, lanes, known, dead, self.rows, self.tile_bytes)


def _as_scalars(loop: For) -> For:
    short = loop.extent <= MAX_SCALARS and not any(
        isinstance(s, For) and s.kind is not ForKind.UNROLLED for s in walk_stmt(loop.body)
    )
    kind = ForKind.UNROLLED if short else ForKind.SERIAL
    return For(loop.var, loop.start, loop.extent, kind, loop.body, loop.lets)
