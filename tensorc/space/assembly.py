"""From the decisions of a sketch to columns, budgets and bounds between columns."""

from __future__ import annotations

from collections.abc import Callable

from tensorc.ir.dtype import compute_dtype
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.stage import IterKind
from tensorc.schedule.steps import LocateStep
from tensorc.space.columns import INNER_VECTORS, MAX_INNER, Columns, inner_choices, tile_columns
from tensorc.space.constraints import NoDeeper, ParallelBound, RegisterBudget, Repair, VectorBound
from tensorc.space.decisions import Choice, Rows, Tile
from tensorc.space.draft import Draft
from tensorc.space.inquiries import readers
from tensorc.space.nests import homes, nest_loops
from tensorc.space.population import is_around_unrolled, live_stages, register_tiles, vector_tile
from tensorc.space.sampling import RegisterTile, TileGroup
from tensorc.space.strides import group_size
from tensorc.space.task import SearchTask
from tensorc.space.thread_budget import SharedMemory, ThreadTile


def make_columns(task: SearchTask, draft: Draft) -> Columns:
    """The columns of all decisions, with the values that the machine makes sensible."""
    vectors = {vector_tile(register_tiles(draft, stage)) for stage in live_stages(draft)}
    tiles = []
    for d in draft.decisions:
        if isinstance(d, Tile):
            lanes, gpu = _lanes(task, draft, d.stage), task.target.is_gpu
            around = is_around_unrolled(draft, d) and not gpu
            cap = lanes if around else MAX_INNER
            if d in vectors and not (around or gpu):
                cap = max(cap, INNER_VECTORS * lanes)
            lengths = inner_choices(
                d,
                lanes,
                cap,
                is_vector=around or d in vectors,
                is_gpu=gpu,
                group=group_size(draft.state, d.stage, d.iterator),
                cores=task.target.num_cores,
            )
            tiles.append(tile_columns(d, lengths, task.target.num_cores))
    choices = tuple(d for d in draft.decisions if isinstance(d, Choice))
    return Columns(tuple(tiles), choices, draft.width)


def _lanes(task: SearchTask, draft: Draft, stage: str) -> int:
    return task.target.lanes(compute_dtype(draft.op(stage).dtype).bits)


def tile_groups(task: SearchTask, draft: Draft, columns: Columns) -> tuple[TileGroup, ...]:
    """The splits of each tiled stage, which share registers, or threads on a GPU."""
    by_tile = {t.tile: t for t in columns.tiles}
    groups: list[TileGroup] = []
    for stage in live_stages(draft):
        tiles = register_tiles(draft, stage)
        if not tiles:
            continue
        if task.target.is_gpu:
            groups.append(ThreadTile.of(tuple(by_tile[t] for t in tiles), task.target))
            continue
        vector = vector_tile(tiles)
        rows = tuple(by_tile[t] for t in tiles if t is not vector)
        column = None if vector is None else vector.first + vector.count - 1
        inner = tuple(r.tile.first + r.tile.count - 1 for r in rows)
        registers = task.target.vector_registers
        budget = RegisterBudget(column, inner, _lanes(task, draft, stage), registers)
        groups.append(RegisterTile(budget, by_tile[vector] if vector else None, rows))
    return tuple(groups)


def shared_memory(
    task: SearchTask, draft: Draft, columns: Columns, bounds_of: Callable[[Rows], Bounds]
) -> SharedMemory:
    """The shared memory of a GPU kernel, and the splits that decide how much it needs."""
    tiled = {stage for stage in live_stages(draft) if register_tiles(draft, stage)}
    mine = [t for t in columns.tiles if t.tile.stage in tiled]
    return SharedMemory(
        tuple(name for name in live_stages(draft) if draft.stage(name).scope == "shared"),
        tuple(t for t in mine if t.tile.kind is IterKind.REDUCE),
        tuple(t for t in mine if t.tile.kind is IterKind.SPATIAL and t.tile.count > 1),
        task.target.max_shared_bytes,
        bounds_of,
    )


def column_bounds(draft: Draft, columns: Columns) -> tuple[Repair, ...]:
    """Bounds between columns: locations, consumers first, then parallel and vector loops."""
    located = {c.stage: c.first for c in columns.choices if c.what == "location"}
    parallel = {c.stage: c.first for c in columns.choices if c.what == "parallel"}
    targets = {s.stage: s for s in draft.state.steps if isinstance(s, LocateStep)}
    deeper: list[Repair] = []
    fused: list[Repair] = []
    for stage, column in located.items():
        step = targets[stage]
        for reader in _readers_inside(draft, stage, step.target):
            if reader in located:
                deeper.append(NoDeeper(column, located[reader]))
        loops = nest_loops(draft.state, step.target)[: step.limit]
        for owner, count in parallel.items():
            mine = [k for k, (name, _) in enumerate(loops) if name == owner]
            if mine:
                fused.append(ParallelBound(count, column, mine[0], len(mine)))
    vectors = [
        VectorBound(c.first, parallel[c.stage], len(draft.stage(c.stage).iterators))
        for c in columns.choices
        if c.what == "vectorize" and c.stage in parallel
    ]
    return (*deeper, *fused, *vectors)


def _readers_inside(draft: Draft, stage: str, target: str) -> list[str]:
    """The stages between one and the stage it is computed in: its readers and their homes."""
    found: dict[str, None] = {}
    for reader in readers(draft, stage):
        chain = homes(draft.state, reader)
        found.update(dict.fromkeys(chain[: chain.index(target)]))
    return list(found)
