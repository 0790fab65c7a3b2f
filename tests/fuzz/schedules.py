"""Random schedules of any program: steps by hand, rows of search spaces, and both together."""

from __future__ import annotations

from random import Random

import numpy as np

from tensorc.schedule.replay import initial_state, replay
from tensorc.schedule.state import State
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te import ComputeDAG
from tests.lower.fuzz import more_steps

MOST_STEPS = 30
RULE_SETS = ("default", "ansor")


def random_state(dag: ComputeDAG, target: Target, r: Random) -> State:
    """A random legal schedule."""
    kind = r.random()
    if kind < 0.5:
        return more_steps(initial_state(dag), r, r.randint(0, MOST_STEPS))
    state = sampled(dag, target, r)
    return state if kind < 0.85 else more_steps(state, r, r.randint(1, MOST_STEPS // 2))


def sampled(dag: ComputeDAG, target: Target, r: Random) -> State:
    """A row of the space of a random sketch."""
    task = SearchTask(dag, target)
    space = Space(task, r.choice(generate_sketches(task, rules=r.choice(RULE_SETS))))
    rng = np.random.default_rng(r.getrandbits(32))
    rows = space.sample(2, rng)
    row = space.crossover(space.mutate(rows, rng), rows[::-1], rng)[0]
    assert space.valid(row[None])[0]
    return replay(dag, space.steps(row))
