"""Where every stage is computed: its loops, its region, its body in terms of loop variables.

Consumers are placed before producers. Regions are taken while every variable runs over its full
range, so that all copies of a nest share one buffer shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from tensorc.arith.affine import Range, interval, substitute_expr
from tensorc.ir.affine import ZERO, Affine, add, affine_variables
from tensorc.ir.expr import Expr, Read
from tensorc.ir.visit import walk_expr
from tensorc.lower.instance import Fusion, Instance, instantiate
from tensorc.lower.lanes import lanes_of
from tensorc.lower.predicates import tighten
from tensorc.lower.reducing import split_guards
from tensorc.lower.regions import Surroundings, clip, hull, relax
from tensorc.lower.unrolling import auto_unroll, vector_reduction
from tensorc.schedule.access import body_of
from tensorc.schedule.stage import At, AtLevel, Inlined, Root, Stage
from tensorc.schedule.state import State
from tensorc.support.errors import LoweringError
from tensorc.support.names import fresh, identifier
from tensorc.target import Target
from tensorc.te.op import Op

Indices: TypeAlias = tuple[Affine, ...]
Region: TypeAlias = tuple[tuple[Affine, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """One stage at its place.

    `outer` are the variables around it, outermost first; `base` and `extents` its region, `values`
    its axes. Stores need `domain`, a step of a reduction needs `guards` too.
    """

    stage: Stage
    op: Op
    instance: Instance
    outer: tuple[str, ...]
    base: tuple[Affine, ...]
    extents: tuple[int, ...]
    values: dict[str, Affine]
    bodies: tuple[Expr, ...]
    domain: tuple[Affine, ...]
    guards: tuple[Affine, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no element to compute."""
        return 0 in self.extents


