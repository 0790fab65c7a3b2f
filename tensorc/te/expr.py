"""Expressions as the user writes them, with the operators of Python.

These trees live from `te.compute` to the building of a `ComputeDAG`, which turns them into the
canonical `ir.expr` (`te.canonical`). `==` builds a comparison, so a node equals only itself.

Types: a Python or NumPy number takes the dtype of the other operand (a float beside an integer
makes both float32); operands of two dtypes are promoted (`ir.dtype.promote`); arithmetic on bools
is done in int32. Loop variables are int32, and arithmetic on indices is exact: it never wraps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, cast

from tensorc.arith.constants import fold_binary
from tensorc.ir.dtype import BOOL, FLOAT32, INT32, DType, as_dtype, promote
from tensorc.ir.expr import COMPARISONS, BinaryOperator, Const, Function
from tensorc.support.errors import TEError
from tensorc.te.constants import (
    Scalar,
    converted,
    default_dtype,
    dtype_beside,
    is_number,
    literal,
    plain,
)

if TYPE_CHECKING:
    from tensorc.te.reduce import CommReducer
    from tensorc.te.tensor import Tensor

IterKind: TypeAlias = Literal["spatial", "reduce"]
_INTEGER_ONLY = frozenset(("<<", ">>", "&", "|", "^"))
_LOGICAL: dict[str, BinaryOperator] = {"&": "and", "|": "or", "^": "!="}
_TESTS = frozenset(("isnan", "isinf", "isfinite"))
_EXACT_ON_INTEGERS = frozenset(("floor", "ceil", "round", "trunc"))


class Operators:
    """The operators of Python on whatever `as_expr` understands."""

    __slots__ = ()

    def __add__(self, other: object) -> Expr:
        return binary("+", self, other)

    def __radd__(self, other: object) -> Expr:
        return binary("+", other, self)

    def __sub__(self, other: object) -> Expr:
        return binary("-", self, other)

    def __rsub__(self, other: object) -> Expr:
        return binary("-", other, self)

    def __mul__(self, other: object) -> Expr:
        return binary("*", self, other)

    def __rmul__(self, other: object) -> Expr:
        return binary("*", other, self)

    def __truediv__(self, other: object) -> Expr:
        return binary("/", self, other)

    def __rtruediv__(self, other: object) -> Expr:
        return binary("/", other, self)

    def __floordiv__(self, other: object) -> Expr:
        return binary("//", self, other)

    def __rfloordiv__(self, other: object) -> Expr:
        return binary("//", other, self)

    def __mod__(self, other: object) -> Expr:
        return binary("%", self, other)

    def __rmod__(self, other: object) -> Expr:
        return binary("%", other, self)

    def __pow__(self, other: object) -> Expr:
        return power(self, other)

    def __rpow__(self, other: object) -> Expr:
        return power(other, self)

    def __lshift__(self, other: object) -> Expr:
        return binary("<<", self, other)

    def __rlshift__(self, other: object) -> Expr:
        return binary("<<", other, self)

    def __rshift__(self, other: object) -> Expr:
        return binary(">>", self, other)

    def __rrshift__(self, other: object) -> Expr:
        return binary(">>", other, self)

    def __and__(self, other: object) -> Expr:
        return binary("&", self, other)

    def __rand__(self, other: object) -> Expr:
        return binary("&", other, self)

    def __or__(self, other: object) -> Expr:
        return binary("|", self, other)

    def __ror__(self, other: object) -> Expr:
        return binary("|", other, self)

    def __xor__(self, other: object) -> Expr:
        return binary("^", self, other)

    def __rxor__(self, other: object) -> Expr:
        return binary("^", other, self)

    def __neg__(self) -> Expr:
        value = as_expr(self)
        # Times -1, so that the negative of 0.0 is -0.0; unsigned types have no -1.
        return binary("-", 0, value) if value.dtype.kind == "uint" else binary("*", value, -1)

    def __pos__(self) -> Expr:
        return as_expr(self)

    def __invert__(self) -> Expr:
        return call("not" if as_expr(self).dtype == BOOL else "bitwise_not", self)

    def __abs__(self) -> Expr:
        return call("abs", self)

    def __lt__(self, other: object) -> Expr:
        return binary("<", self, other)

    def __le__(self, other: object) -> Expr:
        return binary("<=", self, other)

    def __gt__(self, other: object) -> Expr:
        return binary(">", self, other)

    def __ge__(self, other: object) -> Expr:
        return binary(">=", self, other)

    def equal(self, other: object) -> Expr:
        """The comparison `self == other`."""
        return binary("==", self, other)

    def astype(self, dtype: DType | str) -> Expr:
        """The value converted to `dtype`."""
        return convert(as_expr(self), as_dtype(dtype))


class Scalars(Operators):
    """The operators, and `==`, of what is a scalar for certain."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]  # builds a comparison
        return binary("==", self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]  # builds a comparison
        return binary("!=", self, other)

    def __bool__(self) -> bool:
        raise TEError(
            "A te expression has no truth value while a program is being described: use "
            "te.if_then_else, te.select, te.all or te.any instead of 'if', 'and', 'or' and 'not'."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Scalars):
    """A literal."""

    value: Scalar
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Variable(Scalars):
    """A free variable: a symbolic size (`te.var`), or an operand while a reducer is made."""

    name: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Range:
    """The domain of an axis: `extent` integers from `min` on."""

    min: int
    extent: int


