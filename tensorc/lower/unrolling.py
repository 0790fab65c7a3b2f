"""Pragmas about innermost loops.

`auto_unroll_max_step` unrolls inner loops while there are few steps; `vector_reduction` lets the
innermost loop of a reduction combine its terms in any order, and so in the lanes of vectors.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from tensorc.ir.stmt import ForKind
from tensorc.lower.instance import Leaf
from tensorc.schedule.stage import AUTO_UNROLL, VECTOR_REDUCTION, Stage


def auto_unroll(
    stage: Stage, leaves: tuple[Leaf, ...], hosts: Container[str], lanes: int
) -> tuple[Leaf, ...]:
    """Unroll the innermost loops at or below the pragma, as long as the product of steps fits.

    A vector counts as one step; a loop in which other stages are computed (`hosts`) ends it.
    """
    places = {name: value for name, key, value in stage.pragmas if key == AUTO_UNROLL}
    if not places:
        return leaves
    first = min(k for k, leaf in enumerate(leaves) if leaf.iterator in places)
    limit = max(places.values())
    steps = 1
    unrolled = list(leaves)
    for k in range(len(leaves) - 1, first - 1, -1):
        leaf = leaves[k]
        if leaf.iterator in hosts or leaf.kind is ForKind.PARALLEL:
            break
        steps *= -(-leaf.extent // lanes) if leaf.kind is ForKind.VECTORIZED else leaf.extent
        if steps > limit:
            break
        if leaf.kind is ForKind.SERIAL:
            unrolled[k] = replace(leaf, kind=ForKind.UNROLLED)
    return tuple(unrolled)


def vector_reduction(stage: Stage, leaves: tuple[Leaf, ...]) -> tuple[Leaf, ...]:
    """Vectorise the innermost loop if it reduces and the pragma on it allows it."""
    allowed = {name for name, key, value in stage.pragmas if key == VECTOR_REDUCTION and value}
    if not leaves or not leaves[-1].reduce or leaves[-1].iterator not in allowed:
        return leaves
    return (*leaves[:-1], replace(leaves[-1], kind=ForKind.VECTORIZED))
