"""How many elements of an operation a vector holds."""

from __future__ import annotations

from tensorc.passes.vector_lanes import vector_lanes
from tensorc.target import Target
from tensorc.te.op import Op


def lanes_of(op: Op, target: Target) -> int:
    """Elements in a vector, by the type of the first output (see `passes.vector_lanes`).

    Lowering counts vectors of register tiles and unrolled steps so. Code may use shorter ones where
    a loop also loads or casts to a wider type (see `passes.vectorize_loops`).
    """
    return vector_lanes(op.dtype, target)
