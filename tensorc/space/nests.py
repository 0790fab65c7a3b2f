"""The loops around stages by name, for sketches and for concrete states."""

from __future__ import annotations

from typing import TypeAlias

from tensorc.schedule.stage import At, AtLevel
from tensorc.schedule.state import State

# A loop, as (stage, iterator).
LoopName: TypeAlias = tuple[str, str]


def outer_loops(state: State, stage: str) -> tuple[LoopName, ...]:
    """The loops of other stages that are, or may be, around a stage, outermost first."""
    match state.stages[stage].location:
        case At(target, iterator):
            depth = state.stages[target].names().index(iterator) + 1
            return (*outer_loops(state, target), *own_loops(state, target)[:depth])
        case AtLevel(target, _, limit):
            return nest_loops(state, target)[:limit]
        case _:
            return ()


def own_loops(state: State, stage: str) -> tuple[LoopName, ...]:
    """The loops of a stage itself."""
    return tuple((stage, name) for name in state.stages[stage].names())


def nest_loops(state: State, stage: str) -> tuple[LoopName, ...]:
    """All loops that a stage's store may be in, outermost first."""
    return (*outer_loops(state, stage), *own_loops(state, stage))


def homes(state: State, stage: str) -> tuple[str, ...]:
    """The stage, the stage it is or may be computed in, and so on outwards."""
    location = state.stages[stage].location
    if isinstance(location, At | AtLevel):
        return (stage, *homes(state, location.target))
    return (stage,)
