"""Random schedules of any program: steps by hand, rows of search spaces, and both together."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

import numpy as np

from tensorc.lower import lower
from tensorc.schedule.replay import apply_step, initial_state, replay
from tensorc.schedule.stage import MAX_AHEAD, PREFETCH, STREAMING
from tensorc.schedule.state import State
from tensorc.schedule.steps import PragmaStep
from tensorc.space.default_schedule import default_schedule
from tensorc.space.rules.add_rfactor import AddRfactor
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.support.errors import LoweringError
from tensorc.target import Target
from tensorc.te import ComputeDAG
from tests.lower.fuzz import more_steps

MOST_STEPS = 30
# Also with shares of short reductions.
RULE_SETS = ("default", "ansor", (AddRfactor(wanted=True, least=0), "ansor"))


def random_state(
    dag: ComputeDAG, target: Target, r: Random, constants: Collection[str] = ()
) -> State:
    """A random legal schedule."""
    kind = r.random()
    if kind < 0.45:
        return more_steps(initial_state(dag), r, r.randint(0, MOST_STEPS))
    if kind < 0.5:
        return default_schedule(dag, target)
    state = sampled(SearchTask(dag, target, tuple(constants)), r)
    return state if kind < 0.85 else more_steps(state, r, r.randint(1, MOST_STEPS // 2))


def hinted(state: State, target: Target, r: Random) -> State:
    """The schedule with prefetches and stores past the caches wherever they make sense."""
    for name, stage in state.stages.items():
        for iterator in stage.names():
            key, value = r.choice(((PREFETCH, r.choice((1, 7, MAX_AHEAD))), (STREAMING, 1)))
            step = PragmaStep(name, iterator, key, value)
            try:
                new = apply_step(state, step)
                lower(new, target)
            except LoweringError:
                continue
            state = new
    return state


def sampled(task: SearchTask, r: Random) -> State:
    """A row of the space of a random sketch."""
    space = Space(task, r.choice(generate_sketches(task, rules=r.choice(RULE_SETS))))
    rng = np.random.default_rng(r.getrandbits(32))
    rows = space.sample(2, rng)
    row = space.crossover(space.mutate(rows, rng), rows[::-1], rng)[:1]
    assert space.valid(row)[0]
    assert np.isfinite(space.features(row)).all()
    steps = space.steps(row[0])
    again = space.row(steps)
    assert again is not None
    assert (again == row[0]).all(), "a row does not come back from its steps"
    return replay(task.dag, steps)
