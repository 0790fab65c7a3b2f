"""Time a kernel from outside Python: the fastest of many short windows, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from tensorc.runtime.arrays import Array
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.library import NativeKernel
from tensorc.runtime.pool import pool_library
from tensorc.support.errors import MeasureError, RuntimeCallError

COUNTERS = ("cycles", "instructions", "l1_misses", "cache_misses", "branch_misses")


@dataclass(frozen=True, slots=True)
class ProfileOptions:
    """How a kernel is timed.

    The timing ends when `agreeing` windows lie within `tolerance` of the fastest, or when `budget`
    or `max_windows` is used up; a single call is never interrupted.

    Attributes:
        window: Aimed length of a window in seconds; it holds as many calls as fit.
        budget: Seconds in all.
        min_windows: Least number of windows, unless time runs out.
        max_windows: Greatest number of windows.
        agreeing: Windows that have to agree with the fastest.
        tolerance: What counts as agreement, as a fraction.
        cutoff: Seconds beyond which a kernel is clearly slow, and its timing ends as for
            `contender`; without a window if a single call is longer than one and the core had time
            to wake up. 0 for none.
        contender: Seconds beyond which a kernel is of no interest: once `few` windows have shown
            that, and the last was not the fastest, the timing ends; 0 for none.
        few: Windows that show it.
        flush_bytes: Memory to walk through before each call, so that it finds cold caches.
        counters: Whether to read hardware counters, where the system offers them.
    """

    window: float = 1e-3
    budget: float = 0.3
    min_windows: int = 5
    max_windows: int = 200
    agreeing: int = 4
    tolerance: float = 0.01
    cutoff: float = 0.0
    contender: float = 0.0
    few: int = 3
    flush_bytes: int = 0
    counters: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """Time of one call of a kernel.

    Attributes:
        seconds: Mean of the fastest window: the estimate.
        median: Median of the windows.
        spread: How far the median lies above the fastest window, as a fraction: 0 is certain, 1 or
            more is a single window, or chaos.
        samples: All windows in order of time, in seconds for each call.
        calls: Calls in a window.
        cut: Whether it was so slow that the timing ended early.
        counters: Hardware events of the calling thread for each call; `None` for those that the
            system does not offer.
    """

    seconds: float
    median: float
    spread: float
    samples: tuple[float, ...]
    calls: int
    cut: bool
    counters: Mapping[str, float | None]


def profile(
    function: CompiledFunction, *arrays: Array, options: ProfileOptions | None = None
) -> Timing:
    """Time a compiled function on inputs.

    Raises:
        MeasureError: There is no memory to flush the caches with.
        RuntimeCallError: The inputs do not fit, the kernel is of the target 'python', or it
            returned an error.
    """
    kernel = function.kernel
    if not isinstance(kernel, NativeKernel):
        raise RuntimeCallError(
            f"Cannot profile '{function.name}': expected a kernel of the target 'llvm' or 'c'."
        )
    bound = function.bind(*arrays)
    return time_kernel(kernel.address, bound.pointers, bound.workspace, function.threads, options)


def time_kernel(
    address: int,
    pointers: Any,
    workspace: Any,
    threads: int,
    options: ProfileOptions | None = None,
) -> Timing:
    """Time the machine code at `address` on C pointers.

    Raises:
        MeasureError: There is no memory to flush the caches with.
        RuntimeCallError: The kernel returned an error.
    """
    options = options or ProfileOptions()
    native = pool_library()
    ffi = native.ffi
    samples = ffi.new("double[]", options.max_windows)
    result = ffi.new("tensorc_profile_result *")
    status = native.lib.tensorc_profile(
        ffi.cast("tensorc_kernel", address),
        pointers,
        workspace,
        _c_options(ffi, threads, options),
        samples,
        result,
    )
    if status == -1 and not result.windows:
        raise MeasureError(f"Cannot flush the caches: no {options.flush_bytes} bytes of memory.")
    if status:
        raise RuntimeCallError(f"The kernel failed: expected status 0, got {status}.")
    found = tuple(result.counters)
    return _timing(
        tuple(samples[0 : result.windows]),
        result.calls,
        bool(result.cut),
        {name: value if value >= 0 else None for name, value in zip(COUNTERS, found, strict=True)},
    )


def _c_options(ffi: Any, threads: int, options: ProfileOptions) -> Any:
    return ffi.new(
        "tensorc_profile_options *",
        {
            "threads": threads,
            "max_windows": options.max_windows,
            "min_windows": options.min_windows,
            "agreeing": options.agreeing,
            "tolerance": options.tolerance,
            "window": options.window,
            "budget": options.budget,
            "cutoff": options.cutoff,
            "contender": options.contender,
            "few": options.few,
            "flush_bytes": options.flush_bytes,
            "counters": options.counters,
        },
    )


def _timing(
    samples: tuple[float, ...],
    calls: int,
    cut: bool,
    counters: Mapping[str, float | None],
) -> Timing:
    least, middle = min(samples), median(samples)
    spread = middle / least - 1 if len(samples) > 1 and least else 1.0
    return Timing(least, middle, spread, samples, calls, cut, counters)
