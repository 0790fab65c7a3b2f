"""What a te program means, by definition: its front-end trees evaluated element by element.

Independent of the compiler: nothing here knows of canonical operations, and an element outside of
its tensor is an error, so that guards are seen to be evaluated first.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tensorc.ir.dtype import BOOL, DType, compute_dtype
from tensorc.te import Tensor
from tensorc.te import expr as te
from tensorc.te.order import sorted_operations
from tensorc.te.tensor import ComputeOp, Operation

Array = NDArray[Any]
Values = dict[tuple[Operation, int], Array]

_FUNCTIONS = {
    "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2, "log10": np.log10,
    "log1p": np.log1p, "expm1": np.expm1, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "floor": np.floor,
    "ceil": np.ceil, "round": np.rint, "trunc": np.trunc, "isnan": np.isnan, "isinf": np.isinf,
    "isfinite": np.isfinite, "not": np.logical_not, "pow": np.power, "atan2": np.arctan2,
    "fmod": np.fmod, "copysign": np.copysign, "erf": math.erf,
}  # fmt: skip


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if dtype.name == "bfloat16" else dtype.name)


def interpret(tensors: Sequence[Tensor], inputs: Sequence[Array]) -> list[Array]:
    """The computed tensors among `tensors`, given arrays for the others, all in order."""
    known: Values = {}
    given = iter(inputs)
    for tensor in tensors:
        if not isinstance(tensor.op, ComputeOp):
            known[tensor.op, 0] = next(given)
    with np.errstate(all="ignore"):
        for op in sorted_operations(tensors):
            if isinstance(op, ComputeOp):
                known |= _computed(op, known)
    return [known[t.op, t.value_index] for t in tensors if isinstance(t.op, ComputeOp)]


def _computed(op: ComputeOp, known: Values) -> Values:
    results = [np.empty(op.shape, numpy_dtype(t)) for t in op.dtypes]
    for position in np.ndindex(*op.shape):
        point = dict(zip(op.axis, position, strict=True))
        for result, value in zip(results, _elements(op, point, known), strict=True):
            result[position] = value
    return {(op, o): result for o, result in enumerate(results)}


def _elements(op: ComputeOp, point: dict[Any, Any], known: Values) -> list[Any]:
    first = op.body[0]
    if not isinstance(first, te.Reduction):
        return [value(e, point, known) for e in op.body]
    several = len(op.dtypes) > 1
    names = [t.name for t in op.dtypes]
    neutral = first.reducer.identity(*names)
    running = [te.as_expr(e) for e in (neutral if several else (neutral,))]
    totals = [value(te.convert(e, t), {}, {}) for e, t in zip(running, op.dtypes, strict=True)]
    lhs, rhs = ([te.Variable(side, t) for t in op.dtypes] for side in "xy")
    pair = (tuple(lhs), tuple(rhs)) if several else (lhs[0], rhs[0])
    combined = first.reducer.combine(*pair)
    combine = [te.as_expr(e) for e in (combined if several else (combined,))]  # type: ignore[attr-defined]
    domains = [range(a.dom.min, a.dom.min + a.dom.extent) for a in first.axes]
    for position in itertools.product(*domains):
        here = point | dict(zip(first.axes, position, strict=True))
        if not value(first.condition, here, known):
            continue
        terms = [value(e, here, known) for e in first.sources]
        env: dict[Any, Any] = dict(zip(lhs + rhs, totals + terms, strict=True))
        totals = [value(e, env, {}) for e in combine]
    return totals


def value(e: te.Expr, point: Mapping[Any, Any], known: Values) -> Any:
    """An int, a bool, or a NumPy float of the type in which `e` is computed."""
    match e:
        case te.Constant(number, dtype):
            return _typed(number, dtype)
        case te.Variable() | te.IterVar():
            return point[e]
        case te.Conversion(inner, dtype):
            return _converted(value(inner, point, known), dtype)
        case te.Conditional(condition, a, b):
            chosen = a if value(condition, point, known) else b
            return value(chosen, point, known)
        case te.Element(tensor, indices):
            at = tuple(value(i, point, known) for i in indices)
            inside = all(0 <= i < n for i, n in zip(at, tensor.shape, strict=True))
            assert inside, f"{tensor.name}{at} is outside of {tensor.shape}"
            return _typed(known[tensor.op, tensor.value_index][at], tensor.element_type)
        case te.Binary("and", a, b):
            return value(a, point, known) and value(b, point, known)
        case te.Binary("or", a, b):
            return value(a, point, known) or value(b, point, known)
        case te.Binary(op, a, b):
            x, y = value(a, point, known), value(b, point, known)
            result = _OPERATORS[op](x, y)
            return bool(result) if e.dtype == BOOL else _wrapped(result, e.dtype)
        case te.MathCall(function, args):
            return _called(function, [value(a, point, known) for a in args], e.dtype)
        case _:
            raise AssertionError(e)


def _typed(number: Any, dtype: DType) -> Any:
    if dtype == BOOL:
        return bool(number)
    if dtype.is_integer:
        return int(number)
    return np.dtype(compute_dtype(dtype).name).type(number)


def _converted(number: Any, dtype: DType) -> Any:
    if dtype == BOOL:
        return bool(number)
    if dtype.is_integer:
        return _wrapped(int(number), dtype)
    # A 16-bit float is rounded here.
    return _typed(np.asarray(number).astype(numpy_dtype(dtype))[()], dtype)


def _wrapped(number: Any, dtype: DType) -> Any:
    if not dtype.is_integer:
        return number
    low = number & ((1 << dtype.bits) - 1)
    return low - (1 << dtype.bits) if dtype.kind == "int" and low >> (dtype.bits - 1) else low


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "<<": operator.lshift, ">>": operator.rshift, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "truncdiv": lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1),
    "truncmod": lambda x, y: abs(x) % abs(y) * (-1 if x < 0 else 1),
    "min": lambda x, y: x if x < y else y,
    "max": lambda x, y: x if x > y else y,
}  # fmt: skip


def _called(function: str, args: list[Any], dtype: DType) -> Any:
    match function:
        case "abs":
            return _wrapped(abs(args[0]), dtype)
        case "bitwise_not":
            return _wrapped(~args[0], dtype)
        case "popcount":
            return (args[0] & 0xFFFFFFFFFFFFFFFF).bit_count()
        case _:
            return _typed(_FUNCTIONS[function](*args), dtype)
