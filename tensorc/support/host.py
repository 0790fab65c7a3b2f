"""What this machine has: cores that may be used, instruction sets, caches.

Read from /proc and /sys, so that no code generator has to be loaded for it. Each function takes the
root of the file system, for tests. Where a file is missing (a container, another system) the answer
is a modest guess: one that gives correct programs, perhaps not the fastest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path("/")

# Name in /proc/cpuinfo -> name that LLVM uses, for what a code generator may rely on.
_INSTRUCTION_SETS = {
    "amx_bf16": "amx-bf16",
    "amx_int8": "amx-int8",
    "amx_tile": "amx-tile",
    "asimd": "neon",
    "asimddp": "dotprod",
    "asimdhp": "fullfp16",
    "avx": "avx",
    "avx2": "avx2",
    "avx512_bf16": "avx512bf16",
    "avx512_fp16": "avx512fp16",
    "avx512_vnni": "avx512vnni",
    "avx512bw": "avx512bw",
    "avx512cd": "avx512cd",
    "avx512dq": "avx512dq",
    "avx512f": "avx512f",
    "avx512vl": "avx512vl",
    "avx_vnni": "avxvnni",
    "bf16": "bf16",
    "f16c": "f16c",
    "fma": "fma",
    "i8mm": "i8mm",
    "sse4_1": "sse4.1",
    "sse4_2": "sse4.2",
    "sve": "sve",
    "sve2": "sve2",
}

# What an instruction set builds upon: no processor has the one without the others, and compilers
# take the one away with any of the others.
_NEEDED = {
    "amx-bf16": ("amx-tile",),
    "amx-int8": ("amx-tile",),
    "avx": ("sse4.2",),
    "avx2": ("avx",),
    "avx512bf16": ("avx512bw",),
    "avx512bw": ("avx512f",),
    "avx512cd": ("avx512f",),
    "avx512dq": ("avx512f",),
    "avx512f": ("avx2", "f16c", "fma"),
    "avx512fp16": ("avx512bw", "avx512dq", "avx512vl"),
    "avx512vl": ("avx512f",),
    "avx512vnni": ("avx512f",),
    "avxvnni": ("avx2",),
    "bf16": ("neon",),
    "dotprod": ("neon",),
    "f16c": ("avx",),
    "fma": ("avx",),
    "fullfp16": ("neon",),
    "i8mm": ("neon",),
    "sse4.2": ("sse4.1",),
    "sve": ("fullfp16",),
    "sve2": ("sve",),
}


@dataclass(frozen=True, slots=True)
class Caches:
    """Sizes in bytes of the data caches that one core sees; 0 for a level that is not there."""

    line: int = 64
    l1: int = 32 << 10
    l2: int = 512 << 10
    l3: int = 0


def usable_cores(root: Path = ROOT) -> int:
    """Return the number of physical cores that this process may keep busy.

    The processors of its affinity mask, those that share a core counted once (two hyperthreads do
    not multiply faster than one), cut to the CPU quota of its control group.
    """
    processors = _processors()
    siblings = (
        root / f"sys/devices/system/cpu/cpu{p}/topology/thread_siblings_list" for p in processors
    )
    cores = len({_text(path) or str(path) for path in siblings})
    quota = min(_quotas(root), default=float(cores))
    return max(1, min(cores, int(quota)))


def instruction_sets(root: Path = ROOT) -> tuple[str, ...]:
    """Return the instruction sets of the processor in LLVM's names, sorted: ('avx', 'avx2', …)."""
    words = (_cpuinfo(root).get("flags") or _cpuinfo(root).get("Features") or "").split()
    return tuple(sorted(_INSTRUCTION_SETS[word] for word in words if word in _INSTRUCTION_SETS))


def with_needed(features: Iterable[str]) -> tuple[str, ...]:
    """Return instruction sets and those they build upon, sorted.

    >>> with_needed(["avx2"])
    ('avx', 'avx2', 'sse4.1', 'sse4.2')
    """
    todo, found = list(features), set[str]()
    while todo:
        feature = todo.pop()
        if feature not in found:
            found.add(feature)
            todo += _NEEDED.get(feature, ())
    return tuple(sorted(found))


def cpu_model(root: Path = ROOT) -> str:
    """Return the maker's name of the processor, or 'unknown'."""
    return _cpuinfo(root).get("model name", "unknown")


def caches(root: Path = ROOT) -> Caches:
    """Return the data caches of the first processor; those of `Caches()` where nothing is known."""
    sizes: dict[int, int] = {}
    line = Caches().line
    for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if _text(index / "type") == "Instruction":
            continue
        sizes[_number(_text(index / "level"))] = _number(_text(index / "size"))
        line = _number(_text(index / "coherency_line_size")) or line
    if not sizes.get(1):
        return Caches()
    return Caches(line, sizes[1], sizes.get(2, 0), sizes.get(3, 0))


def _processors() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@cache
def _cpuinfo(root: Path) -> dict[str, str]:
    """The fields of the first processor."""
    first = _text(root / "proc/cpuinfo").partition("\n\n")[0]
    fields = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in fields}


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quotas, in processors, of the process's control group and of those above it."""
    groups = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = groups / controllers if controllers else groups
        inner = top / path.lstrip("/")
        for group in (inner, *inner.parents):
            if not group.is_relative_to(top):
                break
            yield from _quota(group)


def _quota(group: Path) -> Iterator[float]:
    """Yield the quota of one control group, of version 2 or 1, if it has one."""
    limits = _text(group / "cpu.max").split() or [
        _text(group / "cpu.cfs_quota_us"),
        _text(group / "cpu.cfs_period_us"),
    ]
    quota, period = (_number(limit) for limit in limits)
    if quota > 0 and period > 0:
        yield quota / period


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(text: str) -> int:
    """Read '64', '32K', '8M' as bytes; anything else ('max', '') as 0."""
    scale = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
    digits = text.rstrip("KMG")
    return int(digits) * scale if digits.isdigit() else 0
