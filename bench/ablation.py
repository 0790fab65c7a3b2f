"""What each part of the search is worth: `python -m bench.ablation` (Ansor, OSDI'20, figure 7).

Each case is tuned from nothing with the whole search and with parts of it taken away, on the same
number of trials. What each has on the way is read from the searches' own measurements, one search
after the other; the best programs in the end are timed in turns. Figures are how many times as long
the poorer search's program takes. All of it takes some 4 minutes: 30 searches of 64 trials, 7 s
each; with fewer cases, `--variant` or `--trials` in proportion less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.report import Figure, publish
from kernels_ref.suite import Case
from tensorc.cli import bench_chart, figures
from tensorc.cli.contest import compete
from tensorc.cli.race import aligned, kernel_turn
from tensorc.cli.workload import of_case, parse_case
from tensorc.driver.tune import TuneResult, tune
from tensorc.search.cost_model import CostModel, RandomCostModel, best_available
from tensorc.search.evolution import EvolutionOptions
from tensorc.space.sketch import Rules
from tensorc.support.optional import optional_import
from tensorc.target import Target

CASES = ("GMM.3", "C2D.3", "C2D.4", "DEP.1", "T2D.2", "SFM.2")
POINTS = (8, 16, 32, 64)
FULL = "full"


@dataclass(frozen=True, slots=True)
class Variant:
    """A search with something taken away.

    Attributes:
        rules: The sketch rules.
        model: Makes the cost model; None for that of a whole search, with its prior.
        evolution: Sizes of the search.
    """

    rules: Rules = "default"
    model: Callable[[np.random.Generator], CostModel] | None = None
    evolution: EvolutionOptions = field(default_factory=EvolutionOptions)


# Rows are drawn, none is changed or crossed: the model chooses among what was drawn.
_SAMPLING = EvolutionOptions(generations=0, elite=0, descent_share=0.0)
VARIANTS: Mapping[str, Variant] = {
    FULL: Variant(),
    "rules of Ansor": Variant(rules="ansor"),
    "no prior": Variant(model=best_available),
    "no model, so random": Variant(model=RandomCostModel),
    "no evolution": Variant(evolution=_SAMPLING),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """How each case is searched.

    Attributes:
        threads: Of the kernels.
        trials: Of each search.
        seed: Of everything random.
        variants: The names of those that are compared with the whole search.
    """

    threads: int
    trials: int
    seed: int
    variants: tuple[str, ...] = tuple(name for name in VARIANTS if name != FULL)

    @property
    def points(self) -> list[int]:
        """After how many trials the searches are compared."""
        return [point for point in POINTS if point <= self.trials]


@dataclass(frozen=True, slots=True)
class Course:
    """What one search of a case came to.

    Attributes:
        default: Seconds of the program that nobody tuned, which every search has from the start.
        history: (trial, elapsed seconds, best latency so far), as the search measured it.
        seconds: Of its best program, timed in turns with those of the other searches.
    """

    default: float
    history: tuple[tuple[int, float, float], ...]
    seconds: float

    def at_trial(self, trial: int) -> float:
        """Return the best latency after so many trials."""
        return min([self.default, *(best for count, _, best in self.history if count <= trial)])


def searched(case: Case, variant: Variant, setting: Setting) -> TuneResult:
    """Tune a case from nothing."""
    model = variant.model(np.random.default_rng(setting.seed)) if variant.model else None
    return tune(
        of_case(case).dag,
        Target("llvm", num_cores=setting.threads),
        trials=setting.trials,
        seed=setting.seed,
        rules=variant.rules,
        model=model,
        evolution=variant.evolution,
    )


def courses(case: Case, setting: Setting) -> dict[str, Course]:
    """Search with each variant, the whole search first."""
    inputs = tuple(map(aligned, case.inputs(np.random.default_rng(setting.seed))))
    results = {name: searched(case, VARIANTS[name], setting) for name in (FULL, *setting.variants)}
    timed = compete({n: kernel_turn(r.compile(), inputs) for n, r in results.items()})
    return {
        name: Course(result.default_latency, result.history, timed[name].best)
        for name, result in results.items()
    }


def ratios(found: Mapping[str, Course], name: str, points: Sequence[int]) -> dict[str, float]:
    """Return how many times as long a variant takes, after so many trials and in the end."""
    full, mine = found[FULL], found[name]
    on_the_way = {f"after {n} trials": mine.at_trial(n) / full.at_trial(n) for n in points}
    return {**on_the_way, "in the end": mine.seconds / full.seconds}


def judged(case: Case, found: Mapping[str, Course], setting: Setting) -> Iterator[Figure]:
    """Yield the figures of one case."""
    yield Figure(f"{case.name}: {FULL}", 1e6 * found[FULL].seconds, "µs")
    for name in setting.variants:
        for when, ratio in ratios(found, name, setting.points).items():
            yield Figure(f"{case.name}: {name} {when}", ratio, "times as long")


def means(found: Sequence[Mapping[str, Course]], setting: Setting) -> Iterator[Figure]:
    """Yield the geometric means over all cases."""
    for name in setting.variants:
        of_cases = [ratios(one, name, setting.points) for one in found]
        for when in of_cases[0]:
            mean = figures.geometric_mean(one[when] for one in of_cases)
            if mean is not None:
                yield Figure(f"geo. mean: {name} {when}", mean, "times as long")


def measure(
    cases: Sequence[Case], setting: Setting, found: dict[str, dict[str, Course]]
) -> Iterator[Figure]:
    """Yield every figure; keep what was found, by case."""
    for case in cases:
        found[case.name] = courses(case, setting)
        yield from judged(case, found[case.name], setting)
    yield from means(list(found.values()), setting)


def draw(path: Path, found: Mapping[str, Mapping[str, Course]], trials: int) -> None:
    """Draw how fast each search's program is after so many trials, by the best of all.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    figure = optional_import("matplotlib.figure", extra="bench", purpose="drawing charts")
    picture = figure.Figure(figsize=(4 * len(found), 4), layout="constrained")
    grid: Any = picture.subplots(1, len(found), squeeze=False)[0]
    for axes, (case, mine) in zip(grid, found.items(), strict=True):
        best = min(course.at_trial(trials) for course in mine.values())
        for name, course in mine.items():
            speeds = [best / course.at_trial(trial) for trial in range(trials + 1)]
            axes.step(range(trials + 1), speeds, where="post", label=name)
        axes.set(xlabel="trials", ylabel="relative speed", ylim=(0, 1.05), title=case)
    grid[0].legend()
    bench_chart.write(path, picture, "What each part of the search is worth")


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--threads", default=1, show_default=True)
@click.option("--trials", type=click.IntRange(1), default=64, show_default=True, help="Each time.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--variant", "variants", type=click.Choice([n for n in VARIANTS if n != FULL]), multiple=True,
    help="Compare this one; repeatable. Without, all of them.",
)  # fmt: skip
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), help="PNG, SVG or HTML.")
def main(
    cases: tuple[str, ...],
    threads: int,
    trials: int,
    seed: int,
    variants: tuple[str, ...],
    report: Path | None,
    chart: Path | None,
) -> None:
    """Print what the parts of the search are worth; CASES are of the suite, such as GMM.3."""
    setting = Setting(threads, trials, seed)
    if variants:
        setting = Setting(threads, trials, seed, tuple(dict.fromkeys(variants)))
    found: dict[str, dict[str, Course]] = {}
    publish(measure([parse_case(name) for name in cases or CASES], setting, found), report)
    if chart is not None:
        draw(chart, found, trials)


if __name__ == "__main__":
    main()
