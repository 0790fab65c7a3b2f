"""Turn each loop marked `vectorized` into operations on vectors.

Before:  for j in vectorized(0, 20):   After:  for j in unrolled(0, 2):
             C[j] = A[j] * x[0]                    C[ramp(8*j, 8)] = A[ramp(8*j, 8)] * broadcast(…)
                                               C[ramp(16, 4)] = A[ramp(16, 4)] * broadcast(…)

The widest type decides the number of lanes. Up to eight vectors are unrolled, more make a serial
loop; tails are done in smaller powers of two. A loop that combines terms in one element is done
lane by lane (see `reduce_lanes`). What has no vector form (a store that is guarded lane by lane, an
index that is not linear in the lane) stays scalar: unrolled if short.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorc.arith.affine import Range, interval, substitute
from tensorc.ir.affine import Affine, variable
from tensorc.ir.expr import Cast, Expr, Index, Load
from tensorc.ir.func import PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Seq, Stmt, Store
from tensorc.ir.visit import map_affines, walk_exprs, walk_stmt
from tensorc.passes.reduce_lanes import reduce_lanes, reduced_term
from tensorc.passes.vector_lanes import vector_lanes
from tensorc.passes.widen import LANE, NoVectorForm, Widening
from tensorc.target import Target

# Vectors of one loop that are unrolled; accumulators of longer ones would not fit registers.
MAX_UNROLLED = 8
# Iterations that are unrolled where there is no vector form.
MAX_SCALARS = 64

Ranges = dict[str, Range]


def vectorize_loops(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace vectorised loops; the result has none."""
    body = _visit(func.body, {}, target)
    if body is func.body:
        return func
    return PrimFunc(
        func.name, func.params, func.outputs, body,
        func.workspace_bytes, func.thread_workspace_bytes, func.offsets,
    )  # fmt: skip


def _visit(s: Stmt, env: Ranges, target: Target) -> Stmt:
    match s:
        case For(_, _, _, ForKind.VECTORIZED):
            return _vectorize(s, env, target)
        case For(var, start, extent, kind, body, lets):
            new = _visit(body, inside(s, env), target)
            return s if new is body else For(var, start, extent, kind, new, lets)
        case Seq(parts):
            new_parts = tuple(_visit(part, env, target) for part in parts)
            same = all(x is y for x, y in zip(new_parts, parts, strict=True))
            return s if same else Seq(tuple(_flat(new_parts)))
        case IfThenElse(conditions, then, orelse):
            new = _visit(then, env, target)
            other = None if orelse is None else _visit(orelse, env, target)
            same = new is then and other is orelse
            return s if same else IfThenElse(conditions, new, other)
        case Allocate(buffer, body):
            new = _visit(body, env, target)
            return s if new is body else Allocate(buffer, new)
        case Let(data, value, body):
            new = _visit(body, env, target)
            return s if new is body else Let(data, value, new)
        case Store():
            return s


def inside(loop: For, env: Ranges) -> Ranges:
    """Ranges of variables in the body of a loop."""
    known = {**env, loop.var: (loop.start, loop.start + loop.extent - 1)}
    for name, definition in loop.lets:
        known[name] = interval(definition, known)
    return known


def _flat(parts: tuple[Stmt, ...]) -> Iterator[Stmt]:
    for part in parts:
        if isinstance(part, Seq):
            yield from part.body
        else:
            yield part


def _vectorize(loop: For, env: Ranges, target: Target) -> Stmt:
    lanes = _shortest(loop.body, target) if _is_simple(loop.body) else 1
    # A piece must not be longer than the loop; a tail then has what is left of the lanes.
    while lanes > max(loop.extent, 1):
        lanes //= 2
    plain = _inline_lets(loop, env)
    reduces = reduced_term(plain) is not None
    while lanes > 1:
        try:
            return _reduced(plain, lanes, env) if reduces else _pieces(plain, lanes, env)
        except NoVectorForm:
            lanes //= 2
    return _visit(_as_scalars(loop), env, target)


def _reduced(loop: For, lanes: int, env: Ranges) -> Stmt:
    """Combine the terms of a loop lane by lane, then the lanes."""

    def widen(term: Expr, base: Affine, lanes: int) -> Expr:
        known = {**env, loop.var: (0, loop.extent - 1), LANE: (0, lanes - 1)}
        widening = Widening(loop.var, base + variable(LANE), lanes, known)
        return widening.spread(widening.expression(term))

    found = reduce_lanes(loop, lanes, MAX_UNROLLED, f"{loop.var}_lanes", widen)
    if found is None:
        raise NoVectorForm
    return found


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


def _pieces(loop: For, lanes: int, env: Ranges) -> Stmt:
    """Full vectors, then smaller and smaller ones, the last perhaps a scalar."""
    whole, rest = divmod(loop.extent, lanes)
    parts: list[Stmt] = []
    if whole == 1:
        parts.append(_widen(loop, Affine(loop.start), lanes, env))
    elif whole:
        kind = ForKind.UNROLLED if whole <= MAX_UNROLLED else ForKind.SERIAL
        known = {**env, loop.var: (0, whole - 1)}
        base = Affine(loop.start, ((loop.var, lanes),))
        parts.append(For(loop.var, 0, whole, kind, _widen(loop, base, lanes, known)))
    start = loop.start + whole * lanes
    while rest:
        while lanes > rest:
            lanes //= 2
        parts.append(_widen(loop, Affine(start), lanes, env))
        start, rest = start + lanes, rest - lanes
    return parts[0] if len(parts) == 1 else Seq(tuple(_flat(tuple(parts))))


def _widen(loop: For, base: Affine, lanes: int, env: Ranges) -> Stmt:
    if lanes == 1:
        known = {v: r for v, r in env.items() if v != loop.var}
        return map_affines(loop.body, lambda a: substitute(a, {loop.var: base}, known))
    known = {**env, LANE: (0, lanes - 1)}
    return Widening(loop.var, base + variable(LANE), lanes, known).statement(loop.body)


def _as_scalars(loop: For) -> For:
    short = loop.extent <= MAX_SCALARS and not any(
        isinstance(s, For) and s.kind is not ForKind.UNROLLED for s in walk_stmt(loop.body)
    )
    kind = ForKind.UNROLLED if short else ForKind.SERIAL
    return For(loop.var, loop.start, loop.extent, kind, loop.body, loop.lets)
