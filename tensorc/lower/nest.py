"""Generating the loops of a stage by partial evaluation under ranges of variables.

Predicates are placed as follows (`v` being the loop at hand):

- surely false in part of the range of `v`: the range is clipped;
- `v` is the last variable and the breakpoint is constant: the loop is cut there;
- `v` is the last variable, the breakpoint varies, and a serial loop lies inside: branch in the
  body;
- decided only in loops without a serial loop inside (`Nest.serial_end` on): the nest from
  `Nest.core` on is generated several times, by branches on outer variables, outermost first;
- still open at the innermost point: an `if` round the store, a select in the value.

So no test stands in a loop whose body contains no serial loop, unless no single variable decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from tensorc.ir.affine import Affine, affine_variables, variable
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Allocate, For, ForKind, Prefetch, Stmt
from tensorc.lower.instance import Leaf
from tensorc.lower.predicates import is_data, limits
from tensorc.lower.scene import (
    Scene,
    bind_lets,
    both_sides,
    specialize,
    with_range,
)
from tensorc.lower.sequence import conditional, sequence

# Versions of one nest, over all branches on outer variables; beyond, tests go to the stores.
MAX_COPIES = 16

Make: TypeAlias = Callable[[Scene], Stmt | None]
Special: TypeAlias = Callable[["Nest", Scene], Stmt | None]


@dataclass(frozen=True, slots=True, eq=False)
class Attached:
    """A stage computed inside a loop: its scratch buffers and how to generate it."""

    buffers: tuple[Buffer, ...]
    make: Make


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """Loops to generate, and what stands at certain places of them.

    `position` tells for each variable the loop that binds it. Loops from `serial_end` on have no
    serial loop inside; `core` is where the nest is generated in several versions. `special` maps a
    loop number to what replaces the nest from there on. `updates_from` is the first loop inside
    which only steps of a reduction happen, so that guards may skip them. `ahead` is what each
    iteration of a loop asks for.
    """

    leaves: tuple[Leaf, ...]
    position: dict[str, int]
    core: int
    serial_end: int
    updates_from: int
    store: Make
    special: dict[int, Special]
    attached: dict[int, tuple[Attached, ...]]
    ahead: dict[int, tuple[Prefetch, ...]]

    def last(self, p: Affine) -> int:
        """The number of the innermost loop that a predicate depends on, -1 if outside all."""
        return max((self.position.get(v, -1) for v in affine_variables(p)), default=-1)


def make_nest(
    leaves: tuple[Leaf, ...],
    store: Make,
    *,
    updates_from: int | None = None,
    tile: int | None = None,
    special: dict[int, Special] | None = None,
    attached: dict[int, tuple[Attached, ...]] | None = None,
    ahead: dict[int, tuple[Prefetch, ...]] | None = None,
) -> Nest:
    """Arrange loops; `tile` is where the register tile of a reduction begins, if there is one."""
    attached = attached or {}
    host = max(attached, default=-1)
    serial = max((k for k, leaf in enumerate(leaves) if leaf.is_serial), default=-1)
    if host >= serial:
        core = serial_end = host + 1
    else:
        core = serial_end = serial
        while core - 1 > host and (leaves[core - 1].reduce or leaves[core - 1].extent == 1):
            core -= 1
        if tile is not None:
            core = min(core, tile)
    position = {leaf.var: k for k, leaf in enumerate(leaves)}
    position |= {name: k for k, leaf in enumerate(leaves) for name, _ in leaf.lets}
    first_update = len(leaves) if updates_from is None else updates_from
    return Nest(
        leaves, position, core, serial_end, first_update, store, special or {}, attached,
        ahead or {},
    )  # fmt: skip


def generate(nest: Nest, scene: Scene) -> Stmt | None:
    """The whole nest, predicates that are decided outside of it first."""
    return _settle_outside(nest, scene, lambda s: walk(nest, 0, s), updating=False)


def generate_update(nest: Nest, i: int, scene: Scene) -> Stmt | None:
    """The steps of a reduction from loop `i` on, guards decided outside of them first."""
    return _settle_outside(nest, scene, lambda s: loop(nest, i, s), updating=True)


def _settle_outside(nest: Nest, scene: Scene, make: Make, *, updating: bool) -> Stmt | None:
    if updating and scene.skip:
        return None
    first = nest.updates_from if updating else 0
    predicates = scene.domain + scene.conditions
    if updating:
        predicates += scene.guards
    for p in predicates:
        if nest.last(p) < first and _is_bound(p, scene) and not is_data(p):
            yes, no = both_sides(scene, p)
            return conditional(
                specialize(p, scene.env),
                None if yes is None else _settle_outside(nest, yes, make, updating=updating),
                None if no is None else _settle_outside(nest, no, make, updating=updating),
            )
    return make(scene)


def _is_bound(p: Affine, scene: Scene) -> bool:
    return all(v in scene.bound or not scene.is_open(v) for v in affine_variables(p))


def walk(nest: Nest, i: int, scene: Scene) -> Stmt | None:
    """The nest from loop `i` on, in several versions if this is the place for it."""
    if i == nest.core:
        return narrow(nest, scene, lambda s: _here(nest, i, s))
    return _here(nest, i, scene)


def _here(nest: Nest, i: int, scene: Scene) -> Stmt | None:
    replacement = nest.special.get(i)
    return loop(nest, i, scene) if replacement is None else replacement(nest, scene)


def narrow(nest: Nest, scene: Scene, make: Make) -> Stmt | None:
    """Branch on outer variables while one decides a predicate that the nest cannot test cheaply."""
    pending = [p for p in _predicates(nest, scene) if nest.last(p) >= nest.serial_end]
    if not pending:
        return make(scene)
    shrunk = _shrink(nest, scene)
    if shrunk is None:
        return None
    cut = _find_cut(pending, shrunk) if shrunk.copies < MAX_COPIES else None
    if cut is None:
        return make(shrunk)
    yes, no = both_sides(shrunk._replace(copies=shrunk.copies * 2), cut)
    return conditional(
        cut,
        None if yes is None else narrow(nest, yes, make),
        None if no is None else narrow(nest, no, make),
    )


def _predicates(nest: Nest, scene: Scene) -> tuple[Affine, ...]:
    return scene.domain + scene.guards + scene.conditions


def _find_cut(pending: list[Affine], scene: Scene) -> Affine | None:
    """`cut - 1 - v` for the outermost variable `v` from some value of which a predicate holds."""
    for p in pending:
        for v in scene.bound:
            if not scene.is_open(v):
                continue
            known = limits(p, v, scene.env)
            if known is None:
                continue
            low, high = scene.env[v]
            (first, last), _ = known
            cut = first if first > low else last + 1
            if low < cut <= high:
                return Affine(cut - 1) - variable(v)
    return None


def _shrink(nest: Nest, scene: Scene) -> Scene | None:
    """Clip the ranges of inner loops by predicates that have one open variable left."""
    here: Scene | None = scene
    for p in scene.domain + scene.guards:
        if here is None:
            return None
        names = {v for v in affine_variables(p) if here.is_open(v)}
        if len(names) != 1:
            continue
        (v,) = names
        k = nest.position.get(v, -1)
        # A part of a fused loop has no loop of its own whose range could be clipped.
        inner = k >= nest.core and v == nest.leaves[k].var and v not in here.bound
        if not inner or (p in scene.guards and not nest.leaves[k].reduce):
            continue
        known = limits(p, v, here.env)
        if known is not None:
            here = _clip_variable(here, v, known[0])
    return here


def _clip_variable(scene: Scene, v: str, known: tuple[int, int]) -> Scene | None:
    low, high = scene.env[v]
    clipped = (max(low, known[0]), min(high, known[1]))
    return None if clipped[0] > clipped[1] else with_range(scene, v, clipped)


def loop(nest: Nest, i: int, scene: Scene) -> Stmt | None:
    """Loop `i` and all inside, its range clipped and cut where predicates change."""
    if i == len(nest.leaves):
        return nest.store(scene)
    leaf = nest.leaves[i]
    if leaf.extent == 1:
        return _inside(nest, i, scene)
    low, high, cuts, choices = _breakpoints(nest, i, scene)
    edges = _edges(low, high, cuts | choices)
    if leaf.is_serial and choices:
        # Conditions of selects may stay where they are; an unrolled loop is copied anyway.
        copies = scene.copies * (len(edges) - 1)
        if copies > MAX_COPIES:
            edges = _edges(low, high, cuts)
        else:
            scene = scene._replace(copies=copies)
    parts: list[_Part] = []
    for start, end in pairwise(edges):
        sub = with_range(scene, leaf.var, (start, end - 1), bind=True) if start < end else None
        if sub is not None and leaf.kind is ForKind.PARALLEL and not scene.parallel:
            sub = sub._replace(parallel=True)
        sub = None if sub is None else bind_lets(sub, leaf.lets)
        body = None if sub is None else _inside(nest, i, sub)
        if body is not None and sub is not None:
            parts.append(_Part(start, end, body, _open_lets(leaf, sub)))
    return _join(leaf, scene, parts)


def _edges(low: int, high: int, cuts: set[int]) -> list[int]:
    return [low, *sorted(c for c in cuts if low < c <= high), high + 1]


@dataclass(frozen=True, slots=True)
class _Part:
    """A loop from `start` to before `end`, with the lets whose value varies there."""

    start: int
    end: int
    body: Stmt
    lets: tuple[tuple[str, Affine], ...]


def _open_lets(leaf: Leaf, scene: Scene) -> tuple[tuple[str, Affine], ...]:
    return tuple(
        (name, specialize(definition, scene.env))
        for name, definition in leaf.lets
        if scene.is_open(name)
    )


def _breakpoints(nest: Nest, i: int, scene: Scene) -> tuple[int, int, set[int], set[int]]:
    """The range of loop `i` that is needed, where to cut it, and where a select changes sides."""
    v = nest.leaves[i].var
    low, high = scene.env[v]
    cuts: set[int] = set()
    choices: set[int] = set()
    required = scene.domain + scene.guards if i >= nest.updates_from else scene.domain
    for p in required + scene.conditions:
        known = limits(p, v, scene.env)
        if known is None or not _is_free(nest, i, p, scene):
            continue
        sure, possible = known
        clips = p in required
        if clips:
            low, high = max(low, possible[0]), min(high, possible[1])
        last = nest.last(p)
        if last == i or (last >= nest.serial_end and i >= nest.core):
            if clips:
                cuts |= {sure[0], sure[1] + 1}
            else:
                choices |= {sure[0], sure[1] + 1, possible[0], possible[1] + 1}
    return low, high, cuts, choices


def _is_free(nest: Nest, i: int, p: Affine, scene: Scene) -> bool:
    """Whether a predicate depends on nothing outside loop `i`."""
    return all(nest.position.get(v, -1) >= i or not scene.is_open(v) for v in affine_variables(p))


def _join(leaf: Leaf, scene: Scene, parts: list[_Part]) -> Stmt | None:
    kind = leaf.kind
    if kind is ForKind.PARALLEL:
        if scene.parallel:
            kind = ForKind.SERIAL
        elif len(parts) > 1:
            lets = tuple((name, specialize(a, scene.env)) for name, a in leaf.lets)
            parts = [_as_one(leaf.var, parts, lets)]
    return sequence(
        # A single iteration is no loop, unless the parts of a fused loop still vary.
        p.body
        if p.end - p.start == 1 and not p.lets
        else For(leaf.var, p.start, p.end - p.start, kind, p.body, p.lets)
        for p in parts
    )


def _as_one(var: str, parts: list[_Part], lets: tuple[tuple[str, Affine], ...]) -> _Part:
    """One parallel loop whose body branches, instead of several loops one after another."""
    body = parts[-1].body
    for part in reversed(parts[:-1]):
        merged = conditional(Affine(part.end - 1) - variable(var), part.body, body)
        assert merged is not None
        body = merged
    return _Part(parts[0].start, parts[-1].end, body, lets)


def _inside(nest: Nest, i: int, scene: Scene) -> Stmt | None:
    """The body of loop `i`: branches that it decides, attached stages, the next loop."""
    updating = i >= nest.updates_from
    if updating and scene.skip:
        return None
    if i < nest.serial_end:
        predicates = scene.domain + (scene.guards if updating else ())
        if scene.copies < MAX_COPIES:
            predicates += scene.conditions
        for p in predicates:
            if nest.last(p) == i and not is_data(p):
                versions = 2 if p in scene.conditions else 1
                copied = scene._replace(copies=scene.copies * versions)
                yes, no = both_sides(copied, p)
                return conditional(
                    specialize(p, scene.env),
                    None if yes is None else _inside(nest, i, yes),
                    None if no is None else _inside(nest, i, no),
                )
    guests = nest.attached.get(i, ())
    ahead = nest.ahead.get(i, ())
    if not guests and not ahead:
        return walk(nest, i + 1, scene)
    body = sequence((*(guest.make(scene) for guest in guests), walk(nest, i + 1, scene)))
    if body is not None:
        lines = [Prefetch(p.buffer, specialize(p.index, scene.env)) for p in ahead]
        body = sequence((*lines, body))
    for guest in reversed(guests):
        for buffer in guest.buffers:
            body = body and Allocate(buffer, body)
    return body
