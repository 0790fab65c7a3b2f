"""How many values of a type a vector holds, for everything that counts vectors."""

from __future__ import annotations

from tensorc.ir.dtype import DType, compute_dtype
from tensorc.target import Target


def vector_lanes(dtype: DType, target: Target) -> int:
    """Values in a vector: by the type in memory, in C by the type computed with.

    LLVM splits the float32 vectors that 16-bit floats become into registers; GCC takes a vector
    longer than a register apart lane by lane, which is 10 times slower and takes a second.
    """
    of = compute_dtype(dtype) if target.kind == "c" else dtype
    return target.lanes(max(8, of.bits))
