"""Scalar data types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tensorc.support.errors import TEError

Kind: TypeAlias = Literal["float", "bfloat", "int", "uint", "bool"]


@dataclass(frozen=True, slots=True)
class DType:
    """A scalar type: a kind and its width in bits."""

    kind: Kind
    bits: int

    @property
    def name(self) -> str:
        """The NumPy-style name, such as `float32`."""
        return "bool" if self.kind == "bool" else f"{self.kind}{self.bits}"

    @property
    def itemsize(self) -> int:
        """Bytes of one element in memory; a bool takes one."""
        return max(self.bits // 8, 1)

    @property
    def is_float(self) -> bool:
        """Whether values are floating point (float16/32/64 or bfloat16)."""
        return self.kind in ("float", "bfloat")

    @property
    def is_integer(self) -> bool:
        """Whether values are signed or unsigned integers; bool is not one."""
        return self.kind in ("int", "uint")

    def __str__(self) -> str:
        """The name."""
        return self.name


FLOAT16 = DType("float", 16)
FLOAT32 = DType("float", 32)
FLOAT64 = DType("float", 64)
BFLOAT16 = DType("bfloat", 16)
INT8 = DType("int", 8)
INT16 = DType("int", 16)
INT32 = DType("int", 32)
INT64 = DType("int", 64)
UINT8 = DType("uint", 8)
UINT16 = DType("uint", 16)
UINT32 = DType("uint", 32)
UINT64 = DType("uint", 64)
BOOL = DType("bool", 1)

ALL_DTYPES: tuple[DType, ...] = (
    FLOAT16, FLOAT32, FLOAT64, BFLOAT16, INT8, INT16, INT32, INT64,
    UINT8, UINT16, UINT32, UINT64, BOOL,
)  # fmt: skip
_BY_NAME = {d.name: d for d in ALL_DTYPES}


def as_dtype(value: DType | str | np.dtype[np.generic] | type) -> DType:
    """The `DType` named by a string, a NumPy dtype, or itself.

    Raises:
        TEError: if the name is not a known type.
    """
    if isinstance(value, DType):
        return value
    name = value if isinstance(value, str) else np.dtype(value).name
    found = _BY_NAME.get(name)
    if found is None:
        raise TEError(f"Expected a dtype among {', '.join(_BY_NAME)}, got '{name}'.")
    return found


def compute_dtype(dtype: DType) -> DType:
    """The type arithmetic on `dtype` is carried out in: 16-bit floats compute in float32."""
    return FLOAT32 if dtype.is_float and dtype.bits == 16 else dtype


def promote(a: DType, b: DType) -> DType:
    """The common type of two operands: float wins over integer, wider over narrower.

    Mixed signedness of equal width and float16 with bfloat16 both widen (int64 at most, float32).
    """
    if a == b:
        return a
    if a.kind == "bool" or b.kind == "bool":
        return b if a.kind == "bool" else a
    if a.is_float != b.is_float:
        return a if a.is_float else b
    if a.kind == b.kind:
        return a if a.bits > b.bits else b
    if a.is_float:
        return FLOAT32 if max(a.bits, b.bits) <= 32 else FLOAT64
    signed, unsigned = (a, b) if a.kind == "int" else (b, a)
    bits = signed.bits if signed.bits > unsigned.bits else min(64, unsigned.bits * 2)
    return _BY_NAME[f"int{bits}"]
