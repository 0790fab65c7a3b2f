"""One stage of a schedule: its iterators, where it is computed, and how it is stored.

A stage belongs to one compute operation of a state's DAG. Its iterators are the leaves of the
relations (splits and fusions) that made them; extents are never stored, `schedule.bounds` derives
them. Sizes are ints, or arrays for a whole population.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from tensorc.arith.sizes import Size


class IterKind(Enum):
    """Whether an iterator walks output elements or terms of a reduction."""

    SPATIAL = "spatial"
    REDUCE = "reduce"


class Annotation(Enum):
    """How an iterator is mapped; values are the words of the printed schedule."""

    NONE = ""
    UNROLL = "unroll"
    VECTORIZE = "vectorize"
    PARALLEL = "parallel"
    VTHREAD = "vthread"
    BLOCK_X = "blockIdx.x"
    BLOCK_Y = "blockIdx.y"
    BLOCK_Z = "blockIdx.z"
    THREAD_X = "threadIdx.x"
    THREAD_Y = "threadIdx.y"
    THREAD_Z = "threadIdx.z"


BLOCKS = frozenset((Annotation.BLOCK_X, Annotation.BLOCK_Y, Annotation.BLOCK_Z))
THREADS = frozenset((Annotation.THREAD_X, Annotation.THREAD_Y, Annotation.THREAD_Z))


@dataclass(frozen=True, slots=True)
class Iterator:
    """One loop of a stage."""

    name: str
    kind: IterKind
    annotation: Annotation = Annotation.NONE


@dataclass(frozen=True, slots=True, eq=False)
class SplitRelation:
    """`parent` became `parts`, outermost first; `lengths` are the extents of all but the first.

    `parent = ((p0 · l1 + p1) · l2 + p2) …`; the outermost extent is derived by rounding up, so
    lengths need not divide.
    """

    parent: str
    parts: tuple[str, ...]
    lengths: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class FuseRelation:
    """Adjacent `parts`, outermost first, became `fused`."""

    parts: tuple[str, ...]
    fused: str


Relation: TypeAlias = SplitRelation | FuseRelation


@dataclass(frozen=True, slots=True)
class Root:
    """Computed before anything that reads it, once."""


@dataclass(frozen=True, slots=True)
class Inlined:
    """Substituted into its readers."""


@dataclass(frozen=True, slots=True)
class At:
    """Computed inside iterator `iterator` of stage `target`, just the region needed there."""

    target: str
    iterator: str


@dataclass(frozen=True, slots=True, eq=False)
class AtLevel:
    """Computed inside the first `level` loops of the nest of `target` (0: at the root).

    Only in populations: `level` may be an array. Levels count the loops of the masked nest, those
    of the stages around the target included, up to `limit`; loops from `level` on have extent 1
    around this stage.
    """

    target: str
    level: Size
    limit: int


Location: TypeAlias = Root | Inlined | At | AtLevel
StageScope: TypeAlias = Literal["global", "local", "shared"]
MarkKind: TypeAlias = Literal["parallel", "vectorize", "unroll"]

# Unroll the loops from the pragma's on inwards while they have at most so many steps.
AUTO_UNROLL = "auto_unroll_max_step"
# Combine the terms of the innermost reduction in any order, and so in the lanes of vectors.
VECTOR_REDUCTION = "vector_reduction"
# Replace index arithmetic by addresses that run along, with 0 not. It holds for the whole kernel
# that the loop is in, since code generators know no smaller unit.
STRENGTH_REDUCTION = "loop_strength_reduction"
# In each iteration ask for the cache lines of inputs that are read so many iterations later.
PREFETCH = "prefetch"
# With 1, store the stage, an output of the kernel, past the caches.
STREAMING = "streaming_stores"
PRAGMAS = (AUTO_UNROLL, VECTOR_REDUCTION, STRENGTH_REDUCTION, PREFETCH, STREAMING)
# The address that far ahead of any element is a number of 64 bits.
MAX_AHEAD = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """How one operation is computed.

    `pragmas` holds (iterator, key, value), the key being one of `PRAGMAS`. `marks` holds
    population-wide choices that a concrete state spells as fuse, annotation and pragma steps.
    `cache_of` names the stage this is a cache of (`cache_read`, `cache_write`), `round_up` the axes
    that may be computed past their end because every operand is owned and padded. `storage_align`
    is (axis, factor, offset) in elements, or None.
    """

    name: str
    iterators: tuple[Iterator, ...]
    relations: tuple[Relation, ...] = ()
    location: Location = Root()
    scope: StageScope = "global"
    pragmas: tuple[tuple[str, str, int], ...] = ()
    marks: tuple[tuple[MarkKind, Size], ...] = ()
    cache_of: str | None = None
    round_up: tuple[str, ...] = ()
    storage_align: tuple[str, int, int] | None = None

    def names(self) -> tuple[str, ...]:
        """Names of the iterators, outermost first."""
        return tuple([i.name for i in self.iterators])
