"""How each mathematical function is computed: by a recipe, or by the C library.

float32 has recipes for all but `fmod`. float64 has recipes for the exponentials and logarithms;
the others call the C library, one value at a time. What is not here (`sqrt`, `abs`, `floor`,
`isnan` …) is an instruction or two that each backend knows.

Largest errors of float32 found, in units in the last place: exp, exp2, tanh 1.0; log 0.8, log2 and
log10 0.9; erf 1.2; pow 0.6; sinh, cosh, expm1, log1p, atan, sin, cos 1.6; sigmoid, tan 2.2. Without
fused multiply-add a little more (see `tests/codegen/math`). Subnormal results are gradual.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from tensorc.codegen import math_exponential, math_logarithm, math_trigonometric
from tensorc.codegen.recipes import Recipe, Value, sqrt, trace
from tensorc.ir.dtype import FLOAT32, FLOAT64, DType
from tensorc.ir.expr import Function


def _rsqrt(x: Value) -> Value:
    return 1.0 / sqrt(x)


_BOTH: Final[dict[Function, Callable[..., Value]]] = {
    "exp": math_exponential.exp,
    "exp2": math_exponential.exp2,
    "expm1": math_exponential.expm1,
    "tanh": math_exponential.tanh,
    "sigmoid": math_exponential.sigmoid,
    "sinh": math_exponential.sinh,
    "cosh": math_exponential.cosh,
    "log": math_logarithm.log,
    "log2": math_logarithm.log2,
    "log10": math_logarithm.log10,
    "log1p": math_logarithm.log1p,
    "rsqrt": _rsqrt,
}
_SINGLE: Final[dict[Function, Callable[..., Value]]] = {
    **_BOTH,
    "erf": math_exponential.erf,
    "pow": math_logarithm.power,
    "sin": math_trigonometric.sin,
    "cos": math_trigonometric.cos,
    "tan": math_trigonometric.tan,
    "atan": math_trigonometric.atan,
    "atan2": math_trigonometric.atan2,
}
_LIBRARY: Final = ("erf", "sin", "cos", "tan", "atan", "pow", "atan2", "fmod")
_TWO_ARGUMENTS: Final = ("pow", "atan2")


@cache
def math_recipe(
    function: Function, dtype: DType, *, scales: bool = False, looks_up: bool = False
) -> Recipe | None:
    """The recipe of a function of float32 or float64, None if it has none.

    With `scales`, it may use an instruction that multiplies by powers of two; with `looks_up`, one
    that takes numbers from a table of sixteen.
    """
    found = {FLOAT32: _SINGLE, FLOAT64: _BOTH}.get(dtype, {}).get(function)
    if found is None:
        return None
    params = (dtype, dtype) if function in _TWO_ARGUMENTS else (dtype,)
    return trace(f"{function}_{dtype}", found, params, scales=scales, looks_up=looks_up)


def libm_symbol(function: Function, dtype: DType) -> str | None:
    """The function of the C library to call, one value at a time, where there is no recipe."""
    if function not in _LIBRARY or math_recipe(function, dtype) is not None:
        return None
    return f"{function}f" if dtype == FLOAT32 else function
