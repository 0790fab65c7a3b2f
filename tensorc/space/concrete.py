"""From a row of decisions to a schedule, and back.

Columns become the numbers they hold. The two kinds of step that stand for choices of a population
become what a user would write: a location a `compute_at`, parallel and vector loops a fusion and
an annotation, an unrolling limit a pragma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from tensorc.schedule.replay import apply_step, initial_state
from tensorc.schedule.stage import AUTO_UNROLL, Annotation
from tensorc.schedule.state import State
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    Col,
    ComputeAtStep,
    ConcreteStep,
    FuseStep,
    Layout,
    Length,
    LocateStep,
    MarkStep,
    PragmaStep,
    SplitStep,
    Step,
)
from tensorc.space.nests import nest_loops
from tensorc.te.dag import ComputeDAG

Row: TypeAlias = Sequence[int]
# Notes the number that stands where a length does; False if the length is another number.
Note: TypeAlias = Callable[[Length, Length], bool]


def concrete_steps(dag: ComputeDAG, sketch: State, row: Row) -> tuple[Step, ...]:
    """The schedule that a row of a sketch's columns stands for."""
    state = initial_state(dag)
    for step in sketch.steps:
        for made in _spell(sketch, state, step, row):
            state = apply_step(state, made)
    return state.steps


def recover_row(sketch: State, width: int, steps: Sequence[Step]) -> list[int] | None:
    """The row that `steps` may come from; None if they are of another sketch.

    Columns that the steps say nothing of are 0: the caller compares what the row stands for.
    """
    row = [0] * width

    def note(length: Length, given: Length) -> bool:
        if isinstance(given, Col):
            return False
        if isinstance(length, Col):
            row[length.index] = given
            return True
        return length == given

    rest = tuple(steps)
    for step in sketch.steps:
        taken = _match(sketch, step, rest, note)
        if taken is None:
            return None
        rest = rest[taken:]
    return None if rest else row


def _value(length: Length, row: Row) -> int:
    return int(row[length.index]) if isinstance(length, Col) else length


def _spell(sketch: State, state: State, step: Step, row: Row) -> Iterator[ConcreteStep]:
    """What one step of the sketch is in the schedule of a row."""
    match step:
        case SplitStep(_, _, lengths):
            yield replace(step, lengths=tuple(_value(length, row) for length in lengths))
        case CacheReadStep(_, _, _, Layout() as layout):
            yield replace(step, layout=replace(layout, factor=_value(layout.factor, row)))
        case LocateStep(stage, target, level, _):
            depth = _value(level, row)
            if depth:
                yield ComputeAtStep(stage, *nest_loops(sketch, target)[depth - 1])
        case MarkStep(stage, "unroll", amount):
            if _value(amount, row):
                first = state.stages[stage].names()[0]
                yield PragmaStep(stage, first, AUTO_UNROLL, _value(amount, row))
        case MarkStep(stage, what, amount):
            outer = what == "parallel"
            word = Annotation.PARALLEL if outer else Annotation.VECTORIZE
            yield from _fused(state, stage, _value(amount, row), word, outer=outer)
        case _:
            yield step


def _fused(
    state: State, stage: str, count: int, word: Annotation, *, outer: bool
) -> Iterator[ConcreteStep]:
    """Fuse the outer or inner `count` loops and annotate the result."""
    names = state.stages[stage].names()
    loops = names[:count] if outer else names[len(names) - count :]
    if not loops:
        return
    if count > 1:
        fuse = FuseStep(stage, loops)
        yield fuse
        state = apply_step(state, fuse)
    yield AnnotationStep(stage, state.stages[stage].names()[0 if outer else -1], word)


def _match(sketch: State, step: Step, rest: tuple[Step, ...], note: Note) -> int | None:
    """Read the columns of one step off a schedule; return how many of its steps that takes."""
    head = rest[0] if rest else None
    match step:
        case SplitStep():
            return 1 if _match_split(step, head, note) else None
        case CacheReadStep(_, _, _, Layout()):
            return 1 if _match_layout(step, head, note) else None
        case LocateStep():
            return _match_location(sketch, step, head, note)
        case MarkStep(stage, "unroll", amount):
            match head:
                case PragmaStep(s, _, key, value) if (s, key) == (stage, AUTO_UNROLL):
                    return 1 if note(amount, value) else None
            return 0 if note(amount, 0) else None
        case MarkStep():
            return _match_mark(step, rest, note)
        case _:
            return 1 if step == head else None


def _match_split(step: SplitStep, head: Step | None, note: Note) -> bool:
    if not isinstance(head, SplitStep) or len(head.lengths) != len(step.lengths):
        return False
    if (head.stage, head.iterator) != (step.stage, step.iterator):
        return False
    return all(map(note, step.lengths, head.lengths))


def _match_layout(step: CacheReadStep, head: Step | None, note: Note) -> bool:
    if not isinstance(head, CacheReadStep) or head.layout is None or step.layout is None:
        return False
    same = replace(head, layout=replace(head.layout, factor=step.layout.factor))
    return same == step and note(step.layout.factor, head.layout.factor)


def _match_location(sketch: State, step: LocateStep, head: Step | None, note: Note) -> int | None:
    match head:
        case ComputeAtStep(stage, target, iterator) if stage == step.stage:
            loops = nest_loops(sketch, step.target)[: step.limit]
            if (target, iterator) not in loops:
                return None
            return 1 if note(step.level, loops.index((target, iterator)) + 1) else None
        case _:
            return 0 if note(step.level, 0) else None


def _match_mark(step: MarkStep, rest: tuple[Step, ...], note: Note) -> int | None:
    word = Annotation.PARALLEL if step.what == "parallel" else Annotation.VECTORIZE
    count, taken = 1, 1
    if rest and isinstance(rest[0], FuseStep) and rest[0].stage == step.stage:
        count, taken = len(rest[0].iterators), 2
    match rest[taken - 1 : taken]:
        case (AnnotationStep(stage, _, annotation),) if (stage, annotation) == (step.stage, word):
            return taken if note(step.amount, count) else None
        case _:
            return 0 if note(step.amount, 0) else None


def as_ints(row: Any) -> list[int]:
    """A row of a matrix as Python ints."""
    return [int(value) for value in row]
