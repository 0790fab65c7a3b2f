"""Stages and iterators by name, with errors that list what there is."""

from __future__ import annotations

from collections.abc import Iterable

from tensorc.schedule.stage import Stage
from tensorc.schedule.state import State
from tensorc.support.errors import ScheduleError


def find_stage(state: State, name: str, deed: str) -> Stage:
    """The stage of that name; `deed` says in an error what could not be done.

    Raises:
        ScheduleError: there is none; names those that there are.
    """
    found = state.stages.get(name)
    if found is None:
        what = "a placeholder" if name in state.dag.by_name else "not a stage"
        raise ScheduleError(
            f"Cannot {deed}: '{name}' is {what}; expected one of {quoted(state.stages)}."
        )
    return found


def find_iterator(stage: Stage, name: str, deed: str) -> int:
    """The position of an iterator of a stage.

    Raises:
        ScheduleError: there is none; names those that there are.
    """
    for position, iterator in enumerate(stage.iterators):
        if iterator.name == name:
            return position
    raise ScheduleError(
        f"Cannot {deed}: stage '{stage.name}' has no iterator '{name}'; "
        f"expected one of {quoted(stage.names())}."
    )


def quoted(names: Iterable[str]) -> str:
    """Names for an error message."""
    listed = [f"'{n}'" for n in names]
    return ", ".join(listed) if listed else "none"
