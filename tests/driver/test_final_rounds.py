"""The end of a run: who takes part, in which order, and what there is time to build."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import SimpleNamespace

import pytest

from tensorc.driver.candidates import RunRecords, Watched
from tensorc.driver.final_rounds import CONTESTANTS, FINALISTS, FinalRounds
from tensorc.driver.problem import Problem
from tensorc.measure.result import ErrorKind, MeasureInput, MeasureResult
from tensorc.schedule.stage import STREAMING
from tensorc.schedule.steps import PragmaStep, SplitStep
from tests.driver.test_compile import matmul


class FakeSearch:
    """A search that has found programs of 1 ms, 2 ms and so on."""

    def __init__(self, key: str, count: int) -> None:
        self.trials = [
            SimpleNamespace(steps=MeasureInput((SplitStep("C", "i", (n,)),), key), latency=1e-3 * n)
            for n in range(1, count + 1)
        ]
        self.stopped = "all trials are done"
        self.best = self.trials[0] if count else None
        self.estimate = lambda features: [0.0]

    def foreseen(self, count: int) -> list[tuple[MeasureInput, float]]:
        raise KeyboardInterrupt

    def fastest(self, count: int) -> list[SimpleNamespace]:
        return self.trials[:count]


class Factory:
    """Builds and measures; every candidate takes the same time, and some cannot be built."""

    def __init__(self) -> None:
        self.seconds, self.builders = 0.0, 1
        self.broken: set[int] = set()  # splits of those that cannot be built
        self.built: list[MeasureInput] = []
        self.measured: list[MeasureInput] = []
        self.clock = 0.0

    def build(self, batch: Iterable[MeasureInput]) -> Iterator[MeasureResult]:
        source = iter(batch)
        while begun := list(islice(source, self.builders)):
            self.clock += self.seconds
            self.built += begun
            yield from map(self.result, begun)

    def measure(self, batch: Sequence[MeasureInput]) -> Iterator[MeasureResult]:
        for candidate in batch:
            self.measured.append(candidate)
            yield self.result(candidate)

    def result(self, candidate: MeasureInput) -> MeasureResult:
        if self.broken & set(splits([candidate])):
            return MeasureResult(error=ErrorKind.BUILD_TIMEOUT)
        return MeasureResult((1e-3,))


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Factory:
    made = Factory()
    monkeypatch.setattr("tensorc.driver.final_rounds.time.monotonic", lambda: made.clock)
    return made


def held(factory: Factory, count: int, naive: float, target: str = "llvm") -> Problem:
    """Hold the final rounds of a search that has measured so many."""
    return decided(factory, count, naive, target)[0]


def decided(
    factory: Factory, count: int, naive: float, target: str = "llvm"
) -> tuple[Problem, FakeSearch, MeasureInput]:
    """The same, and the search and who won."""
    problem = Problem.of(matmul(), f"{target} -num-cores=1", (), (), 0.0)
    search = FakeSearch(next(iter(problem.definitions)), count)
    records = RunRecords(None, problem.task, tuple(problem.definitions.values()), "")
    watched = Watched(factory.measure, records, is_final=True)
    winner, _ = FinalRounds(problem, search, watched, factory.build, naive).winner(1.0)
    return problem, search, winner


def splits(candidates: Sequence[MeasureInput]) -> list[int]:
    return [c.steps[0].lengths[0] for c in candidates if isinstance(c.steps[0], SplitStep)]


def test_all_are_built_before_the_first_is_measured(factory: Factory):
    problem = held(factory, 10, 1.5e-3)
    assert len(factory.built) == 2 * FINALISTS + 1  # none has a large output
    assert factory.measured[: len(factory.built)] == factory.built
    assert problem.default_candidate() in factory.built


@pytest.mark.parametrize(("naive", "place"), [(0.5e-3, 0), (1.5e-3, 1), (1.9e-3, 1), (3e-3, None)])
def test_the_default_schedule_takes_its_place_among_the_fastest(
    factory: Factory, naive: float, place: int | None
):
    default = held(factory, 2, naive).default_candidate()
    found = factory.built.index(default) if default in factory.built else None
    assert found == place


def test_the_slowest_do_not_take_part_where_building_takes_long(factory: Factory):
    factory.seconds = 0.3
    held(factory, 10, 1.0)
    assert splits(factory.built) == [1, 2, 1, 2]
    assert set(factory.measured) == set(factory.built)


def test_the_fastest_two_take_part_however_long_building_takes(factory: Factory):
    factory.seconds = 30.0
    held(factory, 10, 1.0)
    assert set(splits(factory.measured)) == {1, 2}
    assert set(factory.measured) == set(factory.built)


def test_what_was_begun_before_the_time_was_over_takes_part(factory: Factory):
    factory.seconds, factory.builders = 0.6, 2
    held(factory, 10, 1.0)
    assert len(factory.built) == 4
    assert set(factory.measured) == set(factory.built)


def test_who_cannot_be_built_is_not_one_of_the_two_that_there_is_always_time_for(
    factory: Factory,
):
    factory.seconds, factory.builders, factory.broken = 30.0, 2, {1, 2}
    _, _, winner = decided(factory, 10, 1.0)
    assert set(splits(factory.measured)) == {3}
    assert splits([winner]) == [3]


def test_who_cannot_be_built_is_not_the_result_where_nothing_is_measured(factory: Factory):
    factory.broken = {1}

    def interrupted(batch: Sequence[MeasureInput]) -> Iterator[MeasureResult]:
        raise KeyboardInterrupt

    factory.measure = interrupted
    _, search, winner = decided(factory, 10, 1.0)
    assert search.stopped == "interrupted"
    assert splits([winner]) == [2]


def test_an_interrupt_of_a_run_without_trials_leaves_the_default_schedule(factory: Factory):
    problem, search, winner = decided(factory, 0, 1e-3)
    assert search.stopped == "interrupted"
    assert winner == problem.default_candidate()


def test_as_many_are_kept_as_take_part_at_most(factory: Factory, monkeypatch: pytest.MonkeyPatch):
    both = [(PragmaStep("C", "j", STREAMING, value),) for value in (1, 2)]
    monkeypatch.setattr("tensorc.driver.final_rounds.hints", lambda state, target: both)
    held(factory, 10, 1.0e-3)
    assert len(set(factory.built)) == len(factory.built) == CONTESTANTS


def test_for_c_there_is_one_way_to_generate_code(factory: Factory):
    held(factory, 10, 1.0, "c")
    assert splits(factory.built) == [1, 2, 3, 4]
