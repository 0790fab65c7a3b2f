from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.profiler import COUNTERS, ProfileOptions, profile
from tensorc.support.errors import RuntimeCallError
from tests.runtime.handmade import add_artifact, c_artifact, output, param

# How much longer things may take where other programs share the processor.
BUSY = 5.0


def spin(nanoseconds: int) -> CompiledFunction:
    """A kernel that takes a known time, and counts its calls."""
    return CompiledFunction(
        c_artifact(
            "#include <time.h>\n"
            "static int64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);\n"
            "  return t.tv_sec * 1000000000ll + t.tv_nsec; }\n"
            "int32_t spin(void *const *b, void *w) {\n"
            f"  ++*(float *)b[0]; int64_t end = now() + {nanoseconds};\n"
            "  while (now() < end) continue; return 0; }",
            "spin",
            [output("calls")],
        )
    )


@pytest.mark.parametrize("microseconds", [20, 500, 5000])
def test_a_known_time_is_found(microseconds: int) -> None:
    timing = profile(spin(microseconds * 1000))
    assert 0.99 <= timing.seconds / (microseconds * 1e-6) < BUSY
    assert timing.seconds <= timing.median
    assert timing.spread >= 0
    assert not timing.cut


def test_short_kernels_are_timed_in_windows_of_many_calls() -> None:
    timing = profile(CompiledFunction(add_artifact()), np.ones(8, "f4"), np.ones(8, "f4"))
    assert timing.calls > 1000
    assert timing.seconds < 1e-6


def test_the_budget_ends_the_timing() -> None:
    start = time.perf_counter()
    options = ProfileOptions(budget=0.05, agreeing=10**6, max_windows=10**4)
    timing = profile(spin(1_000_000), options=options)
    assert time.perf_counter() - start < 0.05 * BUSY * 5
    assert len(timing.samples) > 3


def test_a_kernel_longer_than_the_budget_is_called_once() -> None:
    timing = profile(spin(20_000_000), options=ProfileOptions(budget=0.01))
    assert len(timing.samples) == 1
    assert timing.spread == 1.0
    assert 0.99 <= timing.seconds / 0.02 < BUSY


def test_a_clearly_slow_kernel_is_cut() -> None:
    timing = profile(spin(5_000_000), options=ProfileOptions(cutoff=1e-3))
    assert timing.cut
    assert len(timing.samples) == 1
    short = profile(spin(50_000), options=ProfileOptions(cutoff=1e-5))
    assert short.cut
    assert ProfileOptions().few <= len(short.samples) < 40


# The first microseconds are those of a call within a window, and of one that is longer.
@pytest.mark.parametrize(("first", "later", "cutoff"), [(500, 20, 2e-4), (2400, 600, 2e-3)])
def test_a_kernel_whose_first_calls_are_disturbed_is_not_cut(
    first: int, later: int, cutoff: float
) -> None:
    late = c_artifact(
        "#include <time.h>\n"
        "static int64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);\n"
        "  return t.tv_sec * 1000000000ll + t.tv_nsec; }\n"
        "int32_t late(void *const *b, void *w) { static int calls;\n"
        f"  int64_t end = now() + (calls++ < 4 ? {first} : {later}) * 1000;\n"
        "  while (now() < end) continue; return 0; }",
        "late",
        [output("none")],
    )
    timing = profile(CompiledFunction(late), options=ProfileOptions(cutoff=cutoff))
    assert not timing.cut
    assert timing.seconds < cutoff


def test_a_kernel_that_is_no_contender_is_timed_in_few_windows() -> None:
    steady: dict[str, Any] = {"min_windows": 40, "agreeing": 40, "max_windows": 40}
    slow = profile(spin(500_000), options=ProfileOptions(contender=1e-4, **steady))
    assert 3 <= len(slow.samples) < 40
    assert not slow.cut
    fast = profile(spin(50_000), options=ProfileOptions(contender=1e-2, **steady))
    assert len(fast.samples) == 40


def test_cold_caches_are_slower() -> None:
    count = 1 << 14
    total = c_artifact(
        "int32_t total(void *const *b, void *w) { const float *a = b[0]; float s = 0;\n"
        f"  for (int i = 0; i < {count}; i += 16) s += a[i]; *(float *)b[1] = s; return 0; }}",
        "total",
        [param("A", count), output("s")],
    )
    function, a = CompiledFunction(total), np.ones(count, np.float32)
    warm = profile(function, a)
    cold = profile(function, a, options=ProfileOptions(flush_bytes=64 << 20, max_windows=5))
    assert cold.calls == 1
    assert cold.seconds > warm.seconds


def test_counters_are_figures_or_none() -> None:
    options = ProfileOptions(counters=True)
    timing = profile(
        CompiledFunction(add_artifact()), np.ones(8, "f4"), np.ones(8, "f4"), options=options
    )
    assert tuple(timing.counters) == COUNTERS
    assert all(value is None or value >= 0 for value in timing.counters.values())


def test_a_failing_kernel_is_an_error() -> None:
    fails = c_artifact("int32_t fails(void *const *b, void *w) { return 3; }", "fails", [])
    with pytest.raises(RuntimeCallError, match="expected status 0, got 3"):
        profile(CompiledFunction(fails))
