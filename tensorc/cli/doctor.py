"""`tensorc doctor`: what is installed, what this machine can do, what is missing."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tensorc import __version__
from tensorc.cli import figures
from tensorc.cli.progress import standard_console
from tensorc.runtime.compiler import find_compiler
from tensorc.runtime.core import CoreFigures, file_of, keep, kept, measure_core
from tensorc.runtime.machine import MachineFigures, fma_peak, measure_machine, vector_bytes
from tensorc.support import host, options
from tensorc.support.errors import MissingDependencyError, TensorcError
from tensorc.target import Target


@dataclass(frozen=True, slots=True)
class Library:
    """A library that tensorc uses.

    Attributes:
        package: The name it is installed by.
        purpose: What it is needed for.
        extra: The extra of tensorc that installs it; empty for a plain dependency.
    """

    package: str
    purpose: str
    extra: str = ""

    @property
    def installed(self) -> str | None:
        """The version; None if it is not there."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return (
            f"pip install 'tensorc[{self.extra}]'" if self.extra else f"pip install {self.package}"
        )


LIBRARIES: Final = (
    Library("numpy", "arrays"),
    Library("ml_dtypes", "bfloat16 arrays"),
    Library("cffi", "calling kernels"),
    Library("llvmlite", "the target 'llvm'"),
    Library("xgboost-cpu", "the learned cost model"),
    Library("click", "this command"),
    Library("rich", "tables and progress"),
    Library("matplotlib", "charts", "bench"),
    Library("torch", "comparing with PyTorch", "bench"),
    Library("onnx", "comparing with ONNX Runtime and OpenVINO", "bench"),
    Library("onnxruntime", "comparing with ONNX Runtime", "bench"),
    Library("openvino", "comparing with OpenVINO", "bench"),
    Library("jax", "comparing with JAX", "bench"),
    Library("apache-tvm", "comparing with MetaSchedule", "tvm"),
    Library("pycuda", "the target 'cuda'", "cuda"),
    Library("pyopencl", "the target 'opencl'", "opencl"),
    Library("pytest", "the tests", "test"),
)


@click.command()
@click.option("--threads", type=click.IntRange(1), help="Measure with so many threads.")
@click.option("--quick", is_flag=True, help="Measure nothing but the multiply-add peak.")
@click.option("--again", is_flag=True, help="Measure what is kept for the search once more.")
def doctor(threads: int | None, quick: bool, again: bool) -> None:
    """Say what is installed, missing and measured.

    What the search has to know of this processor is measured the first time, and kept. Ends with
    what is missing and how to get it; the exit code is 1 if a kernel cannot be compiled.
    """
    if quick and again:
        raise click.UsageError("'--again' measures, '--quick' does not: expected one of them.")
    console = standard_console()
    _section(console, "Software", list(_software()))
    _section(console, "Machine", list(_machine()))
    _section(console, "Settings", list(_settings()))
    problems = list(_problems())
    try:
        _section(console, "Measured", list(_measured(threads, quick)))
        _section(console, "For the search", list(_known_to_the_search(quick, again)))
    except TensorcError as error:
        problems.append(f"Nothing can be measured: {error}")
    missing = [library for library in LIBRARIES if library.installed is None]
    _section(
        console,
        "Missing",
        [(library.package, f"for {library.purpose}: {library.remedy}") for library in missing]
        or [("nothing", "all that tensorc can use is installed")],
    )
    for problem in problems:
        console.print(Text(problem, style="red"), soft_wrap=True)
    if problems:
        raise click.exceptions.Exit(1)


def _software() -> Iterator[tuple[str, str]]:
    yield "tensorc", __version__
    yield "python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    yield "C compiler", _compiler()
    for library in LIBRARIES:
        if library.installed is not None:
            yield library.package, f"{library.installed}, for {library.purpose}"


