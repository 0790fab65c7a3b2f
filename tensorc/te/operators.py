"""Functions of te expressions.

Operands are expressions or numbers; what a function is not defined on raises `TEError`.
"""

from __future__ import annotations

from functools import reduce

from tensorc.ir.dtype import DType, as_dtype
from tensorc.ir.expr import BinaryOperator
from tensorc.te.constants import (
    Number,
    default_dtype,
    float_limit,
    integer_range,
    is_number,
    plain,
)
from tensorc.te.expr import (
    Constant,
    Expr,
    Variable,
    as_condition,
    as_expr,
    binary,
    call,
    conditional,
    constant,
    convert,
)
from tensorc.te.expr import power as power

# The one list of them: `te` and `te.tir` export it as a whole.
__all__ = [
    "abs",
    "atan",
    "atan2",
    "cast",
    "ceil",
    "ceildiv",
    "clip",
    "const",
    "copysign",
    "cos",
    "cosh",
    "div",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floordiv",
    "floormod",
    "fmod",
    "if_then_else",
    "indexdiv",
    "indexmod",
    "infinity",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "max_value",
    "maximum",
    "min_value",
    "minimum",
    "nearbyint",
    "popcount",
    "power",
    "round",
    "rsqrt",
    "select",
    "sigmoid",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "truncdiv",
    "truncmod",
    "var",
]


def const(value: Number, dtype: DType | str | None = None) -> Constant:
    """A literal, of a given type or of the usual one: bool, int32 or float32."""
    number = plain(value)
    return constant(number, default_dtype(number) if dtype is None else as_dtype(dtype))


def var(name: str = "n", dtype: DType | str = "int32") -> Variable:
    """A symbolic size. Programs have known shapes: it is refused wherever it would matter."""
    return Variable(name, as_dtype(dtype))


def cast(dtype: DType | str, value: object) -> Expr:
    """The value converted to `dtype`."""
    return convert(as_expr(value), as_dtype(dtype))


def if_then_else(condition: object, a: object, b: object) -> Expr:
    """`a` where the condition holds, else `b`; elements of the other side are not read."""
    return conditional(condition, a, b)


def select(condition: object, a: object, b: object) -> Expr:
    """`a` where the condition holds, else `b`; the same as `if_then_else`."""
    return conditional(condition, a, b)


def min_value(dtype: DType | str) -> Constant:
    """The lowest finite value of a type."""
    t = as_dtype(dtype)
    return constant(-float_limit(t) if t.is_float else integer_range(t)[0], t)


def max_value(dtype: DType | str) -> Constant:
    """The largest finite value of a type."""
    t = as_dtype(dtype)
    return constant(float_limit(t) if t.is_float else integer_range(t)[1], t)


def infinity(dtype: DType | str = "float32") -> Constant:
    """Plus infinity."""
    return constant(float("inf"), as_dtype(dtype))


def floordiv(a: object, b: object) -> Expr:
    """The quotient, rounded towards minus infinity."""
    return _arithmetic("//", a, b)


def floormod(a: object, b: object) -> Expr:
    """The remainder of `floordiv`; it has the sign of the divisor."""
    return _arithmetic("%", a, b)


def truncdiv(a: object, b: object) -> Expr:
    """The quotient, rounded towards zero."""
    return _arithmetic("truncdiv", a, b)


def truncmod(a: object, b: object) -> Expr:
    """The remainder of `truncdiv`; it has the sign of the dividend."""
    return _arithmetic("truncmod", a, b)


def indexdiv(a: object, b: object) -> Expr:
    """The quotient of indices, which are not negative."""
    return _arithmetic("//", a, b)


def indexmod(a: object, b: object) -> Expr:
    """The remainder of indices, which are not negative."""
    return _arithmetic("%", a, b)


def div(a: object, b: object) -> Expr:
    """The quotient as in C: of integers rounded towards zero."""
    return _arithmetic("truncdiv", a, b)


def _arithmetic(op: BinaryOperator, a: object, b: object) -> Expr:
    """The operator; of two integers, that integer, which may then be an extent."""
    result = binary(op, a, b)
    if is_number(a) and is_number(b) and isinstance(result, Constant):
        return result.value  # type: ignore[return-value]  # a number for numbers
    return result


