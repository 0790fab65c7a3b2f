"""Definitions share the rounds as long as they may win."""

import numpy as np
import pytest

from tensorc.search.cost_model import RandomCostModel
from tensorc.search.evolution import EvolutionOptions, Measured
from tensorc.search.heats import propose_to_all, running
from tests.search.fakes import GridSpace

SMALL = EvolutionOptions(population=64, generations=1)
NOBODY = np.empty((0, 0), np.int64)


def known(*latencies: float) -> dict[int, Measured]:
    return {n: Measured(frozenset(), NOBODY, latency) for n, latency in enumerate(latencies)}


def test_everybody_takes_part_in_the_first_round():
    assert running([0, 0, 1, 2], {}, 0) == [0, 1, 2]


@pytest.mark.parametrize(("rounds", "left"), [(1, [1, 0, 2]), (2, [1, 0]), (4, [1, 0]), (6, [1])])
def test_who_is_clearly_slower_drops_out(rounds, left):
    assert running([0, 1, 1, 2], known(1.2, 3.0, 1.0, 1.8), rounds) == left


def test_who_has_failed_altogether_drops_out_unless_all_have():
    assert running([0, 1], known(1.0, np.inf), 1) == [0]
    assert running([0, 1], known(np.inf, np.inf), 3) == [0, 1]


@pytest.mark.parametrize("count", [1, 2, 9, 24])
def test_a_round_is_shared_equally_and_in_turns(count):
    spaces = [GridSpace(name=name) for name in "ABCDE"]
    groups = [0, 0, 0, 1, 2]
    model = RandomCostModel(np.random.default_rng(0))
    chosen = propose_to_all(spaces, groups, {}, model, count, np.random.default_rng(1), 0, SMALL)
    assert len(chosen) == len({(one.space, one.key) for one in chosen}) == count
    parts = [groups[one.space] for one in chosen]
    assert parts == [n % 3 for n in range(count)]
