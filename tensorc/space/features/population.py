"""The features of a population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorc.lower.lanes import lanes_of
from tensorc.schedule.bounds import Bounds, Loop
from tensorc.schedule.stage import AUTO_UNROLL, Annotation, IterKind
from tensorc.schedule.state import State
from tensorc.space.features.accesses import Lines, Reuse, Touched, lines, reuse, strides, touched
from tensorc.space.features.guards import guards
from tensorc.space.features.loops import Flags, Floats, LoopArrays, loop_arrays, spread
from tensorc.space.features.names import BUFFERS, CURVE, FEATURE_NAMES
from tensorc.space.features.phases import executed_share
from tensorc.space.features.plan import Plan, StatementPlan, make_plan
from tensorc.space.unrolling import body_copies, deepest_guest, unrolled_loops, vector_flags
from tensorc.target import Target

Features = NDArray[np.float32]

# Lines that a set of the first-level cache holds, as of most processors.
_WAYS = 8


def features(
    state: State,
    target: Target,
    rows: int = 1,
    plan: Plan | None = None,
    bounds: Bounds | None = None,
) -> Features:
    """The features of every statement of `rows` candidates: candidates × statements × features.

    Values are `log2(x + 1)` of what the names say.

    Args:
        state: The state of a population, or of one candidate.
        target: The machine.
        rows: The number of candidates.
        plan: What `make_plan` has found out for the sketch, to save the time.
        bounds: The bounds of the state, if they are known already.
    """
    bounds = bounds or Bounds(state)
    plan = plan or make_plan(state, bounds, target)
    with np.errstate(divide="ignore", invalid="ignore"):
        made = _Population(state, bounds, plan, rows).values()
        if plan.is_empty:
            np.nan_to_num(made, copy=False, posinf=0.0, neginf=0.0)
        result: Features = np.log2(made + np.float32(1.0))
    return np.ascontiguousarray(result.transpose(2, 0, 1))


class _Population:
    """One run over all statements, producers first, which see what earlier ones touch."""

    def __init__(self, state: State, bounds: Bounds, plan: Plan, rows: int) -> None:
        self.state, self.bounds, self.plan, self.rows = state, bounds, plan, rows
        self.parts: list[Touched] = []
        self.loops: list[LoopArrays] = []

    def values(self) -> Features:
        """Values before the logarithm: statements × features × candidates."""
        statements = self.plan.statements
        out = np.empty((len(statements), len(FEATURE_NAMES), self.rows), np.float32)
        for number, statement in enumerate(statements):
            for k, value in enumerate(self._statement(statement)):
                out[number, k] = value
        return out

    def _statement(self, plan: StatementPlan) -> list[Any]:
        loops = loop_arrays(self.state, self.bounds, plan, self.rows)
        line = self.plan.target.cache_line_bytes
        parts = touched(self.state, self.bounds, plan, loops, self.rows, line)
        values: list[Any] = [loops.total * count for count in plan.counts]
        for flags in (loops.vector, loops.unrolled, loops.parallel):
            values += loops.number(flags)
        values += self._gpu(loops)
        stride = strides(self.state, self.bounds, plan, loops, self.rows)
        values += self._buffers(plan, loops, parts, stride)
        values += _intensity(plan, loops, parts)
        values += self._place(plan, loops)
        values += self._machine(plan, loops, parts, stride)
        self.loops.append(loops)
        self.parts.append(parts)
        return values

    def _gpu(self, loops: LoopArrays) -> list[Any]:
        words = (Annotation.BLOCK_X, Annotation.THREAD_X, Annotation.VTHREAD)
        bound: list[Any] = [1.0, 1.0, 1.0]
        for loop in loops.nest.loops:
            if loop.annotation in words:
                place = words.index(loop.annotation)
                bound[place] = bound[place] * loop.extent
        return [float(self.plan.target.is_gpu), *bound]

    def _shared(self, plan: StatementPlan, loops: LoopArrays) -> list[tuple[Flags, Floats]]:
        """For each earlier statement, which loops are shared, and what it touches."""
        found = []
        for number, common, touching in plan.shared:
            flags = np.ones((common, self.rows), bool)
            for masks in (loops.nest.masks, self.loops[number].nest.masks):
                for k in range(common):
                    if plan.levels[k] < len(masks):
                        flags[k] &= masks[plan.levels[k]]
            elements = np.zeros((len(plan.buffers), common, self.rows))
            names = [b.name for b in self.plan.statements[number].buffers]
            for b, buffer in enumerate(plan.buffers):
                if touching[b]:
                    elements[b] = self.parts[number].elements[names.index(buffer.name), :common]
            found.append((flags, elements))
        return found

    def _buffers(
        self, plan: StatementPlan, loops: LoopArrays, parts: Touched, stride: Floats
    ) -> list[Any]:
        earlier = self._shared(plan, loops)
        around = parts.bytes.copy()
        for (number, common, _), (flags, _) in zip(plan.shared, earlier, strict=True):
            around[:common] += np.where(flags, self.parts[number].bytes[:common], 0.0)
        fetched = lines(plan, loops, parts, stride, self.plan.target.cache_line_bytes)
        again = reuse(plan, loops, parts, around, earlier)
        block = _buffer_block(plan, loops, parts, fetched, again)
        order = np.argsort(-fetched.all, axis=0, kind="stable")[:BUFFERS]
        sorted_block = np.take_along_axis(block, order[:, None, :], 0)
        values: list[Any] = list(sorted_block.reshape(-1, self.rows))
        return values + [0.0] * ((BUFFERS - len(order)) * block.shape[1])

    def _place(self, plan: StatementPlan, loops: LoopArrays) -> list[Any]:
        op, nest = self.state.dag.by_name[plan.name], loops.nest
        size = np.ones(self.rows)
        for axis in op.axes:
            size = size * nest.extents[axis]
        outer = loops.extents[: loops.first].prod(axis=0)
        stage = self.state.stages[plan.name]
        limit: Any = dict(stage.marks).get("unroll", 0)
        for _, key, value in stage.pragmas:
            limit = value if key == AUTO_UNROLL else limit
        return [
            size * sum(d.itemsize for d in op.dtypes),
            size * outer,
            outer,
            loops.total / outer,
            loops.total,
            loops.live.sum(axis=0),
            limit,
        ]

    def _machine(
        self, plan: StatementPlan, loops: LoopArrays, parts: Touched, stride: Floats
    ) -> list[Any]:
        target, nest = self.plan.target, loops.nest
        op = self.state.dag.by_name[plan.name]
        lanes = lanes_of(op, target)
        tile, vector = _register_tile(nest.own, self.rows)
        vectors = np.ceil(vector / lanes)
        accumulators = tile / np.maximum(vector, 1.0) * vectors
        volume = np.ones(self.rows)
        for axis in op.extents():
            volume = volume * nest.extents[axis]
        tasks = np.where(loops.parallel, loops.extents, 1.0).prod(axis=0)
        cores = target.num_cores
        limit = self._place_limit(plan.name)
        guest = deepest_guest(self.state, self.bounds, plan.name)
        vectorized = vector_flags(self.state, plan.name)
        copies, _ = body_copies(nest.own, vectorized, guest, limit, lanes)
        unrolled = unrolled_loops(nest.own, vectorized, guest, limit, lanes)
        return [
            accumulators,
            accumulators + vectors + 1.0,
            vector / (vectors * lanes),
            loops.inside[loops.first] / volume,
            tasks / (np.ceil(tasks / cores) * cores),
            _moved_past(target.l1_bytes, plan, loops, parts),
            _moved_past(target.l2_bytes, plan, loops, parts),
            copies,
            loops.total / tasks,
            _tile_loads(plan, loops, parts, stride, _block(plan, loops, unrolled), lanes),
            _lines_per_set(plan, loops, stride, target),
            _register_run(plan, loops),
            _moved_past(target.l3_bytes, plan, loops, parts),
            executed_share(self.state, self.bounds, plan, loops),
            *guards(self.state, self.bounds, plan, loops),
        ]

    def _place_limit(self, name: str) -> Any:
        stage = self.state.stages[name]
        limit: Any = dict(stage.marks).get("unroll", 0)
        for _, key, value in stage.pragmas:
            limit = value if key == AUTO_UNROLL else limit
        return limit


def _register_tile(own: Sequence[Loop], rows: int) -> tuple[Floats, Floats]:
    """The iterations inside the last reduction loop, and those of the vector loop."""
    tile = np.ones(rows)
    for loop in reversed(own):
        if loop.kind is IterKind.REDUCE:
            break
        tile = tile * loop.extent
    if not own or own[-1].kind is IterKind.REDUCE:
        return tile, np.ones(rows)
    return tile, spread(own[-1].extent, rows)


def _kinds(plan: StatementPlan, loops: LoopArrays) -> list[bool]:
    """For each loop that counts, whether it is a reduction of this statement's own."""
    kinds = [loops.nest.loops[level].kind is IterKind.REDUCE for level in plan.levels]
    return [k >= loops.first and reduces for k, reduces in enumerate(kinds)]


