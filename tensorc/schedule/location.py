"""Where stages are computed: at the root, inside a loop of another stage, or inlined."""

from __future__ import annotations

from dataclasses import replace

from tensorc.arith.sizes import Size
from tensorc.schedule.access import consumers
from tensorc.schedule.lookup import find_iterator, find_stage, quoted
from tensorc.schedule.stage import At, AtLevel, Inlined, Location, Root, Stage
from tensorc.schedule.state import State
from tensorc.support.errors import ScheduleError


def compute_at(state: State, name: str, target: str, iterator: str) -> State:
    """Compute a stage inside an iterator of another, just the region that is read there.

    Before:  for i (0,8)            After:  for i (0,8)
               for j (0,4)                    for j (0,4)
                 B = ...                        B = ...
             for i (0,8)                      for j (0,4)
               for j (0,4)                      C = ...
                 C = ...

    Raises:
        ScheduleError: there is no such iterator, the stage is an output, it is not read there or is
            read elsewhere too, or the target is inlined or inside it.
    """
    deed = f"compute '{name}' at '{iterator}' of stage '{target}'"
    stage, around = find_stage(state, name, deed), find_stage(state, target, deed)
    find_iterator(around, iterator, deed)
    _refuse_output(state, name, deed)
    if isinstance(around.location, Inlined):
        raise ScheduleError(f"Cannot {deed}: '{target}' is inlined.")
    _refuse_cycle(state, name, target, deed)
    placed = _at(state, stage, At(target, iterator))
    readers = consumers(placed, name)
    if not any(_within(placed, reader, target) for reader in readers):
        raise ScheduleError(
            f"Cannot {deed}: nothing computed in '{target}' reads it, only {quoted(readers)}."
        )
    check_attachments(placed, deed)
    return placed


def compute_root(state: State, name: str) -> State:
    """Compute a stage once, before everything that reads it."""
    deed = f"compute '{name}' at the root"
    placed = _at(state, find_stage(state, name, deed), Root())
    check_attachments(placed, deed)
    return placed


def compute_inline(state: State, name: str) -> State:
    """Substitute a stage into its readers.

    Before:  B = A*2                After:  C = A*2 + 1
             C = B + 1

    Raises:
        ScheduleError: it is an output, a reduction, has several outputs, or others are computed
            inside.
    """
    deed = f"inline '{name}'"
    stage = find_stage(state, name, deed)
    op = state.dag.by_name[name]
    _refuse_output(state, name, deed)
    if op.reduce_axes:
        raise ScheduleError(f"Cannot {deed}: it is a reduction.")
    if len(op.body) > 1:
        raise ScheduleError(f"Cannot {deed}: it has {len(op.body)} outputs.")
    guests = attached(state, name)
    if guests:
        raise ScheduleError(f"Cannot {deed}: {quoted(guests)} computed inside it.")
    placed = _at(state, stage, Inlined())
    check_attachments(placed, deed)
    return placed


def locate(state: State, name: str, target: str, level: Size, limit: int) -> State:
    """Compute a stage inside the first `level` of at most `limit` loops of the nest of `target`.

    Raises:
        ScheduleError: it is an output or around the target, or there is no such level.
    """
    deed = f"compute '{name}' at a level of stage '{target}'"
    stage, around = find_stage(state, name, deed), find_stage(state, target, deed)
    _refuse_output(state, name, deed)
    if isinstance(around.location, Inlined):
        raise ScheduleError(f"Cannot {deed}: '{target}' is inlined.")
    if limit < 0 or (isinstance(level, int) and not 0 <= level <= limit):
        raise ScheduleError(f"Cannot {deed}: expected a level from 0 to {limit}, got {level}.")
    _refuse_cycle(state, name, target, deed)
    return _at(state, stage, AtLevel(target, level, limit))


def attached(state: State, name: str) -> tuple[str, ...]:
    """The stages computed directly inside loops of a stage."""
    return tuple(
        s.name
        for s in state.stages.values()
        if isinstance(s.location, (At, AtLevel)) and s.location.target == name
    )


def check_attachments(state: State, deed: str) -> None:
    """Refuse a state in which a stage is read outside the loop it is computed in.

    Every step that moves stages or loops, or changes who reads whom, has to ask.

    Raises:
        ScheduleError: a stage is read there.
    """
    for stage in state.stages.values():
        match stage.location:
            case At(target, iterator):
                depth = find_iterator(state.stages[target], iterator, deed)
                for reader in consumers(state, stage.name):
                    if not _within(state, reader, target, depth):
                        raise ScheduleError(
                            f"Cannot {deed}: '{reader}' reads '{stage.name}' outside iterator "
                            f"'{iterator}' of '{target}', inside which that is computed."
                        )
            case _:
                pass


def _within(state: State, name: str, target: str, depth: int = 0) -> bool:
    """Whether a stage is computed inside loop number `depth` of `target`, or is `target`."""
    while name != target:
        location = state.stages[name].location
        if isinstance(location, AtLevel):
            return True  # columns of a sketch keep levels in order
        if not isinstance(location, At):
            return False
        if location.target == target:
            names = state.stages[target].names()
            return location.iterator in names[depth:]
        name = location.target
    return True


def _at(state: State, stage: Stage, location: Location) -> State:
    return state.with_stage(replace(stage, location=location))


def _refuse_output(state: State, name: str, deed: str) -> None:
    if state.dag.is_output(name):
        raise ScheduleError(f"Cannot {deed}: it is an output and has to be computed as a whole.")


def _refuse_cycle(state: State, name: str, target: str, deed: str) -> None:
    here = target
    while here != name:
        location = state.stages[here].location
        if not isinstance(location, (At, AtLevel)):
            return
        here = location.target
    reason = (
        "a stage has no place inside itself"
        if name == target
        else (f"'{target}' is itself computed inside '{name}'")
    )
    raise ScheduleError(f"Cannot {deed}: {reason}.")
