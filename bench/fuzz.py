"""Random programs under random schedules on every backend: `python -m bench.fuzz`.

A program in tensor expressions and a schedule of legal steps are drawn from a seed, lowered once,
and run by the oracle (Python), by LLVM and by C; all three have to agree with NumPy, and nobody may
write outside of the outputs. Seeds run in processes of their own, so that a crash is a finding.
`python -m bench.fuzz --seed 17 --count 1 --here` runs one again; `python -m tests.lower.fuzz 1
--seed 17 --show` prints its schedule and IR.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from bench.report import Figure, publish
from tensorc.codegen.python import execute
from tensorc.ir.func import PrimFunc
from tensorc.lower.pipeline import lower
from tensorc.runtime.arrays import numpy_dtype
from tensorc.runtime.artifact import params_of
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tests.lower.fuzz import random_steps
from tests.lower.programs import PROGRAMS
from tests.lower.reference import evaluate

Array = NDArray[Any]

BACKENDS = ("python", "llvm", "c")
CHUNK = 25
CHUNK_SECONDS = 600.0
MOST_STEPS = 25
VECTOR_BYTES = (16, 32, 64)
# The fence around each array, in bytes: whole cache lines, longer than a vector.
FENCE = 256
PATTERN = 0xA5
# What was not written keeps this value.
UNWRITTEN = 77


class DisagreementError(Exception):
    """A backend computed something else, or wrote where it must not."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """An array with a pattern around it."""

    array: Array
    block: NDArray[np.uint8]

    @classmethod
    def around(cls, values: Array) -> Fenced:
        """Copy an array to within fences."""
        block = np.full(values.nbytes + 2 * FENCE, PATTERN, np.uint8)
        inside = block[FENCE : FENCE + values.nbytes].view(values.dtype).reshape(values.shape)
        inside[...] = values
        return cls(inside, block)

    @property
    def intact(self) -> bool:
        """Whether nobody wrote into the fences."""
        fences = np.concatenate((self.block[:FENCE], self.block[len(self.block) - FENCE :]))
        return bool((fences == PATTERN).all())


@dataclass(frozen=True, slots=True)
class Subject:
    """A lowered program with inputs and the outputs that NumPy computes.

    Attributes:
        func: The loop IR.
        target: The machine it was lowered for.
        arrays: All parameters in call order; outputs as they are before the call.
        expected: The right outputs, by the number of the parameter.
    """

    func: PrimFunc
    target: Target
    arrays: tuple[Array, ...]
    expected: dict[int, Array]


def draw(seed: int) -> Subject:
    """Draw a program, a schedule and inputs."""
    r = Random(seed)
    dag = ComputeDAG.from_tensors(r.choice(PROGRAMS)(r))
    state = random_steps(dag, r, r.randint(0, MOST_STEPS))
    target = Target("llvm", vector_bytes=r.choice(VECTOR_BYTES), num_cores=2)
    rng = np.random.default_rng(seed)
    arrays, inputs = [], {}
    for name, output in dag.params:
        op = dag.by_name[name]
        dtype = numpy_dtype(op.dtypes[output])
        if op.is_placeholder:
            inputs[name] = _random(op.shape, dtype, rng)
            arrays.append(inputs[name])
        else:
            arrays.append(np.full(op.shape, UNWRITTEN, dtype))
    values = evaluate(dag, inputs)
    expected = {n: values[key] for n, key in enumerate(dag.params) if key[0] not in inputs}
    return Subject(lower(state, target), target, tuple(arrays), expected)


def _random(shape: Sequence[int], dtype: np.dtype[Any], rng: np.random.Generator) -> Array:
    if dtype.kind == "f" or dtype.kind == "V":
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    return np.asarray(rng.integers(-9, 9, shape)).astype(dtype)


def run(subject: Subject, backend: str) -> list[Array]:
    """Run on a backend, within fences; return all arrays.

    Raises:
        DisagreementError: Something outside of the outputs was written.
    """
    fenced = [Fenced.around(array) for array in subject.arrays]
    arrays = [f.array for f in fenced]
    if backend == "python":
        execute(subject.func, arrays)
    else:
        target = Target(backend, vector_bytes=subject.target.vector_bytes, num_cores=2)
        function = CompiledFunction(build(subject.func, target), threads=2)
        outputs = [p.is_output for p in params_of(subject.func)]
        function(
            *(a for a, is_output in zip(arrays, outputs, strict=True) if not is_output),
            out=[a for a, is_output in zip(arrays, outputs, strict=True) if is_output],
        )
    for param, before, after in zip(params_of(subject.func), subject.arrays, fenced, strict=True):
        if not after.intact:
            raise DisagreementError(f"{backend} wrote outside of '{param.name}'.")
        if not param.is_output and before.tobytes() != after.array.tobytes():
            raise DisagreementError(f"{backend} wrote to the input '{param.name}'.")
    return arrays


def check(seed: int, backends: Sequence[str] = BACKENDS) -> None:
    """Compare every backend with NumPy, and the compiled ones with the oracle.

    Raises:
        DisagreementError: One of them computes something else.
    """
    subject = draw(seed)
    for backend in backends:
        arrays = run(subject, backend)
        for number, right in subject.expected.items():
            try:
                np.testing.assert_allclose(arrays[number], right, rtol=2e-4, atol=1e-4)
            except AssertionError as error:
                name = subject.func.params[number].name
                raise DisagreementError(f"{backend} is wrong in '{name}': {error}") from error


def check_here(seeds: Sequence[int], backends: Sequence[str]) -> None:
    """Check seeds one by one; print each before it begins, and what was found."""
    for seed in seeds:
        click.echo(f"seed {seed}")
        try:
            check(seed, backends)
        except Exception as error:  # whatever it is, it is a finding
            first = " ".join(str(error).split())[:200]
            click.echo(f"failure {seed} {type(error).__name__}: {first}")


def check_apart(seeds: Sequence[int], backends: Sequence[str]) -> Iterator[str]:
    """Check seeds in a process of their own; yield what was found, a crash included."""
    command = [sys.executable, "-u", "-m", "bench.fuzz", "--here", "--seed", str(seeds[0])]
    command += ["--count", str(len(seeds)), *(x for b in backends for x in ("--backend", b))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CHUNK_SECONDS, check=False
        )
        output, ending = done.stdout, f"exit code {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        ending = f"no end within {CHUNK_SECONDS:.0f} s"
    lines = output.splitlines()
    yield from (line.removeprefix("failure ") for line in lines if line.startswith("failure "))
    if ending:
        last = next((line for line in reversed(lines) if line.startswith("seed ")), "seed ?")
        seed = last.removeprefix("seed ")
        yield f"{seed} {ending}"
        if seed.isdigit() and int(seed) < seeds[-1]:
            yield from check_apart(range(int(seed) + 1, seeds[-1] + 1), backends)


@click.command()
@click.option("--count", default=2000, show_default=True, help="Programs.")
@click.option("--seed", default=0, show_default=True, help="The first seed.")
@click.option("--backend", "backends", multiple=True, default=BACKENDS, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Processes at a time.")
@click.option("--here", is_flag=True, help="Run in this process.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    count: int, seed: int, backends: tuple[str, ...], jobs: int, here: bool, report: Path | None
) -> None:
    """Compare all backends on random programs."""
    seeds = range(seed, seed + count)
    if here:
        check_here(seeds, backends)
        return
    start = time.perf_counter()
    chunks = [seeds[i : i + CHUNK] for i in range(0, count, CHUNK)]
    failures = 0
    with ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(lambda chunk: list(check_apart(chunk, backends)), chunks):
            failures += len(found)
            for line in found:
                click.echo(line)
    figures = [
        Figure("programs", count),
        Figure("mismatches, refusals and crashes", failures, at_most=0),
        Figure("time", time.perf_counter() - start, "s"),
    ]
    publish(figures, report)


if __name__ == "__main__":
    main()
