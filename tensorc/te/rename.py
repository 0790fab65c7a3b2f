"""Programs under other names, and the hash that does not depend on names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tensorc.arith.affine import substitute_expr
from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque, variable
from tensorc.ir.expr import Expr, Read, Var
from tensorc.ir.visit import map_affines, rewrite_expr
from tensorc.te.dag_json import ops_to_json
from tensorc.te.expr_json import affine_to_json
from tensorc.te.op import AttrValue, Op, Reducer


def numbered(ops: Sequence[Op]) -> tuple[Op, ...]:
    """The operations with names that follow from their order: ops `o0`, `o1`, … of axes `a0`, …."""
    names = {op.name: f"o{n}" for n, op in enumerate(ops)}
    return tuple(renamed(op, names, numbered_axes(op)) for op in ops)


def numbered_axes(op: Op) -> dict[str, str]:
    """New names `a0`, `a1`, … for the axes of an operation, spatial ones first."""
    axes = (*op.axes, *(a for a, _ in op.reduce_axes))
    return {axis: f"a{d}" for d, axis in enumerate(axes)}


def renamed(op: Op, ops: Mapping[str, str], axes: Mapping[str, str]) -> Op:
    """The operation with operations, itself included, and axes called by other names.

    The operands of a reducer are called `x0`, `x1`, … and `y0`, `y1`, ….
    """
    mapping = {old: variable(new) for old, new in axes.items()}

    def rename_read(e: Expr) -> Expr | None:
        return replace(e, op=ops.get(e.op, e.op)) if isinstance(e, Read) else None

    def rename_attr(value: AttrValue) -> AttrValue:
        if isinstance(value, tuple):
            return tuple(axes.get(v, ops.get(v, v)) for v in value)
        return value

    return replace(
        op,
        name=ops.get(op.name, op.name),
        axes=tuple(axes[a] for a in op.axes),
        reduce_axes=tuple((axes[a], n) for a, n in op.reduce_axes),
        body=tuple(rewrite_expr(substitute_expr(e, mapping), rename_read) for e in op.body),
        reducer=None if op.reducer is None else _renamed_reducer(op.reducer),
        attrs=tuple((key, rename_attr(value)) for key, value in op.attrs),
    )


def _renamed_reducer(reducer: Reducer) -> Reducer:
    lhs = tuple(f"x{o}" for o in range(len(reducer.lhs)))
    rhs = tuple(f"y{o}" for o in range(len(reducer.rhs)))
    names = dict(zip(reducer.lhs + reducer.rhs, lhs + rhs, strict=True))

    def rename(e: Expr) -> Expr | None:
        return replace(e, name=names.get(e.name, e.name)) if isinstance(e, Var) else None

    combine = tuple(rewrite_expr(e, rename) for e in reducer.combine)
    return replace(reducer, name="", lhs=lhs, rhs=rhs, combine=combine)


def structural_hash(ops: Sequence[Op], params: Sequence[tuple[str, int]]) -> str:
    """A hash of what is computed: everything but names, tags and the order of terms in indices."""
    plain = [
        replace(
            op,
            tag="",
            attrs=tuple(sorted(op.attrs, key=lambda a: a[0])),
            body=tuple(map_affines(e, sorted_terms) for e in op.body),
        )
        for op in numbered(ops)
    ]
    positions = {op.name: n for n, op in enumerate(ops)}
    content = {
        "ops": ops_to_json(plain),
        "params": [[positions[name], output] for name, output in params],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sorted_terms(a: Affine) -> Affine:
    """The affine with its terms, those inside atoms too, in an order of their own."""
    terms = [(_sorted_atom(atom), c) for atom, c in a.terms]
    terms.sort(key=lambda term: json.dumps(affine_to_json(Affine(0, (term,)))))
    return Affine(a.const, tuple(terms))


def _sorted_atom(atom: Atom) -> Atom:
    match atom:
        case FloorDiv(inner, divisor):
            return FloorDiv(sorted_terms(inner), divisor)
        case FloorMod(inner, divisor):
            return FloorMod(sorted_terms(inner), divisor)
        case Opaque(value, low, high):
            return Opaque(map_affines(value, sorted_terms), low, high)
        case _:
            return atom
