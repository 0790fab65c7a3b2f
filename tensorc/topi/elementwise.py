"""Element by element: functions of one array, and of several broadcast against each other.

The result has the dtype of the data, or the promoted dtype of two operands. Shapes that cannot be
broadcast against each other raise `TEError`.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorc import te
from tensorc.ir.dtype import as_dtype
from tensorc.te import Expr, Tensor
from tensorc.topi.array import Operand, broadcast_shape, shape_of, stretched


def _binary(name: str, f: Callable[[object, object], Expr], a: Operand, b: Operand) -> Tensor:
    return te.compute(
        broadcast_shape(shape_of(a), shape_of(b)),
        lambda *i: f(stretched(a, i), stretched(b, i)),
        name_hint=name,
        tag="broadcast",
    )


def _unary(name: str, f: Callable[[Expr], Expr], data: Tensor) -> Tensor:
    return te.compute(
        data.shape,
        lambda *i: te.cast(data.element_type, f(data(*i))),
        name_hint=name,
        tag="elemwise",
    )


def add(a: Operand, b: Operand) -> Tensor:
    """`a + b`."""
    return _binary("T_add", lambda x, y: x + y, a, b)  # type: ignore[operator]


def subtract(a: Operand, b: Operand) -> Tensor:
    """`a - b`."""
    return _binary("T_subtract", lambda x, y: x - y, a, b)  # type: ignore[operator]


def multiply(a: Operand, b: Operand) -> Tensor:
    """`a * b`."""
    return _binary("T_multiply", lambda x, y: x * y, a, b)  # type: ignore[operator]


def divide(a: Operand, b: Operand) -> Tensor:
    """`a / b`; for integers, the quotient rounded toward zero."""
    return _binary("T_divide", te.div, a, b)


def power(a: Operand, b: Operand) -> Tensor:
    """`a` raised to `b`."""
    return _binary("T_power", te.power, a, b)


def maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of `a` and `b`."""
    return _binary("T_maximum", te.maximum, a, b)


def minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of `a` and `b`."""
    return _binary("T_minimum", te.minimum, a, b)


def where(condition: Tensor, a: Operand, b: Operand) -> Tensor:
    """`a` where `condition` (bool) holds, `b` elsewhere; all three broadcast."""
    return te.compute(
        broadcast_shape(condition.shape, shape_of(a), shape_of(b)),
        lambda *i: te.select(stretched(condition, i), stretched(a, i), stretched(b, i)),
        name_hint="T_where",
        tag="broadcast",
    )


def clip(data: Tensor, minimum: float, maximum: float) -> Tensor:
    """`data` limited to `[minimum, maximum]`."""
    return _unary("T_clip", lambda x: te.clip(x, minimum, maximum), data)


def cast(data: Tensor, dtype: str) -> Tensor:
    """`data` converted to `dtype`; floats become integers by rounding toward zero."""
    return te.compute(
        data.shape,
        lambda *i: te.cast(as_dtype(dtype), data(*i)),
        name_hint="T_cast",
        tag="elemwise",
    )


def negative(data: Tensor) -> Tensor:
    """`-data`."""
    return _unary("T_negative", lambda x: -x, data)


def abs(data: Tensor) -> Tensor:
    """Absolute value."""
    return _unary("T_abs", te.abs, data)


def floor(data: Tensor) -> Tensor:
    """The largest integer not above."""
    return _unary("T_floor", te.floor, data)


def ceil(data: Tensor) -> Tensor:
    """The smallest integer not below."""
    return _unary("T_ceil", te.ceil, data)


def round(data: Tensor) -> Tensor:
    """The nearest integer; halves go to the even one."""
    return _unary("T_round", te.round, data)


def exp(data: Tensor) -> Tensor:
    """Exponential function."""
    return _unary("T_exp", te.exp, data)


def log(data: Tensor) -> Tensor:
    """Natural logarithm."""
    return _unary("T_log", te.log, data)


def sqrt(data: Tensor) -> Tensor:
    """Square root."""
    return _unary("T_sqrt", te.sqrt, data)


def rsqrt(data: Tensor) -> Tensor:
    """Reciprocal of the square root."""
    return _unary("T_rsqrt", te.rsqrt, data)


def tanh(data: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return _unary("T_tanh", te.tanh, data)


def sigmoid(data: Tensor) -> Tensor:
    """`1 / (1 + exp(-data))`."""
    return _unary("T_sigmoid", te.sigmoid, data)


def erf(data: Tensor) -> Tensor:
    """Error function, `2 / sqrt(pi)` times the integral of `exp(-t * t)` from 0 to `data`."""
    return _unary("T_erf", te.erf, data)
