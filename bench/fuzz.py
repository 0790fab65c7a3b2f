"""Random programs under random schedules on every backend: `python -m bench.fuzz`.

A program in tensor expressions, a schedule and a target are drawn from a seed, and the program is
run by the oracle (Python), by LLVM and by C; all three have to agree with what the program means by
definition, and nobody may write outside of the outputs or read what nobody wrote: arrays and
workspace lie in NaN, between pages that fault. Seeds run in processes of their own, so that a crash
is a finding.
`python -m bench.fuzz --seed 17 --programs 1 --show` prints and runs one again.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from numpy.typing import NDArray

from bench.report import Figure, publish
from tensorc.ir.printer import print_func
from tensorc.lower.pipeline import lower_split
from tensorc.runtime.arrays import address_of, kernel_ffi, numpy_dtype
from tensorc.runtime.artifact import Artifact, Param
from tensorc.runtime.build import build
from tensorc.runtime.library import PythonKernel, load
from tensorc.schedule.json import steps_from_json, steps_to_json
from tensorc.schedule.printer import print_state
from tensorc.schedule.replay import replay
from tensorc.schedule.schedule import Schedule
from tensorc.schedule.state import State
from tensorc.support.options import VERIFY
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tests.fuzz.examples import Example, random_example
from tests.fuzz.schedules import hinted, random_state

Array = NDArray[Any]

BACKENDS = ("python", "llvm", "c")
CHUNK = 25
CHUNK_SECONDS = 600.0
# Machines that differ in the width of vectors, and in what they can do with them.
_AVX2 = ("avx2", "f16c", "fma")
TARGETS = (
    Target("llvm"),
    Target("llvm"),
    Target("llvm", features=_AVX2),
    Target("llvm", features=_AVX2, vector_bytes=16),
    Target("llvm", features=("avx",)),
    Target("llvm", features=("sse4.2",)),
    Target("llvm", features=()),
    Target("llvm", vector_bytes=16),
    Target("llvm", vector_bytes=32),
    Target("llvm", features=_AVX2, vector_bytes=64),
)
# The module, whose limit is lowered so that small programs use the workspace too.
_scopes = import_module("tensorc.passes.assign_scopes")
_STACK_BYTES = 64 << 10
# What nobody wrote: NaN in every floating-point type.
PATTERN = 0xFF


class DisagreementError(Exception):
    """A backend computed something else, or wrote where it must not."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """An array on pages of its own: a pattern up to their ends, then pages nobody may touch."""

    array: Array
    block: NDArray[np.uint8]
    start: int

    @classmethod
    def around(cls, values: Array, skew: int | None = 0) -> Fenced:
        """Copy an array to so many elements after the first page's start, or to the last's end.

        Raises:
            OSError: The system refuses to protect a page.
        """
        nbytes = values.nbytes
        shift = 0 if skew is None else skew * values.itemsize
        block = _pages(nbytes + shift)
        block[...] = PATTERN
        start = len(block) - nbytes if skew is None else shift
        inside = block[start : start + nbytes].view(values.dtype).reshape(values.shape)
        inside[...] = values
        return cls(inside, block, start)

    @classmethod
    def unwritten(cls, param: Param, skew: int | None = 0) -> Fenced:
        """The place of an output.

        Raises:
            OSError: The system refuses to protect a page.
        """
        raw = np.full(param.nbytes, PATTERN, np.uint8)
        return cls.around(raw.view(numpy_dtype(param.dtype)).reshape(param.shape), skew)

    @property
    def intact(self) -> bool:
        """Whether nobody wrote around the array."""
        stop = self.start + self.array.nbytes
        return bool((self.block[: self.start] == PATTERN).all()) and bool(
            (self.block[stop:] == PATTERN).all()
        )


def _pages(nbytes: int) -> NDArray[np.uint8]:
    """Whole pages between two that fault when they are read or written."""
    page = mmap.PAGESIZE
    size = -(-nbytes // page) * page
    block = np.frombuffer(mmap.mmap(-1, size + 2 * page), np.uint8)
    address, protect = address_of(block), ctypes.CDLL(None).mprotect
    for edge in (address, address + page + size):
        if protect(ctypes.c_void_p(edge), ctypes.c_size_t(page), 0):
            raise OSError("Cannot protect a page.")
    return block[page : page + size]


@dataclass(frozen=True, slots=True)
class Subject:
    """A program with a schedule for a machine.

    Attributes:
        example: The program, inputs, and the right outputs.
        state: The schedule.
        target: The machine, as an LLVM target.
        threads: How many threads run it.
        skew: Distance of arrays from the start of their pages in elements, None to end with them.
        constants: Inputs that are said to be the same in every call.
        stack_bytes: Scratch buffers of more bytes are in the workspace.
    """

    example: Example
    state: State
    target: Target
    threads: int
    skew: int | None
    constants: frozenset[str]
    stack_bytes: int

    def arrays(self, names: Iterable[str]) -> dict[str, Array | None]:
        """The inputs, and None for outputs, by names of parameters in call order."""
        given = iter(self.example.inputs)
        dag = self.example.dag
        return {
            name: next(given) if dag.by_name[op].is_placeholder else None
            for name, (op, _) in zip(names, dag.params, strict=True)
        }


def draw(seed: int) -> Subject:
    """Draw a program, a schedule and inputs."""
    r = Random(seed)
    example = random_example(r)
    target = replace(r.choice(TARGETS), num_cores=r.choice((1, 2, 2, 4)))
    dag = example.dag
    inputs = [op.name for op in dag.ops if op.is_placeholder]
    constants = frozenset(r.sample(inputs, r.randint(0, len(inputs))) if r.random() < 0.25 else ())
    state = random_state(dag, target, r, sorted(constants))
    if r.random() < 0.3:
        state = stored(dag, state)
    subject = Subject(
        example, state, target, r.randint(1, 3), r.choice((None, None, 0, 1, 3)), constants,
        r.choice((_STACK_BYTES, _STACK_BYTES, 512, 64, 0)),
    )  # fmt: skip
    return replace(subject, state=hinted(state, target, r)) if r.random() < 0.5 else subject


def stored(dag: ComputeDAG, state: State) -> State:
    """The schedule after program and steps have been written down and read again."""
    written: dict[str, Any] = {"Schedule": Schedule, "program": dag}
    exec(Schedule.from_steps(dag, state.steps).python_code(), written)
    assert written["s"].steps == state.steps, "a schedule is not what its Python code makes"
    again = ComputeDAG.from_json(json.loads(json.dumps(dag.to_json())))
    return replay(again, steps_from_json(json.loads(json.dumps(steps_to_json(state.steps)))))


def run(subject: Subject, backend: str) -> list[Array]:
    """Run on a backend, within fences; return the outputs.

    Raises:
        DisagreementError: Something outside of the outputs was written.
        TensorcError: The program does not lower or compile.
    """
    target = replace(subject.target, kind=backend)
    with patch.object(_scopes, "MAX_STACK_BYTES", subject.stack_bytes):
        lowered = lower_split(subject.state, target, subject.constants)
    artifact = build(lowered.main, target, prologue=lowered.prologue)
    kernels = [kernel for kernel in (artifact.prologue, artifact) if kernel is not None]
    params = {p.name: p for kernel in kernels for p in kernel.params}
    arrays = subject.arrays(lowered.names)
    fenced = {
        name: Fenced.unwritten(p, subject.skew)
        if (array := arrays.get(name)) is None
        else Fenced.around(array, subject.skew)
        for name, p in params.items()
    }
    for kernel in kernels:
        _call(kernel, [fenced[p.name] for p in kernel.params], subject.threads, backend)
    for name, found in fenced.items():
        if not found.intact:
            raise DisagreementError(f"{backend} wrote outside of '{name}'.")
        old = arrays.get(name)
        if old is not None and old.tobytes() != found.array.tobytes():
            raise DisagreementError(f"{backend} wrote to the input '{name}'.")
    return [fenced[name].array for name, array in arrays.items() if array is None]


def _call(artifact: Artifact, fenced: Sequence[Fenced], threads: int, backend: str) -> None:
    kernel = load(artifact)
    if isinstance(kernel, PythonKernel):
        kernel.call([f.array for f in fenced])
        return
    ffi = kernel_ffi()
    pointers = ffi.new("void *[]", max(1, len(fenced)))
    for number, f in enumerate(fenced):
        pointers[number] = ffi.cast("void *", address_of(f.block) + f.start)
    size = artifact.workspace_size(threads)
    space = Fenced.around(np.full(size, PATTERN, np.uint8))
    place = ffi.cast("void *", address_of(space.block) + space.start) if size else ffi.NULL
    status = kernel.call(pointers, place, *((threads,) if artifact.is_parallel else ()))
    if status:
        raise DisagreementError(f"{backend} returned status {status}.")
    if not space.intact:
        raise DisagreementError(f"{backend} wrote outside of the workspace.")


def check(seed: int, backends: Sequence[str] = BACKENDS) -> None:
    """Compare every backend with what a program means.

    Raises:
        DisagreementError: One of them computes something else.
    """
    subject = draw(seed)
    found = []
    for backend in backends:
        for number, got in enumerate(run(subject, backend)):
            if wrong := subject.example.mismatch(number, got):
                found.append(f"{backend}, output {number}: {wrong}")
    if found:
        raise DisagreementError("; ".join(found))


def show(seed: int) -> None:
    """Print a program, its schedule, the machine and the IR."""
    subject = draw(seed)
    click.echo(subject.example.dag)
    for step in subject.state.steps:
        click.echo(step)
    click.echo(f"{subject.target}\n{print_state(subject.state)}")
    click.echo(f"constants {sorted(subject.constants)}, stack {subject.stack_bytes}")
    with patch.object(_scopes, "MAX_STACK_BYTES", subject.stack_bytes):
        lowered = lower_split(subject.state, subject.target, subject.constants)
    for func in filter(None, (lowered.prologue, lowered.main)):
        click.echo(print_func(func))


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
    command += ["--programs", str(len(seeds)), *(x for b in backends for x in ("--backend", b))]
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
@click.option("--programs", default=2000, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True, help="The first seed.")
@click.option("--backend", "backends", multiple=True, default=BACKENDS, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Processes at a time.")
@click.option("--here", is_flag=True, help="Run in this process.")
@click.option("--show", "shown", is_flag=True, help="Print programs, schedules and IR first.")
@click.option("--verify/--no-verify", default=True, help="Check the IR after each pass.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    programs: int,
    seed: int,
    backends: tuple[str, ...],
    jobs: int,
    here: bool,
    shown: bool,
    verify: bool,
    report: Path | None,
) -> None:
    """Compare all backends on random programs."""
    seeds = range(seed, seed + programs)
    os.environ[VERIFY.name] = str(int(verify))
    if shown:
        for number in seeds:
            show(number)
    if here or shown:
        check_here(seeds, backends)
        return
    start = time.perf_counter()
    chunks = [seeds[i : i + CHUNK] for i in range(0, programs, CHUNK)]
    failures = 0
    with ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(lambda chunk: list(check_apart(chunk, backends)), chunks):
            failures += len(found)
            for line in found:
                click.echo(line)
    figures = [
        Figure("programs", programs),
        Figure("mismatches, refusals and crashes", failures, at_most=0),
        Figure("time", time.perf_counter() - start, "s"),
    ]
    publish(figures, report)


if __name__ == "__main__":
    main()
