"""Buffers and functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from tensorc.ir.dtype import DType

if TYPE_CHECKING:
    from tensorc.ir.stmt import Stmt

Scope: TypeAlias = Literal["global", "local", "stack", "workspace"]


@dataclass(frozen=True, slots=True)
class Buffer:
    """A dense row-major array.

    Scopes: `global` is a parameter; `local` a register tile, whose every index is constant once
    unrolled loops are expanded; `stack` small scratch memory; `workspace` scratch memory at a byte
    offset of the workspace argument that is fixed at compile time (one workspace per thread inside
    parallel loops).
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    scope: Scope

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class PrimFunc:
    """A kernel: parameters in call order, then the body.

    `outputs` names the parameters that are written.
    `workspace_bytes` is what buffers of scope `workspace` outside parallel loops need, and
    `thread_workspace_bytes` what those inside parallel loops need for each thread; offsets are in
    `offsets`, by buffer name (64-byte aligned).
    """

    name: str
    params: tuple[Buffer, ...]
    outputs: tuple[str, ...]
    body: Stmt
    workspace_bytes: int = 0
    thread_workspace_bytes: int = 0
    offsets: tuple[tuple[str, int], ...] = ()
