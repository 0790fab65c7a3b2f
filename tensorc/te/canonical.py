"""From the user's expressions to canonical operations: affine indices, `Select` and `Where`.

Integer expressions of axes become affines. A condition on axes becomes a `Select` with affine
conditions; `any` and `!=` swap the sides; what looks at data becomes a `Where`. An index that is
not affine becomes an opaque atom. Where nothing bounds it (`A[I[i]]`), it is taken to lie inside
the dimension it indexes: the program is responsible for that.

Conditions are simplified by the ranges of the axes and by the conditions around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias, assert_never

from tensorc.arith.affine import divmod_affine
from tensorc.arith.bounds import expr_range
from tensorc.ir.affine import Affine, Opaque, as_affine, of_atom, scale
from tensorc.ir.dtype import BOOL, INT32, INT64, DType
from tensorc.ir.expr import (
    COMPARISONS,
    BinaryOp,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Read,
    Select,
    Var,
    Where,
    dtype_of,
)
from tensorc.support.errors import TEError
from tensorc.te import expr as te
from tensorc.te.conditions import (
    FALSE,
    TRUE,
    Condition,
    Data,
    Every,
    Fails,
    Holds,
    Some,
    conjunction,
    depends_on_data,
    negation,
)
from tensorc.te.scope import Scope, evaluate, is_transparent, negated
from tensorc.te.tensor import Operation

Side: TypeAlias = Callable[[Scope], Expr]
_TRUE = Const(True, BOOL)
_FALSE = Const(False, BOOL)


@dataclass(frozen=True, slots=True, eq=False)
class Canonicalizer:
    """Translates the formulas of one operation.

    Attributes:
        label: The name of the operation, for messages.
        axes: Where each axis starts, and its canonical name.
        sources: The names of the operations that may be read.
        operands: The variables of a reducer.
        has_points: Whether there is anything to compute; if not, indices are not checked.
    """

    label: str
    axes: Mapping[te.IterVar, Affine]
    sources: Mapping[Operation, str]
    operands: Mapping[te.Variable, Var]
    has_points: bool = True

    # Values

    def value(self, e: te.Expr, scope: Scope) -> Expr:
        """The value of an expression.

        Raises:
            TEError: it reads out of bounds, or uses an axis or a variable that has no value.
        """
        known = scope.values.get(e)
        if known is None:
            known = scope.values[e] = self._value(e, scope)
        return known

    def _value(self, e: te.Expr, scope: Scope) -> Expr:
        match e:
            case te.Constant(value, dtype):
                return Const(value, dtype)
            case te.Variable():
                return self._operand(e)
            case te.IterVar():
                return Index(self._axis(e), INT32)
            case te.Conversion(inner, dtype):
                return self._conversion(inner, dtype, scope)
            case te.Binary():
                return self._operation(e, scope)
            case te.MathCall("not", _):
                return self._truth(e, scope)
            case te.MathCall(function, args):
                return Call(function, tuple(self.value(a, scope) for a in args))
            case te.Conditional(condition, a, b):
                return self.choose(
                    self.condition(condition, scope),
                    lambda s: self.value(a, s),
                    lambda s: self.value(b, s),
                    scope,
                )
            case te.Element():
                return self._read(e, scope)
            case te.Reduction():
                raise TEError(
                    f"The formula of tensor '{self.label}' has a reduction inside an expression: "
                    "compute the reduction as a tensor of its own."
                )
            case _:
                assert_never(e)

    def _operation(self, e: te.Binary, scope: Scope) -> Expr:
        if e.dtype == BOOL:
            return self._truth(e, scope)
        affine = self._pure_index(e, scope)
        if affine is not None:
            return _of_affine(affine, e.dtype)
        return BinaryOp(e.op, self.value(e.a, scope), self.value(e.b, scope))

    def _operand(self, e: te.Variable) -> Var:
        operand = self.operands.get(e)
        if operand is None:
            raise TEError(
                f"The formula of tensor '{self.label}' uses the symbolic variable '{e.name}', "
                "which has no value: give a number, or a placeholder without dimensions."
            )
        return operand

    def _axis(self, e: te.IterVar) -> Affine:
        affine = self.axes.get(e)
        if affine is not None:
            return affine
        if e.kind == "reduce":
            raise TEError(
                f"The reduction axis '{e.name}' is used in tensor '{self.label}' "
                "outside of a reduction over it."
            )
        raise TEError(f"The axis '{e.name}' used in tensor '{self.label}' is not an axis of it.")

    def _conversion(self, inner: te.Expr, dtype: DType, scope: Scope) -> Expr:
        value = self.value(inner, scope)
        if isinstance(value, Index) and dtype in (INT32, INT64):
            return Index(value.affine, dtype)
        return Cast(value, dtype)

    def _read(self, e: te.Element, scope: Scope) -> Expr:
        tensor = e.tensor
        indices = tuple(self._subscript(e, d, scope) for d in range(len(e.indices)))
        return Read(self.sources[tensor.op], indices, tensor.element_type, tensor.value_index)

    # Indices

    def _pure_index(self, e: te.Expr, scope: Scope) -> Affine | None:
        """The expression as an affine of axes alone, if it is one."""
        if e.dtype not in (INT32, INT64) or not _mentions_axes_only(e):
            return None
        affine = self.index(e, scope)
        return affine if is_transparent(affine) else None

    def index(self, e: te.Expr, scope: Scope) -> Affine:
        """An integer expression as an affine; what is not affine becomes opaque atoms.

        Raises:
            TEError: as `value` does, and if it is no integer.
        """
        if e.dtype not in (INT32, INT64):
            return self._opaque(self.value(e, scope), scope)
        match e:
            case te.Constant(value, _):
                return as_affine(int(value))
            case te.IterVar():
                return self._axis(e)
            case te.Conversion(inner, _) if inner.dtype.is_integer:
                return self.index(inner, scope)
            case te.Binary("+", a, b):
                return self.index(a, scope) + self.index(b, scope)
            case te.Binary("-", a, b):
                return self.index(a, scope) - self.index(b, scope)
            case te.Binary(op, a, b):
                x, y = self.index(a, scope), self.index(b, scope)
                linear = self._linear(op, x, y, scope)
                if linear is not None:
                    return linear
                product = BinaryOp(op, _of_affine(x, e.dtype), _of_affine(y, e.dtype))
                return of_atom(Opaque(product, *self._range(product, scope)))
            case _:
                return self._opaque(self.value(e, scope), scope)

    def _linear(self, op: str, x: Affine, y: Affine, scope: Scope) -> Affine | None:
        """The result if it is affine."""
        if op in ("min", "max"):
            low, high = scope.bounds(x - y)
            if low >= 0 or high <= 0:
                return x if (low >= 0) == (op == "max") else y
            return None
        return self._scaled(op, x, y, scope)

    def _scaled(self, op: str, x: Affine, y: Affine, scope: Scope) -> Affine | None:
        """The result of an operator with a constant operand."""
        if op == "*" and not x.terms:
            x, y = y, x
        if y.terms:
            return None
        n = y.const
        match op:
            case "*":
                return scale(x, n)
            case "<<" if 0 <= n < 63:
                return scale(x, 1 << n)
            case ">>" if 0 <= n < 63:
                return divmod_affine(x, 1 << n, scope.env)[0]
            case "//" | "%" if n != 0:
                # With a negative divisor: x // -d = (-x) // d and x % -d = -((-x) % d).
                sign = 1 if n > 0 else -1
                quotient, remainder = divmod_affine(scale(x, sign), abs(n), scope.env)
                return quotient if op == "//" else scale(remainder, sign)
            case "truncdiv" | "truncmod" if n != 0:
                return _truncated(op, x, n, scope)
            case _:
                return None

    def _opaque(self, value: Expr, scope: Scope) -> Affine:
        match value:
            case Index(affine):
                return affine
            case Const(number):
                return as_affine(int(number))
            case _:
                return of_atom(Opaque(value, *self._range(value, scope)))

    def _range(self, value: Expr, scope: Scope) -> tuple[int, int]:
        known = expr_range(value, scope.env)
        if known is None:
            raise TEError(
                f"Expected an integer as index in tensor '{self.label}', "
                f"got a value of type '{dtype_of(value)}'."
            )
        return known

    def _subscript(self, e: te.Element, d: int, scope: Scope) -> Affine:
        """Index number `d` of a read, checked against the extent of the dimension."""
        affine, extent = self.index(e.indices[d], scope), e.tensor.shape[d]
        low, high = scope.bounds(affine)
        if not self.has_points or (low >= 0 and high < extent):
            return affine
        if extent == 0:
            raise TEError(
                f"Tensor '{self.label}' reads '{e.tensor.name}' of shape {e.tensor.shape}, "
                "which has no elements."
            )
        if not is_transparent(affine):
            if high < 0 or low >= extent:
                if not scope.guarded and not scope.facts:
                    raise self._outside(e, d, f"between {low} and {high}")
                low, high = 0, extent - 1
            return of_atom(Opaque(_of_affine(affine, INT64), max(low, 0), min(high, extent - 1)))
        if scope.guarded:
            return _clamped(affine, extent)
        point = scope.counterexample(affine, extent)
        if point is not None:
            where = ", ".join(f"{name} = {value}" for name, value in point.items())
            value = evaluate(affine, point)
            raise self._outside(e, d, f"{value} where {where}" if where else f"{value}")
        return affine

    def _outside(self, e: te.Element, d: int, what: str) -> TEError:
        return TEError(
            f"Tensor '{self.label}' reads '{e.tensor.name}' of shape {e.tensor.shape} "
            f"out of bounds: index number {d} is {what}."
        )

    # Conditions

    def condition(self, e: te.Expr, scope: Scope) -> Condition:
        """A bool expression as a tree of conditions."""
        match e:
            case te.Constant(value, _):
                return TRUE if value else FALSE
            case te.Binary("and", a, b):
                return Every((self.condition(a, scope), self.condition(b, scope)))
            case te.Binary("or", a, b):
                return Some((self.condition(a, scope), self.condition(b, scope)))
            case te.MathCall("not", (inner,)):
                return negation(self.condition(inner, scope))
            case te.Binary(op, a, b) if op in COMPARISONS and a.dtype in (INT32, INT64):
                x, y = self._pure_index(a, scope), self._pure_index(b, scope)
                if x is not None and y is not None:
                    return _comparison(op, x - y)
        return Data(e, True)

    def choose(self, condition: Condition, yes: Side, no: Side, scope: Scope) -> Expr:
        """The value that is `yes` where the condition holds and `no` elsewhere."""
        match condition:
            case Holds(conditions):
                return self._select(conditions, yes, no, scope)
            case Fails(conditions):
                return self._select(conditions, no, yes, scope)
            case Data():
                return self._where([condition], yes, no, scope)
            case Every(parts):
                affine, data, others = conjunction(parts)

                def all_others(s: Scope) -> Expr:
                    if not others:
                        return yes(s)
                    if len(others) == 1:
                        return self.choose(others[0], yes, no, s)
                    rest = Every(tuple(others[1:]))
                    return self.choose(others[0], lambda t: self.choose(rest, yes, no, t), no, s)

                return self._select(
                    affine, lambda s: self._where(data, all_others, no, s), no, scope
                )
            case Some():
                return self.choose(negation(condition), no, yes, scope)
            case _:
                assert_never(condition)

    def _select(self, conditions: tuple[Affine, ...], yes: Side, no: Side, scope: Scope) -> Expr:
        left = scope.undecided(conditions)
        if left is None:
            return no(scope)
        if not left:
            return yes(scope)
        inside = scope.assuming(left)
        if inside is None:
            return no(scope)
        outside = scope.assuming((negated(left[0]),)) if len(left) == 1 else scope
        if outside is None:
            return yes(scope)
        a, b = yes(inside), no(outside)
        if a == b:
            return a
        if isinstance(a, Select) and a.b == b:
            return Select(left + a.conditions, a.a, b)
        return Select(left, a, b)

    def _where(self, tests: list[Data], yes: Side, no: Side, scope: Scope) -> Expr:
        """Choose by all these tests of data at once."""
        if not tests:
            return yes(scope)
        behind = scope.behind_data()
        values = [self.value(t.value, behind if n else scope) for n, t in enumerate(tests)]
        if any(t.expected for t in tests):
            values = [
                v if t.expected else Call("not", (v,)) for v, t in zip(values, tests, strict=True)
            ]
            test = reduce(lambda x, y: BinaryOp("and", x, y), values)
        else:
            yes, no = no, yes
            test = reduce(lambda x, y: BinaryOp("or", x, y), values)
        if isinstance(test, Const):
            return yes(scope) if test.value else no(scope)
        a, b = yes(behind), no(behind)
        if (a, b) == (_TRUE, _FALSE):
            return test
        if (a, b) == (_FALSE, _TRUE):
            return Call("not", (test,))
        return Where(test, a, b)

    def _truth(self, e: te.Expr, scope: Scope) -> Expr:
        """The value of a bool expression.

        Tests of data behind conditions on axes are not made where these fail; conditions on axes
        alone are compared as numbers, which needs no branches.
        """
        match e:
            case te.Binary(op, a, b) if op in COMPARISONS:
                known = self._decided(e, scope)
                return known or BinaryOp(op, self.value(a, scope), self.value(b, scope))
        condition = self.condition(e, scope)
        if depends_on_data(condition):
            return self.choose(condition, lambda _: _TRUE, lambda _: _FALSE, scope)
        match e:
            case te.Binary(op, a, b):
                return BinaryOp(op, self.value(a, scope), self.value(b, scope))
            case te.MathCall(function, args):
                return Call(function, tuple(self.value(a, scope) for a in args))
            case _:
                return _TRUE if condition == TRUE else _FALSE

    def _decided(self, e: te.Expr, scope: Scope) -> Const | None:
        """The truth of a comparison of axes, if it is the same everywhere."""
        match self.condition(e, scope):
            case Holds(conditions):
                left = scope.undecided(conditions)
                return _FALSE if left is None else None if left else _TRUE
            case Fails(conditions):
                left = scope.undecided(conditions)
                return _TRUE if left is None else None if left else _FALSE
            case _:
                return None


def _truncated(op: str, x: Affine, divisor: int, scope: Scope) -> Affine | None:
    """The quotient or remainder rounded towards zero, of an affine whose sign is known.

    With |x| and |d| floors are the same: only signs have to be put right.
    """
    low, high = scope.bounds(x)
    if low < 0 < high:
        return None
    sign = 1 if low >= 0 else -1
    quotient, remainder = divmod_affine(scale(x, sign), abs(divisor), scope.env)
    if op == "truncmod":
        return scale(remainder, sign)
    return scale(quotient, sign if divisor > 0 else -sign)


def _mentions_axes_only(e: te.Expr) -> bool:
    match e:
        case te.Constant() | te.IterVar():
            return True
        case te.Binary(_, a, b):
            return _mentions_axes_only(a) and _mentions_axes_only(b)
        case te.Conversion(inner, _):
            return inner.dtype.is_integer and _mentions_axes_only(inner)
        case _:
            return False


def _comparison(op: str, difference: Affine) -> Condition:
    """The comparison of two affines, given their difference."""
    d, opposite = difference, -difference
    match op:
        case "<":
            return Holds((opposite - 1,))
        case "<=":
            return Holds((opposite,))
        case ">":
            return Holds((d - 1,))
        case ">=":
            return Holds((d,))
        case "==":
            return Holds((d, opposite))
        case _:
            return Fails((d, opposite))


def _of_affine(affine: Affine, dtype: DType) -> Expr:
    """An affine as a value."""
    if not affine.terms:
        return Const(affine.const, dtype)
    match affine:
        case Affine(0, ((Opaque(value), 1),)):
            return value if dtype_of(value) == dtype else Cast(value, dtype)
        case _:
            return Index(affine, dtype)


def _clamped(affine: Affine, extent: int) -> Affine:
    """The index moved inside `[0, extent)`, for reads whose result may be thrown away."""
    low = BinaryOp("max", _of_affine(affine, INT64), Const(0, INT64))
    return of_atom(Opaque(BinaryOp("min", low, Const(extent - 1, INT64)), 0, extent - 1))
