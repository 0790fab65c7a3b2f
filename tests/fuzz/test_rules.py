"""Every rule of the default set is fuzzed; `python -m tests.fuzz.rules 2000` finds seeds."""

from __future__ import annotations

import pytest

from bench.fuzz import check
from tensorc.support.options import VERIFY
from tests.fuzz.rules import NAMES, traced

# Chosen so that together they have every rule behind them.
SEEDS = (16, 70, 109, 122, 188, 604, 963, 3660)


def test_a_few_seeds_have_every_rule_behind_them() -> None:
    assert set(NAMES) == set().union(*(traced(seed)[1] for seed in SEEDS))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_rules_make_computes_what_programs_mean(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VERIFY.name, "1")
    check(seed)
