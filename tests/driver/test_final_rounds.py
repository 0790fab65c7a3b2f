"""The end of a run: who takes part, in which order, and what there is time to build."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from tensorc.driver.candidates import RunRecords, Watched
from tensorc.driver.final_rounds import FINALISTS, FinalRounds
from tensorc.driver.problem import Problem
from tensorc.measure.result import ErrorKind, MeasureInput, MeasureResult
from tensorc.schedule.steps import SplitStep
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

    def fastest(self, count: int) -> list[SimpleNamespace]:
        return self.trials[:count]


class Factory:
    """Builds and measures; every candidate takes the same time, and some cannot be built."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.built: list[MeasureInput] = []
        self.measured: list[MeasureInput] = []
        self.clock = 0.0

    def build(self, batch: Sequence[MeasureInput]) -> Iterator[object]:
        for candidate in batch:
            self.clock += self.seconds
            self.built.append(candidate)
            yield MeasureResult()

    def measure(self, batch: Sequence[MeasureInput]) -> Iterator[MeasureResult]:
        for candidate in batch:
            self.measured.append(candidate)
            yield MeasureResult((1e-3,), error=ErrorKind.NONE)


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Factory:
    made = Factory()
    monkeypatch.setattr("tensorc.driver.final_rounds.time.monotonic", lambda: made.clock)
    return made


def held(factory: Factory, count: int, naive: float, target: str = "llvm") -> Problem:
    """The final rounds of a search that has measured so many."""
    problem = Problem.of(matmul(), f"{target} -num-cores=1", (), (), 0.0)
    search = FakeSearch(next(iter(problem.definitions)), count)
    records = RunRecords(None, problem.task, tuple(problem.definitions.values()), "")
    watched = Watched(factory.measure, records, is_final=True)
    FinalRounds(problem, search, watched, factory.build, naive).winner(1.0)
    return problem


def splits(candidates: Sequence[MeasureInput]) -> list[int]:
    return [candidate.steps[0].lengths[0] for candidate in candidates]


def test_all_are_built_before_the_first_is_measured(factory: Factory):
    problem = held(factory, 10, 1.5e-3)
    assert len(factory.built) == 2 * FINALISTS + 1  # none has a large output
    assert factory.measured[: len(factory.built)] == factory.built
    assert problem.default_candidate() in factory.built


@pytest.mark.parametrize(("naive", "place"), [(0.5e-3, 0), (1.5e-3, 2), (1.9e-3, 2), (3e-3, None)])
def test_the_default_schedule_takes_its_place_among_the_fastest(
    factory: Factory, naive: float, place: int | None
):
    default = held(factory, 2, naive).default_candidate()
    found = factory.built.index(default) if default in factory.built else None
    assert found == place


def test_the_slowest_do_not_take_part_where_building_takes_long(factory: Factory):
    factory.seconds = 0.3
    held(factory, 10, 1.0)
    assert splits(factory.built) == [1, 1, 2, 2]
    assert set(factory.measured) == set(factory.built)


def test_two_take_part_however_long_building_takes(factory: Factory):
    factory.seconds = 30.0
    held(factory, 10, 1.0)
    assert len(set(factory.measured)) == 2


def test_for_c_there_is_one_way_to_generate_code(factory: Factory):
    held(factory, 10, 1.0, "c")
    assert splits(factory.built) == [1, 2, 3, 4]
