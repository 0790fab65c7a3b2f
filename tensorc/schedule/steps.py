"""What was done: the transform steps of Ansor, replayable, serialisable, printable.

A step is a frozen dataclass. In a sketch some sizes are `Col`s, columns of a decision matrix, and
two further kinds of step stand for choices over the whole population (`LocateStep`, `MarkStep`);
concrete schedules hold ints and Ansor's 14 kinds only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tensorc.schedule.stage import Annotation, MarkKind, StageScope


@dataclass(frozen=True, slots=True)
class Col:
    """The value of decision column `index`; stands where an int would."""

    index: int


Length: TypeAlias = int | Col


@dataclass(frozen=True, slots=True)
class AnnotationStep:
    """Mark an iterator as parallel, vectorized, unrolled, or bound to a GPU index."""

    stage: str
    iterator: str
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class FuseStep:
    """Fuse adjacent iterators, outermost first, into one named `a@b@…`."""

    stage: str
    iterators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PragmaStep:
    """Attach a pragma, such as `auto_unroll_max_step`, to an iterator."""

    stage: str
    iterator: str
    pragma: str
    value: int


@dataclass(frozen=True, slots=True)
class ReorderStep:
    """Put all iterators of a stage in a new order."""

    stage: str
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SplitStep:
    """Split an iterator into `len(lengths) + 1` named `i.0`, `i.1`, …; inner lengths are given."""

    stage: str
    iterator: str
    lengths: tuple[Length, ...]


@dataclass(frozen=True, slots=True)
class FollowSplitStep:
    """Split into `parts + 1` loops with the lengths of step number `source`.

    The first `parts - 1` lengths are the source's, the last is the product of its others.
    """

    stage: str
    iterator: str
    source: int
    parts: int


@dataclass(frozen=True, slots=True)
class FollowFusedSplitStep:
    """Split in two by the product of lengths number `level` of several earlier split steps.

    The product is the inner length if `factor`, else the number of outer iterations.
    """

    stage: str
    iterator: str
    sources: tuple[int, ...]
    level: int
    factor: bool = True


@dataclass(frozen=True, slots=True)
class StorageAlignStep:
    """Pad the row of axis `iterator`'s dimension so that its stride is `factor · n + offset`."""

    stage: str
    iterator: str
    factor: int
    offset: int


@dataclass(frozen=True, slots=True)
class ComputeAtStep:
    """Compute a stage inside an iterator of another."""

    stage: str
    target: str
    iterator: str


@dataclass(frozen=True, slots=True)
class ComputeInlineStep:
    """Substitute a stage into its readers."""

    stage: str


@dataclass(frozen=True, slots=True)
class ComputeRootStep:
    """Compute a stage at the root."""

    stage: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Order in which a packed copy is stored: one dimension tiled, then all permuted.

    Dimension `dim` becomes `(dim // factor, dim % factor)`, the remainder appended as the last
    dimension; `order` permutes the resulting `rank + 1` dimensions. Where `factor` does not divide
    the extent, the copy is padded with zeros.
    """

    dim: int
    factor: Length
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CacheReadStep:
    """Insert a copy `stage.scope` of a tensor, in another layout if one is given, for `readers`."""

    stage: str
    scope: StageScope
    readers: tuple[str, ...]
    layout: Layout | None = None


@dataclass(frozen=True, slots=True)
class CacheWriteStep:
    """Compute into `stage.scope`, then copy to `stage`."""

    stage: str
    scope: StageScope


@dataclass(frozen=True, slots=True)
class RfactorStep:
    """Turn reduction iterator `iterator` into spatial axis `axis` of a new stage `stage.rf`."""

    stage: str
    iterator: str
    axis: int


@dataclass(frozen=True, slots=True)
class LocateStep:
    """Compute a stage inside the first `level` of at most `limit` loops of the nest of `target`."""

    stage: str
    target: str
    level: Length
    limit: int


@dataclass(frozen=True, slots=True)
class MarkStep:
    """Parallelise or vectorise this many outer or inner loops, or unroll up to that many steps."""

    stage: str
    what: MarkKind
    amount: Length


ConcreteStep: TypeAlias = (
    AnnotationStep | FuseStep | PragmaStep | ReorderStep | SplitStep | FollowSplitStep
    | FollowFusedSplitStep | StorageAlignStep | ComputeAtStep | ComputeInlineStep
    | ComputeRootStep | CacheReadStep | CacheWriteStep | RfactorStep
)  # fmt: skip
Step: TypeAlias = ConcreteStep | LocateStep | MarkStep
StepCode: TypeAlias = Literal[
    "AN", "FU", "PR", "RE", "SP", "FSP", "FFSP", "SA", "CA", "CI", "CR", "CHR", "CHW", "RF",
]  # fmt: skip
