"""The features of one program."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tensorc.schedule.bounds import Bounds
from tensorc.schedule.state import State
from tensorc.space.constants import constant_ops
from tensorc.space.features.plan import make_plan
from tensorc.space.features.population import features
from tensorc.space.task import SearchTask


def program_features(task: SearchTask, state: State) -> NDArray[np.float32]:
    """Statements × features; of what is computed before all calls, zeros, as in a `Space`."""
    bounds = Bounds(state)
    plan = make_plan(state, bounds, task.target)
    values: NDArray[np.float32] = features(state, task.target, 1, plan, bounds)[0]
    constant = constant_ops(task, state.dag)
    values[[statement.name in constant for statement in plan.statements]] = 0.0
    return values
