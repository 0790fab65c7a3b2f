"""Conversions between types, and between the register and the memory form of one type."""

from __future__ import annotations

from tensorc.codegen.c.inline import Inline
from tensorc.codegen.c.module import Module
from tensorc.codegen.c.recipe_text import mask_of, recipe_function
from tensorc.codegen.c.types import is_float, literal, memory_element, register_element
from tensorc.codegen.conversions import conversion
from tensorc.ir.dtype import BOOL, FLOAT16, FLOAT32, FLOAT64, DType, compute_dtype


def is_half(dtype: DType) -> bool:
    """Whether a type is a 16-bit float."""
    return compute_dtype(dtype) != dtype


def to_memory(m: Module, x: str, dtype: DType, lanes: int) -> str:
    """A value in the form that is stored."""
    if dtype == BOOL:
        if lanes == 1:
            return f"(uint8_t)({x})"
        bytes_ = m.type("u8", lanes)
        return f"(__builtin_convertvector({x}, {bytes_}) & 1)"
    return f"{_half_function(m, FLOAT32, dtype, lanes)}({x})" if is_half(dtype) else x


def from_memory(m: Module, x: str, dtype: DType, lanes: int) -> str:
    """A loaded value in the form that is computed with."""
    if dtype == BOOL:
        return f"({x} != 0)" if lanes == 1 else mask_of(m, "u8", lanes, f"{x} != 0")
    return f"{_half_function(m, dtype, FLOAT32, lanes)}({x})" if is_half(dtype) else x


def _half_function(m: Module, source: DType, dtype: DType, lanes: int) -> str:
    """The function between a 16-bit float in memory and float32; the machine's if there is one.

    Vectors longer than a register of float32 are converted in parts: GCC takes them apart lane by
    lane (20 s for one kernel).
    """
    narrow = dtype != FLOAT32
    into = Inline(m, "u16" if narrow else "f32", lanes)
    given = m.type("f32" if narrow else "u16", lanes)
    name = f"to_{dtype}" if narrow else f"from_{source}"
    if lanes > max(4, m.vector_bytes // 4) and lanes % 2 == 0:
        part = _half_function(m, source, dtype, lanes // 2)
        short, long = m.type("u16", lanes // 2), m.type("f32", lanes // 2)
        types = (long, short) if narrow else (short, long)
        return into.function(name, f"{given} x", _in_halves(part, *types, into.type))
    recipe = recipe_function(m, conversion(source, dtype), lanes)
    bits = m.type("i32", lanes)
    if narrow:
        body = f"    return {_resized(f'{recipe}(x)', into.type, lanes)};\n"
    else:
        body = f"    return {recipe}({_resized('x', bits, lanes)});\n"
    if FLOAT16 in (source, dtype) and lanes in (1, 4, 8, 16):
        m.has_intrinsics = True
        m.has_intrinsics_512 |= lanes == 16
        feature = "__AVX512F__" if lanes == 16 else "__F16C__"
        call = _f16c(into.type, lanes, narrow)
        body = f"#if defined({feature})\n{call}#else\n{body}#endif\n"
    return into.function(name, f"{given} x", body)


def _in_halves(part: str, given: str, made: str, whole: str) -> str:
    """The body of a function that applies `part` to each half of a vector."""
    return (
        f"    {given} h[2];\n    {made} r[2];\n    {whole} y;\n"
        "    __builtin_memcpy(h, &x, sizeof h);\n"
        f"    r[0] = {part}(h[0]);\n    r[1] = {part}(h[1]);\n"
        "    __builtin_memcpy(&y, r, sizeof y);\n    return y;\n"
    )


def _resized(x: str, of: str, lanes: int) -> str:
    return f"({of})({x})" if lanes == 1 else f"__builtin_convertvector({x}, {of})"


def _f16c(of: str, lanes: int, narrow: bool) -> str:
    if lanes == 1:
        call = "_cvtss_sh(x, 0)" if narrow else "_cvtsh_ss(x)"
        return f"    return {call};\n"
    if lanes == 16:
        call = "_mm512_cvtps_ph((__m512)x, 0)" if narrow else "_mm512_cvtph_ps((__m256i)x)"
        return f"    return ({of}){call};\n"
    prefix, vector = ("_mm256", "__m256") if lanes == 8 else ("_mm", "__m128")
    if lanes == 8:
        call = f"{prefix}_cvtps_ph(({vector})x, 0)" if narrow else f"{prefix}_cvtph_ps((__m128i)x)"
        return f"    return ({of}){call};\n"
    # Four halves are the low half of a register.
    if narrow:
        return (
            f"    __m128i r = _mm_cvtps_ph((__m128)x, 0);\n    {of} h;\n"
            "    __builtin_memcpy(&h, &r, sizeof h);\n    return h;\n"
        )
    return (
        "    __m128i h = _mm_setzero_si128();\n    __builtin_memcpy(&h, &x, sizeof x);\n"
        f"    return ({of})_mm_cvtph_ps(h);\n"
    )


def cast(m: Module, x: str, source: DType, dtype: DType, lanes: int) -> str:
    """A value in registers converted from one type to another."""
    if source == dtype and not is_half(dtype):
        return x
    if is_half(dtype):
        return _to_half(m, x, source, dtype, lanes)
    a, b = register_element(source), register_element(dtype)
    if dtype == BOOL:
        zero = literal(0, a)
        return f"({x} != {zero})" if lanes == 1 else mask_of(m, a, lanes, f"{x} != {zero}")
    if source == BOOL and lanes > 1:
        x = f"({x} & 1)"
    if a == b:
        return x
    of = m.type(b, lanes)
    if is_float(a) and int(b[1:]) < 32:
        # Narrow integers go through a wider one, so that what does not fit wraps.
        x = _resized(x, m.type("i32", lanes), lanes)
    return _resized(x, of, lanes)


def _to_half(m: Module, x: str, source: DType, dtype: DType, lanes: int) -> str:
    """Round to 16 bits; the result is a `float` again."""
    if source == FLOAT64:
        # Rounding twice would differ from rounding once; rounding to odd first does not.
        x = f"{recipe_function(m, conversion(FLOAT64, FLOAT32), lanes)}({x})"
    elif not source.is_float:
        x = cast(m, x, source, FLOAT32, lanes)
    return from_memory(m, to_memory(m, x, dtype, lanes), dtype, lanes)


def memory_type(m: Module, dtype: DType, lanes: int) -> str:
    """The type of `lanes` neighbouring elements in memory."""
    return m.memory_type(memory_element(dtype), lanes)
