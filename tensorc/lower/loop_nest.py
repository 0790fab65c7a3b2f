"""From a State to compact loop IR: every stage becomes a nest of loops at its place.

Nothing is emitted that a later pass has to prove away: a nest is generated again wherever a
narrower range makes it simpler (see `lower.nest`).
"""

from __future__ import annotations

from math import prod

from tensorc.ir.affine import Affine
from tensorc.ir.expr import Expr, Load, Read, Select
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.printer import RESERVED
from tensorc.ir.stmt import Allocate, ForKind, Seq, Stmt
from tensorc.ir.visit import map_expr, map_opaque
from tensorc.lower.instance import Leaf
from tensorc.lower.lanes import lanes_of
from tensorc.lower.nest import Attached, Make
from tensorc.lower.placement import Placed, Placement, place
from tensorc.lower.predicates import conditions_in, prune, tighten
from tensorc.lower.prefetching import prefetches
from tensorc.lower.register_tile import (
    MAX_VECTORS,
    fills_rows,
    find_tile,
    stays_in_registers,
)
from tensorc.lower.scene import Scene, settle
from tensorc.lower.sequence import sequence
from tensorc.lower.stage_nest import StageCode, stage_nest
from tensorc.lower.storage import View, aligned_layout, flatten, padded_rows, whole_view
from tensorc.schedule.round_up import round_up
from tensorc.schedule.stage import STREAMING, Root
from tensorc.schedule.state import State
from tensorc.support.errors import LoweringError
from tensorc.support.names import fresh, identifier
from tensorc.target import Target
from tensorc.te.op import Op, output_name


def build(state: State, target: Target, name: str = "kernel") -> PrimFunc:
    """Lower a concrete state to compact loop IR, with loops still marked vectorised.

    Raises:
        LoweringError: if a stage has no place, a loop is bound to threads, a prefetch is asked of
            a vectorised loop, or a stage that is no output is to be stored past the caches.
    """
    params: dict[tuple[str, int], Buffer] = {}
    state = round_up(state)
    taken: set[str] = {name, *RESERVED}
    for op_name, output in state.dag.params:
        op = state.dag.by_name[op_name]
        buffer = _buffer(op, output, "global", taken)
        params[op_name, output] = buffer
    builder = _Builder(state, target, params, place(state, taken, target))
    body = builder.body()
    outputs = tuple(
        b.name for (n, _), b in params.items() if not state.dag.by_name[n].is_placeholder
    )
    return PrimFunc(name, tuple(params.values()), outputs, Seq(()) if body is None else body)


def _buffer(op: Op, output: int, scope: str, taken: set[str]) -> Buffer:
    name = fresh(identifier(output_name(op, output)), taken)
    taken.add(name)
    shape = tuple(int(n) for n in op.shape)
    return Buffer(name, shape, op.dtypes[output], "global" if scope == "global" else "stack")


