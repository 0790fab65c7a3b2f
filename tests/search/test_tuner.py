"""The tuning loop: determinism, resuming, stopping, and what it does with failures."""

import time

import numpy as np
import pytest

from tensorc.search.cost_model import RandomCostModel, XGBCostModel
from tensorc.search.evolution import EvolutionOptions
from tensorc.search.tuner import Progress, Search, TuneOptions
from tensorc.support.errors import OptionError
from tests.search.fakes import GridSpace, Machine, Outcome

SMALL = EvolutionOptions(population=128, generations=3)


def search(machine: Machine, space: GridSpace | None = None, model=None, callbacks=(), **options):
    settings = TuneOptions(**{"round_size": 8, "evolution": SMALL, **options})
    model = model or XGBCostModel(np.random.default_rng(0))
    return Search([space or machine.space], model, machine, settings, "task", callbacks)


def tuned(machine: Machine, **options) -> Search:
    run = search(machine, **options)
    run.run()
    return run


def test_as_many_trials_are_measured_as_asked_for():
    machine = Machine(GridSpace())
    run = tuned(machine, trials=20)
    assert len(machine.seen) == len(run.trials) == 20
    assert run.stopped == "all trials are done"


def test_the_model_beats_random_search():
    space = GridSpace(width=6)
    guided = tuned(Machine(space), trials=120).best
    blind = tuned(Machine(space), trials=120, model=RandomCostModel(np.random.default_rng(0))).best
    assert guided.latency < blind.latency


def test_the_same_seed_and_measurements_give_the_same_candidates():
    machines = [Machine(GridSpace()) for _ in range(2)]
    for machine in machines:
        tuned(machine, trials=40, seed=7)
    assert machines[0].seen == machines[1].seen


def test_another_seed_gives_other_candidates():
    machines = [Machine(GridSpace()) for _ in range(2)]
    for seed, machine in enumerate(machines):
        tuned(machine, trials=16, seed=seed)
    assert machines[0].seen != machines[1].seen


@pytest.mark.parametrize("killed_after", [1, 8, 13, 16, 27])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(killed_after):
    whole, broken = Machine(GridSpace(), broken=5), Machine(GridSpace(), broken=5)
    tuned(whole, trials=32)
    broken.stop_after = killed_after
    first = tuned(broken, trials=32)
    assert first.stopped == "interrupted"
    broken.stop_after = None
    again = search(broken, trials=32)
    again.resume((t.steps, Outcome(t.latency, t.error)) for t in first.trials)
    again.run()
    assert broken.seen == whole.seen


def test_an_interrupt_keeps_the_best():
    run = tuned(Machine(GridSpace(), stop_after=11), trials=64)
    assert (run.stopped, len(run.trials)) == ("interrupted", 11)
    assert run.best is not None


def test_early_stopping_counts_trials_without_a_better_one():
    run = tuned(Machine(GridSpace(width=2, base=4)), trials=1000, early_stopping=8)
    assert "nothing better" in run.stopped or "every candidate" in run.stopped
    assert len(run.trials) < 1000


def test_no_round_begins_after_the_time_is_used_up():
    machine = Machine(GridSpace())
    assert tuned(machine, trials=1000, time_budget=0.0).stopped == "the time is used up"
    assert machine.seen == []


def test_without_a_number_of_trials_the_time_ends_the_run():
    run = tuned(Machine(GridSpace()), trials=None, time_budget=0.3)
    assert run.stopped == "the time is used up"
    assert run.trials


def test_a_run_that_nothing_ends_is_refused():
    with pytest.raises(OptionError, match="without end"):
        TuneOptions(trials=None)


def test_an_exhausted_space_ends_the_run():
    run = tuned(Machine(GridSpace(width=1, base=8)), trials=100)
    assert (len(run.trials), run.stopped) == (8, "every candidate has been measured")


def test_failures_are_counted_by_kind_and_do_not_end_the_run():
    run = tuned(Machine(GridSpace(), broken=2), trials=40)
    assert run.errors() == (("BUILD_ERROR", 20),)
    assert run.best is not None


def test_a_run_in_which_everything_fails_has_no_best():
    run = tuned(Machine(GridSpace(), broken=1), trials=16)
    assert run.best is None
    assert run.history == []


def test_history_holds_the_improvements():
    run = tuned(Machine(GridSpace()), trials=40)
    latencies = [latency for _, _, latency in run.history]
    assert latencies == sorted(latencies, reverse=True)
    assert latencies[-1] == run.best.latency


def test_callbacks_hear_of_every_trial():
    heard: list[Progress] = []
    tuned(Machine(GridSpace(), broken=4), trials=16, callbacks=[heard.append])
    assert [p.trials for p in heard] == list(range(1, 17))
    assert heard[-1].errors == (("BUILD_ERROR", 4),)


def test_schedules_of_no_space_are_remembered_but_not_learnt_from():
    run = search(Machine(GridSpace()), trials=16)
    run.resume([(GridSpace(name="other").steps(np.zeros(5, int)), Outcome(1e-9))])
    run.run()
    assert run.best.latency == 1e-9
    assert len(run.trials) == 16


