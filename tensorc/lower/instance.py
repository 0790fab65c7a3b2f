"""The loops of one stage at one place: variables, the values of its axes, and split tails.

A stage attached elsewhere computes a region of its operation; its loops are what the same splits
and fusions make of the region's extents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tensorc.arith.affine import Env, Range, divmod_affine
from tensorc.ir.affine import ZERO, Affine, add, affine_variables, scale, variable
from tensorc.ir.stmt import ForKind
from tensorc.schedule.relations import extents as iterator_extents
from tensorc.schedule.stage import (
    Annotation,
    FuseRelation,
    Iterator,
    IterKind,
    SplitRelation,
    Stage,
)
from tensorc.support.errors import LoweringError

_KINDS = {
    Annotation.NONE: ForKind.SERIAL,
    Annotation.UNROLL: ForKind.UNROLLED,
    Annotation.VECTORIZE: ForKind.VECTORIZED,
    Annotation.PARALLEL: ForKind.PARALLEL,
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One loop; `lets` are the parts of a fused iterator that become known here."""

    iterator: str
    var: str
    extent: int
    reduce: bool
    kind: ForKind
    lets: tuple[tuple[str, Affine], ...] = ()

    @property
    def is_serial(self) -> bool:
        """Whether it is a loop in the emitted code, with more than one iteration."""
        return self.extent > 1 and self.kind in (ForKind.SERIAL, ForKind.PARALLEL)


@dataclass(frozen=True, slots=True)
class Fusion:
    """`value` is what the let variables `parts` (with their extents, outermost first) spell."""

    parts: tuple[tuple[str, int], ...]
    value: Affine


@dataclass(frozen=True, slots=True)
class Instance:
    """The loops of a stage over a region that starts at 0 in every axis.

    `values` gives each axis in terms of loop variables, `ranges` the range of each variable.
    `tails` must hold for the values to lie in the region; `definitions` are the let variables.
    """

    leaves: tuple[Leaf, ...]
    values: dict[str, Affine]
    ranges: dict[str, Range]
    tails: tuple[Affine, ...]
    definitions: dict[str, Affine]
    fusions: tuple[Fusion, ...]


def instantiate(stage: Stage, extents: Mapping[str, int], name: Callable[[str], str]) -> Instance:
    """Make the loops of a stage for a region of the given extents; `name` makes variables.

    Raises:
        LoweringError: if a loop is bound to threads.
    """
    sizes = {n: int(e) for n, e in iterator_extents(stage.relations, extents).items()}
    draft = _Draft(sizes, name)
    for position, iterator in enumerate(stage.iterators):
        draft.add_leaf(position, iterator)
    for relation in reversed(stage.relations):
        match relation:
            case SplitRelation(parent, parts, lengths):
                draft.split(parent, parts, tuple(map(int, lengths)))
            case FuseRelation(parts, fused):
                draft.fuse(parts, fused)
    leaves = tuple(
        Leaf(
            it.name,
            draft.variables[k],
            sizes[it.name],
            it.kind is IterKind.REDUCE,
            loop_kind(stage, it),
            tuple(draft.lets.get(k, ())),
        )
        for k, it in enumerate(stage.iterators)
    )
    values = {axis: draft.values[axis] for axis in extents}
    definitions = {n: a for lets in draft.lets.values() for n, a in lets}
    return Instance(
        leaves, values, draft.ranges, tuple(draft.tails), definitions, tuple(draft.fusions)
    )


def loop_kind(stage: Stage, iterator: Iterator) -> ForKind:
    """How the loop of an iterator runs on a CPU; reductions are neither parallel nor vectors.

    Raises:
        LoweringError: if it is bound to threads.
    """
    kind = _KINDS.get(iterator.annotation)
    if kind is None:
        raise LoweringError(
            f"Cannot lower '{iterator.name}' of stage '{stage.name}' for a CPU: expected no thread "
            f"binding, got '{iterator.annotation.value}'."
        )
    if iterator.kind is IterKind.REDUCE and kind in (ForKind.PARALLEL, ForKind.VECTORIZED):
        return ForKind.SERIAL
    return kind


class _Draft:
    """What is known while relations are undone, last one first."""

    def __init__(self, sizes: Mapping[str, int], name: Callable[[str], str]) -> None:
        self.sizes = sizes
        self.name = name
        self.values: dict[str, Affine] = {}
        self.variables: dict[int, str] = {}
        self.ranges: dict[str, Range] = {}
        self.position: dict[str, int] = {}
        self.tails: list[Affine] = []
        self.lets: dict[int, list[tuple[str, Affine]]] = {}
        self.fusions: list[Fusion] = []

    def add_leaf(self, position: int, iterator: Iterator) -> None:
        size = self.sizes[iterator.name]
        var = self.name(iterator.name)
        self.variables[position] = var
        self.values[iterator.name] = ZERO if size == 1 else variable(var)
        self.ranges[var] = (0, size - 1)
        self.position[var] = position

    def value(self, iterator: str) -> Affine:
        # An iterator of which nothing is left has been split or fused away before.
        return self.values[iterator]

    def split(self, parent: str, parts: tuple[str, ...], lengths: tuple[int, ...]) -> None:
        value = self.values[parts[0]]
        for part, length in zip(parts[1:], lengths, strict=True):
            value = add(scale(value, length), self.values[part])
        self.values[parent] = value
        size = self.sizes[parent]
        # Not the product of extents: an inner loop clipped to a short parent keeps its stride.
        # Of nothing there is no tail: it would be false for what is done around the loop, too.
        if size and _top(value, self.ranges) > size - 1:
            self.tails.append(Affine(size - 1) - value)

    def fuse(self, parts: tuple[str, ...], fused: str) -> None:
        value = self.values[fused]
        open_parts = [part for part in parts if self.sizes[part] != 1]
        for part in parts:
            self.values[part] = ZERO
        if self.sizes[fused] == 0:
            return  # nothing runs
        if len(open_parts) == 1:
            self.values[open_parts[0]] = value
        elif open_parts:
            self._take_apart(open_parts, value)

    def _take_apart(self, parts: list[str], value: Affine) -> None:
        atoms: list[Affine] = []
        rest, stride = value, 1
        for part in reversed(parts[1:]):
            rest, own = divmod_affine(rest, self.sizes[part], self.ranges)
            atoms.append(own)
            stride *= self.sizes[part]
        pieces = [divmod_affine(value, stride, self.ranges)[0], *reversed(atoms)]
        if all(isinstance(atom, str) for piece in pieces for atom, _ in piece.terms):
            self.values.update(zip(parts, pieces, strict=True))
            return
        at = max(self.position[v] for v in affine_variables(value))
        names = [self.name(part) for part in parts]
        for part, let, piece in zip(parts, names, pieces, strict=True):
            self.lets.setdefault(at, []).append((let, piece))
            self.values[part] = variable(let)
            self.ranges[let] = (0, self.sizes[part] - 1)
            self.position[let] = at
        spelled = tuple(zip(names, (self.sizes[p] for p in parts), strict=True))
        self.fusions.append(Fusion(spelled, value))


def _top(value: Affine, env: Env) -> int:
    return int(value.const + sum(c * env[v][1] for v, c in value.terms if isinstance(v, str)))