@dataclass(frozen=True, slots=True, eq=False)
class IterVar(Scalars):
    """An axis of the output of a compute (spatial), or of a reduction.

    An axis that was not `named` by the user gets a number where its name is taken.
    """

    name: str
    dom: Range
    kind: IterKind
    named: bool = True

    @property
    def dtype(self) -> DType:
        """Axes are int32."""
        return INT32

    @property
    def var(self) -> IterVar:
        """The axis itself, for programs that ask for its variable."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Conversion(Scalars):
    """`value` converted to `dtype`."""

    value: Expr
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Scalars):
    """An operator on two values of one dtype."""

    op: BinaryOperator
    a: Expr
    b: Expr

    @property
    def dtype(self) -> DType:
        """Comparisons are bool, everything else has the type of the operands."""
        return BOOL if self.op in COMPARISONS else self.a.dtype


@dataclass(frozen=True, slots=True, eq=False)
class MathCall(Scalars):
    """A function of values of one dtype."""

    function: Function
    args: tuple[Expr, ...]

    @property
    def dtype(self) -> DType:
        """Tests such as `isnan` are bool, everything else has the type of the operands."""
        return BOOL if self.function in _TESTS else self.args[0].dtype


@dataclass(frozen=True, slots=True, eq=False)
class Conditional(Scalars):
    """`a` where `condition` holds, else `b`; only the chosen side is read."""

    condition: Expr
    a: Expr
    b: Expr

    @property
    def dtype(self) -> DType:
        """Both sides have one type."""
        return self.a.dtype


@dataclass(frozen=True, slots=True, eq=False)
class Element(Scalars):
    """One element of a tensor."""

    tensor: Tensor
    indices: tuple[Expr, ...]

    @property
    def dtype(self) -> DType:
        """The tensor's."""
        return self.tensor.element_type

    def __getitem__(self, index: object) -> NoReturn:
        raise TEError(
            f"Expected {len(self.indices)} indices for tensor '{self.tensor.name}' "
            f"of shape {self.tensor.shape}, got {len(self.indices) + 1}."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reduction(Scalars):
    """Output `output` of combining `sources` over `axes`, where `condition` holds."""

    reducer: CommReducer
    sources: tuple[Expr, ...]
    axes: tuple[IterVar, ...]
    condition: Expr
    output: int

    @property
    def dtype(self) -> DType:
        """That of the source."""
        return self.sources[self.output].dtype


Expr: TypeAlias = (
    Constant
    | Variable
    | IterVar
    | Conversion
    | Binary
    | MathCall
    | Conditional
    | Element
    | Reduction
)


def as_expr(value: object) -> Expr:
    """A node as itself, a number as a constant, a tensor without dimensions as its element.

    Raises:
        TEError: if `value` is nothing of the kind.
    """
    if isinstance(value, Scalars):
        return cast("Expr", value)
    if is_number(value):
        number = plain(value)
        return constant(number, default_dtype(number))
    element: Callable[[], Expr] | None = getattr(value, "as_element", None)
    if element is not None:
        return element()
    raise TEError(f"Expected a te expression or a number, got '{value!r}'.")


def constant(value: Scalar, dtype: DType) -> Constant:
    """The literal of that type.

    Raises:
        TEError: if it does not fit an integer type.
    """
    return Constant(literal(value, dtype), dtype)


def convert(value: Expr, dtype: DType) -> Expr:
    """The value converted to `dtype`; itself if it has that type already."""
    if value.dtype == dtype:
        return value
    if isinstance(value, Constant):
        number = converted(value.value, dtype)
        if number is not None:
            return Constant(number, dtype)
    return Conversion(value, dtype)


def unify(*values: object) -> tuple[Expr, ...]:
    """All operands in their common dtype."""
    typed = [as_expr(v) for v in values if not is_number(v)]
    numbers = [plain(v) for v in values if is_number(v)]
    dtypes = [e.dtype for e in typed] or [default_dtype(n) for n in numbers]
    common = dtypes[0]
    for dtype in dtypes[1:]:
        common = promote(common, dtype)
    for number in numbers:
        common = dtype_beside(number, common)
    return tuple(
        constant(plain(v), common) if is_number(v) else convert(as_expr(v), common) for v in values
    )


def binary(op: BinaryOperator, left: object, right: object) -> Expr:
    """An operator on two operands, converted to their common type.

    Raises:
        TEError: if the operator does not exist for that type.
    """
    a, b = unify(left, right)
    if a.dtype == BOOL and op not in COMPARISONS and op not in ("and", "or"):
        if op in _LOGICAL:
            return _folded(_LOGICAL[op], a, b)
        a, b = convert(a, INT32), convert(b, INT32)
    if a.dtype.is_float:
        return _float_binary(op, a, b)
    if op == "/":
        raise TEError(
            f"The division '/' of two values of type '{a.dtype}' is ambiguous: use te.floordiv "
            "(or '//') or te.truncdiv, or convert them to a float first."
        )
    if op in ("//", "%", "truncdiv", "truncmod") and isinstance(b, Constant) and b.value == 0:
        raise TEError(f"The divisor of '{op}' is the constant 0.")
    return _folded(op, a, b)


def _float_binary(op: BinaryOperator, a: Expr, b: Expr) -> Expr:
    match op:
        case "//":
            return call("floor", binary("/", a, b))
        case "%":
            return a - call("floor", a / b) * b
        case "truncdiv":
            return binary("/", a, b)
        case "truncmod":
            return MathCall("fmod", (a, b))
    if op in _INTEGER_ONLY:
        raise TEError(f"Expected integers for '{op}', got values of type '{a.dtype}'.")
    return _folded(op, a, b)


def _folded(op: BinaryOperator, a: Expr, b: Expr) -> Expr:
    if isinstance(a, Constant) and isinstance(b, Constant):
        known = fold_binary(op, Const(a.value, a.dtype), Const(b.value, b.dtype))
        if known is not None:
            return Constant(known.value, known.dtype)
    return Binary(op, a, b)


def call(function: Function, *operands: object) -> Expr:
    """A mathematical function; integers become float32 where it is not exact on integers.

    Raises:
        TEError: if the function does not exist for that type.
    """
    args = unify(*operands)
    dtype = args[0].dtype
    if function == "not":
        return MathCall("not", (as_condition(args[0]),))
    if function in ("bitwise_not", "popcount"):
        if not dtype.is_integer:
            raise TEError(f"Expected an integer for '{function}', got a value of type '{dtype}'.")
        return MathCall(function, args)
    if not dtype.is_float:
        if function in _EXACT_ON_INTEGERS or (function == "abs" and dtype.kind != "int"):
            return args[0]
        if function != "abs":
            args = tuple(convert(a, FLOAT32) for a in args)
    return MathCall(function, args)


def power(base: object, exponent: object) -> Expr:
    """`base ** exponent`; a square is a product, integers take small constant exponents only.

    Raises:
        TEError: integers with an exponent that is not a constant from 0 to 64.
    """
    a, b = unify(base, exponent)
    if isinstance(b, Constant) and b.value == 2:
        return _folded("*", a, a)
    if a.dtype.is_float:
        return MathCall("pow", (a, b))
    if not isinstance(b, Constant) or not 0 <= b.value <= 64:
        raise TEError("The power of an integer needs a constant exponent from 0 to 64.")
    result: Expr = constant(1, a.dtype)
    for _ in range(int(b.value)):
        result = a if isinstance(result, Constant) else _folded("*", result, a)
    return result


def as_condition(value: object) -> Expr:
    """The value as a bool; numbers are true unless 0."""
    e = as_expr(value)
    return e if e.dtype == BOOL else binary("!=", e, 0)


def conditional(condition: object, a: object, b: object) -> Expr:
    """`a` where the condition holds, else `b`, in their common type."""
    test = as_condition(condition)
    left, right = unify(a, b)
    if isinstance(test, Constant):
        return left if test.value else right
    return Conditional(test, left, right)
