"""Loop transformations: split, fuse, reorder."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from math import prod

from tensorc.arith.sizes import Size, ceildiv
from tensorc.schedule.location import check_attachments
from tensorc.schedule.lookup import find_iterator, find_stage, quoted
from tensorc.schedule.relations import extents
from tensorc.schedule.stage import (
    Annotation,
    At,
    FuseRelation,
    Iterator,
    Relation,
    SplitRelation,
    Stage,
)
from tensorc.schedule.state import State
from tensorc.schedule.steps import FollowFusedSplitStep, FollowSplitStep
from tensorc.support.errors import ScheduleError


def split_names(iterator: str, parts: int) -> tuple[str, ...]:
    """Names of the parts of a split iterator: `i.0`, `i.1` and so on."""
    return tuple([f"{iterator}.{k}" for k in range(parts)])


def fused_name(parts: tuple[str, ...]) -> str:
    """Name of a fused iterator: `i@j@`."""
    return "".join([f"{part}@" for part in parts])


def split(state: State, name: str, iterator: str, lengths: tuple[Size, ...]) -> State:
    """Split an iterator; `lengths` are the extents of the inner loops, outermost first.

    Before:  for i (0,512)          After, lengths (4, 8):  for i.0 (0,16)
                                                              for i.1 (0,4)
                                                                for i.2 (0,8)

    Stages attached at the iterator move to its innermost part.

    Raises:
        ScheduleError: there is no such iterator, it is marked already, or a length is not positive.
    """
    deed = f"split '{iterator}' of stage '{name}'"
    stage = find_stage(state, name, deed)
    position = find_iterator(stage, iterator, deed)
    if not lengths:
        raise ScheduleError(f"Cannot {deed}: expected at least one length, got none.")
    for length in lengths:
        if isinstance(length, int) and length <= 0:
            raise ScheduleError(f"Cannot {deed}: expected positive lengths, got {length}.")
    old = stage.iterators[position]
    _refuse_annotated((old,), deed)
    parts = split_names(iterator, len(lengths) + 1)
    relation = SplitRelation(iterator, parts, lengths)
    new = tuple([Iterator(part, old.kind) for part in parts])
    return _replace_loops(state, stage, (position, position + 1), new, relation, (iterator,))


def fuse(state: State, name: str, iterators: tuple[str, ...]) -> State:
    """Fuse adjacent iterators, outermost first, into one.

    Before:  for i (0,4)          After:  for i@j@ (0,32)
               for j (0,8)

    Stages attached at one of them move to the fused iterator.

    Raises:
        ScheduleError: they are not adjacent, marked already, or of both kinds.
    """
    deed = f"fuse {quoted(iterators)} of stage '{name}'"
    stage = find_stage(state, name, deed)
    if not iterators:
        raise ScheduleError(f"Cannot {deed}: expected at least one iterator.")
    start = find_iterator(stage, iterators[0], deed)
    for iterator in iterators:
        find_iterator(stage, iterator, deed)
    stop = start + len(iterators)
    if stage.names()[start:stop] != iterators:
        raise ScheduleError(
            f"Cannot {deed}: they are not adjacent in this order, which is {quoted(stage.names())}."
        )
    old = stage.iterators[start:stop]
    _refuse_annotated(old, deed)
    if len({i.kind for i in old}) > 1:
        raise ScheduleError(f"Cannot {deed}: some are spatial and some walk a reduction.")
    fused = fused_name(iterators)
    new = (Iterator(fused, old[0].kind),)
    relation = FuseRelation(iterators, fused)
    return _replace_loops(state, stage, (start, stop), new, relation, iterators)


def reorder(state: State, name: str, order: tuple[str, ...]) -> State:
    """Put all iterators of a stage in a new order, reduction loops outside spatial ones included.

    Before:  for i (0,4)          After, order (k, i):  for k (0,8)
               for k (0,8)                                for i (0,4)

    Raises:
        ScheduleError: an iterator is missing, unknown or given twice, or a stage loses its place.
    """
    deed = f"reorder stage '{name}'"
    stage = find_stage(state, name, deed)
    by_name = {i.name: i for i in stage.iterators}
    for iterator in order:
        find_iterator(stage, iterator, deed)
    if len(order) != len(by_name) or len(set(order)) != len(order):
        raise ScheduleError(
            f"Cannot {deed}: expected each of {quoted(by_name)} once, got {quoted(order)}."
        )
    iterators = tuple([by_name[n] for n in order])
    result = state.with_stage(replace(stage, iterators=iterators))
    check_attachments(result, deed)
    return result


def follow_split_lengths(state: State, step: FollowSplitStep) -> tuple[Size, ...]:
    """The lengths of an earlier split, the last `parts` of them multiplied into one.

    Raises:
        ScheduleError: the step is no earlier split, or has not so many parts.
    """
    deed = f"split '{step.iterator}' of stage '{step.stage}' as step {step.source} did"
    source = _lengths_of_step(state, step.source, deed)
    if not 1 <= step.parts <= len(source) + 1:
        raise ScheduleError(
            f"Cannot {deed}: expected 1 to {len(source) + 1} parts, got {step.parts}."
        )
    return (*source[: step.parts - 1], prod(source[step.parts - 1 :]))


def follow_fused_split_lengths(state: State, step: FollowFusedSplitStep) -> tuple[Size, ...]:
    """The product of one level of several earlier splits, as an inner length.

    Raises:
        ScheduleError: a step is no earlier split, or has no such level.
    """
    deed = f"split '{step.iterator}' of stage '{step.stage}' as steps {step.sources} did"
    if not step.sources:
        raise ScheduleError(f"Cannot {deed}: expected at least one step to follow.")
    product: Size = 1
    for number in step.sources:
        source = _lengths_of_step(state, number, deed)
        if not 0 <= step.level < len(source):
            raise ScheduleError(
                f"Cannot {deed}: expected a level below {len(source)}, the number of lengths of "
                f"step {number}, got {step.level}."
            )
        product = product * source[step.level]
    if step.factor:
        return (product,)
    stage = find_stage(state, step.stage, deed)
    find_iterator(stage, step.iterator, deed)
    nominal = extents(stage.relations, state.dag.by_name[step.stage].extents())
    return (ceildiv(nominal[step.iterator], product),)


def _lengths_of_step(state: State, number: int, deed: str) -> tuple[Size, ...]:
    if not 0 <= number < len(state.lengths) or not state.lengths[number]:
        raise ScheduleError(f"Cannot {deed}: step {number} is not an earlier split.")
    return state.lengths[number]


def _refuse_annotated(iterators: tuple[Iterator, ...], deed: str) -> None:
    for iterator in iterators:
        if iterator.annotation is not Annotation.NONE:
            word = iterator.annotation.value
            raise ScheduleError(f"Cannot {deed}: '{iterator.name}' is already marked '{word}'.")


def _replace_loops(
    state: State,
    stage: Stage,
    bounds: tuple[int, int],
    new: tuple[Iterator, ...],
    relation: Relation,
    gone: tuple[str, ...],
) -> State:
    """Replace adjacent iterators; what hung on them moves to the new loops."""
    start, stop = bounds
    iterators = stage.iterators[:start] + new + stage.iterators[stop:]
    kept = stage.names()[:start] + stage.names()[stop:]
    for iterator in new:
        if iterator.name in kept:
            raise ScheduleError(f"Stage '{stage.name}' has two iterators named '{iterator.name}'.")
    relations = (*stage.relations, relation)
    pragmas = tuple([(new[0].name if p[0] in gone else p[0], p[1], p[2]) for p in stage.pragmas])
    stages = _move_attached(state.stages, stage.name, gone, new[-1].name)
    stages[stage.name] = replace(stage, iterators=iterators, relations=relations, pragmas=pragmas)
    return State(state.dag, stages, state.steps, state.lengths)


def _move_attached(
    stages: dict[str, Stage], target: str, old: Container[str], new: str
) -> dict[str, Stage]:
    moved = dict(stages)
    for name, stage in stages.items():
        match stage.location:
            case At(at, iterator) if at == target and iterator in old:
                moved[name] = replace(stage, location=At(target, new))
            case _:
                pass
    return moved
