"""TVM, tuned by MetaSchedule in a process of its own; what it finds is kept in the cache folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case
from tensorc.cli.peers.peer import Prepared
from tensorc.support import options
from tensorc.support.errors import MeasureError
from tensorc.support.optional import optional_import

# The bar that comparisons with it are held to.
DEFAULT_TRIALS: Final = 200
_SEARCH: Final = "tensorc.cli.peers.metaschedule_search"
# Files of a search, in its folder.
CURVE: Final = "curve.json"
TIMED: Final = "timed.so"
WHOLE: Final = "whole.so"
SHAPES: Final = "shapes.json"


def _load() -> ModuleType:
    # TVM reads them when it starts its threads; bound to cores they would crowd out the others'.
    os.environ.setdefault("TVM_BIND_THREADS", "0")
    return optional_import("tvm", extra="tvm", purpose="the comparison with MetaSchedule")


@dataclass(frozen=True, slots=True)
class MetaSchedulePeer:
    """MetaSchedule's best program after so many trials, on so many threads."""

    threads: int
    trials: int = DEFAULT_TRIALS
    name: str = "metaschedule"
    tvm: ModuleType = field(default_factory=_load, repr=False)

    @property
    def version(self) -> str:
        """The version of TVM that is installed."""
        return str(self.tvm.__version__)

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Search, unless that was done before, and load what was found.

        Raises:
            MeasureError: The search fails.
        """
        os.environ["TVM_NUM_THREADS"] = str(self.threads)
        folder = search(case, self.threads, self.trials, bool(constants))
        tensor = self.tvm.runtime.tensor
        operands = [tensor(array) for array in inputs]
        output = tensor(np.zeros(case.output_shape, np.float32))
        timed, whole = self._function(folder / TIMED), self._function(folder / WHOLE)
        # Weights as its layout has them; what values they hold does not matter for the time.
        shapes = json.loads((folder / SHAPES).read_text())[: len(inputs)]
        laid_out = [tensor(np.resize(a, s)) for a, s in zip(inputs, shapes, strict=True)]

        def run() -> object:
            return timed(*laid_out, output)

        def result() -> Array:
            whole(*operands, output)
            return np.asarray(output.numpy())

        return Prepared(run, result, f"{self.trials} trials")

    def _function(self, path: Path) -> Callable[..., object]:
        function: Callable[..., object] = self.tvm.runtime.load_module(str(path))["main"]
        return function


def search(case: Case, threads: int, trials: int, constant_weights: bool, seed: int = 0) -> Path:
    """Let MetaSchedule tune a case and return the folder of what it left; once for each request.

    The search ends if this process is killed.

    Raises:
        MeasureError: It fails.
    """
    layout = "constant" if constant_weights and case.weights else "given"
    name = f"{case.name}-{'x'.join(map(str, case.shape))}-{threads}t-{trials}-{layout}-{seed}"
    folder = options.CACHE_DIR.get() / "metaschedule" / name
    if all((folder / name).exists() for name in (WHOLE, SHAPES)):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", _SEARCH, case.name, str(folder), f"--threads={threads}"]
    command += [f"--trials={trials}", f"--seed={seed}", f"--parent={os.getpid()}"]
    command += ["--constant-weights"] if constant_weights else []
    threading = {"TVM_NUM_THREADS": str(threads), "TVM_BIND_THREADS": "0"}
    done = subprocess.run(
        command, env={**os.environ, **threading}, capture_output=True, text=True, check=False
    )
    if done.returncode or not (folder / WHOLE).exists():
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise MeasureError(f"Cannot tune '{case.name}' with MetaSchedule: {last.rstrip('.')}.")
    return folder


def curve(folder: Path) -> list[tuple[int, float, float]]:
    """Return a search's history: trials, seconds, the best latency so far in seconds."""
    return [(int(n), float(s), float(b)) for n, s, b in json.loads((folder / CURVE).read_text())]
