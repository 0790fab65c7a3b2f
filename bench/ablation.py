"""What each part of the search is worth: `python -m bench.ablation` (Ansor, OSDI'20, figure 7).

Each case is tuned from nothing with the whole search and with parts of it taken away, on the same
number of trials; the best programs are timed in turns. Figures are how many times as long the
poorer search's program takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from kernels_ref.suite import Case
from tensorc.cli import figures
from tensorc.cli.contest import compete
from tensorc.cli.race import aligned, kernel_turn
from tensorc.cli.workload import of_case, parse_case
from tensorc.driver.tune import TuneResult, tune
from tensorc.search.cost_model import CostModel, RandomCostModel, best_available
from tensorc.search.evolution import EvolutionOptions
from tensorc.space.sketch import Rules
from tensorc.target import Target

CASES = ("GMM.3", "C2D.3", "C2D.4", "DEP.1", "T2D.2", "SFM.2")
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
_SAMPLING = EvolutionOptions(generations=0, elite=0)
VARIANTS: Mapping[str, Variant] = {
    FULL: Variant(),
    "rules of Ansor": Variant(rules="ansor"),
    "no prior": Variant(model=best_available),
    "no model, so random": Variant(model=RandomCostModel),
    "no evolution": Variant(evolution=_SAMPLING),
}


def searched(case: Case, variant: Variant, threads: int, trials: int, seed: int) -> TuneResult:
    """Tune a case from nothing."""
    model = variant.model(np.random.default_rng(seed)) if variant.model else None
    return tune(
        of_case(case).dag,
        Target("llvm", num_cores=threads),
        trials=trials,
        seed=seed,
        rules=variant.rules,
        model=model,
        evolution=variant.evolution,
    )


def compared(case: Case, threads: int, trials: int, seed: int) -> dict[str, float]:
    """Return the seconds of the best program of each variant."""
    inputs = tuple(map(aligned, case.inputs(np.random.default_rng(seed))))
    turns = {
        name: kernel_turn(searched(case, variant, threads, trials, seed).compile(), inputs)
        for name, variant in VARIANTS.items()
    }
    return {name: timing.best for name, timing in compete(turns).items()}


def measure(cases: Sequence[Case], threads: int, trials: int, seed: int) -> Iterator[Figure]:
    """Yield every figure."""
    ratios: dict[str, list[float]] = {name: [] for name in VARIANTS if name != FULL}
    for case in cases:
        seconds = compared(case, threads, trials, seed)
        yield Figure(f"{case.name}: {FULL}", 1e6 * seconds[FULL], "µs")
        for name, mine in ratios.items():
            mine.append(seconds[name] / seconds[FULL])
            yield Figure(f"{case.name}: {name}", mine[-1], "times as long")
    for name, mine in ratios.items():
        mean = figures.geometric_mean(mine)
        if mean is not None:
            yield Figure(f"geometric mean: {name}", mean, "times as long")


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--threads", default=1, show_default=True)
@click.option("--trials", default=64, show_default=True, help="Of each search.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(cases: tuple[str, ...], threads: int, trials: int, seed: int, report: Path | None) -> None:
    """Print what the parts of the search are worth; CASES are of the suite, such as GMM.3."""
    chosen = [parse_case(name) for name in cases or CASES]
    publish(measure(chosen, threads, trials, seed), report)


if __name__ == "__main__":
    main()
