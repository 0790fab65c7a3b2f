"""Element by element: functions of one array, and of two arrays broadcast against each other.

Floating-point values are computed in float64. The result has the dtype of the data, or the
promoted dtype of two operands. Exceptional values follow IEEE 754, without warnings: `log(0)` is
-inf, `sqrt(-1)` is nan.
"""

import math

import numpy as np

from kernels_ref.array import Array, narrow, widen


def add(a: Array, b: Array) -> Array:
    """`a + b`."""
    return narrow(widen(a) + widen(b), np.result_type(a, b))


def subtract(a: Array, b: Array) -> Array:
    """`a - b`."""
    return narrow(widen(a) - widen(b), np.result_type(a, b))


def multiply(a: Array, b: Array) -> Array:
    """`a * b`."""
    return narrow(widen(a) * widen(b), np.result_type(a, b))


@np.errstate(all="ignore")
def divide(a: Array, b: Array) -> Array:
    """`a / b`; for integers (below 2**53), the quotient rounded toward zero."""
    return narrow(widen(a) / widen(b), np.result_type(a, b))


@np.errstate(all="ignore")
def power(a: Array, b: Array) -> Array:
    """`a` raised to `b`."""
    return narrow(widen(a) ** widen(b), np.result_type(a, b))


def maximum(a: Array, b: Array) -> Array:
    """The larger of `a` and `b`."""
    return narrow(np.maximum(a, b), np.result_type(a, b))


def minimum(a: Array, b: Array) -> Array:
    """The smaller of `a` and `b`."""
    return narrow(np.minimum(a, b), np.result_type(a, b))


def where(condition: Array, a: Array, b: Array) -> Array:
    """`a` where `condition` (bool) holds, `b` elsewhere; all three broadcast."""
    return narrow(np.where(condition, a, b), np.result_type(a, b))


def clip(data: Array, minimum: float, maximum: float) -> Array:
    """`data` limited to `[minimum, maximum]`."""
    return narrow(np.clip(widen(data), minimum, maximum), data.dtype)


def cast(data: Array, dtype: str) -> Array:
    """`data` converted to `dtype`; floats become integers by rounding toward zero."""
    return narrow(data, dtype)


def negative(data: Array) -> Array:
    """`-data`."""
    return narrow(np.negative(data), data.dtype)


def abs(data: Array) -> Array:
    """Absolute value."""
    return narrow(np.abs(data), data.dtype)


def floor(data: Array) -> Array:
    """The largest integer not above."""
    return narrow(np.floor(data), data.dtype)


def ceil(data: Array) -> Array:
    """The smallest integer not below."""
    return narrow(np.ceil(data), data.dtype)


def round(data: Array) -> Array:
    """The nearest integer; halves go to the even one."""
    return narrow(np.rint(data), data.dtype)


@np.errstate(all="ignore")
def exp(data: Array) -> Array:
    """Exponential function."""
    return narrow(np.exp(widen(data)), data.dtype)


@np.errstate(all="ignore")
def log(data: Array) -> Array:
    """Natural logarithm."""
    return narrow(np.log(widen(data)), data.dtype)


@np.errstate(all="ignore")
def sqrt(data: Array) -> Array:
    """Square root."""
    return narrow(np.sqrt(widen(data)), data.dtype)


@np.errstate(all="ignore")
def rsqrt(data: Array) -> Array:
    """Reciprocal of the square root."""
    return narrow(1.0 / np.sqrt(widen(data)), data.dtype)


def tanh(data: Array) -> Array:
    """Hyperbolic tangent."""
    return narrow(np.tanh(widen(data)), data.dtype)


def sigmoid(data: Array) -> Array:
    """`1 / (1 + exp(-data))`, written so that neither end overflows or cancels."""
    return narrow(np.exp(-np.logaddexp(0.0, -widen(data))), data.dtype)


def erf(data: Array) -> Array:
    """Error function, `2 / sqrt(pi)` times the integral of `exp(-t * t)` from 0 to `data`."""
    return narrow(np.vectorize(math.erf, otypes=[np.float64])(data), data.dtype)