class _Builder:
    """The parts of a function while it is put together."""

    def __init__(
        self,
        state: State,
        target: Target,
        params: dict[tuple[str, int], Buffer],
        placement: Placement,
    ) -> None:
        self.state = state
        self.target = target
        self.placement = placement
        self.views: dict[tuple[str, int], View] = {k: whole_view(b) for k, b in params.items()}
        self.scratch: dict[str, tuple[Buffer, ...]] = {}
        self.loads: dict[str, list[Affine]] = {}
        self.made: dict[str, Make] = {}

    def body(self) -> Stmt | None:
        """Every stage at the root, one after another."""
        placed = list(self.placement.stages.values())
        for stage in placed:
            self._give_storage(stage)
        bodies = {stage.op.name: tuple(map(self._resolve, stage.bodies)) for stage in placed}
        by_variable = {leaf.var: leaf for s in placed for leaf in s.instance.leaves}
        for leaf in tuple(by_variable.values()):
            by_variable |= dict.fromkeys((n for n, _ in leaf.lets), leaf)
        for stage in reversed(placed):
            self.made[stage.op.name] = self._maker(stage, bodies[stage.op.name], by_variable)
        scene = Scene(dict(self.placement.ranges), (), (), parallel=False)
        body: Stmt | None = None
        for stage in placed:  # last one first, so that each allocation holds what follows
            if not isinstance(stage.stage.location, Root):
                continue
            body = sequence((self.made[stage.op.name](scene), body))
            for buffer in self.scratch[stage.op.name]:
                body = body and Allocate(buffer, body)
        return body

    def _give_storage(self, placed: Placed) -> None:
        op, align = placed.op, placed.stage.storage_align
        dimension = align and (op.axes.index(align[0]), *align[1:])
        scratch: list[Buffer] = []
        for output, dtype in enumerate(op.dtypes):
            if (op.name, output) in self.views:
                continue
            shape, strides = self._layout(placed, dimension)
            name = self.placement.fresh_name(output_name(op, output))
            buffer = Buffer(name, shape, dtype, "stack")
            self.views[op.name, output] = View(buffer, placed.base, strides)
            scratch.append(buffer)
        self.scratch[op.name] = tuple(scratch)

    def _layout(
        self, placed: Placed, align: tuple[int, int, int] | None
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shape and strides of a stage's buffer; of one that fits registers, rows are whole."""
        lanes = lanes_of(placed.op, self.target)
        small = prod(placed.extents) <= MAX_VECTORS * lanes
        if align is None and small and fills_rows(placed):
            padded = padded_rows(placed.extents, lanes)
            if padded is not None and not self._is_walked_whole(placed):
                return padded
        return aligned_layout(placed.extents, align)

    def _is_walked_whole(self, placed: Placed) -> bool:
        """Whether the vectors of a reader may run from row to row, through a fused loop."""
        fused = {
            name
            for stage in self.placement.stages.values()
            for leaf in stage.instance.leaves
            for name, _ in leaf.lets
            if leaf.kind is ForKind.VECTORIZED
        }
        return any(v in fused for v in self.placement.variables_of_reads(placed.op.name))

    def _resolve(self, e: Expr) -> Expr:
        """Reads become loads; conditions are put in their tightest form."""
        match e:
            case Read(name, indices, _, output):
                view = self.views[name, output]
                found = [map_opaque(i, self._resolve) for i in indices]
                index = flatten(view, found, self.placement.fusions)
                self.loads.setdefault(view.buffer.name, []).append(index)
                return Load(view.buffer, index)
            case Select(conditions, a, b):
                tight = tuple(
                    tighten(map_opaque(c, self._resolve), self.placement.ranges) for c in conditions
                )
                return Select(tight, self._resolve(a), self._resolve(b))
            case _:
                return map_expr(e, self._resolve, lambda i: map_opaque(i, self._resolve))

    def _maker(
        self, placed: Placed, bodies: tuple[Expr, ...], by_variable: dict[str, Leaf]
    ) -> Make:
        ranges = self.placement.ranges
        bodies = tuple(prune(b, ranges, ()) for b in bodies)
        code = self._code(placed, by_variable, bodies)
        attached: dict[int, tuple[Attached, ...]] = {}
        for k, leaf in enumerate(placed.instance.leaves):
            guests = self.placement.attached.get((placed.op.name, leaf.iterator), ())
            if guests:
                attached[k] = tuple(Attached(self.scratch[g], self.made[g]) for g in guests)
        nest = stage_nest(code, attached)
        blank = Scene(
            {}, (), (), parallel=False, domain=placed.domain, guards=placed.guards, values=bodies,
            conditions=conditions_in(bodies, ranges, ()),
        )  # fmt: skip

        def make(around: Scene) -> Stmt | None:
            if placed.is_empty:
                return None
            scene = settle(
                blank._replace(
                    env=around.env,
                    bound=around.bound,
                    facts=around.facts,
                    parallel=around.parallel,
                )
            )
            return None if scene is None else nest(scene)

        return make

    def _code(
        self, placed: Placed, by_variable: dict[str, Leaf], bodies: tuple[Expr, ...]
    ) -> StageCode:
        op, placement = placed.op, self.placement
        views = [self.views[op.name, o] for o in range(len(op.dtypes))]
        values = [placed.values[a] for a in op.axes]
        stored = tuple(flatten(view, values, placement.fusions) for view in views)
        tile = None
        lanes = lanes_of(op, self.target)
        if op.reducer is not None:
            loaded = [i for v in views for i in self.loads.get(v.buffer.name, ())]
            in_scratch = all(v.buffer.scope != "global" for v in views)
            resident = in_scratch and stays_in_registers(
                placed, stored[0], loaded, by_variable, lanes
            )
            if not resident:
                tile = find_tile(placed, lanes)
        buffers = tuple(view.buffer for view in views)
        tiles: tuple[Buffer, ...] = ()
        if tile is not None:
            tiles = tuple(
                Buffer(placement.fresh_name(f"{b.name}_tile"), tile.shape, b.dtype, "stack")
                for b in buffers
            )
        ahead = prefetches(placed, bodies, placement.ranges, self.target)
        streams = _streams(placed, buffers)
        return StageCode(placed, buffers, stored, tile, tiles, placement.fresh_name, ahead, streams)


def _streams(placed: Placed, buffers: tuple[Buffer, ...]) -> bool:
    """Whether a stage is stored past the caches, as a pragma demands."""
    stage = placed.stage
    if not any(value for _, key, value in stage.pragmas if key == STREAMING):
        return False
    if any(b.scope != "global" for b in buffers):
        raise LoweringError(
            f"Cannot store stage '{stage.name}' past the caches: expected an output of the kernel."
        )
    return True