def ceildiv(a: object, b: object) -> Expr:
    """The quotient, rounded towards plus infinity."""
    return -floordiv(-plain(a) if is_number(a) else -as_expr(a), b)


def maximum(a: object, b: object, *more: object) -> Expr:
    """The largest of the values."""
    return reduce(lambda x, y: binary("max", x, y), (b, *more), as_expr(a))


def minimum(a: object, b: object, *more: object) -> Expr:
    """The smallest of the values."""
    return reduce(lambda x, y: binary("min", x, y), (b, *more), as_expr(a))


def logical_not(condition: object) -> Expr:
    """Whether the condition does not hold."""
    return call("not", as_condition(condition))


def logical_and(*conditions: object) -> Expr:
    """Whether every condition holds."""
    return reduce(lambda x, y: binary("and", x, y), [as_condition(c) for c in conditions])


def logical_or(*conditions: object) -> Expr:
    """Whether some condition holds."""
    return reduce(lambda x, y: binary("or", x, y), [as_condition(c) for c in conditions])


def clip(value: object, low: object, high: object) -> Expr:
    """The value limited to `[low, high]`."""
    return minimum(maximum(value, low), high)


def fmod(a: object, b: object) -> Expr:
    """The remainder of the division of floats rounded towards zero."""
    return call("fmod", a, b)


def atan2(a: object, b: object) -> Expr:
    """The angle of the point `(b, a)`."""
    return call("atan2", a, b)


def copysign(a: object, b: object) -> Expr:
    """The magnitude of `a` with the sign of `b`."""
    return call("copysign", a, b)


def exp(x: object) -> Expr:
    """The exponential function."""
    return call("exp", x)


def exp2(x: object) -> Expr:
    """Two to the power of `x`."""
    return call("exp2", x)


def expm1(x: object) -> Expr:
    """`exp(x) - 1`, exact near 0."""
    return call("expm1", x)


def log(x: object) -> Expr:
    """The natural logarithm."""
    return call("log", x)


def log2(x: object) -> Expr:
    """The logarithm to base 2."""
    return call("log2", x)


def log10(x: object) -> Expr:
    """The logarithm to base 10."""
    return call("log10", x)


def log1p(x: object) -> Expr:
    """`log(1 + x)`, exact near 0."""
    return call("log1p", x)


def sqrt(x: object) -> Expr:
    """The square root."""
    return call("sqrt", x)


def rsqrt(x: object) -> Expr:
    """One over the square root."""
    return call("rsqrt", x)


def tanh(x: object) -> Expr:
    """The hyperbolic tangent."""
    return call("tanh", x)


def sigmoid(x: object) -> Expr:
    """`1 / (1 + exp(-x))`."""
    return call("sigmoid", x)


def erf(x: object) -> Expr:
    """The error function."""
    return call("erf", x)


def sin(x: object) -> Expr:
    """The sine."""
    return call("sin", x)


def cos(x: object) -> Expr:
    """The cosine."""
    return call("cos", x)


def tan(x: object) -> Expr:
    """The tangent."""
    return call("tan", x)


def atan(x: object) -> Expr:
    """The inverse tangent."""
    return call("atan", x)


def sinh(x: object) -> Expr:
    """The hyperbolic sine."""
    return call("sinh", x)


def cosh(x: object) -> Expr:
    """The hyperbolic cosine."""
    return call("cosh", x)


def floor(x: object) -> Expr:
    """The largest integer not above `x`."""
    return call("floor", x)


def ceil(x: object) -> Expr:
    """The smallest integer not below `x`."""
    return call("ceil", x)


def round(x: object) -> Expr:
    """The nearest integer; halves go to the even one."""
    return call("round", x)


def nearbyint(x: object) -> Expr:
    """The nearest integer; halves go to the even one."""
    return call("round", x)


def trunc(x: object) -> Expr:
    """The integer part."""
    return call("trunc", x)


def abs(x: object) -> Expr:
    """The absolute value."""
    return call("abs", x)


def isnan(x: object) -> Expr:
    """Whether `x` is not a number."""
    return call("isnan", x)


def isinf(x: object) -> Expr:
    """Whether `x` is plus or minus infinity."""
    return call("isinf", x)


def isfinite(x: object) -> Expr:
    """Whether `x` is a number and not infinite."""
    return call("isfinite", x)


def popcount(x: object) -> Expr:
    """The number of bits set."""
    return call("popcount", x)
