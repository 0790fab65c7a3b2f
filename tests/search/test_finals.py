"""The final rounds: who wins, when they end, and what failures and interrupts do to them."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tensorc.schedule.steps import SplitStep
from tensorc.search.finals import FinalOptions, Finals, Verdict
from tests.search.fakes import Outcome

Steps = tuple[SplitStep, ...]
SCHEDULES: list[Steps] = [(SplitStep("C", "i", (n,)),) for n in range(1, 6)]


class NoisyMachine:
    """Takes `seconds[n]` for schedule n, times noise; a measurement takes one second."""

    def __init__(self, *seconds: float, noise: float = 0.02, seed: int = 0) -> None:
        self.seconds, self.noise = seconds, noise
        self.rng = np.random.default_rng(seed)
        self.seen: list[int] = []
        self.broken: dict[int, int] = {}  # from which measurement on a schedule fails
        self.stop_after: int | None = None

    def __call__(self, batch: Sequence[Steps]) -> Iterator[Outcome]:
        for steps in batch:
            if self.stop_after is not None and len(self.seen) >= self.stop_after:
                raise KeyboardInterrupt
            number = SCHEDULES.index(steps)
            self.seen.append(number)
            if self.seen.count(number) > self.broken.get(number, 10**6):
                yield Outcome(None, "RUNTIME_CRASH")
            else:
                drawn = math.exp(self.rng.normal(0.0, self.noise))
                yield Outcome(self.seconds[number] * drawn)

    def clock(self) -> float:
        return float(len(self.seen))


def decided(machine: NoisyMachine, **options) -> Verdict | None:
    finals = Finals(machine, FinalOptions(**options), machine.clock)
    finals.run(SCHEDULES[: len(machine.seconds)])
    return finals.verdict()


def least_of_three(machine: NoisyMachine, rounds: int = 3) -> int:
    """The rule of the least figure out of a fixed number of rounds, for comparison."""
    everybody = SCHEDULES[: len(machine.seconds)]
    figures = [[o.latency for o in machine(everybody)] for _ in range(rounds)]
    return int(np.argmin(np.min(np.array(figures), axis=0)))


def rate(choose, seconds: tuple[float, ...], runs: int = 400) -> tuple[float, float]:
    """How often the fastest, number 0, is chosen, and the measurements that it takes."""
    machines = [NoisyMachine(*seconds, seed=seed) for seed in range(runs)]
    right = sum(choose(machine) == 0 for machine in machines)
    return right / runs, sum(len(machine.seen) for machine in machines) / runs


def chosen(**options):
    def choose(machine: NoisyMachine) -> int:
        verdict = decided(machine, **options)
        assert verdict is not None
        return SCHEDULES.index(verdict.winner)

    return choose


def test_the_better_of_two_is_found_more_often_than_by_the_least_figure_at_equal_cost():
    old, cost = rate(lambda machine: least_of_three(machine, 6), (1.0, 1.03))
    new, mine = rate(chosen(seconds=12.0), (1.0, 1.03))
    assert (cost, mine <= cost) == (12, True)
    assert 1.0 - new < 0.7 * (1.0 - old)


def test_the_best_of_four_is_found_more_often_when_there_is_time():
    old, _ = rate(least_of_three, (1.0, 1.03, 1.03, 1.06))
    new, mine = rate(chosen(), (1.0, 1.03, 1.03, 1.06))
    assert old < 0.93
    assert new > 0.96
    assert mine < 30


def test_clear_cases_take_the_rounds_that_all_take_part_in():
    machine = NoisyMachine(1.0, 1.2, 1.3, 1.4, noise=0.005)
    verdict = decided(machine)
    assert verdict is not None
    assert (verdict.winner, verdict.rounds, verdict.is_certain) == (SCHEDULES[0], 4, True)
    assert verdict.latency == pytest.approx(1.0, rel=0.02)


def test_a_slow_one_is_not_measured_again():
    machine = NoisyMachine(1.0, 1.01, 2.0)
    decided(machine)
    assert machine.seen.count(2) == 4
    assert machine.seen.count(0) > 4


def test_who_is_disturbed_in_the_first_two_rounds_may_still_win():
    machine = NoisyMachine(1.0, 1.05, 1.06, noise=0.001)

    def disturbed(batch: Sequence[Steps]) -> Iterator[Outcome]:
        for outcome in machine(batch):
            burst = machine.seen[-1] == 0 and machine.seen.count(0) <= 2
            yield Outcome(outcome.latency * (1.3 if burst else 1.0))

    finals = Finals(disturbed)
    finals.run(SCHEDULES[:3])
    verdict = finals.verdict()
    assert verdict is not None
    assert verdict.winner == SCHEDULES[0]


def test_a_tie_ends_at_the_bound_and_is_no_certainty():
    machine = NoisyMachine(1.0, 1.0)
    verdict = decided(machine, most=6, negligible=0.0)
    assert verdict is not None
    assert verdict.rounds <= 6
    assert verdict.noise == pytest.approx(0.02, rel=0.9)


def test_a_difference_that_does_not_matter_ends_the_rounds():
    verdict = decided(NoisyMachine(1.0, 1.0001, noise=1e-4), most=100)
    assert verdict is not None
    assert verdict.rounds <= 4


def test_rounds_end_with_the_time_but_two_take_part_in_two():
    machine = NoisyMachine(1.0, 1.0, 1.0, 1.0)
    decided(machine, seconds=0.0)
    assert machine.seen == [0, 1, 1, 0]
    machine = NoisyMachine(1.0, 1.0, 1.0, 1.0)
    decided(machine, seconds=17.0)
    assert len(machine.seen) <= 17


def test_the_first_round_ends_with_the_time_too():
    machine = NoisyMachine(1.0, 1.0, 1.0, 0.5, 0.5, noise=0.0)
    verdict = decided(machine, seconds=3.0, negligible=0.0)
    assert verdict is not None
    assert SCHEDULES.index(verdict.winner) < 3
    assert sorted(machine.seen) == [0, 0, 1, 1, 2, 2]


def test_who_fails_is_not_one_of_the_two_that_there_is_time_for():
    machine = NoisyMachine(1.0, 1.5, 1.2, 0.5, noise=0.0)
    machine.broken = {0: 0}
    verdict = decided(machine, seconds=0.0)
    assert verdict is not None
    assert verdict.winner == SCHEDULES[2]


def test_rounds_change_direction_so_that_a_drift_is_fair():
    machine = NoisyMachine(1.0, 1.0, 1.0)
    decided(machine, most=2)
    assert machine.seen == [0, 1, 2, 2, 1, 0]


def test_who_fails_once_is_out():
    machine = NoisyMachine(1.0, 1.5, noise=0.0)
    machine.broken = {0: 1}
    verdict = decided(machine)
    assert verdict is not None
    assert verdict.winner == SCHEDULES[1]


def test_when_all_fail_nobody_wins():
    machine = NoisyMachine(1.0, 1.5)
    machine.broken = {0: 0, 1: 0}
    finals = Finals(machine)
    finals.run(SCHEDULES[:2])
    assert finals.verdict() is None
    assert finals.failed == set(SCHEDULES[:2])


def test_an_interrupt_keeps_what_was_measured():
    machine = NoisyMachine(1.0, 0.9, 1.1, noise=0.0)
    machine.stop_after = 4
    finals = Finals(machine)
    with pytest.raises(KeyboardInterrupt):
        finals.run(SCHEDULES[:3])
    verdict = finals.verdict()
    assert verdict is not None
    assert verdict.winner == SCHEDULES[1]
    assert Finals(machine).verdict() is None


def test_who_has_failed_does_not_win_after_an_interrupt():
    machine = NoisyMachine(1.0, 1.5, 2.0, noise=0.0)
    machine.broken = {0: 1}
    machine.stop_after = 5
    finals = Finals(machine, FinalOptions(negligible=0.0))
    with pytest.raises(KeyboardInterrupt):
        finals.run(SCHEDULES[2::-1])
    assert finals.failed == {SCHEDULES[0]}
    verdict = finals.verdict()
    assert verdict is not None
    assert verdict.winner == SCHEDULES[1]


def test_a_single_finalist_wins():
    verdict = decided(NoisyMachine(1.0))
    assert verdict is not None
    assert (verdict.winner, verdict.rounds) == (SCHEDULES[0], 4)
