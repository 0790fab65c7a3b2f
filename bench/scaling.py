"""How search and compilation grow with shapes, stages and population: `python -m bench.scaling`.

Figures are milliseconds, of whole searches seconds. Shapes: a square matrix product. Stages: a
chain of products and activations. Population: candidates that are sampled, described and scored at
once, and of which a round is proposed. All of it takes some 3 minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from tensorc import te, topi
from tensorc.driver.tune import tune
from tensorc.lower.pipeline import lower
from tensorc.runtime.build import build
from tensorc.schedule.replay import replay
from tensorc.search.cost_model import Sample, XGBCostModel
from tensorc.search.evolution import EvolutionOptions, propose
from tensorc.search.pretrained import estimates
from tensorc.space.default_schedule import default_schedule
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

SIZES = (64, 128, 256, 512, 1024, 2048)
LAYERS = (1, 2, 4, 8)
POPULATIONS = (128, 512, 2048, 8192)
CANDIDATES = 8
REPEATS = 3
# Of a round, and of a whole search.
TRIALS = 24


def product(size: int) -> ComputeDAG:
    """A square matrix product."""
    a, b = (te.placeholder((size, size), name=name) for name in "AB")
    return ComputeDAG.from_tensors([a, b, topi.matmul(a, b)])


def chain(layers: int, size: int = 64) -> ComputeDAG:
    """Layers of a product, a bias and an activation: three stages and two inputs each."""
    data = te.placeholder((size, size), name="data")
    inputs, value = [data], data
    for number in range(layers):
        weight = te.placeholder((size, size), name=f"weight{number}")
        bias = te.placeholder((size,), name=f"bias{number}")
        inputs += [weight, bias]
        value = topi.relu(topi.bias_add(topi.matmul(value, weight), bias))
    return ComputeDAG.from_tensors([*inputs, value])


def milliseconds(run: Callable[[], object]) -> float:
    """Return the duration of the fastest of a few runs."""
    durations = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return 1e3 * min(durations)


def phases(title: str, dag: ComputeDAG, target: Target) -> Iterator[Figure]:
    """Yield what each phase takes for one computation."""
    task = SearchTask(dag, target)
    sketches = generate_sketches(task)
    yield Figure(f"{title}: sketches", len(sketches))
    yield Figure(f"{title}: sketch generation", milliseconds(lambda: generate_sketches(task)), "ms")
    yield Figure(
        f"{title}: default schedule", milliseconds(lambda: default_schedule(dag, target)), "ms"
    )
    rng = np.random.default_rng(0)
    space = Space(task, sketches[0])
    steps = [space.steps(row) for row in space.sample(CANDIDATES, rng)]
    states = [replay(dag, one) for one in steps]
    replayed = milliseconds(lambda: [replay(dag, one) for one in steps]) / len(steps)
    yield Figure(f"{title}: replay of a candidate", replayed, "ms")
    lowered = milliseconds(lambda: [lower(state, target) for state in states]) / len(states)
    yield Figure(f"{title}: lowering of a candidate", lowered, "ms")
    functions = [lower(state, target) for state in states]
    built = milliseconds(lambda: [build(f, target, fast=True) for f in functions]) / len(functions)
    yield Figure(f"{title}: code of a candidate", built, "ms")
    yield from rounds(title, task, EvolutionOptions())
    start = time.perf_counter()
    tune(dag, target, trials=TRIALS)
    yield Figure(f"{title}: search of {TRIALS} trials", time.perf_counter() - start, "s")


def rounds(title: str, task: SearchTask, options: EvolutionOptions) -> Iterator[Figure]:
    """Yield what it takes to propose a round: by the estimate, and by a model of measurements."""
    spaces = [Space(task, sketch) for sketch in generate_sketches(task)]
    known = estimates(task.target)
    model = XGBCostModel(np.random.default_rng(0), estimates=known)

    def proposed() -> None:
        rng = np.random.default_rng(0)
        propose(spaces, {}, model, TRIALS, rng, options, next(iter(known), None))

    yield Figure(f"{title}: first round", milliseconds(proposed), "ms")
    model.update(made_up(spaces[0]))
    yield Figure(f"{title}: later round", milliseconds(proposed), "ms")


def made_up(space: Space) -> list[Sample]:
    """As many measurements as a round has, whose latencies are by chance."""
    rng = np.random.default_rng(0)
    features = space.features(space.sample(TRIALS, rng))
    latencies = 1.0 + rng.random(TRIALS)
    return [Sample("task", one, t) for one, t in zip(features, latencies, strict=True)]


def populations(dag: ComputeDAG, target: Target) -> Iterator[Figure]:
    """Yield what populations take."""
    task = SearchTask(dag, target)
    space = Space(task, generate_sketches(task)[0])
    known = estimates(target)
    model = XGBCostModel(np.random.default_rng(0), estimates=known)
    model.update(made_up(space))
    for count in POPULATIONS:
        rng = np.random.default_rng(0)
        rows = space.sample(count, rng)
        features = space.features(rows)
        runs = [
            ("sampling", partial(space.sample, count, rng)),
            ("mutation", partial(space.mutate, rows, rng)),
            ("features", partial(space.features, rows)),
            ("scores of the model", partial(model.predict, features)),
        ]
        names = ("scores of the prior", "scores of the shipped model")
        runs += [(n, partial(one, features)) for n, one in zip(names, known[::-1], strict=False)]
        for title, run in runs:
            yield Figure(f"population {count}: {title}", milliseconds(run), "ms")
        yield from rounds(f"population {count}", task, EvolutionOptions(population=count))


def measure() -> Iterator[Figure]:
    """Yield every figure."""
    target = Target("llvm", num_cores=1)
    for size in SIZES:
        yield from phases(f"matmul {size}³", product(size), target)
    for layers in LAYERS:
        yield from phases(f"{layers} layers", chain(layers), target)
    yield from populations(product(512), target)


@click.command()
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(report: Path | None) -> None:
    """Print how search and compilation grow."""
    publish(measure(), report)


if __name__ == "__main__":
    main()
