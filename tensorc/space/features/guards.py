"""Where conditions on indices are decided: in the lanes, in the tile, in the reduction.

What decides a condition says what it costs: lanes need a mask for each vector, copies of a tile
their own test, a reduction a test at each step. Conditions that outer loops decide cost nothing.
"""

from __future__ import annotations

import numpy as np

from tensorc.ir.affine import affine_variables
from tensorc.ir.expr import Select
from tensorc.ir.visit import walk_expr
from tensorc.schedule.access import body_of
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.stage import IterKind
from tensorc.schedule.state import State
from tensorc.space.features.accesses import loop_steps
from tensorc.space.features.loops import Floats, LoopArrays
from tensorc.space.features.plan import StatementPlan


def condition_axes(state: State, stage: str) -> list[frozenset[str]]:
    """The axes of the stage that each condition of its body depends on."""
    return [
        frozenset(affine_variables(condition))
        for value in body_of(state, stage)
        for node in walk_expr(value)
        if isinstance(node, Select)
        for condition in node.conditions
    ]


def guards(
    state: State, bounds: Bounds, plan: StatementPlan, loops: LoopArrays
) -> tuple[Floats, Floats, Floats]:
    """How many conditions the lanes, the rest of the tile, and the reduction inside decide."""
    rows = loops.extents.shape[1]
    lanes, tile, steps = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    conditions = condition_axes(state, plan.name)
    if not conditions:
        return lanes, tile, steps
    moves = [frozenset(axes) for axes in loop_steps(state, bounds, plan.name)]
    kinds = [loops.nest.loops[level].kind for level in plan.levels]
    reduces = [k for k in range(loops.first, loops.count) if kinds[k] is IterKind.REDUCE]
    start = max(reduces, default=loops.first - 1) + 1
    for axes in conditions:
        in_lanes, in_tile, in_steps = (np.zeros(rows, bool) for _ in range(3))
        for k in range(loops.first, loops.count):
            if not axes & moves[plan.levels[k]]:
                continue
            if kinds[k] is IterKind.REDUCE:
                in_steps |= loops.live[k]
            elif k >= start:
                in_lanes |= loops.live[k] & loops.vector[k]
                in_tile |= loops.live[k] & ~loops.vector[k]
        lanes += in_lanes
        tile += in_tile & ~in_lanes
        steps += in_steps & ~in_tile & ~in_lanes
    return lanes, tile, steps
