"""The nests of one stage: plain, or initialise and update, with or without a register tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tensorc.ir.affine import Affine
from tensorc.ir.expr import Expr, Load, Var
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Allocate, Let, Prefetch, Seq, Stmt, Store
from tensorc.lower.instance import Leaf
from tensorc.lower.nest import Attached, Make, Nest, Special, generate, generate_update, make_nest
from tensorc.lower.placement import Placed
from tensorc.lower.reducing import changes_nothing, combines_in_place, replace_vars
from tensorc.lower.register_tile import Tile
from tensorc.lower.scene import Scene, bare, final_values, specialize
from tensorc.lower.sequence import guarded, sequence
from tensorc.te.op import Reducer


@dataclass(frozen=True, slots=True, eq=False)
class StageCode:
    """A placed stage and the elements it writes, one for each output.

    With a `tile`, running values are in `tile_buffers`. `ahead` is what iterations of its loops ask
    for; with `streams` the elements go past the caches where each of them is written once, which
    a reduction's are if a tile, whose length is the machine's business, holds them meanwhile.
    """

    placed: Placed
    buffers: tuple[Buffer, ...]
    indices: tuple[Affine, ...]
    tile: Tile | None
    tile_buffers: tuple[Buffer, ...]
    fresh_name: Callable[[str], str]
    ahead: dict[int, tuple[Prefetch, ...]]
    streams: bool


Elements: TypeAlias = tuple[tuple[Buffer, Affine], ...]


def stage_nest(code: StageCode, attached: dict[int, tuple[Attached, ...]]) -> Make:
    """How to generate a stage; `attached` are the stages computed in its loops, by loop number."""
    elements = tuple(zip(code.buffers, code.indices, strict=True))
    reducer = code.placed.op.reducer
    leaves = code.placed.instance.leaves
    if reducer is None:
        nest = make_nest(
            leaves, lambda s: _assign(elements, s, streams=code.streams),
            attached=attached, ahead=code.ahead,
        )  # fmt: skip
    else:
        nest = _reducing_nest(code, reducer, elements, attached)
    return lambda scene: generate(nest, scene)


def _reducing_nest(
    code: StageCode, reducer: Reducer, elements: Elements, attached: dict[int, tuple[Attached, ...]]
) -> Nest:
    leaves = code.placed.instance.leaves
    first = _first_reduce(leaves)
    if code.tile is None:
        update = _updater(code, reducer)
        init = _spatial_nest(leaves[first:], lambda s: _initialise(elements, reducer, s))

        def start(nest: Nest, scene: Scene) -> Stmt | None:
            return sequence((generate(init, bare(scene)), generate_update(nest, first, scene)))

        return make_nest(
            leaves, lambda s: update(elements, s),
            updates_from=first, special={first: start}, attached=attached, ahead=code.ahead,
        )  # fmt: skip
    return _tiled_nest(code, code.tile, reducer, elements, attached)


def _tiled_nest(
    code: StageCode,
    tile: Tile,
    reducer: Reducer,
    elements: Elements,
    attached: dict[int, tuple[Attached, ...]],
) -> Nest:
    leaves = code.placed.instance.leaves
    first, t = _first_reduce(leaves), tile.start
    update = _updater(code, reducer)
    registers = tuple((b, tile.index) for b in code.tile_buffers)
    inside = {k: guests for k, guests in attached.items() if k >= t}
    steps = make_nest(
        leaves, lambda s: update(registers, s),
        updates_from=t, tile=t, attached=inside, ahead=code.ahead,
    )  # fmt: skip
    fresh = t <= first
    streams = code.streams and fresh
    if fresh:
        fill = _spatial_nest(leaves[t:], lambda s: _initialise(registers, reducer, s))
    else:
        fill = _spatial_nest(leaves[t:], lambda s: _copy(registers, elements, s))
    drain = _spatial_nest(leaves[t:], lambda s: _copy(elements, registers, s, streams=streams))

    def accumulate(nest: Nest, scene: Scene) -> Stmt | None:
        if scene.skip and not fresh:
            return None
        body = sequence(
            (
                generate(fill, bare(scene)),
                generate_update(steps, t, scene),
                generate(drain, bare(scene)),
            )
        )
        for buffer in reversed(code.tile_buffers):
            body = body and Allocate(buffer, body)
        return body

    special: dict[int, Special] = {t: accumulate}
    if not fresh:
        init = _spatial_nest(leaves[first:], lambda s: _initialise(elements, reducer, s))

        def start(nest: Nest, scene: Scene) -> Stmt | None:
            return sequence((generate(init, bare(scene)), generate_update(nest, first, scene)))

        special[first] = start
    return make_nest(
        leaves, lambda s: update(registers, s), updates_from=None if fresh else first, tile=t,
        special=special, attached=attached, ahead=code.ahead,
    )  # fmt: skip


def _first_reduce(leaves: tuple[Leaf, ...]) -> int:
    """The first loop of a reduction that is one; the last reduction loop if none has iterations."""
    found = [k for k, leaf in enumerate(leaves) if leaf.reduce]
    return next((k for k in found if leaves[k].extent != 1), found[-1] if found else len(leaves))


def _spatial_nest(leaves: tuple[Leaf, ...], store: Make) -> Nest:
    return make_nest(tuple(leaf for leaf in leaves if not leaf.reduce), store)


def _assign(elements: Elements, scene: Scene, *, streams: bool) -> Stmt:
    stores = [
        Store(buffer, specialize(index, scene.env), value, streams=streams)
        for (buffer, index), value in zip(elements, final_values(scene), strict=True)
    ]
    return _guard(scene, scene.domain, stores)


def _initialise(elements: Elements, reducer: Reducer, scene: Scene) -> Stmt:
    stores = [
        Store(buffer, specialize(index, scene.env), identity)
        for (buffer, index), identity in zip(elements, reducer.identity, strict=True)
    ]
    return _guard(scene, scene.domain, stores)


def _copy(to: Elements, source: Elements, scene: Scene, *, streams: bool = False) -> Stmt:
    env = scene.env
    stores = [
        Store(buffer, specialize(i, env), Load(other, specialize(j, env)), streams=streams)
        for (buffer, i), (other, j) in zip(to, source, strict=True)
    ]
    return _guard(scene, scene.domain, stores)


def _guard(scene: Scene, predicates: tuple[Affine, ...], stores: list[Store]) -> Stmt:
    s = stores[0] if len(stores) == 1 else Seq(tuple(stores))
    return guarded(tuple(specialize(p, scene.env) for p in predicates), s)


def _updater(code: StageCode, reducer: Reducer) -> Callable[[Elements, Scene], Stmt | None]:
    if combines_in_place(reducer):
        return lambda elements, scene: _update_in_place(elements, reducer, scene)
    # Names of the values so far, of the new terms, and of the results.
    name = code.placed.op.name
    names = {x: code.fresh_name(f"{name}_{x}") for x in (*reducer.lhs, *reducer.rhs)}
    results = tuple(code.fresh_name(f"{name}_next{k}") for k in range(len(reducer.combine)))
    return lambda elements, scene: _update_by_name(elements, reducer, names, results, scene)


def _update_in_place(elements: Elements, reducer: Reducer, scene: Scene) -> Stmt | None:
    ((buffer, index),) = elements
    (term,) = final_values(scene)
    if changes_nothing(reducer, term):
        return None
    position = specialize(index, scene.env)
    operands: dict[str, Expr] = {reducer.lhs[0]: Load(buffer, position), reducer.rhs[0]: term}
    store = Store(buffer, position, replace_vars(reducer.combine[0], operands))
    return _guard(scene, scene.domain + scene.guards, [store])


def _update_by_name(
    elements: Elements,
    reducer: Reducer,
    names: dict[str, str],
    results: tuple[str, ...],
    scene: Scene,
) -> Stmt:
    """All operands are read before anything is stored: outputs change at the same time."""
    env = scene.env
    bindings: list[tuple[Var, Expr]] = []
    known: dict[str, Expr] = {}

    def bind(name: str, x: str | None, buffer: Buffer, value: Expr) -> Var:
        var = Var(name, buffer.dtype)
        bindings.append((var, value))
        if x is not None:
            known[x] = var
        return var

    for x, (buffer, index) in zip(reducer.lhs, elements, strict=True):
        bind(names[x], x, buffer, Load(buffer, specialize(index, env)))
    for x, (buffer, _), value in zip(reducer.rhs, elements, final_values(scene), strict=True):
        bind(names[x], x, buffer, value)
    stores = []
    for name, (buffer, index), combine in zip(results, elements, reducer.combine, strict=True):
        var = bind(name, None, buffer, replace_vars(combine, known))
        stores.append(Store(buffer, specialize(index, env), var))
    body: Stmt = stores[0] if len(stores) == 1 else Seq(tuple(stores))
    for var, value in reversed(bindings):
        body = Let(var, value, body)
    return guarded(tuple(specialize(p, env) for p in scene.domain + scene.guards), body)
