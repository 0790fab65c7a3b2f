"""Recipes: mathematical functions as straight-line programs over a few primitive operations.

A recipe is written once, as a Python function of traced values (`math_functions`), and every
backend spells its steps, for one value or for a vector, so that backends give equal results.

    def rsqrt(x: Value) -> Value:
        return 1.0 / sqrt(x)

Meaning of the primitives, all of them lane by lane:

* `add sub mul div neg abs sqrt copysign floor ceil trunc round` on floats follow IEEE 754, each
  rounded by itself (`round` to even): a backend must not contract `mul` and `add`.
* `fma(a, b, c)` is `a·b + c`, rounded once if the target can do so at the speed of a `mul`, else
  `mul` and `add`: recipes are right with either.
* `add sub mul and or xor shl shr sar` on integers wrap; `shr` fills with zeros, `sar` with the
  sign.
* `lt le gt ge eq` are false and `ne` is true on NaN; on integers they are signed.
* `and or not` on bools; `select(condition, a, b)` evaluates both sides.
* `bits` and `from_bits` reinterpret a float as the integer of its width and back; `to_int`
  truncates a float to the integer of its width (unspecified out of range); `to_float` converts
  back. `widen` and `narrow` convert float32 ⇄ float64 and int32 ⇄ int64 (dropping high bits).
* `scale(a, k)` is `a·2^k` for an integral float k, rounded once. Recipes have it only if they are
  traced with `scales`, for targets with an instruction for it.
* `lookup(i)` is number `i mod 16` of a table of 16 literals. Recipes have it only if they are
  traced with `looks_up`, likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from tensorc.ir.dtype import BOOL, FLOAT32, FLOAT64, INT32, INT64, DType

Primitive: TypeAlias = Literal[
    "param", "const", "add", "sub", "mul", "div", "fma", "neg", "abs", "sqrt", "copysign",
    "floor", "ceil", "trunc", "round", "and", "or", "xor", "not", "shl", "shr", "sar",
    "lt", "le", "gt", "ge", "eq", "ne", "select",
    "bits", "from_bits", "to_int", "to_float", "widen", "narrow", "scale", "lookup",
]  # fmt: skip
Number: TypeAlias = int | float

_INTEGER_OF = {FLOAT32: INT32, FLOAT64: INT64}
_FLOAT_OF = {INT32: FLOAT32, INT64: FLOAT64}
_WIDER = {FLOAT32: FLOAT64, INT32: INT64}
_NARROWER = {FLOAT64: FLOAT32, INT64: INT32}


@dataclass(frozen=True, slots=True)
class Step:
    """One operation; `args` are the numbers of earlier steps, `value` is that of a `const`.

    `dtype` is the type of the result: float32, float64, int32, int64 or bool. Float constants are
    exact in it. `table` has the literals of a `lookup`.
    """

    op: Primitive
    dtype: DType
    args: tuple[int, ...] = ()
    value: Number = 0
    table: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """A function as steps in order; step `i` for `i < len(params)` is parameter `i`.

    Recipes are made once and compared by identity, so they are cheap keys of caches.
    """

    name: str
    params: tuple[DType, ...]
    steps: tuple[Step, ...]
    result: int


class Value:
    """A value while a recipe is traced; Python operators write steps."""

    __slots__ = ("dtype", "number", "trace")

    def __init__(self, trace: Trace, number: int, dtype: DType) -> None:
        self.trace = trace
        self.number = number
        self.dtype = dtype

    def literal(self, value: Number) -> Value:
        """A literal of this value's type."""
        return self.trace.constant(value, self.dtype)

    def __add__(self, other: Value | Number) -> Value:
        return self.trace.binary("add", self, other)

    def __radd__(self, other: Number) -> Value:
        return self.trace.binary("add", self, other)

    def __sub__(self, other: Value | Number) -> Value:
        return self.trace.binary("sub", self, other)

    def __rsub__(self, other: Number) -> Value:
        return self.trace.binary("sub", self.literal(other), self)

    def __mul__(self, other: Value | Number) -> Value:
        return self.trace.binary("mul", self, other)

    def __rmul__(self, other: Number) -> Value:
        return self.trace.binary("mul", self, other)

    def __truediv__(self, other: Value | Number) -> Value:
        return self.trace.binary("div", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return self.trace.binary("div", self.literal(other), self)

    def __neg__(self) -> Value:
        return self.trace.step("neg", self.dtype, self)

    def __abs__(self) -> Value:
        return self.trace.step("abs", self.dtype, self)

    def __and__(self, other: Value | Number) -> Value:
        return self.trace.binary("and", self, other)

    def __or__(self, other: Value | Number) -> Value:
        return self.trace.binary("or", self, other)

    def __xor__(self, other: Value | Number) -> Value:
        return self.trace.binary("xor", self, other)

    def __invert__(self) -> Value:
        return self.trace.step("not", self.dtype, self)

    def __lshift__(self, other: Value | Number) -> Value:
        return self.trace.binary("shl", self, other)

    def __rshift__(self, other: Value | Number) -> Value:
        """Shift right with the sign."""
        return self.trace.binary("sar", self, other)

    def __lt__(self, other: Value | Number) -> Value:
        return self.trace.binary("lt", self, other, BOOL)

    def __le__(self, other: Value | Number) -> Value:
        return self.trace.binary("le", self, other, BOOL)

    def __gt__(self, other: Value | Number) -> Value:
        return self.trace.binary("gt", self, other, BOOL)

    def __ge__(self, other: Value | Number) -> Value:
        return self.trace.binary("ge", self, other, BOOL)


class Trace:
    """Records steps; equal steps are recorded once.

    `scale` may be one of them with `scales`, `lookup` with `looks_up`.
    """

    def __init__(
        self, params: tuple[DType, ...], *, scales: bool = False, looks_up: bool = False
    ) -> None:
        self.scales = scales
        self.looks_up = looks_up
        self.steps = [Step("param", dtype) for dtype in params]
        self.params = [Value(self, i, dtype) for i, dtype in enumerate(params)]
        self._known: dict[tuple[Step, str], int] = {}

    def step(self, op: Primitive, dtype: DType, *args: Value, value: Number = 0) -> Value:
        """The result of an operation."""
        return self._record(Step(op, dtype, tuple(arg.number for arg in args), value))

    def lookup(self, index: Value, table: tuple[float, ...]) -> Value:
        """The number of a table that the low bits of an integer say."""
        return self._record(Step("lookup", _FLOAT_OF[index.dtype], (index.number,), table=table))

    def _record(self, step: Step) -> Value:
        # The text tells 0.0 from -0.0, which compare equal.
        number = self._known.setdefault((step, repr(step.value)), len(self.steps))
        if number == len(self.steps):
            self.steps.append(step)
        return Value(self, number, step.dtype)

    def constant(self, value: Number, dtype: DType) -> Value:
        """A literal."""
        return self.step("const", dtype, value=_exact(value, dtype))

    def binary(
        self, op: Primitive, a: Value, b: Value | Number, dtype: DType | None = None
    ) -> Value:
        """An operation on two values of one type, the second perhaps a literal."""
        if not isinstance(b, Value):
            b = self.constant(b, a.dtype)
        return self.step(op, dtype or a.dtype, a, b)


def _exact(value: Number, dtype: DType) -> Number:
    if dtype == FLOAT32:
        return float(np.float32(value))
    return float(value) if dtype == FLOAT64 else int(value)


def trace(
    name: str,
    function: Callable[..., Value],
    params: tuple[DType, ...],
    *,
    scales: bool = False,
    looks_up: bool = False,
) -> Recipe:
    """The recipe of a Python function of values.

    >>> trace("double", lambda x: x + x, (FLOAT32,)).steps[1]
    Step(op='add', dtype=DType(kind='float', bits=32), args=(0, 0), value=0, table=())
    """
    record = Trace(params, scales=scales, looks_up=looks_up)
    result = function(*record.params)
    return _without_unused(Recipe(name, params, tuple(record.steps), result.number))


def _without_unused(recipe: Recipe) -> Recipe:
    used = {recipe.result, *range(len(recipe.params))}
    for number in range(len(recipe.steps) - 1, -1, -1):
        if number in used:
            used.update(recipe.steps[number].args)
    order = sorted(used)
    renamed = {old: new for new, old in enumerate(order)}
    steps = tuple(
        replace(s, args=tuple(renamed[a] for a in s.args))
        for s in (recipe.steps[old] for old in order)
    )
    return Recipe(recipe.name, recipe.params, steps, renamed[recipe.result])


def fma(a: Value, b: Value | Number, c: Value | Number) -> Value:
    """`a·b + c`, rounded once where that costs nothing."""
    return a.trace.step("fma", a.dtype, a, like(a, b), like(a, c))


def like(a: Value, b: Value | Number) -> Value:
    """`b`, a literal becoming a value of the type of `a`."""
    return b if isinstance(b, Value) else a.literal(b)


def select(condition: Value, a: Value | Number, b: Value | Number) -> Value:
    """`a` where the condition holds, else `b`; one of them is a value."""
    kind = a if isinstance(a, Value) else b
    assert isinstance(kind, Value), "one side of a select must be a traced value"
    return condition.trace.step("select", kind.dtype, condition, like(kind, a), like(kind, b))


def eq(a: Value, b: Value | Number) -> Value:
    """Whether two values are equal."""
    return a.trace.binary("eq", a, b, BOOL)


def ne(a: Value, b: Value | Number) -> Value:
    """Whether two values differ; `ne(x, x)` says that x is NaN."""
    return a.trace.binary("ne", a, b, BOOL)


def shr(a: Value, count: int) -> Value:
    """Shift right, filling with zeros."""
    return a.trace.binary("shr", a, count)


def unary(op: Primitive, a: Value) -> Value:
    """One of `sqrt floor ceil trunc round`."""
    return a.trace.step(op, a.dtype, a)


def sqrt(a: Value) -> Value:
    """The square root."""
    return unary("sqrt", a)


def trunc(a: Value) -> Value:
    """The integral part, towards zero."""
    return unary("trunc", a)


def copysign(a: Value, sign: Value) -> Value:
    """The magnitude of `a` with the sign of `sign`."""
    return a.trace.step("copysign", a.dtype, a, sign)


def bits(a: Value) -> Value:
    """The bits of a float as an integer."""
    return a.trace.step("bits", _INTEGER_OF[a.dtype], a)


def from_bits(a: Value) -> Value:
    """The float that has these bits."""
    return a.trace.step("from_bits", _FLOAT_OF[a.dtype], a)


def to_int(a: Value) -> Value:
    """A float truncated to an integer of its width."""
    return a.trace.step("to_int", _INTEGER_OF[a.dtype], a)


def to_float(a: Value) -> Value:
    """An integer as a float of its width."""
    return a.trace.step("to_float", _FLOAT_OF[a.dtype], a)


def widen(a: Value) -> Value:
    """From 32 to 64 bits."""
    return a.trace.step("widen", _WIDER[a.dtype], a)


def narrow(a: Value) -> Value:
    """From 64 to 32 bits, rounding a float and dropping the high bits of an integer."""
    return a.trace.step("narrow", _NARROWER[a.dtype], a)


def horner(x: Value, coefficients: tuple[float, ...]) -> Value:
    """The polynomial with these coefficients, constant first."""
    result: Value | float = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        result = fma(x, result, c)
    return like(x, result)
