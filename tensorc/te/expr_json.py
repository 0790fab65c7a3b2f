"""Expressions and affines as JSON values, both ways.

A node is a list: its tag, then its fields. Numbers keep their type by the dtype beside them; floats
that JSON lacks are the strings 'inf', '-inf' and 'nan'. Reading checks everything, so that damaged
text is refused with a `RecordError` and never becomes a malformed expression.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias, assert_never, get_args

from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.dtype import BOOL, DType, as_dtype
from tensorc.ir.expr import (
    BinaryFunction,
    BinaryOp,
    BinaryOperator,
    Broadcast,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Load,
    Read,
    Select,
    UnaryFunction,
    Var,
    Where,
)
from tensorc.support.errors import RecordError, TEError

Json: TypeAlias = Any
_OPERATORS = frozenset(get_args(BinaryOperator))
_UNARY = frozenset(get_args(UnaryFunction))
_BINARY = frozenset(get_args(BinaryFunction))


def affine_to_json(a: Affine) -> Json:
    """`[const, [atom, coefficient], …]`."""
    return [a.const, *([_atom_to_json(atom), c] for atom, c in a.terms)]


def _atom_to_json(atom: Atom) -> Json:
    match atom:
        case str():
            return atom
        case FloorDiv(inner, divisor):
            return ["//", affine_to_json(inner), divisor]
        case FloorMod(inner, divisor):
            return ["%", affine_to_json(inner), divisor]
        case Opaque(value, low, high):
            return ["opaque", expr_to_json(value), low, high]
        case _:
            assert_never(atom)


def expr_to_json(e: Expr) -> Json:
    """`[tag, field, …]`; expressions of te bodies only, that is without loads and vectors."""
    match e:
        case Const():
            return ["const", _number_to_json(e), e.dtype.name]
        case Var(name, dtype):
            return ["var", name, dtype.name]
        case Index(affine, dtype):
            return ["index", affine_to_json(affine), dtype.name]
        case Cast(value, dtype):
            return ["cast", expr_to_json(value), dtype.name]
        case BinaryOp(op, a, b):
            return ["binary", op, expr_to_json(a), expr_to_json(b)]
        case Call(function, args):
            return ["call", function, *map(expr_to_json, args)]
        case Select(conditions, a, b):
            return [
                "select", [affine_to_json(c) for c in conditions], expr_to_json(a), expr_to_json(b),
            ]  # fmt: skip
        case Where(condition, a, b):
            return ["where", expr_to_json(condition), expr_to_json(a), expr_to_json(b)]
        case Read(op, indices, dtype, output):
            return ["read", op, [affine_to_json(i) for i in indices], dtype.name, output]
        case Load() | Broadcast():
            raise AssertionError(f"not an expression of a te body: {e!r}")
        case _:
            assert_never(e)


def _number_to_json(e: Const) -> Json:
    if e.dtype.is_float:
        return float(e.value) if math.isfinite(e.value) else str(float(e.value))
    return bool(e.value) if e.dtype == BOOL else int(e.value)


def damaged(what: str, value: Json) -> RecordError:
    """The error for a value that is not what should stand there."""
    text = repr(value)
    shown = text if len(text) <= 80 else text[:77] + "..."
    return RecordError(f"Damaged program: expected {what}, got {shown}.")


def read_int(value: Json) -> int:
    """An int."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise damaged("an integer", value)


def read_name(value: Json) -> str:
    """A name."""
    if isinstance(value, str) and value:
        return value
    raise damaged("a name", value)


def read_list(value: Json) -> list[Json]:
    """A list."""
    if isinstance(value, list):
        return value
    raise damaged("a list", value)


def read_dtype(value: Json) -> DType:
    """A dtype."""
    try:
        return as_dtype(read_name(value))
    except TEError:
        raise damaged("a dtype", value) from None


def affine_from_json(value: Json) -> Affine:
    """The affine.

    Raises:
        RecordError: if the value is not one.
    """
    const, *terms = read_list(value) or [None]
    pairs = tuple(_term_from_json(term) for term in terms)
    if len({atom for atom, _ in pairs}) < len(pairs):
        raise damaged("distinct atoms", value)
    return Affine(read_int(const), pairs)


def _term_from_json(value: Json) -> tuple[Atom, int]:
    match value:
        case [atom, int(c)] if c != 0 and not isinstance(c, bool):
            return _atom_from_json(atom), c
        case _:
            raise damaged("a term", value)


def _atom_from_json(value: Json) -> Atom:
    match value:
        case str(name) if name:
            return name
        case ["//" | "%" as op, inner, int(divisor)] if divisor > 0:
            affine = affine_from_json(inner)
            return FloorDiv(affine, divisor) if op == "//" else FloorMod(affine, divisor)
        case ["opaque", inner, int(low), int(high)]:
            return Opaque(expr_from_json(inner), low, high)
        case _:
            raise damaged("an atom of an index", value)


def expr_from_json(value: Json) -> Expr:
    """The expression.

    Raises:
        RecordError: if the value is not one.
    """
    match value:
        case ["const", number, dtype]:
            return _const_from_json(number, read_dtype(dtype))
        case ["var", name, dtype]:
            return Var(read_name(name), read_dtype(dtype))
        case ["index", affine, dtype]:
            return Index(affine_from_json(affine), read_dtype(dtype))
        case ["cast", inner, dtype]:
            return Cast(expr_from_json(inner), read_dtype(dtype))
        case ["binary", str(op), a, b] if op in _OPERATORS:
            return BinaryOp(op, expr_from_json(a), expr_from_json(b))  # type: ignore[arg-type]  # in the set
        case ["call", str(f), *args] if (f in _UNARY and len(args) == 1) or (
            f in _BINARY and len(args) == 2
        ):
            return Call(f, tuple(map(expr_from_json, args)))  # type: ignore[arg-type]  # in the sets
        case ["select", conditions, a, b]:
            tests = tuple(map(affine_from_json, read_list(conditions)))
            return Select(tests, expr_from_json(a), expr_from_json(b))
        case ["where", condition, a, b]:
            return Where(expr_from_json(condition), expr_from_json(a), expr_from_json(b))
        case ["read", op, indices, dtype, output]:
            found = tuple(map(affine_from_json, read_list(indices)))
            return Read(read_name(op), found, read_dtype(dtype), read_int(output))
        case _:
            raise damaged("an expression", value)


def _const_from_json(value: Json, dtype: DType) -> Const:
    if dtype == BOOL and isinstance(value, bool):
        return Const(value, dtype)
    if dtype.is_float:
        if isinstance(value, str) and value in ("inf", "-inf", "nan"):
            return Const(float(value), dtype)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Const(float(value), dtype)
    elif dtype.is_integer:
        return Const(read_int(value), dtype)
    raise damaged(f"a number of type '{dtype}'", value)
