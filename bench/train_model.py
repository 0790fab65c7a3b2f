"""Train the model that comes with the package: `python -m bench.train_model RECORDS… -o FILE`.

RECORDS are databases of measurements (`python -m bench.collect`, `tensorc tune --database`). The
loss is the squared error of the logarithms of seconds, within each task: the speed of a machine and
the size of a task are no matter of order. Fast candidates weigh more, and so do tasks of which
little is known. Members are trained on draws of tasks, with repetition.

What is printed is held out: of each fold of tasks, and of each operator, when the others are known.
Records of the suite's shapes are good for training and for judging, but not for both at once:
`--judge` names databases that are only judged.

What is learnt is what the prior leaves of the machine that measured the records: `--core` is the
file that `tensorc doctor` keeps there, if that is not the processor that the prior was fitted on.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import xgboost
from numpy.typing import NDArray

from bench.recorded import Group, groups
from kernels_ref import extra, suite
from kernels_ref.suite import Case
from tensorc.cli.workload import of_case
from tensorc.runtime.core import read
from tensorc.search.cost_model import Estimate, rank_correlation
from tensorc.search.pretrained import FORMAT, Pretrained, Rows, fingerprint, pack, unpack
from tensorc.search.prior import Prior
from tensorc.space.default_schedule import default_schedule
from tensorc.space.features.names import FEATURE_NAMES, VERSION
from tensorc.space.features.program import program_features
from tensorc.space.task import SearchTask
from tensorc.support import host
from tensorc.target import Target

PARAMETERS: dict[str, Any] = {
    "max_depth": 6,
    "eta": 0.1,
    "lambda": 20.0,
    "min_child_weight": 3.0,
    "subsample": 0.7,
    "colsample_bytree": 0.3,
    "tree_method": "hist",
    "max_bin": 64,
    "base_score": 0.0,
    "disable_default_eval_metric": 1,
    "verbosity": 0,
    "nthread": 1,
}
ROUNDS = 100
MEMBERS = 3
CAUTION = 1.0
FOLDS = 4
# Candidates twenty times slower than the best are as good as one another.
_LEAST_WEIGHT = 0.05
# A task of fewer candidates says nothing about order.
_LEAST_COUNT = 8
# The machine that probes are made for: that of the first records.
PROBED = Target(
    "llvm",
    num_cores=1,
    vector_bytes=64,
    vector_registers=32,
    cache_line_bytes=64,
    l1_bytes=32 << 10,
    l2_bytes=1 << 20,
    l3_bytes=32 << 20,
    features=("avx512f", "avx2", "fma"),
)

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Groups as one table of statements.

    Attributes:
        rows: The statements.
        logs: The logarithm of each candidate's seconds.
        weights: What each candidate counts.
        group: The number of the group of each candidate.
    """

    rows: Rows
    logs: Values
    weights: Values
    group: NDArray[np.int64]

    @classmethod
    def of(cls, prior: Prior, known: Sequence[Group]) -> Table:
        """Put groups together."""
        parts = [Rows.of(prior, group.features) for group in known]
        starts = np.cumsum([0, *(part.count for part in parts)])
        rows = Rows(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.cycles for part in parts]),
            np.concatenate([p.candidate + s for p, s in zip(parts, starts, strict=False)]),
            int(starts[-1]),
        )
        weights = []
        for group in known:
            weight = np.maximum(group.seconds.min() / group.seconds, _LEAST_WEIGHT)
            weights.append(weight / np.sqrt(weight.sum()))
        return cls(
            rows,
            np.concatenate([np.log(group.seconds) for group in known]),
            np.concatenate(weights),
            np.repeat(np.arange(len(known)), [part.count for part in parts]),
        )


def member(table: Table, drawn: Values, seed: int) -> bytes:
    """Train trees; `drawn` is how often each group counts."""
    rows = table.rows
    weights = table.weights * drawn[table.group]
    weights = weights / weights.mean()
    totals = np.maximum(np.bincount(table.group, weights), 1e-12)

    def objective(factors: Values, _: Any) -> tuple[Values, Values]:
        factors = np.asarray(factors, np.float64).reshape(-1)
        left = rows.log_cycles(factors) - table.logs
        left = left - (np.bincount(table.group, weights * left) / totals)[table.group]
        cycles = rows.cycles * np.exp(np.clip(factors, -3.0, 3.0))
        share = cycles / np.bincount(rows.candidate, cycles, minlength=rows.count)[rows.candidate]
        slope = weights[rows.candidate] * share
        return slope * left[rows.candidate], slope + 1e-6

    matrix = xgboost.DMatrix(rows.values, label=np.zeros(len(rows.values)))
    booster = xgboost.train(PARAMETERS | {"seed": seed}, matrix, ROUNDS, obj=objective)
    return bytes(booster.save_raw("ubj"))


def trained(prior: Prior, known: Sequence[Group], count: int = MEMBERS, seed: int = 0) -> bytes:
    """Train a model and return its archive."""
    table, rng = Table.of(prior, known), np.random.default_rng(seed)
    members = []
    for number in range(count):
        picked = rng.integers(0, len(known), len(known))
        # Each group counts a little: few are like another.
        drawn = 0.25 + np.bincount(picked, minlength=len(known))
        members.append(member(table, drawn, seed + number))
    about = {
        "format": FORMAT,
        "fingerprint": fingerprint(prior),
        "members": count,
        "caution": CAUTION,
        "rounds": ROUNDS,
        "parameters": PARAMETERS,
        "xgboost": xgboost.__version__,
        "trained_on": _provenance(known),
    }
    estimate, _ = unpack(pack(members, about), prior.usual)
    return pack(members, {**about, "probes": probes(estimate)})


