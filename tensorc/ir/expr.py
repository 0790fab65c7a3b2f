"""Value expressions of te bodies and of the loop IR, one closed union.

`Read` occurs in te bodies only (one affine per dimension), `Load` and `Broadcast` in the loop IR
only (one flat affine, `lanes` values at once). Integer division `//` and remainder `%` floor;
`truncdiv`, `truncmod` round towards zero. Arithmetic on 16-bit floats is carried out in float32
and rounded (to nearest even) when stored or cast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from tensorc.ir.affine import Affine, affine_variables
from tensorc.ir.dtype import BOOL, DType

if TYPE_CHECKING:
    from tensorc.ir.func import Buffer

BinaryOperator: TypeAlias = Literal[
    "+", "-", "*", "/", "//", "%", "truncdiv", "truncmod", "min", "max",
    "<", "<=", ">", ">=", "==", "!=", "and", "or", "&", "|", "^", "<<", ">>",
]  # fmt: skip
COMPARISONS: frozenset[str] = frozenset(("<", "<=", ">", ">=", "==", "!="))

UnaryFunction: TypeAlias = Literal[
    "exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "sqrt", "rsqrt", "tanh", "sigmoid",
    "erf", "sin", "cos", "tan", "atan", "sinh", "cosh", "floor", "ceil", "round", "trunc", "abs",
    "isnan", "isinf", "isfinite", "not", "bitwise_not", "popcount",
]  # fmt: skip
BinaryFunction: TypeAlias = Literal["pow", "atan2", "fmod", "copysign"]
Function: TypeAlias = UnaryFunction | BinaryFunction


class ExprOps:
    """What every expression answers."""

    __slots__ = ()

    def variables(self) -> Iterator[str]:
        """Names of the index and data variables used, each possibly several times."""
        return expr_variables(self)  # type: ignore[arg-type]  # every subclass is in the union


@dataclass(frozen=True, slots=True)
class Const(ExprOps):
    """A literal; holds its dtype, so `1`, `1.0` and `True` differ."""

    value: int | float | bool
    dtype: DType


@dataclass(frozen=True, slots=True)
class Var(ExprOps):
    """A data value bound by a `Let`, or an operand of a reducer's combine expression."""

    name: str
    dtype: DType
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Index(ExprOps):
    """The integer value of an index; lane `l` of a vector holds `affine + l · stride`."""

    affine: Affine
    dtype: DType
    lanes: int = 1
    stride: int = 0


@dataclass(frozen=True, slots=True)
class Cast(ExprOps):
    """The value as `dtype`: floats to integers truncate, to 16-bit floats round to even."""

    value: Expr
    dtype: DType


@dataclass(frozen=True, slots=True)
class BinaryOp(ExprOps):
    """Two operands of one dtype; comparisons give bool."""

    op: BinaryOperator
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Call(ExprOps):
    """A mathematical function of values of one dtype; `isnan`, `isinf`, `isfinite` give bool."""

    function: Function
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Select(ExprOps):
    """`a` where every condition (an affine ≥ 0) holds, else `b`; the other is not evaluated."""

    conditions: tuple[Affine, ...]
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Where(ExprOps):
    """`a` where the boolean value `condition` holds, else `b`; lane by lane.

    Both sides may be evaluated, except that a side whose loads have data-dependent (opaque)
    indices is evaluated only when it is chosen.
    """

    condition: Expr
    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Read(ExprOps):
    """Element `indices` of output `output` of the operation named `op` (te bodies only)."""

    op: str
    indices: tuple[Affine, ...]
    dtype: DType
    output: int = 0


@dataclass(frozen=True, slots=True)
class Load(ExprOps):
    """`lanes` elements of a buffer from flat position `index`, `stride` elements apart.

    The last `dead` lanes are not read but 0; then the others are neighbours.
    """

    buffer: Buffer
    index: Affine
    lanes: int = 1
    stride: int = 1
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Broadcast(ExprOps):
    """A scalar repeated in every lane."""

    value: Expr
    lanes: int


Expr: TypeAlias = (
    Const | Var | Index | Cast | BinaryOp | Call | Select | Where | Read | Load | Broadcast
)


def dtype_of(e: Expr) -> DType:
    """The scalar type of a value."""
    match e:
        case Const() | Var() | Index() | Cast() | Read():
            return e.dtype
        case BinaryOp(op, a, _):
            return BOOL if op in COMPARISONS else dtype_of(a)
        case Call(function, args):
            return BOOL if function in ("isnan", "isinf", "isfinite") else dtype_of(args[0])
        case Select(_, a, _) | Where(_, a, _):
            return dtype_of(a)
        case Load(buffer):
            return buffer.dtype
        case Broadcast(value):
            return dtype_of(value)
        case _:
            assert_never(e)


def lanes_of(e: Expr) -> int:
    """How many values an expression yields at once."""
    match e:
        case Const() | Read():
            return 1
        case Var() | Index() | Load() | Broadcast():
            return e.lanes
        case Cast(value):
            return lanes_of(value)
        case BinaryOp(_, a, b) | Select(_, a, b):
            return max(lanes_of(a), lanes_of(b))
        case Where(condition, a, b):
            return max(lanes_of(condition), lanes_of(a), lanes_of(b))
        case Call(_, args):
            return max(map(lanes_of, args))
        case _:
            assert_never(e)


def children(e: Expr) -> tuple[Expr, ...]:
    """The direct operands (not the expressions inside opaque index atoms)."""
    match e:
        case Const() | Var() | Index() | Read() | Load():
            return ()
        case Cast(value) | Broadcast(value):
            return (value,)
        case BinaryOp(_, a, b) | Select(_, a, b):
            return (a, b)
        case Where(condition, a, b):
            return (condition, a, b)
        case Call(_, args):
            return args
        case _:
            assert_never(e)


def expr_variables(e: Expr) -> Iterator[str]:
    """Names of the index and data variables used, each possibly several times."""
    match e:
        case Var(name):
            yield name
        case Index(affine) | Load(_, affine):
            yield from affine_variables(affine)
        case Read(_, indices):
            for index in indices:
                yield from affine_variables(index)
        case Select(conditions):
            for condition in conditions:
                yield from affine_variables(condition)
        case _:
            pass
    for child in children(e):
        yield from expr_variables(child)
