"""The fluent face of schedules: methods in TVM's words, each of which applies one step.

>>> from tensorc import te
>>> A = te.placeholder((64, 64), name="A")
>>> B = te.compute((64, 64), lambda i, j: A[i, j] * 2.0, name="B")
>>> s = Schedule([A, B])
>>> outer, inner = s.split(B, "j", [8])
>>> s.vectorize(B, inner)
'j.1'
>>> print(s)
Placeholder: A
for i (0,64)
  for j.0 (0,8)
    vectorize j.1 (0,8)
      B = ...
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from tensorc.arith.sizes import Size, ceildiv
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.lookup import find_iterator, find_stage, quoted
from tensorc.schedule.loops import fused_name, split_names
from tensorc.schedule.printer import print_state
from tensorc.schedule.python_code import python_code
from tensorc.schedule.relations import extents
from tensorc.schedule.replay import apply_step, initial_state
from tensorc.schedule.stage import Annotation, Iterator, Stage, StageScope
from tensorc.schedule.state import State
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    ComputeAtStep,
    ComputeInlineStep,
    ComputeRootStep,
    FollowFusedSplitStep,
    FollowSplitStep,
    FuseStep,
    Layout,
    PragmaStep,
    ReorderStep,
    RfactorStep,
    SplitStep,
    Step,
    StorageAlignStep,
)
from tensorc.support.errors import ScheduleError
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor

StageLike: TypeAlias = str | Tensor
IteratorLike: TypeAlias = str | Iterator
LayoutLike: TypeAlias = Layout | tuple[int, int, tuple[int, ...]]


class Schedule:
    """A program and the steps applied to it, one by one.

    Stages are named by strings or tensors, iterators by strings; methods return the names of what
    they made. A step that is illegal raises `ScheduleError` and changes nothing. Two schedules are
    equal if they apply the same steps to programs of one structure.

    Attributes:
        dag: the program before any step.
        state: what the steps have made of it.
    """

    def __init__(self, program: ComputeDAG | Sequence[Tensor]) -> None:
        self.dag = ComputeDAG.of(program)
        self._names = self.dag.names_of(program)
        self.state: State = initial_state(self.dag)

    @classmethod
    def from_steps(cls, program: ComputeDAG | Sequence[Tensor], steps: Iterable[Step]) -> Schedule:
        """The schedule that applies these steps."""
        schedule = cls(program)
        for step in steps:
            schedule.apply(step)
        return schedule

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return self.state.steps

    def __getitem__(self, stage: StageLike) -> Stage:
        """A stage."""
        return find_stage(self.state, self._name(stage), "look up a stage")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self.steps == other.steps and (
            self.dag is other.dag or self.dag.structural_hash() == other.dag.structural_hash()
        )

    def __hash__(self) -> int:
        return hash((self.dag.structural_hash(), self.steps))

    def __str__(self) -> str:
        return print_state(self.state)

    def python_code(self, name: str = "s", program: str = "program") -> str:
        """Python that makes this schedule of the tensors or the DAG called `program`."""
        return python_code(self.steps, name, program)

    def copy(self) -> Schedule:
        """A schedule with the same steps, to be continued independently."""
        other = Schedule(self.dag)
        other._names, other.state = self._names, self.state
        return other

    def extents(self, stage: StageLike) -> dict[str, Size]:
        """The extent of each loop of a stage, for an attached one those of its region.

        Raises:
            ScheduleError: there is no such stage, or it is inlined.
        """
        name = self[stage].name
        nest = Bounds(self.state).nests.get(name)
        if nest is None:
            raise ScheduleError(f"Cannot give extents of stage '{name}': it is inlined.")
        return {loop.name: loop.extent for loop in nest.own}

    def apply(self, step: Step) -> None:
        """Apply any concrete step.

        Raises:
            ScheduleError: if it is illegal; the schedule is then as it was.
        """
        self.state = apply_step(self.state, step, ())

    def split(
        self,
        stage: StageLike,
        iterator: IteratorLike,
        lengths: Sequence[int],
        inner_to_outer: bool = True,
    ) -> tuple[str, ...]:
        """Split an iterator into `len(lengths) + 1`.

        Args:
            stage: The stage.
            iterator: The iterator; its whole extent need not be a multiple of the lengths.
            lengths: Extents of the inner loops, outermost first; the outermost follows from them.
            inner_to_outer: If False, `lengths` are those of the outer loops, and the innermost
                follows from them.

        Raises:
            ScheduleError: there is no such iterator, it is marked already, or a length is not
                positive.
        """
        name, it = self._name(stage), _iterator_name(iterator)
        inner = tuple(lengths)
        if not inner_to_outer:
            inner = self._inner_lengths(name, it, inner)
        self.apply(SplitStep(name, it, inner))
        return split_names(it, len(inner) + 1)

    def follow_split(
        self, stage: StageLike, iterator: IteratorLike, source: int, parts: int
    ) -> tuple[str, ...]:
        """Split into `parts + 1` with the lengths of step number `source`."""
        it = _iterator_name(iterator)
        self.apply(FollowSplitStep(self._name(stage), it, source, parts))
        return split_names(it, parts + 1)

    def follow_fused_split(
        self,
        stage: StageLike,
        iterator: IteratorLike,
        sources: Sequence[int],
        level: int,
        factor: bool = True,
    ) -> tuple[str, ...]:
        """Split in two by the product of lengths number `level` of several splits.

        The product is the inner length if `factor`, else the number of outer iterations.
        """
        it = _iterator_name(iterator)
        self.apply(FollowFusedSplitStep(self._name(stage), it, tuple(sources), level, factor))
        return split_names(it, 2)

    def fuse(self, stage: StageLike, *iterators: IteratorLike | Sequence[IteratorLike]) -> str:
        """Fuse adjacent iterators, given one by one or as a list, outermost first."""
        names = _iterator_names(iterators)
        self.apply(FuseStep(self._name(stage), names))
        return fused_name(names)

    def reorder(self, stage: StageLike, *order: IteratorLike | Sequence[IteratorLike]) -> None:
        """Put the iterators given in this order, in the places they hold; others stay.

        They are given one by one or as a list.

        Raises:
            ScheduleError: there is no such iterator, or one is given twice.
        """
        name = self._name(stage)
        wanted = _iterator_names(order)
        deed = f"reorder stage '{name}'"
        old = find_stage(self.state, name, deed)
        for it in wanted:
            find_iterator(old, it, deed)
        if len(set(wanted)) < len(wanted):
            raise ScheduleError(f"Cannot {deed}: expected each once, got {quoted(wanted)}.")
        rest = iter(wanted)
        moving = set(wanted)
        new = tuple(next(rest) if it in moving else it for it in old.names())
        self.apply(ReorderStep(name, new))

    def tile(
        self,
        stage: StageLike,
        row: IteratorLike,
        column: IteratorLike,
        row_length: int,
        column_length: int,
    ) -> tuple[str, str, str, str]:
        """Split two iterators and put the inner parts of both inside the outer ones."""
        y, y_inner = self.split(stage, row, [row_length])
        x, x_inner = self.split(stage, column, [column_length])
        self.reorder(stage, y, x, y_inner, x_inner)
        return y, x, y_inner, x_inner

    def parallel(self, stage: StageLike, iterator: IteratorLike) -> str:
        """Spread the iterations over threads."""
        return self._annotate(stage, iterator, Annotation.PARALLEL)

    def vectorize(self, stage: StageLike, iterator: IteratorLike) -> str:
        """Compute the iterations in the lanes of vectors."""
        return self._annotate(stage, iterator, Annotation.VECTORIZE)

    def unroll(self, stage: StageLike, iterator: IteratorLike) -> str:
        """Write the iterations out one after another."""
        return self._annotate(stage, iterator, Annotation.UNROLL)

    def serial(self, stage: StageLike, iterator: IteratorLike) -> str:
        """Take the annotation of an iterator away."""
        return self._annotate(stage, iterator, Annotation.NONE)

    def bind(self, stage: StageLike, iterator: IteratorLike, index: str | Annotation) -> str:
        """Bind an iterator to an index of the GPU, such as `blockIdx.x` or `vthread`.

        Raises:
            ScheduleError: `index` is no index of a GPU.
        """
        if isinstance(index, Annotation):
            return self._annotate(stage, iterator, index)
        known = [a.value for a in Annotation if "Idx" in a.value or a is Annotation.VTHREAD]
        if index not in known:
            raise ScheduleError(
                f"Cannot bind '{_iterator_name(iterator)}' of stage '{self._name(stage)}': "
                f"expected one of {quoted(known)}, got '{index}'."
            )
        return self._annotate(stage, iterator, Annotation(index))

    def pragma(self, stage: StageLike, iterator: IteratorLike, key: str, value: int) -> None:
        """Attach a pragma to an iterator, in place of an earlier one of that key.

        Args:
            stage: The stage.
            iterator: The iterator.
            key: `auto_unroll_max_step` to unroll the loops from there on inwards while they have
                at most `value` steps; `vector_reduction`, with 1, lets the innermost loop of a
                reduction combine its terms in any order, and so in the lanes of vectors;
                `loop_strength_reduction`, with 0, keeps LLVM from replacing the index arithmetic of
                the whole kernel by addresses that run along, for which registers may be missing;
                `prefetch` asks, in each iteration, for the cache lines of inputs that the stage
                reads `value` iterations later; `streaming_stores`, with 1, writes the stage, an
                output, past the caches, where the processor can (x86, target 'llvm'). Both are
                left out where they make no sense on the machine: an iteration reads no new lines
                or too many, or elements are written more than once.
            value: A number of at least 0, for `prefetch` at most 1048576.
        """
        self.apply(PragmaStep(self._name(stage), _iterator_name(iterator), key, value))

    def storage_align(self, stage: StageLike, axis: str, factor: int, offset: int) -> None:
        """Pad storage so that the stride of an axis is a multiple of `factor` plus `offset`."""
        self.apply(StorageAlignStep(self._name(stage), axis, factor, offset))

    def compute_at(self, stage: StageLike, target: StageLike, iterator: IteratorLike) -> None:
        """Compute a stage inside an iterator of another, as much of it as is read there."""
        step = ComputeAtStep(self._name(stage), self._name(target), _iterator_name(iterator))
        self.apply(step)

    def compute_inline(self, stage: StageLike) -> None:
        """Substitute a stage into its readers."""
        self.apply(ComputeInlineStep(self._name(stage)))

    def compute_root(self, stage: StageLike) -> None:
        """Compute a stage as a whole before everything that reads it."""
        self.apply(ComputeRootStep(self._name(stage)))

    def cache_read(
        self,
        tensor: StageLike,
        scope: StageScope,
        readers: Sequence[StageLike],
        layout: LayoutLike | None = None,
    ) -> str:
        """Insert a copy of a tensor that `readers` read instead, in another layout if one is given.

        A layout (dim, factor, order) tiles a dimension and permutes all; see `steps.Layout`.
        """
        packed = layout if layout is None or isinstance(layout, Layout) else Layout(*layout)
        names = tuple(map(self._name, readers))
        return self._new_stage(CacheReadStep(self._name(tensor), scope, names, packed))

    def cache_write(self, stage: StageLike, scope: StageScope) -> str:
        """Compute a stage into a cache first, then copy; returns the name of the cache."""
        return self._new_stage(CacheWriteStep(self._name(stage), scope))

    def rfactor(self, stage: StageLike, iterator: IteratorLike, axis: int) -> str:
        """Turn a reduction iterator into spatial axis number `axis` of a new stage."""
        return self._new_stage(RfactorStep(self._name(stage), _iterator_name(iterator), axis))

    def _annotate(self, stage: StageLike, iterator: IteratorLike, annotation: Annotation) -> str:
        it = _iterator_name(iterator)
        self.apply(AnnotationStep(self._name(stage), it, annotation))
        return it

    def _new_stage(self, step: Step) -> str:
        before = self.state.stages
        self.apply(step)
        return next(name for name in self.state.stages if name not in before)

    def _name(self, stage: StageLike) -> str:
        if isinstance(stage, str):
            return stage
        return self._names.get(stage.op, stage.op.name)

    def _inner_lengths(self, stage: str, iterator: str, outer: tuple[int, ...]) -> tuple[int, ...]:
        """Lengths of all but the outermost loop, given those of all but the innermost."""
        deed = f"split '{iterator}' of stage '{stage}'"
        found = find_stage(self.state, stage, deed)
        find_iterator(found, iterator, deed)
        rest = extents(found.relations, self.state.dag.by_name[stage].extents())[iterator]
        for length in outer:
            if length <= 0:
                raise ScheduleError(f"Cannot {deed}: expected positive lengths, got {length}.")
            rest = ceildiv(rest, length)
        assert isinstance(rest, int)
        return (*outer[1:], max(rest, 1))


def _iterator_name(iterator: IteratorLike) -> str:
    return iterator if isinstance(iterator, str) else iterator.name


def _iterator_names(given: Iterable[IteratorLike | Sequence[IteratorLike]]) -> tuple[str, ...]:
    """The names of iterators and of those in lists."""
    names: list[str] = []
    for item in given:
        group = (item,) if isinstance(item, str | Iterator) else item
        names += map(_iterator_name, group)
    return tuple(names)
