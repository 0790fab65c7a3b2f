"""C types of values: in registers, in memory, and vectors of both.

An element type is named as in `f32`, `i8`, `u64`; with more lanes than one it is a vector of GCC
and Clang, `tc_f32x8`. In registers a 16-bit float is `f32` and a bool `i32`: 0 or 1, in a vector
0 or -1 in every lane. In memory a 16-bit float is `u16` and a bool a `u8` of 0 or 1.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.dtype import BOOL, DType, compute_dtype
from tensorc.ir.expr import Const

SCALARS: Final = {
    "f32": "float", "f64": "double",
    "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t",
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
}  # fmt: skip


def register_element(dtype: DType) -> str:
    """The element type of a value that is computed with."""
    if dtype == BOOL:
        return "i32"
    kind = {"float": "f", "bfloat": "f", "int": "i", "uint": "u"}[dtype.kind]
    return f"{kind}{compute_dtype(dtype).bits}"


def memory_element(dtype: DType) -> str:
    """The element type of a value that is stored."""
    if dtype == BOOL:
        return "u8"
    return "u16" if compute_dtype(dtype) != dtype else register_element(dtype)


def bits_of(element: str) -> int:
    """The width of an element."""
    return int(element[1:])


def is_float(element: str) -> bool:
    """Whether an element is floating point."""
    return element[0] == "f"


def unsigned(element: str) -> str:
    """The unsigned integer of the width of an element, at least 32 bits: it wraps in C."""
    return f"u{max(32, bits_of(element))}"


def integer(element: str) -> str:
    """The signed integer of the width of an element."""
    return f"i{bits_of(element)}"


def literal(value: float, element: str) -> str:
    """A number as a C literal of an element type; floats are exact."""
    if not is_float(element):
        return _integer_literal(int(value), element)
    single = element == "f32"
    suffix = "f" if single else ""
    with np.errstate(all="ignore"):
        exact = float(np.float32(value)) if single else float(value)
    if math.isnan(exact):
        return f'__builtin_nan{suffix}("")'
    if math.isinf(exact):
        return f"{'-' if exact < 0 else ''}__builtin_inf{suffix}()"
    plain = f"{exact:.9g}" if single else repr(exact)
    # Readable where that is exact, else hexadecimal.
    text = plain if float(plain) == exact and len(plain) < 8 else exact.hex()
    if not any(mark in text for mark in ".ex"):
        text += ".0"
    return text + suffix


def _integer_literal(value: int, element: str) -> str:
    # The type of a literal is that of an operator on it: `~7` has to have 64 bits where 7 has.
    if element == "u64":
        return f"UINT64_C({value})"
    if element == "i64":
        return "INT64_MIN" if value == -(1 << 63) else f"INT64_C({value})"
    if element[0] == "u":
        return f"{value}u"
    return "INT32_MIN" if value == -(1 << 31) else str(value)


def const_literal(e: Const) -> str:
    """A literal of the IR in register form; one of a 16-bit float is rounded to it."""
    if e.dtype == BOOL:
        return str(int(e.value))
    if compute_dtype(e.dtype) != e.dtype:
        with np.errstate(all="ignore"):
            return literal(float(numpy_dtype(e.dtype).type(e.value)), "f32")
    return literal(e.value, register_element(e.dtype))
