"""Operations as JSON values, both ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tensorc.ir.expr import Const, Expr
from tensorc.te.expr_json import (
    Json,
    damaged,
    expr_from_json,
    expr_to_json,
    read_dtype,
    read_int,
    read_list,
    read_name,
)
from tensorc.te.op import AttrValue, Op, Reducer

VERSION = 1
T = TypeVar("T")


def ops_to_json(ops: Sequence[Op]) -> Json:
    """A list of objects, one for each operation; what is empty is left out."""
    return [_op_to_json(op) for op in ops]


def _op_to_json(op: Op) -> Json:
    value: dict[str, Json] = {
        "name": op.name,
        "shape": list(op.shape),
        "dtypes": [d.name for d in op.dtypes],
    }
    if op.is_placeholder:
        return value
    value |= {"axes": list(op.axes), "body": [expr_to_json(e) for e in op.body]}
    if op.reduce_axes:
        value["reduce_axes"] = [list(a) for a in op.reduce_axes]
    if op.reducer is not None:
        value["reducer"] = _reducer_to_json(op.reducer)
    if op.attrs:
        value["attrs"] = [[k, list(v) if isinstance(v, tuple) else v] for k, v in op.attrs]
    if op.tag:
        value["tag"] = op.tag
    return value


def _reducer_to_json(reducer: Reducer) -> Json:
    return {
        "name": reducer.name,
        "lhs": list(reducer.lhs),
        "rhs": list(reducer.rhs),
        "combine": [expr_to_json(e) for e in reducer.combine],
        "identity": [expr_to_json(e) for e in reducer.identity],
    }


def ops_from_json(value: Json) -> tuple[Op, ...]:
    """The operations; that they fit together is for `check_program` to see.

    Raises:
        RecordError: if the value has another form.
    """
    return _tuple(value, _op_from_json)


def _op_from_json(value: Json) -> Op:
    fields = _object(value, ("name", "shape", "dtypes"))
    reducer = fields.get("reducer")
    return Op(
        read_name(fields["name"]),
        _tuple(fields["shape"], _extent),
        _tuple(fields["dtypes"], read_dtype),
        _tuple(fields.get("axes", []), read_name),
        _tuple(fields.get("reduce_axes", []), _reduce_axis),
        _tuple(fields.get("body", []), expr_from_json),
        None if reducer is None else _reducer_from_json(reducer),
        _tuple(fields.get("attrs", []), _attr),
        _text(fields.get("tag", "")),
    )


def _reducer_from_json(value: Json) -> Reducer:
    fields = _object(value, ("name", "lhs", "rhs", "combine", "identity"))
    return Reducer(
        _text(fields["name"]),
        _tuple(fields["lhs"], read_name),
        _tuple(fields["rhs"], read_name),
        _tuple(fields["combine"], expr_from_json),
        _tuple(fields["identity"], _literal),
    )


def params_from_json(value: Json) -> tuple[tuple[str, int], ...]:
    """The parameters of a program."""
    return _tuple(value, _param)


def _param(value: Json) -> tuple[str, int]:
    match value:
        case [name, output]:
            return read_name(name), read_int(output)
        case _:
            raise damaged("a parameter", value)


def _tuple(value: Json, read: Callable[[Json], T]) -> tuple[T, ...]:
    return tuple(map(read, read_list(value)))


def _object(value: Json, required: Sequence[str]) -> dict[str, Json]:
    if isinstance(value, dict) and all(key in value for key in required):
        return value
    raise damaged(f"an object with {', '.join(required)}", value)


def _extent(value: Json) -> int:
    extent = read_int(value)
    if extent < 0:
        raise damaged("a non-negative extent", value)
    return extent


def _reduce_axis(value: Json) -> tuple[str, int]:
    match value:
        case [name, extent]:
            return read_name(name), _extent(extent)
        case _:
            raise damaged("a reduction axis", value)


def _attr(value: Json) -> tuple[str, AttrValue]:
    match value:
        case [str(key), list(items)]:
            return key, _tuple(items, _text)
        case [str(key), (int() | float() | str()) as plain]:
            return key, plain
        case _:
            raise damaged("an attribute", value)


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    raise damaged("text", value)


def _literal(value: Json) -> Const:
    e: Expr = expr_from_json(value)
    if isinstance(e, Const):
        return e
    raise damaged("a literal", value)
