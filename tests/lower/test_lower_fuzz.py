"""Random schedules of random programs, and what they found."""

from __future__ import annotations

import pytest

from tests.lower.fuzz import check


@pytest.mark.parametrize("block", range(6))
def test_random_schedules_compute_what_numpy_does(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_many_random_schedules_compute_what_numpy_does(block: int) -> None:
    for seed in range(1000 + block * 200, 1200 + block * 200):
        check(seed)