class Placement:
    """All stages of a state, placed; filled in by `place`."""

    def __init__(self, state: State, target: Target) -> None:
        self.state = state
        self.target = target
        self.hosts = {
            (s.location.target, s.location.iterator)
            for s in state.stages.values()
            if isinstance(s.location, At)
        }
        self.names: set[str] = set()
        self.ranges: dict[str, Range] = {}
        self.definitions: dict[str, Affine] = {}
        self.fusions: list[Fusion] = []
        self.stages: dict[str, Placed] = {}
        self.attached: dict[tuple[str, str], tuple[str, ...]] = {}
        self._reads: dict[str, list[Indices]] = {}

    def fresh_name(self, text: str) -> str:
        """A name that nothing else in the function has."""
        name = fresh(identifier(text), self.names)
        self.names.add(name)
        return name

    def variables_of_reads(self, name: str) -> Iterator[str]:
        """The variables that decide which elements of an operation are read."""
        for indices in self._reads.get(name, ()):
            for index in indices:
                yield from affine_variables(index)

    def add(self, op: Op, stage: Stage) -> None:
        """Place one stage; all that read it must be there already.

        Raises:
            LoweringError: if the stage has no place, or a loop of it is bound to threads.
        """
        outer = self._outer(stage)
        base, extents = self._region(op, stage, outer)
        sizes = dict(zip(op.axes, extents, strict=True)) | {a: int(n) for a, n in op.reduce_axes}
        prefix = identifier(stage.name)
        instance = instantiate(stage, sizes, lambda n: self.fresh_name(f"{prefix}_{n}"))
        hosts = {it for name, it in self.hosts if name == stage.name}
        lanes = lanes_of(op, self.target)
        leaves = vector_reduction(stage, instance.leaves)
        instance = replace(instance, leaves=auto_unroll(stage, leaves, hosts, lanes))
        self.ranges |= instance.ranges
        self.definitions |= instance.definitions
        self.fusions += instance.fusions
        values = dict(instance.values)
        for axis, start in zip(op.axes, base, strict=True):
            values[axis] = add(start, values[axis])
        bodies = tuple(
            substitute_expr(b, values, self.ranges) for b in body_of(self.state, op.name)
        )
        guards: tuple[Affine, ...] = ()
        if op.reducer is not None:
            bodies, guards = split_guards(op.reducer, bodies)
        domain, tails = self._predicates(op, stage, instance, values, (base, extents))
        self.stages[op.name] = Placed(
            stage, op, instance, outer, base, extents, values, bodies, domain,
            tails + tuple(tighten(g, self.ranges) for g in guards),
        )  # fmt: skip
        for body in bodies:
            for e in walk_expr(body):
                if isinstance(e, Read):
                    self._reads.setdefault(e.op, []).append(e.indices)

    def _outer(self, stage: Stage) -> tuple[str, ...]:
        match stage.location:
            case At(target, iterator):
                around = self.stages[target]
                names = list(around.outer)
                for leaf in around.instance.leaves:
                    names += (leaf.var, *(n for n, _ in leaf.lets))
                    if leaf.iterator == iterator:
                        break
                key = (target, iterator)
                # Placed last, computed first: producers stand before consumers.
                self.attached[key] = (stage.name, *self.attached.get(key, ()))
                return tuple(names)
            case Root():
                return ()
            case Inlined() | AtLevel():
                raise LoweringError(
                    f"Cannot lower stage '{stage.name}': expected a place in a concrete schedule, "
                    f"got {stage.location}."
                )

    def _region(self, op: Op, stage: Stage, outer: tuple[str, ...]) -> Region:
        shape = tuple(int(n) for n in op.shape)
        if isinstance(stage.location, Root):
            return (ZERO,) * len(shape), shape
        around = Surroundings(frozenset(outer), self.ranges, self.definitions)
        reads = self._reads.get(op.name, [])
        spans = []
        for d, size in enumerate(shape):
            span = hull((relax(r, around) for r in {read[d]: None for read in reads}), size)
            rounded = op.axes[d] in stage.round_up
            spans.append(span if rounded else clip(span, size, self.ranges))
        return tuple(s.start for s in spans), tuple(s.extent for s in spans)

    def _predicates(
        self, op: Op, stage: Stage, instance: Instance, values: dict[str, Affine], region: Region
    ) -> tuple[tuple[Affine, ...], tuple[Affine, ...]]:
        """What stores need, and what steps of a reduction need besides."""
        reduced = {leaf.var for leaf in instance.leaves if leaf.reduce}
        reduced |= {n for leaf in instance.leaves if leaf.reduce for n, _ in leaf.lets}
        domain: list[Affine] = []
        guards: list[Affine] = []
        for tail in instance.tails:
            reduces = any(v in reduced for v in affine_variables(tail))
            (guards if reduces else domain).append(tail)
        if not isinstance(stage.location, Root):
            domain += self._overhang(op, stage, values, region)
        open_domain = (tighten(p, self.ranges) for p in domain)
        return (
            tuple(p for p in open_domain if interval(p, self.ranges)[0] < 0),
            tuple(tighten(p, self.ranges) for p in guards),
        )

    def _overhang(
        self, op: Op, stage: Stage, values: dict[str, Affine], region: Region
    ) -> Iterator[Affine]:
        """A region of constant extent may reach past either end of the tensor."""
        for axis, size, start, extent in zip(op.axes, op.shape, *region, strict=True):
            if axis in stage.round_up:
                continue
            low, high = interval(start, self.ranges)
            if low < 0:
                yield values[axis]
            if high + extent > size:
                yield Affine(int(size) - 1) - values[axis]


def place(state: State, reserved: set[str], target: Target) -> Placement:
    """Place every stage of a concrete state; `reserved` names are used by buffers already.

    Raises:
        LoweringError: if a stage has no place, or a loop is bound to threads.
    """
    placement = Placement(state, target)
    placement.names |= reserved
    for op in reversed(state.dag.ops):
        stage = state.stages.get(op.name)
        if stage is not None and not isinstance(stage.location, Inlined):
            placement.add(op, stage)
    return placement
