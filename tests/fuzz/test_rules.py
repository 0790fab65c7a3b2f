"""Every rule of the default set is fuzzed; `python -m tests.fuzz.rules 2000` finds seeds."""

from __future__ import annotations

import pytest

from bench.fuzz import check
from tensorc.support.options import VERIFY
from tests.fuzz.rules import NAMES, reachable

# Their programs have sketches of all rules; each is checked under one schedule of many.
SEEDS = (16, 70, 109, 122, 188, 604, 963, 3660)


def test_a_few_programs_have_sketches_of_every_rule() -> None:
    assert set(NAMES) == set().union(*map(reachable, SEEDS))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_rules_make_computes_what_programs_mean(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VERIFY.name, "1")
    check(seed)
