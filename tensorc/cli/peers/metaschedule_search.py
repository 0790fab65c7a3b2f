"""Tune one case with TVM's MetaSchedule: `python -m tensorc.cli.peers.metaschedule_search`.

It runs in a process of its own, since its workers are forked and must not inherit other libraries'
threads. It leaves in its folder the history (`curve.json`) and two libraries: `timed.so`, which
finds constant weights laid out as it likes (`shapes.json`), as its measurements do, and `whole.so`,
which lays them out first and so computes the result.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click

from kernels_ref import extra, suite
from tensorc.cli.peers.metaschedule_workers import build_apart, run_apart
from tensorc.cli.peers.tvm_cases import tvm_tensors
from tensorc.cli.peers.with_metaschedule import CURVE, SHAPES, TIMED, WHOLE
from tensorc.measure.isolate import end_with_parent
from tensorc.support.optional import optional_import

_ROUND: Final = 32
# Importing them costs twenty seconds, and processors have none of their instructions.
_FOREIGN_INTRINSICS: Final = ("cuda", "rocm", "hexagon", "riscv_cpu", "arm_cpu")


@click.command()
@click.argument("case")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--threads", default=1)
@click.option("--trials", default=200)
@click.option("--seed", default=0)
@click.option("--constant-weights", is_flag=True)
@click.option(
    "--parent", type=int, default=os.getppid, help="Number of the process with which to end."
)
def main(
    case: str,
    folder: Path,
    threads: int,
    trials: int,
    seed: int,
    constant_weights: bool,
    parent: int,
) -> None:
    """Tune CASE and leave what was found in FOLDER."""
    end_with_parent(parent)
    for name in _FOREIGN_INTRINSICS:
        module = f"tvm.s_tir.tensor_intrin.{name}"
        sys.modules[module] = ModuleType(module)
    tvm = optional_import("tvm", extra="tvm", purpose="MetaSchedule")
    optional_import("tvm.s_tir.meta_schedule", extra="tvm", purpose="MetaSchedule")
    (chosen,) = [c for c in _every_case() if c.name == case]
    function = tvm.te.create_prim_func(tvm_tensors(tvm, chosen))
    function = function.with_attr("global_symbol", "main")
    weights = [n for n, a in enumerate(chosen.arguments) if a.name in chosen.weights]
    if constant_weights and weights:
        function = function.with_attr("layout_free_buffers", weights)
    module = tvm.IRModule({"main": function})
    _Search(tvm, module, _target(tvm, threads), folder).run(trials, seed)


def _every_case() -> list[suite.Case]:
    # The batch is part of a case's name; no more than these are asked for.
    return [*suite.cases(), *suite.cases(workloads=extra.WORKLOADS)]


def _target(tvm: ModuleType, threads: int) -> Any:
    cpu = tvm.get_global_func("target.llvm_get_system_cpu")()
    return tvm.target.Target({"kind": "llvm", "mcpu": cpu, "num-cores": threads})


class _Search:
    """One run of MetaSchedule that writes its history down."""

    def __init__(self, tvm: ModuleType, module: Any, target: Any, folder: Path) -> None:
        self._tvm, self._module, self._target, self._folder = tvm, module, target, folder
        self._curve: list[tuple[int, float, float]] = []
        self._trials, self._best, self._begun = 0, float("inf"), 0.0

    def run(self, trials: int, seed: int) -> None:
        """Tune, then build the best program twice."""
        schedule = self._tvm.s_tir.meta_schedule
        self._begun = time.monotonic()
        callbacks = list(schedule.measure_callback.MeasureCallback.create("default"))
        database = schedule.tune_tir(
            self._module,
            self._target,
            str(self._folder / "work"),
            max_trials_global=trials,
            num_trials_per_iter=_ROUND,
            seed=seed or None,
            builder=build_apart(self._tvm),
            runner=run_apart(self._tvm),
            space="llvm",
            measure_callbacks=[*callbacks, self._recorder()],
            num_tuning_cores=int(self._target.attrs["num-cores"]),
        )
        best = schedule.tir_integration.compile_tir(database, self._module, self._target)
        if best is None:
            raise SystemExit("MetaSchedule found no program.")
        self._export(best.mod)

    def _export(self, module: Any) -> None:
        tvm, target = self._tvm, self._target
        bare = tvm.s_tir.transform.RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(module)
        function = bare["main"]
        shapes = [[int(n) for n in x.ty.shape] for x in function.params]
        (self._folder / SHAPES).write_text(json.dumps(shapes) + "\n")
        tvm.compile(bare, target=target).export_library(str(self._folder / TIMED))
        tvm.compile(module, target=target).export_library(str(self._folder / WHOLE))

    def _recorder(self) -> Any:
        derived = optional_import("tvm.ir.utils", purpose="MetaSchedule").derived_object
        record = self._record

        class Recorder(self._tvm.s_tir.meta_schedule.measure_callback.PyMeasureCallback):  # type: ignore[misc, name-defined]  # TVM is Any
            """Told of each round."""

            def apply(
                self, scheduler: Any, task: int, candidates: Any, builds: Any, runs: Any
            ) -> None:
                """Write the round down."""
                record(runs)

        return derived(Recorder)()

    def _record(self, runs: Sequence[Any]) -> None:
        for run in runs:
            self._trials += 1
            if run.error_msg is None and run.run_secs:
                self._best = min(self._best, *map(float, run.run_secs))
        self._curve.append((self._trials, time.monotonic() - self._begun, self._best))
        (self._folder / CURVE).write_text(json.dumps(self._curve) + "\n")


if __name__ == "__main__":
    main()
