"""Conversions between types, and between the register and the memory form of one type.

16-bit floats are `float` in registers. Where the target converts half precision in hardware, that
is used; otherwise, and for bfloat16, recipes of integer operations do it.
"""

from __future__ import annotations

from tensorc.codegen.conversions import conversion
from tensorc.codegen.llvm.recipe_text import call_recipe
from tensorc.codegen.llvm.types import constant, register_type, vector
from tensorc.codegen.llvm.writer import Writer
from tensorc.ir.dtype import FLOAT16, FLOAT32, FLOAT64, DType, compute_dtype
from tensorc.target import Target


def converts_half(target: Target) -> bool:
    """Whether the target has instructions that convert between half and single precision."""
    return any(feature in target.features for feature in ("f16c", "avx512f", "neon"))


def to_memory(w: Writer, x: str, dtype: DType, lanes: int) -> str:
    """A value in the form that is stored."""
    if dtype.kind == "bool":
        return w.op(f"zext {vector('i1', lanes)} {x} to {vector('i8', lanes)}")
    if not (dtype.is_float and dtype.bits == 16):
        return x
    if dtype == FLOAT16 and converts_half(w.module.target):
        half = w.op(f"fptrunc {vector('float', lanes)} {x} to {vector('half', lanes)}")
        return w.op(f"bitcast {vector('half', lanes)} {half} to {vector('i16', lanes)}")
    bits = call_recipe(w, conversion(FLOAT32, dtype), lanes, (x,))
    return w.op(f"trunc {vector('i32', lanes)} {bits} to {vector('i16', lanes)}")


def from_memory(w: Writer, x: str, dtype: DType, lanes: int) -> str:
    """A loaded value in the form that is computed with."""
    if dtype.kind == "bool":
        of = vector("i8", lanes)
        return w.op(f"icmp ne {of} {x}, {'0' if lanes == 1 else 'zeroinitializer'}")
    if not (dtype.is_float and dtype.bits == 16):
        return x
    if dtype == FLOAT16 and converts_half(w.module.target):
        half = w.op(f"bitcast {vector('i16', lanes)} {x} to {vector('half', lanes)}")
        return w.op(f"fpext {vector('half', lanes)} {half} to {vector('float', lanes)}")
    bits = w.op(f"zext {vector('i16', lanes)} {x} to {vector('i32', lanes)}")
    return call_recipe(w, conversion(dtype, FLOAT32), lanes, (bits,))


def cast(w: Writer, x: str, source: DType, dtype: DType, lanes: int) -> str:
    """A value in registers converted from one type to another."""
    if source == dtype:
        return x
    a, b = register_type(source, lanes), register_type(dtype, lanes)
    if dtype.kind == "bool":
        test = "fcmp une" if source.is_float else "icmp ne"
        return w.op(f"{test} {a} {x}, {constant(0, source, lanes)}")
    if dtype.is_float and dtype.bits == 16:
        return _to_short_float(w, x, source, dtype, lanes)
    if dtype.is_float:
        return _to_float(w, x, source, dtype, lanes)
    if source.is_float:
        return _to_integer(w, x, source, dtype, lanes)
    if source.kind != "bool" and source.bits == dtype.bits:
        return x
    if source.kind != "bool" and source.bits > dtype.bits:
        return w.op(f"trunc {a} {x} to {b}")
    return w.op(f"{'sext' if source.kind == 'int' else 'zext'} {a} {x} to {b}")


def _to_float(w: Writer, x: str, source: DType, dtype: DType, lanes: int) -> str:
    a, b = register_type(source, lanes), register_type(dtype, lanes)
    if not source.is_float:
        return w.op(f"{'sitofp' if source.kind == 'int' else 'uitofp'} {a} {x} to {b}")
    if a == b:
        return x
    wider = dtype == FLOAT64
    return w.op(f"{'fpext' if wider else 'fptrunc'} {a} {x} to {b}")


def _to_integer(w: Writer, x: str, source: DType, dtype: DType, lanes: int) -> str:
    """Truncate; narrow types go through a wider one so that they wrap rather than break."""
    a, b = register_type(compute_dtype(source), lanes), register_type(dtype, lanes)
    if dtype.bits >= 32:
        return w.op(f"{'fptosi' if dtype.kind == 'int' else 'fptoui'} {a} {x} to {b}")
    wide = vector("i32", lanes)
    return w.op(f"trunc {wide} {w.op(f'fptosi {a} {x} to {wide}')} to {b}")


def _to_short_float(w: Writer, x: str, source: DType, dtype: DType, lanes: int) -> str:
    """Round to 16 bits; the result is a `float` again."""
    if source == FLOAT64:
        x = call_recipe(w, conversion(FLOAT64, FLOAT32), lanes, (x,))
    else:
        x = _to_float(w, x, source, FLOAT32, lanes)
    stored = to_memory(w, x, dtype, lanes)
    return from_memory(w, stored, dtype, lanes)
