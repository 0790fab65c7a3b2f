"""Concrete steps as JSON lists, and back: `["SP", "C", "i", [4, 8]]`.

The first element is Ansor's code of the kind of step, then the fields of the step follow in order;
stages and iterators are given by name. Sketches, whose sizes are columns, are not written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from operator import index
from typing import Any, TypeAlias

from tensorc.schedule.stage import Annotation, StageScope
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    ComputeAtStep,
    ComputeInlineStep,
    ComputeRootStep,
    ConcreteStep,
    FollowFusedSplitStep,
    FollowSplitStep,
    FuseStep,
    Layout,
    PragmaStep,
    ReorderStep,
    RfactorStep,
    SplitStep,
    Step,
    StepCode,
    StorageAlignStep,
)
from tensorc.support.errors import RecordError, ScheduleError

Json: TypeAlias = list[Any]
# Checks a field that was read, and gives its value; ValueError if it is not what it should be.
Reader: TypeAlias = Callable[[object], Any]


def steps_to_json(steps: Iterable[Step]) -> list[Json]:
    """The steps as lists of strings, ints, bools, lists and nulls.

    Raises:
        ScheduleError: if a step belongs to a sketch.
    """
    return [_step_to_json(step) for step in steps]


def steps_from_json(data: object) -> tuple[Step, ...]:
    """The steps that `steps_to_json` wrote.

    Raises:
        RecordError: if the data is anything else.
    """
    if not isinstance(data, list):
        raise RecordError(f"Expected a list of schedule steps, got '{data!r}'.")
    return tuple(_step_from_json(entry) for entry in data)


def _step_to_json(step: Step) -> Json:
    for code, (kind, _) in _KINDS.items():
        if isinstance(step, kind):
            try:
                return [code, *(_field_to_json(getattr(step, f.name)) for f in fields(step))]
            except TypeError:
                break
    raise ScheduleError(f"Cannot write '{step}': it is a step of a sketch.")


def _field_to_json(value: object) -> object:
    match value:
        case None | str() | bool():
            return value
        case Annotation():
            return value.value
        case tuple():
            return [_field_to_json(v) for v in value]
        case Layout():
            return [value.dim, _field_to_json(value.factor), list(value.order)]
        case _:
            return index(value)  # type: ignore[arg-type]  # a column is not a number: TypeError


def _step_from_json(entry: object) -> Step:
    if isinstance(entry, list) and entry and isinstance(entry[0], str):
        code, *given = entry
        if code in _KINDS:
            kind, readers = _KINDS[code]
            if len(given) == len(readers):
                try:
                    return kind(*(read(v) for read, v in zip(readers, given, strict=True)))
                except ValueError:
                    pass
    raise RecordError(f"Expected a schedule step, got '{entry!r}'.")


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise ValueError(value)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(_word, _items(value)))


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(map(_number, _items(value)))


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(value)
    return value


def _scope(value: object) -> StageScope:
    match value:
        case "global" | "local" | "shared":
            return value
        case _:
            raise ValueError(value)


def _annotation(value: object) -> Annotation:
    return Annotation(_word(value))


def _layout(value: object) -> Layout | None:
    match value:
        case None:
            return None
        case [dim, factor, order]:
            return Layout(_number(dim), _number(factor), _numbers(order))
        case _:
            raise ValueError(value)


_KINDS: Mapping[StepCode, tuple[type[ConcreteStep], tuple[Reader, ...]]] = {
    "AN": (AnnotationStep, (_word, _word, _annotation)),
    "FU": (FuseStep, (_word, _words)),
    "PR": (PragmaStep, (_word, _word, _word, _number)),
    "RE": (ReorderStep, (_word, _words)),
    "SP": (SplitStep, (_word, _word, _numbers)),
    "FSP": (FollowSplitStep, (_word, _word, _number, _number)),
    "FFSP": (FollowFusedSplitStep, (_word, _word, _numbers, _number, _flag)),
    "SA": (StorageAlignStep, (_word, _word, _number, _number)),
    "CA": (ComputeAtStep, (_word, _word, _word)),
    "CI": (ComputeInlineStep, (_word,)),
    "CR": (ComputeRootStep, (_word,)),
    "CHR": (CacheReadStep, (_word, _scope, _words, _layout)),
    "CHW": (CacheWriteStep, (_word, _scope)),
    "RF": (RfactorStep, (_word, _word, _number)),
}
