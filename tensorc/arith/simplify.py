"""Simplify te bodies: fold literals, drop neutral operands, decided selects and idle casts.

Before:  float32(int32(1)) * A[i] if i >= 0 and i - 9 >= 0 else 0.0      with i in [0, 7]
After:   0.0

Float identities that hold only for finite values (`x * 0 = 0`) or that change the order of
roundings are not used; the sign of a zero may change (`x + 0.0 = x`).
"""

from __future__ import annotations

from tensorc.arith.affine import NO_RANGES, Env, affine_of, substitute
from tensorc.arith.bounds import dtype_range, undecided
from tensorc.arith.constants import fold_binary, fold_call, fold_cast, wrap
from tensorc.ir.dtype import BOOL, DType, compute_dtype
from tensorc.ir.expr import (
    BinaryOp,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Load,
    Read,
    Select,
    Where,
    dtype_of,
    lanes_of,
)
from tensorc.ir.visit import map_affines, rewrite_expr


def simplify_expr(e: Expr, env: Env = NO_RANGES) -> Expr:
    """An equal, simpler expression, given the ranges of (some) variables."""
    settled = map_affines(e, lambda a: substitute(a, {}, env))
    return rewrite_expr(settled, lambda x: _simplify(x, env))


def _simplify(e: Expr, env: Env) -> Expr | None:
    match e:
        case BinaryOp(op, Const() as a, Const() as b):
            return fold_binary(op, a, b)
        case BinaryOp(op, a, b):
            return _neutral(op, a, b) or _associate(e) or _on_index(e)
        case Cast(value, dtype):
            return _cast(value, dtype)
        case Call("not", (Call("not", (value,)),)):
            return value
        case Call(function, args):
            literals = tuple(x for x in args if isinstance(x, Const))
            return fold_call(function, literals) if len(literals) == len(args) else None
        case Select():
            return _select(e, env)
        case Where(Const(value), a, b) if lanes_of(a) == lanes_of(b):
            return a if value else b
        case Where(_, a, b) if a == b:
            return a
        case Index(affine, dtype, 1) if not affine.terms:
            return Const(wrap(affine.const, dtype), dtype)
        case _:
            return None


def _neutral(op: str, a: Expr, b: Expr) -> Expr | None:
    """Operations that return an operand, or a literal whatever the other operand is."""
    match op, a, b:
        case (("+" | "|" | "^"), _, Const(0)):
            return a if dtype_of(a) != BOOL else None
        case (("+" | "|" | "^"), Const(0), _):
            return b if dtype_of(b) != BOOL else None
        case (("-" | "<<" | ">>"), _, Const(0)):
            return a
        case (("*" | "/" | "truncdiv"), _, Const(1)):
            return a
        case "*", Const(1), _:
            return b
        case (("min" | "max"), _, _) if a == b:
            return a
        case _:
            return _boolean(op, a, b) if dtype_of(a) == BOOL else _integer(op, a, b)


def _boolean(op: str, a: Expr, b: Expr) -> Expr | None:
    for x, y in ((a, b), (b, a)):
        match op, y:
            case ("and", Const(True)) | ("or", Const(False)):
                return x
            case ("and", Const(False)) | ("or", Const(True)) if lanes_of(x) == 1:
                return y
            case _:
                pass
    return None


def _integer(op: str, a: Expr, b: Expr) -> Expr | None:
    dtype = dtype_of(a)
    if not dtype.is_integer or lanes_of(a) != 1:
        return None
    zero = Const(0, dtype)
    match op, a, b:
        case "//", _, Const(1):
            return a
        case (("//" | "truncdiv"), _, Const(-1)):
            return BinaryOp("-", zero, a)
        case (("%" | "truncmod"), _, Const(1 | -1)):
            return zero
        case (("*" | "&"), _, Const(0)):
            return zero
        case (("*" | "&"), Const(0), _):
            return zero
        case "-", _, _ if a == b:
            return zero
        case _:
            return None


def _associate(e: BinaryOp) -> Expr | None:
    """`(x ∘ c) ∘ d = x ∘ (c ∘ d)` for integers, whose arithmetic wraps."""
    match e:
        case BinaryOp("+" | "*" as op, BinaryOp(inner, x, Const() as c), Const() as d) if (
            inner == op and c.dtype.is_integer
        ):
            folded = fold_binary(op, c, d)
            return None if folded is None else BinaryOp(op, x, folded)
        case _:
            return None


def _on_index(e: BinaryOp) -> Expr | None:
    """Arithmetic of indices and literals is an index again."""
    if not (isinstance(e.a, Index) or isinstance(e.b, Index)) or lanes_of(e) != 1:
        return None
    dtype = dtype_of(e)
    affine = affine_of(e) if dtype.is_integer and dtype.bits >= 32 else None
    return None if affine is None else Index(affine, dtype)


def _cast(value: Expr, dtype: DType) -> Expr | None:
    match value:
        case _ if dtype_of(value) == dtype and _is_rounded(value):
            return value
        case Const():
            return fold_cast(value, dtype)
        case Cast(inner, middle) if _holds(middle, inner):
            return Cast(inner, dtype) if dtype_of(inner) != dtype else _cast(inner, dtype)
        case Index(affine, _, lanes, stride) if dtype.is_integer and dtype.bits >= 32:
            return Index(affine, dtype, lanes, stride)
        case _:
            return None


def _is_rounded(e: Expr) -> bool:
    """Whether a value is one of its type: what is computed on 16-bit floats is a float32 yet."""
    dtype = dtype_of(e)
    return compute_dtype(dtype) == dtype or isinstance(e, (Const, Load, Read, Cast))


def _holds(wide: DType, e: Expr) -> bool:
    """Whether a type has every value of an expression."""
    dtype = dtype_of(e)
    if dtype.is_float:
        exact = wide.is_float and (wide == dtype or wide.bits > dtype.bits)
        return exact and _is_rounded(e)
    if wide.is_float:
        mantissa = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}[wide.name]
        return dtype.bits <= mantissa
    low, high = dtype_range(wide) or (0, 0)
    least, most = dtype_range(dtype) or (0, 0)
    return wide.is_integer and low <= least and most <= high


def _select(e: Select, env: Env) -> Expr | None:
    conditions = undecided(e.conditions, env)
    if conditions is None:
        return e.b
    if not conditions or e.a == e.b:
        return e.a
    return None if conditions == e.conditions else Select(conditions, e.a, e.b)
