"""Operators on values in registers: spelling of each by kind of type.

Division by a variable never traps: a divisor of 0 or -1 is replaced before the instruction, so it
may be evaluated where the program would not.
"""

from __future__ import annotations

from tensorc.codegen.llvm.types import constant, register_type, vector
from tensorc.codegen.llvm.writer import Writer
from tensorc.ir.dtype import DType
from tensorc.ir.expr import BinaryOperator
from tensorc.support.errors import CodegenError

_FLOAT_OPS = {"+": "fadd contract", "-": "fsub contract", "*": "fmul contract", "/": "fdiv"}
_INTEGER_OPS = {
    "+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor", "<<": "shl",
}  # fmt: skip
_BOOL_OPS = {"and": "and", "or": "or", "&": "and", "|": "or", "^": "xor", "+": "or", "*": "and"}
_FLOAT_TESTS = {"<": "olt", "<=": "ole", ">": "ogt", ">=": "oge", "==": "oeq", "!=": "une"}
_INTEGER_TESTS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


def simple_opcode(op: BinaryOperator, dtype: DType) -> str | None:
    """The instruction and type test of an operator that is one instruction, without its type."""
    if op in _FLOAT_TESTS:
        return comparison(op, dtype)
    if dtype.is_float:
        return _FLOAT_OPS.get(op)
    if dtype.kind == "bool":
        return _BOOL_OPS.get(op)
    if op == ">>":
        return "ashr" if dtype.kind == "int" else "lshr"
    return _INTEGER_OPS.get(op)


def comparison(op: str, dtype: DType) -> str:
    """The comparison instruction of an operator."""
    if dtype.is_float:
        return f"fcmp {_FLOAT_TESTS[op]}"
    test = _INTEGER_TESTS[op]
    sign = "" if op in ("==", "!=") else "s" if dtype.kind == "int" else "u"
    return f"icmp {sign}{test}"


def select(w: Writer, condition: str, a: str, b: str, of: str, lanes: int) -> str:
    """`a` where the condition, of as many lanes, holds, else `b`; both of type `of`."""
    return w.op(f"select {vector('i1', lanes)} {condition}, {of} {a}, {of} {b}")


def binary(w: Writer, op: BinaryOperator, dtype: DType, lanes: int, x: str, y: str) -> str:
    """The result of an operator on two values of type `dtype` in registers.

    Raises:
        CodegenError: if the operator is not defined on the type.
    """
    of = register_type(dtype, lanes)
    opcode = simple_opcode(op, dtype)
    if opcode is not None:
        return w.op(f"{opcode} {of} {x}, {y}")
    if op in ("min", "max"):
        test = comparison("<" if op == "min" else ">", dtype)
        return select(w, w.op(f"{test} {of} {x}, {y}"), x, y, of, lanes)
    if dtype.is_float:
        return _float_division(w, op, dtype, lanes, x, y)
    if dtype.is_integer and op in ("/", "//", "%", "truncdiv", "truncmod"):
        return _integer_division(w, op, dtype, lanes, x, y)
    raise CodegenError(f"Cannot compile '{op}': it is not defined on values of type '{dtype}'.")


def _float_division(w: Writer, op: str, dtype: DType, lanes: int, x: str, y: str) -> str:
    """Floor or truncated quotient, or the remainder that goes with it, of floats."""
    of = register_type(dtype, lanes)
    rounding = "floor" if op in ("//", "%") else "trunc"
    quotient = intrinsic(w, rounding, dtype, lanes, w.op(f"fdiv {of} {x}, {y}"))
    if op in ("//", "truncdiv"):
        return quotient
    if op not in ("%", "truncmod"):
        raise CodegenError(f"Cannot compile '{op}': it is not defined on values of type '{dtype}'.")
    return w.op(f"fsub {of} {x}, {w.op(f'fmul {of} {quotient}, {y}')}")


def _integer_division(w: Writer, op: str, dtype: DType, lanes: int, x: str, y: str) -> str:
    of = register_type(dtype, lanes)
    wants_quotient = op in ("/", "//", "truncdiv")
    zero, one = constant(0, dtype, lanes), constant(1, dtype, lanes)
    constant_divisor = not y.startswith("%") and y not in ("0", "-1", zero)
    if dtype.kind == "uint":
        divisor = (
            y if constant_divisor else _replace(w, y, f"icmp eq {of} {y}, {zero}", one, of, lanes)
        )
        return w.op(f"{'udiv' if wants_quotient else 'urem'} {of} {x}, {divisor}")
    minus_one = (
        None if constant_divisor else w.op(f"icmp eq {of} {y}, {constant(-1, dtype, lanes)}")
    )
    divisor = y
    if minus_one is not None:
        bad = w.op(f"icmp ule {of} {w.op(f'add {of} {y}, {one}')}, {one}")
        divisor = select(w, bad, one, y, of, lanes)
    remainder = quotient = ""
    if op not in ("/", "truncdiv"):
        remainder = w.op(f"srem {of} {x}, {divisor}")
    if wants_quotient:
        quotient = w.op(f"sdiv {of} {x}, {divisor}")
        if minus_one is not None:
            quotient = select(w, minus_one, w.op(f"sub {of} {zero}, {x}"), quotient, of, lanes)
    if op in ("/", "truncdiv"):
        return quotient
    return remainder if op == "truncmod" else _floor(w, op, of, lanes, remainder, quotient, y, zero)


def _replace(w: Writer, y: str, test: str, by: str, of: str, lanes: int) -> str:
    return select(w, w.op(test), by, y, of, lanes)


def _floor(
    w: Writer, op: str, of: str, lanes: int, remainder: str, quotient: str, y: str, zero: str
) -> str:
    """Correct a truncated division where the remainder has the other sign than the divisor."""
    differs = w.op(f"icmp slt {of} {w.op(f'xor {of} {remainder}, {y}')}, {zero}")
    inexact = w.op(f"icmp ne {of} {remainder}, {zero}")
    wrong = w.op(f"and {vector('i1', lanes)} {differs}, {inexact}")
    if op == "%":
        return select(w, wrong, w.op(f"add {of} {remainder}, {y}"), remainder, of, lanes)
    correction = w.op(f"sext {vector('i1', lanes)} {wrong} to {of}")
    return w.op(f"add {of} {quotient}, {correction}")


def intrinsic(w: Writer, name: str, dtype: DType, lanes: int, *args: str) -> str:
    """Call `llvm.NAME` on values of one type, which is also that of the result."""
    of = register_type(dtype, lanes)
    scalar = register_type(dtype).replace("float", "f32").replace("double", "f64")
    suffix = scalar if lanes == 1 else f"v{lanes}{scalar}"
    w.declare(f"{of} @llvm.{name}.{suffix}({', '.join([of] * len(args))})")
    listed = ", ".join(f"{of} {arg}" for arg in args)
    return w.op(f"call {of} @llvm.{name}.{suffix}({listed})")
