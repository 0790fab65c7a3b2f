"""tune(): the whole loop with real measurements, and with a fake machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import tensorc
from tensorc import te
from tensorc.driver.final_rounds import FINALISTS
from tensorc.measure.records import Database
from tensorc.measure.result import ErrorKind, MeasureResult
from tensorc.schedule.stage import STREAMING, STRENGTH_REDUCTION
from tensorc.schedule.steps import PragmaStep
from tensorc.search.evolution import EvolutionOptions
from tensorc.search.pretrained import estimates
from tensorc.search.tuner import Search
from tensorc.space.default_schedule import default_schedule
from tensorc.space.features.program import program_features
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tests.driver.test_compile import arrays, matmul

SMALL = EvolutionOptions(population=128, generations=2)
TARGET = Target("llvm", num_cores=1)


class FakeMachine:
    """The latency of a schedule is a number made of its text; no clock, no compiler."""

    def __init__(self, stop_after: int | None = None, broken: bool = False) -> None:
        self.seen: list[tuple] = []
        self.stop_after, self.broken = stop_after, broken

    def __call__(self, batch) -> Iterator[MeasureResult]:
        for steps in (candidate.steps for candidate in batch):
            if self.stop_after is not None and len(self.seen) >= self.stop_after:
                raise KeyboardInterrupt
            self.seen.append(steps)
            if self.broken:
                yield MeasureResult(error=ErrorKind.BUILD_ERROR, message="no", phase="build")
            else:
                yield MeasureResult((1e-6 * (1 + sum(map(ord, repr(steps))) % 997),))


def tuned(machine, **options):
    settings = {"trials": 30, "evolution": SMALL, "measure": machine, **options}
    return tensorc.tune(matmul(), TARGET, **settings)


def test_a_tuned_program_is_right_and_recorded(tmp_path):
    path = tmp_path / "a.db"
    result = tensorc.tune(matmul(64), TARGET, trials=12, database=path, evolution=SMALL)
    x, y = arrays(64)
    assert np.allclose(result.compile()(x, y), x @ y, atol=1e-4)
    assert (result.trials, result.errors) == (12, ())
    with Database(path) as database:
        assert sum(not r.is_final for r in database.records()) == 12
    f = tensorc.compile(matmul(64), TARGET, database=path)
    assert np.allclose(f(x, y), x @ y, atol=1e-4)


def test_the_same_seed_and_measurements_give_the_same_candidates():
    machines = FakeMachine(), FakeMachine()
    for machine in machines:
        tuned(machine, seed=3)
    assert machines[0].seen == machines[1].seen


def test_a_run_continues_where_it_was_cut_off(tmp_path):
    whole, cut = FakeMachine(), FakeMachine(stop_after=11)
    tuned(whole)
    assert tuned(cut, database=tmp_path / "a.db").stopped == "interrupted"
    cut.stop_after = None
    result = tuned(cut, database=tmp_path / "a.db")
    assert result.trials == 30
    assert cut.seen[:30] == whole.seen[:30]


def test_when_everything_fails_the_default_schedule_remains():
    result = tuned(FakeMachine(broken=True))
    assert result.errors == (("BUILD_ERROR", 30),)
    assert result.first_messages == {"BUILD_ERROR": "no"}
    x, y = arrays()
    assert np.allclose(result.compile()(x, y), x @ y, atol=1e-5)
    assert result.best_latency == result.default_latency


class WithoutStrengthReduction(FakeMachine):
    """A machine on which final programs without it are the fastest."""

    def __call__(self, batch) -> Iterator[MeasureResult]:
        for steps, result in zip((c.steps for c in batch), super().__call__(batch), strict=True):
            yield MeasureResult((1e-7,)) if steps[-1:] and is_without(steps[-1]) else result


def is_without(step) -> bool:
    return isinstance(step, PragmaStep) and step.pragma == STRENGTH_REDUCTION and step.value == 0


def test_the_fastest_compete_with_and_without_strength_reduction():
    machine = FakeMachine()
    tuned(machine)
    searched, finals = machine.seen[:30], machine.seen[30:]
    assert not any(is_without(step) for steps in searched for step in steps)
    twins = [steps for steps in finals if steps and is_without(steps[-1])]
    assert len(set(twins)) == FINALISTS
    assert {steps[:-1] for steps in twins} <= set(finals)


def doubled():
    x = te.placeholder((64, 96), name="x")
    return [x, te.compute((64, 96), lambda i, j: x[i, j] * 2.0, name="y")]


@pytest.mark.parametrize(("rules", "streams"), [("default", True), ("ansor", False)])
def test_the_fastest_compete_with_hints_to_the_memory_system(rules, streams):
    machine = FakeMachine()
    small = Target("llvm", num_cores=1, features=("avx",), l2_bytes=1 << 10, l3_bytes=1 << 12)
    settings = {"trials": 20, "evolution": SMALL, "measure": machine, "rules": rules}
    trials = tensorc.tune(doubled(), small, **settings).trials
    hinted = [steps for steps in machine.seen if steps and is_streaming(steps[-1])]
    assert bool(hinted) is streams
    assert not set(hinted) & set(machine.seen[:trials])
    assert {steps[:-1] for steps in hinted} <= set(machine.seen[:trials])


def is_streaming(step) -> bool:
    return isinstance(step, PragmaStep) and step.pragma == STREAMING


class Streaming(FakeMachine):
    """A machine on which streaming programs are the fastest."""

    def __call__(self, batch) -> Iterator[MeasureResult]:
        for steps, result in zip((c.steps for c in batch), super().__call__(batch), strict=True):
            yield MeasureResult((1e-7,)) if steps and is_streaming(steps[-1]) else result


def test_a_run_that_is_resumed_and_its_database_agree_on_the_winner(tmp_path):
    small = Target("llvm", num_cores=1, features=("avx",), l2_bytes=1 << 10, l3_bytes=1 << 12)
    path, machine = tmp_path / "a.db", Streaming()
    settings = {"trials": 20, "evolution": SMALL, "measure": machine, "database": path}
    # With hints in the second final rounds only.
    first, second = (
        tensorc.tune(doubled(), small, rules=rules, **settings) for rules in ("ansor", "default")
    )
    assert first.trials == second.trials
    assert not is_streaming(first.steps[-1])
    assert is_streaming(second.steps[-1])
    with Database(path) as database:
        best = database.best(second.dag.structural_hash(), small)
    assert best is not None
    assert best.steps == second.steps


def test_the_code_generator_that_won_is_that_of_the_result_and_of_the_record(tmp_path):
    path = tmp_path / "a.db"
    result = tuned(WithoutStrengthReduction(), database=path)
    assert is_without(result.steps[-1])
    x, y = arrays()
    for f in (result.compile(), tensorc.compile(matmul(), TARGET, database=path)):
        assert "loop_strength_reduction" in f.schedule()
        assert np.allclose(f(x, y), x @ y, atol=1e-4)


def test_c_has_one_way_of_generating_code():
    machine = FakeMachine()
    tensorc.tune(matmul(), Target("c", num_cores=1), trials=8, evolution=SMALL, measure=machine)
    assert not any(is_without(step) for steps in machine.seen for step in steps)


def test_without_time_the_default_schedule_remains():
    result = tuned(FakeMachine(), time_budget=0.0)
    assert (result.trials, result.stopped) == (0, "the time is used up")
    assert result.best_latency > 0


def test_history_gets_better():
    latencies = [latency for _, _, latency in tuned(FakeMachine()).history]
    assert latencies == sorted(latencies, reverse=True)


def test_callbacks_hear_of_every_trial():
    heard = []
    tuned(FakeMachine(), callbacks=[heard.append])
    assert [progress.trials for progress in heard] == list(range(1, 31))


# A shell starts background jobs with interrupts ignored, and children inherit that.
SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[2])
import tensorc
from tests.driver.test_compile import matmul
from tensorc.target import Target
def tell(progress):
    print(progress.trials, flush=True)
tensorc.tune(matmul(64), Target("llvm", num_cores=1), trials=5000, database=sys.argv[1],
             callbacks=[tell])
print("ended", flush=True)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_keeps_every_trial_that_it_told_of(tmp_path, ending):
    path, root = str(tmp_path / "a.db"), os.getcwd()
    process = subprocess.Popen(  # no `__main__` guard in the script
        [sys.executable, "-c", SCRIPT, path, root], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = 0
    for line in process.stdout:
        told = int(line)
        if told == 5:
            break
    process.send_signal(ending)
    rest = process.communicate(timeout=60)[0].split()
    assert ("ended" in rest) == (ending == signal.SIGINT)
    with Database(path) as database:
        kept = sum(not record.is_final for record in database.records())
    assert kept >= max([told, *(int(word) for word in rest if word.isdigit())])


@pytest.mark.parametrize(("seconds", "competes"), [(1e-9, False), (1e3, True)])
def test_the_default_schedule_competes_at_the_end_unless_it_is_hopeless(seconds, competes):
    machine = FakeMachine()

    def steady(batch) -> Iterator[MeasureResult]:
        for result in machine(batch):
            yield MeasureResult((seconds + result.latency * 1e-9,))

    result = tuned(steady, trials=8)
    last = machine.seen[8:]
    default = default_schedule(result.dag, TARGET).steps
    assert (default in last) == competes
    assert len(last) >= 2 * len(set(last))


def test_without_trials_the_program_is_the_one_that_the_estimate_likes_best():
    machine = FakeMachine()
    result = tuned(machine, trials=0)
    assert (result.trials, len(machine.seen)) == (0, 1)  # it is checked, and nothing is compared
    default = default_schedule(result.dag, TARGET)
    assert result.steps == machine.seen[0] != default.steps
    estimate = estimates(TARGET)[0]
    task = SearchTask(result.dag, TARGET)
    scores = [estimate(program_features(task, s)[None])[0] for s in (result.state, default)]
    assert scores[0] > scores[1]


def test_without_trials_the_default_is_left_where_nothing_is_liked_more(monkeypatch):
    monkeypatch.setattr(Search, "foreseen", lambda search, count: [("worse", -1e9)])
    result = tuned(FakeMachine(), trials=0)
    assert result.steps == default_schedule(result.dag, TARGET).steps


def test_without_trials_what_fails_is_not_the_result():
    result = tuned(FakeMachine(broken=True), trials=0)
    assert result.steps == default_schedule(result.dag, TARGET).steps
