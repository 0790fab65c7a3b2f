"""How often the body of a stage is written out: unrolled loops and vectors of a register tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorc.arith.sizes import ceildiv, vmax, where
from tensorc.schedule.bounds import Bounds, Loop
from tensorc.schedule.stage import Annotation, At, AtLevel
from tensorc.schedule.state import State

# A vector loop of more vectors stays a loop.
MAX_UNROLLED_VECTORS = 8


def vector_flags(state: State, name: str) -> list[Any]:
    """For each of a stage's own loops, whether it is vectorised."""
    stage = state.stages[name]
    marked: Any = dict(stage.marks).get("vectorize", 0)
    count = len(stage.iterators)
    return [
        (i.annotation is Annotation.VECTORIZE) | (count - k <= marked)
        for k, i in enumerate(stage.iterators)
    ]


def deepest_guest(state: State, bounds: Bounds, name: str) -> Any:
    """The number of the innermost of a stage's own loops in which another is computed, or -1."""
    deepest: Any = -1
    for stage in state.stages.values():
        match stage.location:
            case At(target, iterator) if target == name:
                deepest = vmax(deepest, state.stages[name].names().index(iterator))
            case AtLevel():
                nest = bounds.nests[stage.name]
                for loop, in_force in zip(nest.outer, nest.masks, strict=True):
                    if loop.stage == name:
                        deepest = vmax(deepest, where(in_force, loop.order, -1))
            case _:
                pass
    return deepest


def unrolled_loops(
    loops: Sequence[Loop], vectorized: Sequence[Any], guest: Any, limit: Any, lanes: int
) -> list[Any]:
    """For each loop, whether the limit `auto_unroll_max_step` unrolls it and all inside it.

    As in lowering: from the inside, loops are unrolled while the product of their steps is within
    the limit, where a vector counts as one step, and nothing else is computed in them.

    Args:
        loops: The loops of a stage.
        vectorized: For each loop, whether it is vectorised.
        guest: The number of the innermost loop in which another stage is computed.
        limit: The limit; 0 for none.
        lanes: Elements of a vector.
    """
    steps: Any = 1
    going: Any = True
    flags: list[Any] = []
    for k in range(len(loops) - 1, -1, -1):
        extent = loops[k].extent
        steps = steps * where(vectorized[k], ceildiv(extent, lanes), extent)
        going = going & (guest < k) & (steps <= limit)
        flags.append(going)
    return flags[::-1]


def body_copies(
    loops: Sequence[Loop], vectorized: Sequence[Any], guest: Any, limit: Any, lanes: int
) -> tuple[Any, Any]:
    """Copies of the body, and how many steps the limit `auto_unroll_max_step` unrolls.

    The arguments are those of `unrolled_loops`.
    """
    flags = unrolled_loops(loops, vectorized, guest, limit, lanes)
    steps: Any = 1
    copies: Any = 1
    unrolled: Any = 1
    for k in range(len(loops) - 1, -1, -1):
        extent, vector = loops[k].extent, vectorized[k]
        vectors = ceildiv(extent, lanes)
        steps = steps * where(vector, vectors, extent)
        unrolled = where(flags[k], steps, unrolled)
        serial = extent if loops[k].annotation is Annotation.UNROLL else where(flags[k], extent, 1)
        whole = where(vectors <= MAX_UNROLLED_VECTORS, vectors, 1)
        copies = copies * where(vector, whole, serial)
    return copies, unrolled
