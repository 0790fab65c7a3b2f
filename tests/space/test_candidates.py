"""Every candidate that is proposed lowers, compiles, and computes what the program says."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tensorc.lower import lower
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.replay import initial_state, replay
from tensorc.schedule.state import State
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tests.space.workloads import PROGRAMS, spaces

TARGETS = [Target("llvm", num_cores=2), Target("llvm", num_cores=1)]


@cache
def reference(name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Random inputs and what the loops as they stand make of them."""
    task = SearchTask.of(PROGRAMS[name](), TARGETS[1])
    rng = np.random.default_rng(0)
    ops = [task.dag.by_name[op] for op, _ in task.dag.params]
    inputs = [rng.standard_normal(op.shape, np.float32) for op in ops if op.is_placeholder]
    return inputs, run(task, initial_state(task.dag), inputs)


def run(task: SearchTask, state: State, inputs: list[np.ndarray]) -> np.ndarray:
    kernel = CompiledFunction(build(lower(state, task.target), task.target))
    result: np.ndarray = kernel(*inputs)
    return result


def check(name: str, space: Space, count: int, seed: int) -> None:
    inputs, wanted = reference(name)
    rng = np.random.default_rng(seed)
    rows = space.sample(count, rng)
    for row in [*rows, *space.mutate(rows, rng)[: count // 2]]:
        state = replay(space.task.dag, space.steps(row))
        got = run(space.task, state, inputs)
        np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-4, err_msg=str(space.steps(row)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_candidate_of_each_sketch_is_right(name: str) -> None:
    for number, space in enumerate(spaces(PROGRAMS[name](), str(TARGETS[0]))[:6]):
        check(name, space, 1, number)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=["parallel", "serial"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_many_candidates_of_each_sketch_are_right(name: str, target: Target) -> None:
    for rules in ("ansor", "default"):
        for number, space in enumerate(spaces(PROGRAMS[name](), str(target), rules)):
            check(name, space, 8, number)
