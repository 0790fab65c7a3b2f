"""The share of iterations that are carried out, where only whole strides count."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorc.ir.affine import Affine, FloorMod
from tensorc.ir.expr import Select
from tensorc.ir.visit import walk_expr
from tensorc.schedule.access import body_of
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.state import State
from tensorc.space.features.accesses import loop_steps
from tensorc.space.features.loops import Floats, LoopArrays
from tensorc.space.features.plan import StatementPlan


def strided_conditions(state: State, stage: str) -> list[tuple[Affine, int]]:
    """The places `p` and strides `s` of conditions `p % s == 0`, written `-(p % s) >= 0`."""
    found = []
    for value in body_of(state, stage):
        for node in walk_expr(value):
            for condition in node.conditions if isinstance(node, Select) else ():
                if not _is_zero(condition.const) or len(condition.terms) != 1:
                    continue
                ((atom, factor),) = condition.terms
                is_known = isinstance(factor, int) and factor < 0
                if is_known and isinstance(atom, FloorMod) and isinstance(atom.divisor, int):
                    found.append((atom.affine, atom.divisor))
    return found


def executed_share(state: State, bounds: Bounds, plan: StatementPlan, loops: LoopArrays) -> Floats:
    """The product of `1/s` over the conditions that are decided outside of a loop.

    Where the innermost loops decide, nothing is won: each iteration has to ask.
    """
    share = np.ones(loops.extents.shape[1])
    if state.dag.by_name[plan.name].reducer is None:
        return share
    conditions = strided_conditions(state, plan.name)
    steps = loop_steps(state, bounds, plan.name) if conditions else []
    for place, stride in conditions:
        serial_inside = np.zeros(len(share), bool)
        hoisted = np.ones(len(share), bool)
        for k in range(loops.count - 1, loops.first - 1, -1):
            moved: Any = 0
            for axis, step in steps[plan.levels[k]].items():
                moved = moved + _coefficient(place, axis) * step
            decides = (np.remainder(moved, stride) != 0) & loops.live[k]
            hoisted &= serial_inside | ~decides
            serial_inside |= loops.live[k] & ~loops.vector[k] & ~loops.unrolled[k]
        share = np.where(hoisted, share / stride, share)
    return share


def _coefficient(place: Affine, axis: str) -> Any:
    return next((factor for atom, factor in place.terms if atom == axis), 0)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int) and value == 0
