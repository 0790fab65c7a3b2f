"""Builder and runner for MetaSchedule that fork.

TVM's own start a Python for about every candidate, which imports TVM for five seconds. A fork has
it imported already: a build costs 0.1 to 0.5 s, which shows MetaSchedule at its best.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from tensorc.support.optional import optional_import

_BUILD_SECONDS: Final = 20.0
_RUN_SECONDS: Final = 10.0
_BUILDS_AT_ONCE: Final = 2
_REPEAT_MS: Final = 50


@dataclass(frozen=True, slots=True)
class _Fork:
    """A forked process that computes one value.

    Attributes:
        process: Its id.
        pipe: Where the value will come from.
        deadline: When it is given up.
    """

    process: int
    pipe: int
    deadline: float

    @classmethod
    def start(cls, seconds: float, work: Callable[..., object], *arguments: object) -> _Fork:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            _work(writing, work, arguments)
        os.close(writing)
        return cls(process, reading, time.monotonic() + seconds)

    def collect(self) -> tuple[bool, Any]:
        """Wait for the value: whether there is one, and it or what went wrong."""
        data = b""
        ready, _, _ = select.select([self.pipe], [], [], max(0.0, self.deadline - time.monotonic()))
        if ready:
            with os.fdopen(self.pipe, "rb") as stream:
                data = stream.read()
        else:
            os.close(self.pipe)
            os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        if not data:
            return False, "crashed" if ready else "timed out"
        good, value = pickle.loads(data)
        return good, value


def _work(writing: int, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """The life of a fork."""
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        try:
            answer: tuple[bool, object] = (True, work(*arguments))
        except Exception as error:  # whatever it is, it is the answer
            answer = (False, repr(error)[:300])
        os.write(writing, pickle.dumps(answer))
    finally:
        os._exit(0)


def build_apart(tvm: ModuleType) -> Any:
    """Return a builder for `tune_tir`.

    Raises:
        MissingDependencyError: TVM is not installed.
    """
    local = _load("builder.local_builder")
    builder = _load("builder")

    class Builder(builder.PyBuilder):  # type: ignore[misc, name-defined]  # TVM is Any
        """Builds each candidate in a fork."""

        def build(self, inputs: Sequence[Any]) -> list[Any]:
            """Build a round."""

            def compiled(number: int) -> object:
                given = inputs[number]
                module = local.default_build(given.mod, given.target, given.params)
                return local.default_export(module)

            results: list[Any] = []
            running: list[_Fork] = []
            for number in range(len(inputs)):
                running.append(_Fork.start(_BUILD_SECONDS, compiled, number))
                if len(running) == _BUILDS_AT_ONCE:
                    results.append(running.pop(0).collect())
            results += [fork.collect() for fork in running]
            return [
                builder.BuilderResult(value, None)
                if good
                else builder.BuilderResult(None, f"build: {value}")
                for good, value in results
            ]

    return _derived(Builder)()


def run_apart(tvm: ModuleType) -> Any:
    """Return a runner for `tune_tir`.

    Raises:
        MissingDependencyError: TVM is not installed.
    """
    local, runner = _load("runner.local_runner"), _load("runner")
    config = runner.EvaluatorConfig(
        number=1, repeat=1, min_repeat_ms=_REPEAT_MS, enable_cpu_cache_flush=False
    )

    class Future(runner.PyRunnerFuture):  # type: ignore[misc, name-defined]  # TVM is Any
        """What is known already."""

        def __init__(self, seconds: Any, message: str | None) -> None:
            super().__init__()
            self._result = runner.RunnerResult(seconds, message)

        def done(self) -> bool:
            """Say that it is."""
            return True

        def result(self) -> Any:
            """Return it."""
            return self._result

    def timed(path: str, arguments: tuple[Any, ...]) -> list[float]:
        device = tvm.runtime.device("cpu", 0)
        arrays = local.default_alloc_argument(device, arguments, 1)
        module = tvm.runtime.load_module(path)
        seconds = local.default_run_evaluator(module, device, config, arrays)
        return [float(value) for value in seconds]

    class Runner(runner.PyRunner):  # type: ignore[misc, name-defined]  # TVM is Any
        """Runs each candidate in a fork."""

        def run(self, inputs: Sequence[Any]) -> list[Any]:
            """Run a round, one after another."""
            futures = []
            for given in inputs:
                arguments = tuple(info.as_json() for info in given.args_info)
                fork = _Fork.start(_RUN_SECONDS, timed, str(given.artifact_path), arguments)
                good, value = fork.collect()
                futures.append(_derived(Future)(value if good else None, None if good else value))
            return futures

    return _derived(Runner)()


def _load(module: str) -> ModuleType:
    name = f"tvm.s_tir.meta_schedule.{module}"
    return optional_import(name, extra="tvm", purpose="MetaSchedule")


def _derived(kind: type) -> Any:
    return optional_import("tvm.ir.utils", purpose="MetaSchedule").derived_object(kind)
