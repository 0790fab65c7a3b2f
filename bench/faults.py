"""Bad candidates in a tuning run: `python -m bench.faults`.

Four candidates of a run of 64 are replaced by machine code that dereferences a null pointer, never
ends, writes outside its output, or computes something else. The run has to end normally, four
records have to say what happened, and the best program has to be right.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from tensorc import te
from tensorc.driver.tune import TuneResult, tune
from tensorc.measure.measurer import Measurer
from tensorc.measure.record import NO_ERROR, Record
from tensorc.measure.records import Database
from tensorc.measure.reference import make_task
from tensorc.measure.result import MeasureInput, MeasureResult
from tensorc.measure.task import MeasureTask
from tensorc.runtime.artifact import Artifact
from tensorc.runtime.compiler import compile_text
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

SIZE = 128
TRIALS = 64

_KERNEL = "#include <stdint.h>\nint32_t kernel(void *const *buffers, void *workspace) {{ {} }}\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """A candidate that goes wrong.

    Attributes:
        name: What it does.
        body: Its C.
        trial: The trial that it takes the place of, from 0.
        kinds: The kinds of error that describe it rightly.
    """

    name: str
    body: str
    trial: int
    kinds: tuple[str, ...]

    def artifact(self, task: MeasureTask) -> Artifact:
        """Compile it."""
        code = compile_text(_KERNEL.format(self.body))
        return Artifact("shared", code, "kernel", task.params)


FAULTS = (
    Fault("segfaults", "*(volatile float *)8 = 1; return 0;", 5, ("RUNTIME_CRASH",)),
    Fault("never ends", "for (volatile int i = 0;; i++) {} return 0;", 21, ("RUN_TIMEOUT",)),
    Fault(
        "writes out of bounds",
        f"volatile float *out = buffers[2]; out[{SIZE * SIZE}] = 1; out[-1] = 1; return 0;",
        34,
        ("OUT_OF_BOUNDS_WRITE", "RUNTIME_CRASH"),
    ),
    Fault("computes something else", "return 0;", 50, ("WRONG_ANSWER",)),
)


def matmul() -> ComputeDAG:
    """A small matrix product."""
    A = te.placeholder((SIZE, SIZE), name="A")
    B = te.placeholder((SIZE, SIZE), name="B")
    k = te.reduce_axis((0, SIZE), name="k")
    C = te.compute((SIZE, SIZE), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    return ComputeDAG.from_tensors([A, B, C])


def with_faults(
    measurer: Measurer, task: MeasureTask, faults: Sequence[Fault]
) -> Callable[[Sequence[MeasureInput]], Iterator[MeasureResult]]:
    """Return a function that measures candidates, and faults in the place of some."""
    artifacts = {fault.trial: fault.artifact(task) for fault in faults}
    done = 0

    def measure(batch: Sequence[MeasureInput]) -> Iterator[MeasureResult]:
        nonlocal done
        inputs = [
            replace(candidate, artifact=artifacts.get(done + place))
            for place, candidate in enumerate(batch)
        ]
        done += len(batch)
        yield from measurer.stream(inputs)

    return measure


def run(database: Path, trials: int) -> tuple[TuneResult, list[Record]]:
    """Tune with the faults; return the result, and the records that tell of errors."""
    dag, target = matmul(), Target("llvm")
    task = make_task(dag, target)
    with Measurer(task) as measurer:
        measure = with_faults(measurer, task, FAULTS)
        result = tune(dag, target, trials=trials, database=database, measure=measure)
    with Database(database) as records:
        return result, [record for record in records.records() if record.error != NO_ERROR]


def is_right(result: TuneResult) -> bool:
    """Say whether the best program computes the matrix product."""
    a, b = np.random.default_rng(1).standard_normal((2, SIZE, SIZE), dtype=np.float32)
    return bool(np.allclose(result.compile()(a, b), a @ b, rtol=1e-3, atol=1e-3))


def measure_faults() -> Iterator[Figure]:
    """Yield every figure."""
    with tempfile.TemporaryDirectory(prefix="tensorc-bench-") as folder:
        result, errors = run(Path(folder, "faults.db"), TRIALS)
    for record in errors:
        first = next(iter(record.message.strip().splitlines()), "")
        click.echo(f"{record.error} in phase '{record.phase}': {first}")
    kinds = [record.error for record in errors]
    told = sum(any(kind in kinds for kind in fault.kinds) for fault in FAULTS)
    ended = result.stopped == "all trials are done" and result.trials == TRIALS
    yield Figure("the run ended normally", ended, at_least=1)
    yield Figure("faults that a record tells of", told, at_least=len(FAULTS))
    yield Figure("other candidates that failed", len(errors) - len(FAULTS), at_most=0)
    yield Figure("the best program is right", is_right(result), at_least=1)
    yield Figure("the best program", 1e6 * result.best_latency, "µs")
    yield Figure("the whole run", result.seconds, "s")


@click.command()
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(report: Path | None) -> None:
    """Inject four bad candidates into a tuning run."""
    publish(list(measure_faults()), report)


if __name__ == "__main__":
    main()
