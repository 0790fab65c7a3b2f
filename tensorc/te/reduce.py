"""Reductions: axes to reduce over, and what combines the elements."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce as fold
from typing import cast

from tensorc.ir.dtype import BOOL, INT32, DType, as_dtype
from tensorc.ir.expr import BinaryOperator
from tensorc.support.errors import TEError
from tensorc.te.constants import integer_range
from tensorc.te.expr import (
    Constant,
    Expr,
    IterVar,
    Range,
    Reduction,
    as_condition,
    as_expr,
    binary,
    conditional,
    constant,
)
from tensorc.te.tensor import as_extent


def reduce_axis(dom: object, name: str | None = None) -> IterVar:
    """An axis to reduce over, from `dom[0]` to before `dom[1]`.

    Raises:
        TEError: if the limits are not known integers, or in the wrong order.
    """
    label = name or "rv"
    what = f"reduction axis '{label}'"
    if isinstance(dom, Range):
        return IterVar(label, dom, "reduce", name is not None)
    if not isinstance(dom, Sequence) or len(dom) != 2:
        raise TEError(f"Expected two limits of {what}, got '{dom!r}'.")
    low, high = (_limit(limit, what) for limit in dom)
    return IterVar(label, Range(low, as_extent(high - low, what)), "reduce", name is not None)


def _limit(value: object, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return value
    return as_extent(value, what)


@dataclass(frozen=True, slots=True, eq=False)
class CommReducer:
    """A commutative, associative way to combine values, or tuples of values.

    Called with an axis, or several, it reduces over them. Called with values only it combines these
    directly, so that `te.max(a, b)` is the larger of two.

    Attributes:
        name: Its name.
        combine: From two values (or tuples of values) to one.
        identity: From a dtype (or one for each value) to what leaves the other value unchanged.
    """

    name: str
    combine: Callable[..., object]
    identity: Callable[..., object]

    def __call__(
        self,
        expr: object,
        axis: object = None,
        where: object = None,
        init: object = None,
        *more: object,
    ) -> Expr:
        """Reduce `expr` over `axis`, where `where` holds; of a tuple, a tuple comes back."""
        axes = _as_axes(axis)
        if axes is None:
            values = [as_expr(v) for v in (expr, axis, where, init, *more) if v is not None]
            return fold(lambda a, b: as_expr(self.combine(a, b)), values)
        if init is not None:
            raise TEError(
                f"The reduction '{self.name}' cannot start from a given value: "
                "combine it with the result in another compute."
            )
        if not axes:
            raise TEError(f"The reduction '{self.name}' has no axis.")
        several = isinstance(expr, (tuple, list))
        sources = tuple(as_expr(e) for e in expr) if several else (as_expr(expr),)  # type: ignore[attr-defined]
        condition = Constant(True, BOOL) if where is None else as_condition(where)
        results = tuple(Reduction(self, sources, axes, condition, o) for o in range(len(sources)))
        return results if several else results[0]  # type: ignore[return-value]


def _as_axes(axis: object) -> tuple[IterVar, ...] | None:
    """The axes, or None if these are not axes."""
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if builtins.all(isinstance(a, IterVar) and a.kind == "reduce" for a in axes):
        return axes
    if isinstance(axis, (tuple, list)):
        raise TEError("Expected reduction axes made by te.reduce_axis, got something else.")
    return None


def comm_reducer(
    fcombine: Callable[..., object], fidentity: Callable[..., object], name: str = "reduce"
) -> CommReducer:
    """A reducer made by the user.

    Args:
        fcombine: From two values to their combination; for a reduction of several values from two
            tuples to a tuple.
        fidentity: From the dtype (for several values, one argument each) to the neutral element.
        name: The name of the reducer.
    """
    return CommReducer(name, fcombine, fidentity)


def _add(a: object, b: object) -> Expr:
    return binary("+", a, b)


def _multiply(a: object, b: object) -> Expr:
    return binary("*", a, b)


def maximum(a: object, b: object) -> Expr:
    """The larger of two values."""
    return binary("max", a, b)


def minimum(a: object, b: object) -> Expr:
    """The smaller of two values."""
    return binary("min", a, b)


def _lowest(dtype: DType) -> Constant:
    return constant(-float("inf") if dtype.is_float else integer_range(dtype)[0], dtype)


def _highest(dtype: DType) -> Constant:
    return constant(float("inf") if dtype.is_float else integer_range(dtype)[1], dtype)


sum = CommReducer("sum", _add, lambda t: constant(0, as_dtype(t)))
prod = CommReducer("prod", _multiply, lambda t: constant(1, as_dtype(t)))
max = CommReducer("max", maximum, lambda t: _lowest(as_dtype(t)))
min = CommReducer("min", minimum, lambda t: _highest(as_dtype(t)))
_all = CommReducer("all", lambda a, b: binary("and", a, b), lambda _: Constant(True, BOOL))
_any = CommReducer("any", lambda a, b: binary("or", a, b), lambda _: Constant(False, BOOL))


def all(*conditions: object, axis: object = None, where: object = None) -> Expr:
    """Whether every condition holds; with `axis`, whether the one given holds all along it.

    Raises:
        TEError: there is an `axis`, and not one condition.
    """
    return _logical(_all, conditions, axis, where)


def any(*conditions: object, axis: object = None, where: object = None) -> Expr:
    """Whether some condition holds; with `axis`, whether the one given holds anywhere along it.

    Raises:
        TEError: there is an `axis`, and not one condition.
    """
    return _logical(_any, conditions, axis, where)


def _logical(
    reducer: CommReducer, conditions: tuple[object, ...], axis: object, where: object
) -> Expr:
    tests = [as_condition(c) for c in conditions]
    if axis is not None:
        if len(tests) != 1:
            raise TEError(
                f"Expected one condition to reduce by '{reducer.name}', got {len(tests)}."
            )
        return reducer(tests[0], axis, where)
    return cast("Expr", fold(reducer.combine, tests, reducer.identity("bool")))


def argmax(expr: object, axis: object, where: object = None) -> tuple[Expr, Expr]:
    """The position of the largest value along `axis`, and that value; the first of several.

    `expr` is the value, or a pair of a position and a value of which the pairs with equal values
    are resolved towards the smaller position.

    Raises:
        TEError: `axis` is no reduction axis.
    """
    return _arg(_argmax, expr, axis, where)


def argmin(expr: object, axis: object, where: object = None) -> tuple[Expr, Expr]:
    """The position of the smallest value along `axis`, and that value; the first of several.

    Raises:
        TEError: `axis` is no reduction axis.
    """
    return _arg(_argmin, expr, axis, where)


def _arg(reducer: CommReducer, expr: object, axis: object, where: object) -> tuple[Expr, Expr]:
    if not isinstance(expr, (tuple, list)):
        position: Expr = constant(0, INT32)
        for a in _as_axes(axis) or ():
            position = position * a.dom.extent + (a - a.dom.min)
        expr = (position, expr)
    return cast("tuple[Expr, Expr]", reducer(tuple(expr), axis, where))


Pair = tuple[Expr, Expr]


def _better(wins: BinaryOperator) -> Callable[[Pair, Pair], Pair]:
    def combine(x: Pair, y: Pair) -> Pair:
        first = all(binary("==", x[1], y[1]), x[0] < y[0])
        keep = any(binary(wins, x[1], y[1]), first)
        return conditional(keep, x[0], y[0]), conditional(keep, x[1], y[1])

    return combine


_argmax = CommReducer(
    "argmax", _better(">"), lambda p, v: (_highest(as_dtype(p)), _lowest(as_dtype(v)))
)
_argmin = CommReducer(
    "argmin", _better("<"), lambda p, v: (_highest(as_dtype(p)), _highest(as_dtype(v)))
)
