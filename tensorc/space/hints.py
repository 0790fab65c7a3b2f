"""What a finished schedule may be tried with besides: hints to the memory system.

They change neither loops nor results, and no feature sees them, so the search does not draw them:
the fastest schedules compete with and without them at its end. Both are for data that the last
cache has no room for.

An output is stored past the caches: its lines need not be read before they are written, and the
inputs stay. An input that several stages read in turn, a piece at a time, is prefetched by the last
of them, one piece ahead: the memory idles while it computes. Plain streams need no prefetch, the
processor sees them coming.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from tensorc.ir.stmt import Prefetch
from tensorc.ir.visit import walk_stmt
from tensorc.lower.pipeline import lower
from tensorc.schedule.access import accesses
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.replay import apply_step
from tensorc.schedule.stage import MAX_AHEAD, PREFETCH, STREAMING, At, Location
from tensorc.schedule.state import State
from tensorc.schedule.steps import PragmaStep
from tensorc.support.errors import LoweringError
from tensorc.target import Target

Steps = tuple[PragmaStep, ...]


def hints(state: State, target: Target) -> Iterator[Steps]:
    """Yield further steps for a finished schedule, each time for one more candidate."""
    stores = tuple(_streams(state, target))
    if stores:
        yield stores
    loads = tuple(dict.fromkeys(_prefetches(state, target)))
    if loads:
        yield (*stores, *loads)


def _streams(state: State, target: Target) -> Iterator[PragmaStep]:
    """Steps that store outputs past the caches, where that can be faster."""
    dag, params = state.dag, set(state.dag.params)
    touched = sum(_nbytes(state, *each) for each in params)
    if not target.has_streaming_stores or touched <= _last_cache(target):
        return
    for name, stage in state.stages.items():
        op = dag.by_name[name]
        outputs = [(name, output) for output in range(len(op.dtypes))]
        if op.reducer is not None or dag.read_by[name] or not params.issuperset(outputs):
            continue
        if stage.iterators and sum(_nbytes(state, *each) for each in outputs) > target.l2_bytes:
            yield PragmaStep(name, stage.names()[0], STREAMING, 1)


def _prefetches(state: State, target: Target) -> Iterator[PragmaStep]:
    """Steps that fetch the next piece of inputs while the last reader of one computes."""
    if target.kind == "python":
        return
    bounds = Bounds(state)
    for op in state.dag.ops:
        if op.is_placeholder and _nbytes(state, op.name, 0) > _last_cache(target):
            for stage in _last_readers(state, op.name):
                yield from _next_piece(state, bounds, stage, op.name, target)


def _last_readers(state: State, tensor: str) -> Iterator[str]:
    """Of the stages that read a tensor at one place, the last one if there are several."""
    readers: dict[Location, list[str]] = {}
    for name, stage in state.stages.items():
        if isinstance(stage.location, At) and tensor in accesses(state, name):
            readers.setdefault(stage.location, []).append(name)
    for names in readers.values():
        if len(names) > 1:
            yield names[-1]


def _next_piece(
    state: State, bounds: Bounds, name: str, tensor: str, target: Target
) -> Iterator[PragmaStep]:
    """The step for the innermost loop that can prefetch a tensor, as far ahead as it is long."""
    for loop in reversed(bounds.nests[name].own):
        length = min(int(loop.extent), MAX_AHEAD)
        step = PragmaStep(name, loop.name, PREFETCH, length)
        if length > 1 and _asks_for(tensor, apply_step(state, step), target):
            yield step
            return


def _asks_for(tensor: str, state: State, target: Target) -> bool:
    """Whether anything of an input is prefetched."""
    try:
        func = lower(state, target)
    except LoweringError:
        return False
    buffer = func.params[state.dag.params.index((tensor, 0))]
    return any(isinstance(s, Prefetch) and s.buffer == buffer for s in walk_stmt(func.body))


def _last_cache(target: Target) -> int:
    return max(target.l3_bytes, target.l2_bytes)


def _nbytes(state: State, name: str, output: int) -> int:
    op = state.dag.by_name[name]
    return prod(map(int, op.shape)) * op.dtypes[output].itemsize
