"""What a build leaves behind: code, and all that is needed to call it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from tensorc.ir.dtype import DType, as_dtype
from tensorc.ir.func import PrimFunc

ArtifactKind: TypeAlias = Literal["object", "shared", "python"]

ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a kernel; `is_output` says that the kernel writes it."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    is_output: bool

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Artifact:
    """A built kernel, not loaded; can be sent to another process or stored.

    Attributes:
        kind: 'object' for relocatable machine code, 'shared' for a shared library, 'python' for
            the text of the loop IR that the oracle executes.
        data: The code.
        entry: Name of the kernel in it.
        params: The parameters in call order.
        workspace_bytes: Scratch memory of one call.
        thread_workspace_bytes: Scratch memory of each thread, besides.
        source: The text the code was made from; empty where it was not kept.
        prologue: Another kernel in the same code, which takes constants and fills the last
            parameters of this one; None if it needs none.
    """

    kind: ArtifactKind
    data: bytes
    entry: str
    params: tuple[Param, ...]
    workspace_bytes: int = 0
    thread_workspace_bytes: int = 0
    source: str = ""
    prologue: Artifact | None = None

    @property
    def results(self) -> tuple[Param, ...]:
        """The last parameters: those that the prologue fills."""
        early = () if self.prologue is None else self.prologue.params
        return self.params[len(self.params) - sum(p.is_output for p in early) :]

    def renamed(self, names: Mapping[str, str]) -> Artifact:
        """Return it with other names for some parameters; callers go by these, code by place."""
        params = tuple(replace(p, name=names.get(p.name, p.name)) for p in self.params)
        early = None if self.prologue is None else self.prologue.renamed(names)
        return replace(self, params=params, prologue=early)

    def workspace_size(self, threads: int) -> int:
        """Return the bytes of the workspace argument for a call that uses so many threads."""
        return align(self.workspace_bytes) + threads * align(self.thread_workspace_bytes)

    @property
    def is_parallel(self) -> bool:
        """Whether the code calls the thread pool."""
        return b"tensorc_parallel_for" in self.data

    def header(self) -> dict[str, Any]:
        """Return all fields but `data` and `source`, ready for JSON."""
        return {
            "kind": self.kind,
            "entry": self.entry,
            "params": [[p.name, list(p.shape), p.dtype.name, p.is_output] for p in self.params],
            "workspace_bytes": self.workspace_bytes,
            "thread_workspace_bytes": self.thread_workspace_bytes,
            "prologue": None if self.prologue is None else self.prologue.header(),
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any], data: bytes) -> Artifact:
        """Return the artifact of which `header()` and `data` came."""
        params = tuple(
            Param(name, tuple(shape), as_dtype(dtype), is_output)
            for name, shape, dtype, is_output in header["params"]
        )
        early = header["prologue"]
        return cls(
            header["kind"],
            data,
            header["entry"],
            params,
            header["workspace_bytes"],
            header["thread_workspace_bytes"],
            prologue=None if early is None else cls.from_header(early, data),
        )


def align(nbytes: int) -> int:
    """Round up to whole cache lines, as the kernel's calling convention asks."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def params_of(func: PrimFunc) -> tuple[Param, ...]:
    """Return the parameters of a function in call order."""
    return tuple(Param(b.name, b.shape, b.dtype, b.name in func.outputs) for b in func.params)
