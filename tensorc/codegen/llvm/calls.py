"""Mathematical functions: an instruction or intrinsic, a recipe, or a function of the C library."""

from __future__ import annotations

from tensorc.codegen.llvm.arithmetic import intrinsic, select
from tensorc.codegen.llvm.recipe_text import call_recipe, has_lookup, has_scale
from tensorc.codegen.llvm.types import constant, register_type
from tensorc.codegen.llvm.writer import Writer
from tensorc.codegen.math_functions import libm_symbol, math_recipe
from tensorc.ir.dtype import DType, compute_dtype
from tensorc.ir.expr import Function
from tensorc.support.errors import CodegenError

_INTRINSICS = {
    "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "round": "roundeven", "trunc": "trunc",
    "abs": "fabs", "copysign": "copysign",
}  # fmt: skip


def call(w: Writer, function: Function, dtype: DType, lanes: int, args: list[str]) -> str:
    """The value of a function of arguments of one type, in register form.

    Raises:
        CodegenError: if the function is not defined on the type.
    """
    if not dtype.is_float:
        return _integer_call(w, function, dtype, lanes, args)
    dtype = compute_dtype(dtype)
    if function in _INTRINSICS:
        return intrinsic(w, _INTRINSICS[function], dtype, lanes, *args)
    target = w.module.target
    recipe = math_recipe(
        function,
        dtype,
        scales=has_scale(target, dtype, lanes),
        looks_up=has_lookup(target, dtype, lanes),
    )
    if recipe is not None:
        return call_recipe(w, recipe, lanes, tuple(args))
    symbol = libm_symbol(function, dtype)
    if symbol is not None:
        return _library_call(w, symbol, dtype, lanes, args)
    return _test(w, function, dtype, lanes, args[0])


def _test(w: Writer, function: Function, dtype: DType, lanes: int, x: str) -> str:
    of = register_type(dtype, lanes)
    infinity = constant(float("inf"), dtype, lanes)
    match function:
        case "isnan":
            return w.op(f"fcmp uno {of} {x}, {x}")
        case "isinf":
            return w.op(f"fcmp oeq {of} {intrinsic(w, 'fabs', dtype, lanes, x)}, {infinity}")
        case "isfinite":
            return w.op(f"fcmp olt {of} {intrinsic(w, 'fabs', dtype, lanes, x)}, {infinity}")
        case _:
            raise _undefined(function, dtype)


def _integer_call(w: Writer, function: Function, dtype: DType, lanes: int, args: list[str]) -> str:
    of = register_type(dtype, lanes)
    x = args[0]
    match function:
        case "floor" | "ceil" | "round" | "trunc":
            return x
        case "not":
            return w.op(f"xor {of} {x}, {constant(True, dtype, lanes)}")
        case "bitwise_not":
            return w.op(f"xor {of} {x}, {constant(-1, dtype, lanes)}")
        case "popcount":
            suffix = f"i{dtype.bits}" if lanes == 1 else f"v{lanes}i{dtype.bits}"
            w.declare(f"{of} @llvm.ctpop.{suffix}({of})")
            return w.op(f"call {of} @llvm.ctpop.{suffix}({of} {x})")
        case "abs":
            if dtype.kind != "int":
                return x
            zero = constant(0, dtype, lanes)
            negative = w.op(f"icmp slt {of} {x}, {zero}")
            return select(w, negative, w.op(f"sub {of} {zero}, {x}"), x, of, lanes)
        case "isnan" | "isinf":
            return constant(False, DType("bool", 1), lanes)
        case "isfinite":
            return constant(True, DType("bool", 1), lanes)
        case _:
            raise _undefined(function, dtype)


def _library_call(w: Writer, symbol: str, dtype: DType, lanes: int, args: list[str]) -> str:
    """Call a function of the C library, lane by lane."""
    scalar, of = register_type(dtype), register_type(dtype, lanes)
    w.declare(
        f"{scalar} @{symbol}({', '.join([scalar] * len(args))}) nounwind willreturn memory(none)"
    )
    if lanes == 1:
        return w.op(f"call {scalar} @{symbol}({', '.join(f'{scalar} {x}' for x in args)})")
    result = "poison"
    for lane in range(lanes):
        parts = [w.op(f"extractelement {of} {x}, i64 {lane}") for x in args]
        one = w.op(f"call {scalar} @{symbol}({', '.join(f'{scalar} {x}' for x in parts)})")
        result = w.op(f"insertelement {of} {result}, {scalar} {one}, i64 {lane}")
    return result


def _undefined(function: Function, dtype: DType) -> CodegenError:
    return CodegenError(
        f"Cannot compile '{function}': it is not defined on values of type '{dtype}'."
    )