def _tile_start(plan: StatementPlan, loops: LoopArrays) -> int:
    """The number of the first loop inside the last reduction."""
    reduces = _kinds(plan, loops)
    return max((k + 1 for k, reduce in enumerate(reduces) if reduce), default=loops.first)


def _block(plan: StatementPlan, loops: LoopArrays, unrolled: Sequence[Any]) -> NDArray[np.int64]:
    """The number of the outermost loop of what is unrolled as one, at most that of the tile."""
    outer = len(loops.nest.loops) - len(loops.nest.own)
    start = _tile_start(plan, loops)
    block = np.full(loops.extents.shape[1], start)
    for k in range(start - 1, loops.first - 1, -1):
        block = np.where(unrolled[plan.levels[k] - outer], k, block)
    return block


def _tile_loads(
    plan: StatementPlan,
    loops: LoopArrays,
    parts: Touched,
    stride: Floats,
    block: NDArray[np.int64],
    lanes: int,
) -> Floats:
    """Loads of one step of the innermost reduction: vectors, broadcasts, elements of gathers.

    Steps that are unrolled load what they have in common once (`codegen.llvm.reuse_order`).
    """
    rows = np.arange(loops.extents.shape[1])
    start = _tile_start(plan, loops)
    steps = loops.inside[block, rows] / loops.inside[start]
    total = np.zeros(len(rows))
    for b, buffer in enumerate(plan.buffers):
        if not buffer.is_read or buffer.is_written:
            continue
        loads, elements = np.ones(len(rows)), np.ones(len(rows))
        for k in range(loops.first, loops.count):
            if plan.moved[b, k]:
                near = loops.vector[k] & (np.abs(stride[b, k]) <= 1)
                each = np.where(near, np.ceil(loops.extents[k] / lanes), loops.extents[k])
                loads = loads * np.where(k >= block, each, 1.0)
                elements = elements * np.where(k >= block, loops.extents[k], 1.0)
        level = np.minimum(block, max(loops.count - 1, 0))
        reused = np.minimum(parts.elements[b, level, rows] / elements, 1.0)
        total = total + loads * np.where(block < start, reused, 1.0) / steps
    return total


