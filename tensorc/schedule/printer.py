"""States as text: the loop nests, as Ansor prints them.

    Placeholder: A, B
    parallel i.0@j.0@ (0,128)
      C.local auto_unroll: 64
      for k.0 (0,64)
        ...
          C.local = ...
      for i.2 (0,4)
        C = ...

Loops of extent 1 and inlined stages are left out. A size that is not chosen yet is a `?`, one that
differs between the candidates of a population is given as a range.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tensorc.schedule.bounds import Bounds, Nest
from tensorc.schedule.stage import AUTO_UNROLL, At, AtLevel, Stage
from tensorc.schedule.state import State


def print_state(state: State) -> str:
    """The loop nests of all stages, producers first."""
    bounds = Bounds(state)
    guests: dict[tuple[str, int], list[str]] = {}
    roots: list[str] = []
    for name in bounds.order:
        place = _place(state, bounds, name)
        if place is None:
            roots.append(name)
        else:
            guests.setdefault(place, []).append(name)
    placeholders = [op.name for op in state.dag.ops if op.is_placeholder]
    lines = [f"Placeholder: {', '.join(placeholders)}"]
    for name in roots:
        lines.extend(_stage_lines(state, bounds, guests, name, 0))
    return "\n".join(lines)


def _place(state: State, bounds: Bounds, name: str) -> tuple[str, int] | None:
    """The stage and the number of its own loop that a stage is inside; None at the root."""
    location = state.stages[name].location
    match location:
        case At(target, iterator):
            return target, state.stages[target].names().index(iterator)
        case AtLevel(_, int(level)) if level > 0:
            loop = bounds.nests[name].outer[level - 1]
            return loop.stage, loop.order
        case _:
            return None


def _stage_lines(
    state: State,
    bounds: Bounds,
    guests: dict[tuple[str, int], list[str]],
    name: str,
    depth: int,
) -> Iterator[str]:
    stage, nest = state.stages[name], bounds.nests[name]
    for remark in _remarks(stage, nest):
        yield f"{'  ' * depth}{name} {remark}"
    for loop in nest.own:
        if not (isinstance(loop.extent, int) and loop.extent == 1):
            yield f"{'  ' * depth}{loop.annotation.value or 'for'} {loop.name} {_span(loop.extent)}"
            depth += 1
        for guest in guests.get((name, loop.order), ()):
            yield from _stage_lines(state, bounds, guests, guest, depth)
    yield f"{'  ' * depth}{name} = ..."


def _remarks(stage: Stage, nest: Nest) -> Iterator[str]:
    for _, key, value in stage.pragmas:
        yield f"{'auto_unroll' if key == AUTO_UNROLL else key}: {value}"
    for what, amount in stage.marks:
        yield f"{what}: {_text(amount)}"
    if stage.storage_align is not None:
        axis, factor, offset = stage.storage_align
        yield f"storage_align {axis}: {factor}, {offset}"
    match stage.location:
        case AtLevel(target, level, _) if not isinstance(level, int):
            yield f"inside {_text(level)} of the {len(nest.outer)} loops of {target}"
        case _:
            pass


def _span(extent: Any) -> str:
    return f"(0,{_text(extent)})"


def _text(size: Any) -> str:
    """An int, `?`, or the lowest and the highest of several."""
    if not isinstance(size, np.ndarray):
        return str(size)
    low, high = int(size.min()), int(size.max())
    return str(low) if low == high else f"{low}..{high}"