def _provenance(known: Sequence[Group]) -> dict[str, Any]:
    text = json.dumps([(g.name, g.threads, len(g.seconds)) for g in known])
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "records": sum(len(group.seconds) for group in known),
        "tasks": len(known),
        "operators": sorted({group.operator for group in known}),
        "features": VERSION,
        "hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "machine": host.cpu_model(),
        "commit": commit.stdout.strip() or "unknown",
        "date": time.strftime("%Y-%m-%d"),
    }


def probes(estimate: Estimate) -> dict[str, float]:
    """Scores of programs that nobody chose: they change when features change."""
    found = {}
    for workload in (*suite.WORKLOADS, *extra.WORKLOADS):
        case = Case(workload, 1, 1)
        dag = of_case(case).dag
        task = SearchTask(dag, PROBED, case.weights)
        row = program_features(task, default_schedule(dag, PROBED))
        found[workload.code] = round(float(estimate(row[None])[0]), 4)
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """How well an estimate does on groups.

    Attributes:
        groups: How many.
        correlation: Of ranks, on the average.
        first: Speed of the candidate it likes best, relative to the best; the geometric mean.
        eighth: The same of the best of eight.
        worst: The least `first` of a group.
    """

    groups: int
    correlation: float
    first: float
    eighth: float
    worst: float

    def __str__(self) -> str:
        """Return one line."""
        return (
            f"{self.groups:4} tasks  rank correlation {self.correlation:5.2f}  best by score "
            f"{100 * self.first:3.0f} % (of eight {100 * self.eighth:3.0f} %, worst "
            f"{100 * self.worst:3.0f} %) of the best"
        )


def judged(pairs: Iterable[tuple[Estimate, Group]]) -> Judged | None:
    """Judge estimates, each on its group."""
    correlations, first, eighth = [], [], []
    for estimate, group in pairs:
        if len(group.seconds) < _LEAST_COUNT:
            continue
        scores = estimate(group.features)
        speed = group.seconds.min() / group.seconds[np.argsort(-scores, kind="stable")]
        correlations.append(rank_correlation(scores, -group.seconds))
        first.append(np.log(speed[0]))
        eighth.append(np.log(speed[:8].max()))
    if not first:
        return None
    return Judged(
        len(first),
        float(np.mean(correlations)),
        float(np.exp(np.mean(first))),
        float(np.exp(np.mean(eighth))),
        float(np.exp(min(first))),
    )


def held_out(
    prior: Prior, known: Sequence[Group], fold_of: Callable[[int], int], folds: int
) -> Iterator[tuple[Pretrained, Group]]:
    """Yield each group with an estimate that was trained without its fold."""
    for fold in range(folds):
        rest = [group for number, group in enumerate(known) if fold_of(number) != fold]
        if len(rest) in (0, len(known)):
            continue
        estimate, _ = unpack(trained(prior, rest, 2), prior)
        for number, group in enumerate(known):
            if fold_of(number) == fold:
                yield estimate, group


def evaluate(prior: Prior, known: Sequence[Group], others: Sequence[Group]) -> None:
    """Print how well the prior and the model do on what they have not seen."""
    click.echo(f"prior alone                 {judged((prior, g) for g in known)}")
    names = sorted({group.name for group in known})
    order = {n: k for k, n in enumerate(np.random.default_rng(0).permutation(names))}
    by_task = held_out(prior, known, lambda n: order[known[n].name] % FOLDS, FOLDS)
    click.echo(f"model, held out by task     {judged(by_task)}")
    codes = sorted({group.operator for group in known})
    by_code = held_out(prior, known, lambda n: codes.index(known[n].operator), len(codes))
    click.echo(f"model, held out by operator {judged(by_code)}")
    if others:
        estimate, _ = unpack(trained(prior, known), prior)
        click.echo(f"prior, records to judge     {judged((prior, g) for g in others)}")
        click.echo(f"model, records to judge     {judged((estimate, g) for g in others)}")


@click.command()
@click.argument("records", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--judge", multiple=True, type=click.Path(exists=True, path_type=Path))
@click.option("--evaluate/--no-evaluate", "wanted", default=True, show_default=True)
@click.option("--threads", multiple=True, type=int, default=(1,), show_default=True)
@click.option(
    "--core",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File that `tensorc doctor` keeps on the machine that measured RECORDS, unless that is "
    "the processor that the prior was fitted on.",
)
def main(
    records: tuple[Path, ...],
    output: Path | None,
    judge: tuple[Path, ...],
    wanted: bool,
    threads: tuple[int, ...],
    core: Path | None,
) -> None:
    """Train a model on RECORDS and say how well it does on what it has not seen."""
    width = {"vector_bytes": PROBED.vector_bytes}
    prior = Prior.of(PROBED, None if core is None else read(core, width))
    assert prior is not None
    known = [group for group in groups(records) if group.threads in threads]
    others = [group for group in groups(judge) if group.threads in threads]
    count = sum(len(group.seconds) for group in known)
    click.echo(f"{count} records of {len(known)} tasks, {len(FEATURE_NAMES)} features")
    if wanted:
        evaluate(prior, known, others)
    if output is not None:
        data = trained(prior, known)
        output.write_bytes(data)
        click.echo(f"{len(data) / 1e3:.0f} kB written to '{output}'.")


if __name__ == "__main__":
    main()