def _machine() -> Iterator[tuple[str, str]]:
    target = Target("llvm")
    yield "processor", host.cpu_model()
    yield "usable cores", f"{host.usable_cores()} of {os.cpu_count()} processors"
    yield "instructions", " ".join(target.features)
    yield "vectors", f"{target.vector_registers} of {target.vector_bytes} bytes"
    sizes = (target.l1_bytes, target.l2_bytes, target.l3_bytes)
    yield "caches", ", ".join(f"L{n} {figures.size(s)}" for n, s in enumerate(sizes, 1) if s)
    yield "target", str(target)


def _settings() -> Iterator[tuple[str, str]]:
    for option in options.OPTIONS:
        value = os.environ.get(option.name, "")
        yield option.name, f"{value or 'unset'} – {option.meaning}"
    cache = options.CACHE_DIR.get()
    yield "cache directory", f"{cache}, {_content(cache)}"


def _measured(threads: int | None, quick: bool) -> Iterator[tuple[str, str]]:
    most = threads or options.NUM_THREADS.get() or host.usable_cores()
    for count in sorted({1, most}):
        if quick:
            yield _title("multiply-adds", count), f"{fma_peak(count) / 1e9:.1f} GFLOP/s float32"
        else:
            yield from _figures(measure_machine(count))


def _figures(machine: MachineFigures) -> Iterator[tuple[str, str]]:
    yield (
        _title("multiply-adds", machine.threads),
        f"{machine.fma_float32 / 1e9:.1f} GFLOP/s float32, "
        f"{machine.fma_float64 / 1e9:.1f} GFLOP/s float64",
    )
    for level in machine.levels:
        yield (
            _title(level.name, machine.threads),
            f"{figures.digits(level.read / 1e9)} GB/s read, "
            f"{figures.digits(level.write / 1e9)} GB/s write, "
            f"{figures.seconds(level.latency)} latency ({figures.size(level.nbytes)} a thread)",
        )


def _known_to_the_search(quick: bool, again: bool) -> Iterator[tuple[str, str]]:
    """The figures of a core, which are measured once unless that is wanted `again`."""
    width = vector_bytes()
    core = None if again else kept(width)
    if core is None and quick:
        yield "a core", "not measured: without '--quick' it is, and kept for the tuner"
        return
    if core is None:
        core = measure_core()
        try:
            keep(core, width)
        except OSError as error:
            yield "kept in", f"nothing: {error}"
            yield from _core(core)
            return
    yield from _core(core)
    yield "kept in", str(file_of(width))
    yield (
        "used by",
        f"the tuner, for what it first holds to be fast on this processor with vectors of {width} "
        "bytes; other targets do not read it",
    )


def _core(core: CoreFigures) -> Iterator[tuple[str, str]]:
    yield "multiply-add", f"takes the time of {core.latency:.1f} that do not wait for each other"
    yield "load", f"of a full vector takes the time of {core.load:.2f} of them"
    far = ", ".join(f"{figures.digits(b)} past L{n}" for n, b in enumerate(core.beyond, 1))
    yield "bytes in the time of one", far


def _title(name: str, threads: int) -> str:
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def _problems() -> Iterator[str]:
    """What keeps a kernel from being compiled and run."""
    for library in LIBRARIES:
        if library.installed is None and not library.extra:
            yield f"'{library.package}' is needed for {library.purpose}: {library.remedy}."
    try:
        find_compiler()
    except MissingDependencyError as error:
        yield str(error)
    cache = options.CACHE_DIR.get()
    if not _is_writable(cache):
        yield (
            f"The cache directory '{cache}' cannot be written: set '{options.CACHE_DIR.name}' to "
            "one that can be."
        )


def _compiler() -> str:
    try:
        command = find_compiler()
    except MissingDependencyError:
        return "none"
    run = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    first = next(iter(run.stdout.splitlines()), "")
    return f"{' '.join(command)} ({first})"


def _content(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return f"{len(files)} files, {figures.size(sum(path.stat().st_size for path in files))}"


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _section(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(text))
    console.print(Text(title, style="bold"))
    console.print(table)