def _lines_per_set(
    plan: StatementPlan, loops: LoopArrays, stride: Floats, target: Target
) -> Floats:
    """How many lines that a tile reads at a time share a set of the first cache, at most.

    Rows whose distance is a power of two fall into few sets, and drive each other out.
    """
    most = np.ones(loops.extents.shape[1])
    sets = max(target.l1_bytes // (_WAYS * target.cache_line_bytes), 1)
    for b, buffer in enumerate(plan.buffers):
        for k in range(_tile_start(plan, loops), loops.count):
            if plan.moved[b, k] and buffer.is_read:
                apart = np.abs(stride[b, k]) * buffer.item_bytes / target.cache_line_bytes
                whole = (apart >= 1) & (apart == np.floor(apart))
                used = sets // np.gcd(np.where(whole, apart, 1).astype(np.int64), sets)
                most = np.maximum(most, np.where(whole, loops.extents[k] / used, 1.0))
    return most


def _register_run(plan: StatementPlan, loops: LoopArrays) -> Floats:
    """Steps of the reduction for which the running values of a tile can stay in registers."""
    reduces = _kinds(plan, loops)
    run, going = np.ones(loops.extents.shape[1]), np.ones(loops.extents.shape[1], bool)
    seen = False
    for k in range(loops.count - 1, loops.first - 1, -1):
        if reduces[k]:
            seen = True
            run = np.where(going, run * loops.extents[k], run)
        elif seen:
            going &= loops.extents[k] <= 1
    return run


def _moved_past(cache: int, plan: StatementPlan, loops: LoopArrays, parts: Touched) -> Floats:
    """Bytes that come from beyond a cache.

    The largest loops whose data fits work in the cache. The loop around them fetches each line that
    it touches once: what its iterations share with the next ones stays. All of that is fetched anew
    for each of its runs, except while the loops next to it do not move the buffer: then it is used
    again and again, and stays.
    """
    rows = parts.bytes.shape[1]
    if not loops.count:
        whole: Floats = parts.bytes[0]
        return whole
    items = np.array([float(buffer.item_bytes) for buffer in plan.buffers])[:, None, None]
    sizes = parts.elements * parts.lines * items
    fits = sizes[:, : loops.count].sum(axis=0) <= cache
    level = np.where(fits.any(axis=0), fits.argmax(axis=0), loops.count)
    first = np.maximum(level - 1, 0)
    column = np.arange(rows)
    total = np.zeros(rows)
    for b in range(len(plan.buffers)):
        runs, moving = np.ones(rows), np.zeros(rows, bool)
        for k in range(loops.count - 1, -1, -1):
            if plan.moved[b, k]:
                moving |= (k < level) & loops.live[k]
            runs = np.where((k < first) & moving, runs * loops.extents[k], runs)
        total += sizes[b, first, column] * runs
    return total


def _buffer_block(
    plan: StatementPlan, loops: LoopArrays, parts: Touched, fetched: Lines, again: Reuse
) -> NDArray[np.float32]:
    """The features of every buffer: buffers × features × candidates."""
    rows = loops.extents.shape[1]
    block = np.empty((len(plan.buffers), 18, rows), np.float32)
    items = np.array([float(b.item_bytes) for b in plan.buffers])[:, None]
    for b, buffer in enumerate(plan.buffers):
        block[b, 0] = buffer.is_read and not buffer.is_written
        block[b, 1] = buffer.is_written and not buffer.is_read
        block[b, 2] = buffer.is_read and buffer.is_written
    sizes = (
        loops.total * items,
        parts.elements[:, 0] * items,
        fetched.all,
        fetched.unique,
    )
    per = np.where(again.count > 0.5, again.count, 0.5)
    for k, size in enumerate(sizes):
        block[:, 3 + k] = size
        block[:, 13 + k] = size / per
    block[:, 7] = again.by_loop
    block[:, 8] = again.by_statement
    block[:, 9] = ~(again.by_loop | again.by_statement)
    block[:, 10] = again.iterations
    block[:, 11] = again.bytes
    block[:, 12] = again.count
    block[:, 17] = fetched.stride
    return block


def _intensity(plan: StatementPlan, loops: LoopArrays, parts: Touched) -> list[Any]:
    """Operations per byte, sampled at shares of all operations, the innermost loops first."""
    operations = float(plan.counts[:7].sum() + plan.counts[0])
    if not operations or not loops.count:
        return [0.0] * CURVE
    done = loops.inside[:-1][::-1] * operations
    intensity = done / parts.bytes[: loops.count][::-1]
    column = np.arange(done.shape[1])
    values: list[Any] = []
    for k in range(CURVE):
        wanted = done[-1] * (k + 1) / CURVE
        upper = np.minimum((done < wanted - 1e-4).sum(axis=0), loops.count - 1)
        lower = np.maximum(upper - 1, 0)
        gap = done[upper, column] - done[lower, column]
        slope = (intensity[upper, column] - intensity[lower, column]) / np.where(gap > 0, gap, 1)
        between = intensity[lower, column] + slope * (wanted - done[lower, column])
        values.append(np.where(upper == 0, intensity[0], between))
    return values
