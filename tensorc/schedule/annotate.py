"""What is said about loops and storage without changing them: annotations, pragmas, alignment."""

from __future__ import annotations

from dataclasses import replace

from tensorc.arith.sizes import Size
from tensorc.schedule.lookup import find_iterator, find_stage, quoted
from tensorc.schedule.stage import (
    BLOCKS,
    MAX_AHEAD,
    PRAGMAS,
    PREFETCH,
    THREADS,
    Annotation,
    IterKind,
    MarkKind,
)
from tensorc.schedule.state import State
from tensorc.support.errors import ScheduleError

# Iterations of a reduction depend on each other; only threads, which can exchange partial
# results (cross-thread reduction), and unrolling keep them apart.
_SPATIAL_ONLY = BLOCKS | {Annotation.PARALLEL, Annotation.VECTORIZE, Annotation.VTHREAD}
_EXCLUSIVE = BLOCKS | THREADS


def annotate(state: State, name: str, iterator: str, annotation: Annotation) -> State:
    """Mark an iterator; `Annotation.NONE` takes a mark away.

    Raises:
        ScheduleError: there is no such iterator, it walks a reduction and cannot be marked so, or
            another is bound to the index already.
    """
    deed = _deed(annotation, f"'{iterator}' of stage '{name}'")
    stage = find_stage(state, name, deed)
    position = find_iterator(stage, iterator, deed)
    old = stage.iterators[position]
    if old.kind is IterKind.REDUCE and annotation in _SPATIAL_ONLY:
        raise ScheduleError(
            f"Cannot {deed}: it walks a reduction, whose iterations depend on each other; "
            "rfactor makes one spatial."
        )
    if annotation in _EXCLUSIVE:
        for other in stage.iterators:
            if other.annotation is annotation and other is not old:
                raise ScheduleError(f"Cannot {deed}: '{other.name}' is bound to it already.")
    new = replace(old, annotation=annotation)
    iterators = (*stage.iterators[:position], new, *stage.iterators[position + 1 :])
    return state.with_stage(replace(stage, iterators=iterators))


def _deed(annotation: Annotation, loop: str) -> str:
    match annotation:
        case Annotation.NONE:
            return f"make {loop} serial"
        case Annotation.UNROLL | Annotation.VECTORIZE:
            return f"{annotation.value} {loop}"
        case Annotation.PARALLEL:
            return f"parallelize {loop}"
        case _:
            return f"bind {loop} to '{annotation.value}'"


def pragma(state: State, name: str, iterator: str, key: str, value: int) -> State:
    """Attach a pragma to an iterator, in place of an earlier one of that key.

    Raises:
        ScheduleError: there is no such iterator or pragma, the value is negative, or a prefetch is
            further ahead than `MAX_AHEAD`.
    """
    deed = f"attach '{key}' to '{iterator}' of stage '{name}'"
    stage = find_stage(state, name, deed)
    find_iterator(stage, iterator, deed)
    if key not in PRAGMAS:
        raise ScheduleError(f"Cannot {deed}: expected one of {quoted(PRAGMAS)}, got '{key}'.")
    if value < 0:
        raise ScheduleError(f"Cannot {deed}: expected a value of at least 0, got {value}.")
    if key == PREFETCH and value > MAX_AHEAD:
        raise ScheduleError(f"Cannot {deed}: expected at most {MAX_AHEAD}, got {value}.")
    others = tuple(p for p in stage.pragmas if p[:2] != (iterator, key))
    return state.with_stage(replace(stage, pragmas=(*others, (iterator, key, value))))


def mark(state: State, name: str, what: MarkKind, amount: Size) -> State:
    """Note a choice over a population: so many parallel or vector loops, so much unrolling.

    Raises:
        ScheduleError: there is no such stage.
    """
    stage = find_stage(state, name, f"mark stage '{name}' '{what}'")
    others = tuple(m for m in stage.marks if m[0] != what)
    return state.with_stage(replace(stage, marks=(*others, (what, amount))))


def storage_align(state: State, name: str, axis: str, factor: int, offset: int) -> State:
    """Pad the storage of a stage so that the stride of an axis is `factor · n + offset`.

    Raises:
        ScheduleError: there is no such spatial axis, or factor and offset do not fit.
    """
    deed = f"align axis '{axis}' of stage '{name}'"
    stage = find_stage(state, name, deed)
    axes = state.dag.by_name[name].axes
    if axis not in axes:
        raise ScheduleError(f"Cannot {deed}: expected one of its spatial axes {quoted(axes)}.")
    if factor <= 0 or not 0 <= offset < factor:
        raise ScheduleError(
            f"Cannot {deed}: expected a positive factor and an offset below it, "
            f"got {factor} and {offset}."
        )
    return state.with_stage(replace(stage, storage_align=(axis, factor, offset)))
