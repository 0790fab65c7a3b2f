"""What a call and a parallel loop cost: `python -m bench.runtime`.

Bars: a call of a compiled function on three float32 arrays takes at most 2 µs more than its kernel,
a parallel loop on two threads at most 2 µs more than half the work, and two Python threads that
call at once get more done than one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from tensorc.ir.dtype import FLOAT32
from tensorc.runtime.artifact import Artifact, Param
from tensorc.runtime.compiler import compile_text
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.profiler import profile
from tensorc.support import host

WINDOWS = 2000
_ADD = """
#include <stdint.h>
int32_t kernel(void *const *buffers, void *workspace) {
    const float *a = buffers[0], *b = buffers[1]; float *c = buffers[2];
    for (int i = 0; i < 256; i++) c[i] = a[i] + b[i];
    return 0;
}
"""
_WORK = """
#include <stdint.h>
void tensorc_parallel_for(void (*)(void *, int64_t, int64_t, int32_t), void *, int64_t);
static void body(void *context, int64_t begin, int64_t end, int32_t thread) {
    for (int64_t i = begin; i < end; i++)
        for (int spin = 0; spin < SPINS; spin++) __asm__ volatile("");
}
int32_t kernel(void *const *buffers, void *workspace) {
    tensorc_parallel_for(body, 0, 2);
    return 0;
}
"""


def function(text: str, *params: Param, threads: int = 1) -> CompiledFunction:
    """Compile C."""
    return CompiledFunction(
        Artifact("shared", compile_text(text), "kernel", params), threads=threads
    )


def fastest(run: Callable[[], object], calls: int) -> float:
    """Return the seconds of a call in the fastest of many windows, which are short.

    On a busy machine hardly a window of a millisecond passes without an interruption.
    """
    best = float("inf")
    for _ in range(WINDOWS):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        best = min(best, (time.perf_counter() - start) / calls)
    return best


def scaling(call: Callable[[], object], threads: int) -> float:
    """Return how many times as many calls as one thread so many Python threads make in a second."""

    def calls_in_a_moment(count: int) -> int:
        done = [0] * count
        end = time.perf_counter() + 0.5

        def run(number: int) -> None:
            while time.perf_counter() < end:
                call()
                done[number] += 1

        running = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return sum(done)

    return calls_in_a_moment(threads) / calls_in_a_moment(1)


def measure() -> Iterator[Figure]:
    """Yield every figure."""
    inputs = [Param(name, (256,), FLOAT32, is_output=False) for name in "AB"]
    add = function(_ADD, *inputs, Param("C", (256,), FLOAT32, is_output=True))
    a = np.ones(256, np.float32)
    out = np.empty(256, np.float32)
    kernel = profile(add, a, a).seconds
    yield Figure("kernel alone", kernel * 1e6, "µs")
    new, given = fastest(lambda: add(a, a), 50), fastest(lambda: add(a, a, out=out), 50)
    yield Figure("call, new output", (new - kernel) * 1e6, "µs more", at_most=2)
    yield Figure("call, output given", (given - kernel) * 1e6, "µs more", at_most=2)
    if host.usable_cores() > 1:
        work = _WORK.replace("SPINS", "50000")
        one, two = (profile(function(work, threads=threads)).seconds for threads in (1, 2))
        yield Figure("loop on 2 threads", (two - one / 2) * 1e6, "µs more", at_most=2)
        long = function(work.replace("tensorc_parallel_for(body, 0, 2)", "body(0, 0, 40, 0)"))
        yield Figure("2 Python threads against 1", scaling(long, 2), "times", at_least=1.2)


@click.command()
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(report: Path | None) -> None:
    """Print what calls and parallel loops cost against the bars."""
    publish(measure(), report)


if __name__ == "__main__":
    main()
