"""The machine that a program is compiled for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Final

from tensorc.support import host, options
from tensorc.support.errors import TargetError

CPU_KINDS: Final = ("llvm", "c", "python")
GPU_KINDS: Final = ("cuda", "opencl")
KINDS: Final = (*CPU_KINDS, *GPU_KINDS)

# The value of a field that is to be found out.
DETECT: Final = -1

# Where no device is asked: a data-centre NVIDIA GPU; what OpenCL devices offer at least.
_GPU_FIELDS: Final = {
    "cuda": {
        "num_cores": 132,
        "vector_bytes": 16,
        "vector_registers": 255,
        "cache_line_bytes": 128,
        "l1_bytes": 128 << 10,
        "l2_bytes": 50 << 20,
        "l3_bytes": 0,
        "max_threads_per_block": 1024,
        "max_shared_bytes": 48 << 10,
        "warp_size": 32,
        "max_vthread": 8,
    },
    "opencl": {
        "num_cores": 16,
        "vector_bytes": 16,
        "vector_registers": 64,
        "cache_line_bytes": 64,
        "l1_bytes": 16 << 10,
        "l2_bytes": 1 << 20,
        "l3_bytes": 0,
        "max_threads_per_block": 256,
        "max_shared_bytes": 32 << 10,
        "warp_size": 32,
        "max_vthread": 8,
    },
}


@dataclass(frozen=True, slots=True)
class Target:
    """A backend and the figures of its machine that schedules and generated code depend on.

    What is not given is found out: for CPU kinds from this machine, for GPU kinds from a table.

        >>> target = Target("llvm", num_cores=4, features=("avx2", "fma"))
        >>> target.vector_bytes, target.vector_registers, target.lanes(32)
        (32, 16, 8)
        >>> Target.parse(str(target)) == target
        True

    Attributes:
        kind: The backend, one of `KINDS`.
        num_cores: Cores that a parallel loop may use (`TENSORC_NUM_THREADS`, else those of the
            process's affinity and quota); multiprocessors of a GPU.
        vector_bytes: Width of a vector register, or of the widest load of a GPU thread.
        vector_registers: Registers of that width; 32-bit registers of a GPU thread.
        cache_line_bytes: Length of a cache line.
        cpu: The processor in LLVM's and GCC's words, such as 'znver3'; 'native' is this machine's.
        features: Instruction sets that code may use, in LLVM's words, sorted, and those that they
            build upon; `("native",)` stands for all of this machine's.
        l1_bytes: Size of the first-level data cache of a core.
        l2_bytes: Size of the second-level cache.
        l3_bytes: Size of the third-level cache, shared; 0 for none.
        max_threads_per_block: Threads of a GPU block; 0 on a CPU.
        max_shared_bytes: Shared memory of a GPU block; 0 on a CPU.
        warp_size: GPU threads that run in step; 0 on a CPU.
        max_vthread: Greatest extent of a virtual thread loop; 0 on a CPU.

    Raises:
        TargetError: The kind is unknown, or a field is impossible.
        OptionError: `TENSORC_NUM_THREADS` is no number of threads.
    """

    kind: str
    _: KW_ONLY
    num_cores: int = DETECT
    vector_bytes: int = DETECT
    vector_registers: int = DETECT
    cache_line_bytes: int = DETECT
    cpu: str = "native"
    features: tuple[str, ...] = ("native",)
    l1_bytes: int = DETECT
    l2_bytes: int = DETECT
    l3_bytes: int = DETECT
    max_threads_per_block: int = DETECT
    max_shared_bytes: int = DETECT
    warp_size: int = DETECT
    max_vthread: int = DETECT

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TargetError(f"Unknown target '{self.kind}': expected one of {_quoted(KINDS)}.")
        features = host.with_needed(self.features)
        if features == ("native",):
            features = () if self.is_gpu else host.instruction_sets()
        object.__setattr__(self, "features", features)
        found = _GPU_FIELDS[self.kind] if self.is_gpu else _host_fields(features)
        for field in _INTEGERS:
            if getattr(self, field) == DETECT:
                object.__setattr__(self, field, found[field])
        self._check()

    @property
    def is_gpu(self) -> bool:
        """Whether programs run as blocks of threads."""
        return self.kind in GPU_KINDS

    @property
    def has_streaming_stores(self) -> bool:
        """Whether generated code can store past the caches: LLVM's can, on x86."""
        x86 = any(name.startswith(("sse", "avx")) for name in self.features)
        return x86 and self.kind == "llvm"

    def lanes(self, bits: int) -> int:
        """Return how many values of `bits` bits a vector holds, at least 1."""
        return max(1, self.vector_bytes * 8 // bits)

    @classmethod
    def of(cls, target: Target | str) -> Target:
        """Return `target` itself, or the target that its text describes (see `parse`).

        Raises:
            TargetError: It is neither, or its text is wrong.
        """
        if isinstance(target, Target):
            return target
        if not isinstance(target, str):
            raise TargetError(f"Expected a target or its text, such as 'llvm', got '{target!r}'.")
        return cls.parse(target)

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read what `str` writes: a kind, then any of `-field=value`, such as `llvm -num-cores=4`.

        Raises:
            TargetError: An unknown kind or field, or a value that is none.
        """
        kind, *flags = text.split() or [""]
        return _build({"kind": kind, **dict(_flag(flag) for flag in flags)})

    def __str__(self) -> str:
        flags = (
            f"-{field.replace('_', '-')}={_spell(getattr(self, field))}"
            for field in _FIELDS
            if field != "kind"
        )
        return " ".join((self.kind, *flags))

    def to_json(self) -> dict[str, int | str | list[str]]:
        """Return every field, for a record."""
        listed = (field for field in _FIELDS if field not in ("kind", "features"))
        return {
            "kind": self.kind,
            "features": list(self.features),
            **{field: getattr(self, field) for field in listed},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Target:
        """Return the target of which `to_json` gave `data`.

        Raises:
            TargetError: A field is missing, unknown or impossible.
        """
        missing = [field for field in _FIELDS if field not in data]
        if missing:
            raise TargetError(f"Bad description of a target: it lacks {_quoted(missing)}.")
        return _build({field: _spell(value) for field, value in data.items()})

    def _check(self) -> None:
        for field in _INTEGERS:
            least = 1 if field in ("num_cores", "vector_bytes", "cache_line_bytes") else 0
            value = getattr(self, field)
            if not isinstance(value, int) or value < least:
                raise self._refusal(f"'{field}' to be a number of at least {least}", value)
        if self.vector_bytes & (self.vector_bytes - 1):
            raise self._refusal("'vector_bytes' to be a power of two", self.vector_bytes)
        for word in (self.cpu, *self.features):
            if not _WORD.fullmatch(word):
                raise self._refusal("names without spaces or commas in 'cpu' and 'features'", word)

    def _refusal(self, expected: str, value: object) -> TargetError:
        return TargetError(f"Bad target '{self.kind}': expected {expected}, got '{value}'.")


_FIELDS: Final = tuple(field.name for field in fields(Target))
_INTEGERS: Final = tuple(f for f in _FIELDS if f not in ("kind", "cpu", "features"))
_WORD: Final = re.compile(r"[\w.+-]+")


def _host_fields(features: tuple[str, ...]) -> dict[str, int]:
    """The integer fields of a CPU of this machine that has `features`."""
    wide = "avx512f" in features
    caches = host.caches()
    return {
        "num_cores": options.NUM_THREADS.get() or host.usable_cores(),
        "vector_bytes": 64 if wide else 32 if "avx" in features or "avx2" in features else 16,
        "vector_registers": 32 if wide or "neon" in features else 16,
        "cache_line_bytes": caches.line,
        "l1_bytes": caches.l1,
        "l2_bytes": caches.l2,
        "l3_bytes": caches.l3,
        "max_threads_per_block": 0,
        "max_shared_bytes": 0,
        "warp_size": 0,
        "max_vthread": 0,
    }


def _flag(text: str) -> tuple[str, str]:
    """Split '-num-cores=4' into a field and its value."""
    name, equals, value = text.removeprefix("-").partition("=")
    if not text.startswith("-") or not equals:
        raise TargetError(f"Bad target: expected a kind, then '-field=value', got '{text}'.")
    return name.replace("-", "_"), value


def _spell(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _build(texts: Mapping[str, str]) -> Target:
    """Make a target of the text of its fields."""
    kind = texts["kind"]
    integers: dict[str, int] = {}
    for field, text in texts.items():
        if field not in _FIELDS:
            raise TargetError(
                f"Bad target '{kind}': expected fields out of {_quoted(_FIELDS)}, got '{field}'."
            )
        if field in _INTEGERS:
            integers[field] = _integer(kind, field, text)
    features = tuple(f for f in texts.get("features", "native").split(",") if f)
    return Target(kind, cpu=texts.get("cpu", "native"), features=features, **integers)


def _integer(kind: str, field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TargetError(
            f"Bad target '{kind}': expected '{field}' to be a number, got '{text}'."
        ) from None


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
