"""Operators and functions on values in registers, as C expressions."""

from __future__ import annotations

from tensorc.codegen.c.inline import Inline
from tensorc.codegen.c.module import Module
from tensorc.codegen.c.recipe_text import mask_of, recipe_function
from tensorc.codegen.c.types import SCALARS, literal, register_element, unsigned
from tensorc.codegen.math_functions import libm_symbol, math_recipe
from tensorc.ir.dtype import BOOL, DType, compute_dtype
from tensorc.ir.expr import COMPARISONS, Function
from tensorc.support.errors import CodegenError

_ROUNDINGS = ("floor", "ceil", "trunc", "round", "sqrt")
_DIVISIONS = ("//", "%", "truncdiv", "truncmod")
_ON_BOOL = {"and": "&", "&": "&", "or": "|", "|": "|", "^": "^", "min": "&", "max": "|"}


def binary(m: Module, op: str, dtype: DType, lanes: int, x: str, y: str) -> str:
    """The result of an operator on two values of type `dtype`.

    Raises:
        CodegenError: if the operator is not defined on the type.
    """
    inline = Inline(m, register_element(dtype), lanes)
    if op in COMPARISONS:
        return _comparison(m, op, inline, dtype, x, y)
    if dtype == BOOL and op in _ON_BOOL:
        return f"({x} {_ON_BOOL[op]} {y})"
    if op in ("min", "max"):
        return f"{inline.extreme(op)}({x}, {y})"
    if dtype.is_float:
        return _float(inline, op, dtype, x, y)
    if dtype.is_integer and op in _DIVISIONS:
        return f"{inline.division(op)}({x}, {y})"
    if dtype.is_integer and op in ("+", "-", "*", "&", "|", "^", "<<", ">>"):
        return _integer(inline, op, x, y)
    raise _undefined(op, dtype)


def _comparison(m: Module, op: str, inline: Inline, dtype: DType, x: str, y: str) -> str:
    if inline.lanes == 1:
        return f"({x} {op} {y})"
    if dtype == BOOL:
        # A mask that holds is -1, less than one that does not.
        x, y = y, x
    return mask_of(m, inline.element, inline.lanes, f"{x} {op} {y}")


def _float(inline: Inline, op: str, dtype: DType, x: str, y: str) -> str:
    if op in ("+", "-", "*", "/"):
        return f"({x} {op} {y})"
    if op not in _DIVISIONS:
        raise _undefined(op, dtype)
    rounding = inline.rounding("floor" if op in ("//", "%") else "trunc")
    if op in ("//", "truncdiv"):
        return f"{rounding}({x} / {y})"
    body = f"    return a - {rounding}(a / b) * b;\n"
    name = "floormod" if op == "%" else "truncmod"
    return f"{inline.function(name, inline.values('a', 'b'), body)}({x}, {y})"


def _integer(inline: Inline, op: str, x: str, y: str) -> str:
    if op == ">>":
        return f"({inline.type})({x} >> {y})"
    if inline.lanes == 1:
        wide = SCALARS[unsigned(inline.element)]
    else:
        wide = inline.module.type(f"u{inline.element[1:]}", inline.lanes)
    # Unsigned: a sum that wraps is no error then.
    return f"({inline.type})(({wide}){x} {op} ({wide}){y})"


def call(m: Module, function: Function, dtype: DType, lanes: int, args: list[str]) -> str:
    """The value of a function of values of type `dtype`.

    Raises:
        CodegenError: if the function is not defined on the type.
    """
    if not dtype.is_float:
        return _integer_call(m, function, dtype, lanes, args[0])
    dtype = compute_dtype(dtype)
    inline = Inline(m, register_element(dtype), lanes)
    listed = ", ".join(args)
    if function in _ROUNDINGS:
        return f"{inline.rounding(function)}({listed})"
    if function == "abs":
        return f"{inline.absolute()}({listed})"
    if function == "copysign":
        return f"{inline.copysign()}({listed})"
    if function in ("isnan", "isinf", "isfinite"):
        return _test(m, function, inline, args[0])
    recipe = math_recipe(function, dtype)
    if recipe is not None:
        return f"{recipe_function(m, recipe, lanes)}({listed})"
    symbol = libm_symbol(function, dtype)
    if symbol is not None:
        return f"{inline.library(symbol, len(args))}({listed})"
    raise _undefined(function, dtype)


def _test(m: Module, function: str, inline: Inline, x: str) -> str:
    infinity = literal(float("inf"), inline.element)
    magnitude = f"{inline.absolute()}({x})"
    if function == "isnan":
        body = "a != a"
        if inline.lanes > 1:
            body = mask_of(m, inline.element, inline.lanes, body)
        result = m.type("i32", inline.lanes)
        name = inline.function("isnan", inline.values("a"), f"    return {body};\n", result)
        return f"{name}({x})"
    text = f"{magnitude} {'==' if function == 'isinf' else '<'} {infinity}"
    return f"({text})" if inline.lanes == 1 else mask_of(m, inline.element, inline.lanes, text)


def _integer_call(m: Module, function: str, dtype: DType, lanes: int, x: str) -> str:
    inline = Inline(m, register_element(dtype), lanes)
    match function:
        case "not" | "bitwise_not" if dtype == BOOL:
            return f"(!{x})" if lanes == 1 else f"(~{x})"
        case "bitwise_not":
            return f"({inline.type})(~{x})"
        case "popcount" if dtype.is_integer:
            return f"{inline.popcount()}({x})"
        case "abs" if dtype.is_integer:
            return f"{inline.absolute()}({x})" if dtype.kind == "int" else x
        case _:
            raise _undefined(function, dtype)


def _undefined(name: str, dtype: DType) -> CodegenError:
    return CodegenError(f"Cannot compile '{name}': it is not defined on values of type '{dtype}'.")
