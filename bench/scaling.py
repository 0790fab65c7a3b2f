"""How search and compilation grow with shapes, stages and population: `python -m bench.scaling`.

Figures are milliseconds. Shapes: a square matrix product. Stages: a chain of products and
activations. Population: candidates that are sampled, described and scored at once.
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
from tensorc.lower.pipeline import lower
from tensorc.runtime.build import build
from tensorc.schedule.replay import replay
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


def populations(dag: ComputeDAG, target: Target) -> Iterator[Figure]:
    """Yield what populations take."""
    task = SearchTask(dag, target)
    space = Space(task, generate_sketches(task)[0])
    for count in POPULATIONS:
        rng = np.random.default_rng(0)
        rows = space.sample(count, rng)
        for title, run in (
            ("sampling", partial(space.sample, count, rng)),
            ("mutation", partial(space.mutate, rows, rng)),
            ("features", partial(space.features, rows)),
        ):
            yield Figure(f"population {count}: {title}", milliseconds(run), "ms")


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