def test_the_fastest_are_distinct_and_in_order():
    run = tuned(Machine(GridSpace()), trials=32)
    run.trials.append(run.best)  # a schedule that was measured twice
    best = run.fastest(3)
    assert len({t.steps for t in best}) == 3
    assert [t.latency for t in best] == sorted(t.latency for t in best)


def test_a_schedule_measured_twice_counts_once_with_its_better_figure():
    steps = [GridSpace().steps(row) for row in np.eye(3, 5, dtype=np.int64)]
    run = search(Machine(GridSpace()))
    run.resume([(steps[0], Outcome(3.0)), (steps[1], Outcome(2.0)), (steps[0], Outcome(1.0))])
    assert [t.latency for t in run.fastest(3)] == [1.0, 2.0]


@pytest.mark.parametrize("option", ["trials", "time_budget", "seed", "early_stopping"])
def test_negative_limits_are_refused(option):
    with pytest.raises(OptionError, match=f"'{option}' of at least 0, got -1"):
        TuneOptions(**{option: -1})


class Limit:
    """A machine's limit that was read so many times."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.readings = seconds, 0

    def __call__(self) -> float:
        self.readings += 1
        return self.seconds


def test_the_search_ends_near_the_limit_of_the_machine():
    machine, limit = Machine(GridSpace(width=2, base=4)), Limit(1e-3)
    run = search(machine, trials=10_000, model=RandomCostModel(np.random.default_rng(0)))
    run.limit = limit
    run.run()
    assert run.stopped == "within 3% of the machine's limit"
    assert run.best.latency == pytest.approx(1e-3)
    assert machine.seen[-3:] == [run.best.steps] * 3  # measured again, and that is no trial
    assert limit.readings == 2


def test_one_lucky_figure_does_not_end_the_search():
    machine = Machine(GridSpace())

    def lucky(batch):
        for number, outcome in enumerate(machine(batch), len(machine.seen)):
            yield Outcome(outcome.latency / 1000) if number == 2 else outcome

    run = search(machine, trials=24)
    run.measure, run.confirm, run.limit = lucky, machine, Limit(1e-3)
    run.run()
    assert run.stopped == "all trials are done"
    assert machine.seen.count(run.best.steps) == 1 + 3  # doubted once and for all


def test_a_disturbed_reading_of_the_limit_does_not_end_the_search():
    readings = iter([1.0, 1e-9, 1e-9])
    run = search(Machine(GridSpace()), trials=24)
    run.limit = lambda: next(readings)
    run.run()
    assert run.stopped == "all trials are done"


def test_with_time_only_the_search_ends_when_nothing_gets_better():
    run = tuned(Machine(GridSpace(width=4, base=8)), trials=None, time_budget=60.0)
    assert run.stopped.startswith("nothing 1% better in ")
    assert len(run.trials) >= 128
    assert run.best.latency == pytest.approx(1e-3)


@pytest.mark.parametrize("limits", [{"trials": 300}, {"trials": None, "early_stopping": 250}])
def test_with_another_limit_it_does_not(limits):
    run = tuned(Machine(GridSpace(width=4, base=8)), time_budget=60.0, **limits)
    assert len(run.trials) >= 250


def test_it_does_not_while_the_model_expects_more():
    class Optimist(RandomCostModel):
        is_trained = True

        def predict(self, features):
            return 1.02 ** np.arange(float(len(features)))

    model = Optimist(np.random.default_rng(0))
    run = tuned(Machine(GridSpace(width=4, base=8)), trials=None, time_budget=3.0, model=model)
    assert not run.stopped.startswith("nothing")


def test_what_the_model_expects_is_asked_once_for_all_candidates_of_a_space():
    class Counting(GridSpace):
        counts = ()

        def features(self, rows):
            self.counts += (len(rows),)
            return super().features(rows)

    space = Counting(width=4, base=8)
    run = tuned(Machine(space), trials=None, time_budget=60.0)
    assert run.stopped.startswith("nothing")
    assert min(space.counts) > 1


def changed(steps, others) -> int:
    """In how many digits a schedule differs from the nearest of others."""
    digits = np.array(steps[0].lengths)
    return min(int((digits != np.array(one[0].lengths)).sum()) for one in others)


def test_the_last_part_of_the_trials_is_mostly_for_neighbours_of_the_best():
    machine = Machine(GridSpace(width=8))
    run = tuned(machine, trials=80)
    before = sorted(run.trials[:72], key=lambda t: t.latency)
    leaders = [trial.steps for trial in before[:2]]
    assert sum(changed(t.steps, leaders) == 1 for t in run.trials[72:]) >= 6  # of 8
    whole = EvolutionOptions(population=128, generations=3, descent_share=0.0)
    other = tuned(Machine(GridSpace(width=8)), trials=80, evolution=whole)
    assert [t.steps for t in other.trials[:64]] == [t.steps for t in run.trials[:64]]
    assert [t.steps for t in other.trials[72:]] != [t.steps for t in run.trials[72:]]


def test_the_last_part_of_the_time_is_for_neighbours_of_the_best():
    run = search(Machine(GridSpace()), trials=None, time_budget=1.0)
    assert run._near(0, 8) == 0
    run._begun = time.monotonic() - 0.9
    assert run._near(0, 8) == 8
