"""From tensors to the canonical operations of a program: order, names, bodies, attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from tensorc.arith.simplify import simplify_expr
from tensorc.ir.affine import Affine, variable
from tensorc.ir.dtype import DType
from tensorc.ir.expr import Const, Expr, Var, dtype_of
from tensorc.support.errors import TEError
from tensorc.support.names import fresh, identifier
from tensorc.te import expr as te
from tensorc.te.canonical import Canonicalizer
from tensorc.te.conditions import Holds
from tensorc.te.op import AttrValue, Op, Reducer
from tensorc.te.order import placeholders_read, sorted_operations
from tensorc.te.reduce import CommReducer
from tensorc.te.scope import Scope
from tensorc.te.tensor import ComputeOp, Operation, PlaceholderOp, Tensor

Params: TypeAlias = tuple[tuple[str, int], ...]


def canonical_program(tensors: Sequence[Tensor]) -> tuple[tuple[Op, ...], Params]:
    """The operations behind the tensors, producers first, and the tensors as parameters.

    Raises:
        TEError: if the list is not that of a program, or a formula in it is malformed.
    """
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TEError(f"Expected tensors as parameters of a program, got '{tensor!r}'.")
    _check_parameters(tensors)
    order = sorted_operations(tensors)
    names = _operation_names(order)
    ops = tuple(
        Op(names[op], op.shape, op.dtypes)
        if isinstance(op, PlaceholderOp)
        else canonical_op(op, names)
        for op in order
    )
    return ops, tuple((names[t.op], t.value_index) for t in tensors)


def _check_parameters(tensors: Sequence[Tensor]) -> None:
    counts = Counter((id(t.op), t.value_index) for t in tensors)
    for tensor in tensors:
        if counts[id(tensor.op), tensor.value_index] > 1:
            raise TEError(f"The tensor '{tensor.name}' is a parameter twice.")
    if not any(isinstance(t.op, ComputeOp) for t in tensors):
        raise TEError("Expected at least one computed tensor among the parameters of a program.")
    given = {t.op for t in tensors}
    for op in placeholders_read(tensors):
        if op not in given:
            raise TEError(
                f"The placeholder '{op.name}' is read but is no parameter of the program."
            )


def _operation_names(order: Sequence[Operation]) -> dict[Operation, str]:
    """A name for each operation: an identifier like the user's, or a free one from the hint."""
    counts = Counter(op.name for op in order if op.named)
    for name, count in counts.items():
        if count > 1:
            raise TEError(f"Expected unique names of tensors, got '{name}' twice.")
    names: dict[Operation, str] = {}
    taken: set[str] = set()
    for op in sorted(order, key=lambda op: not op.named):
        names[op] = fresh(identifier(op.name), taken)
        taken.add(names[op])
    return names


def canonical_op(op: ComputeOp, names: Mapping[Operation, str]) -> Op:
    """One operation in canonical form.

    Args:
        op: The operation.
        names: The names of all operations.

    Raises:
        TEError: the formula is malformed, or nested too deeply.
    """
    reduction = op.body[0] if isinstance(op.body[0], te.Reduction) else None
    axes = (*op.axis, *op.reduce_axis)
    axis_names = _axis_names(axes, op.name)
    values: dict[te.IterVar, Affine] = {a: variable(axis_names[a]) + a.dom.min for a in axes}
    env = {axis_names[a]: (0, max(a.dom.extent - 1, 0)) for a in axes}
    canonical = Canonicalizer(op.name, values, names, {}, all(a.dom.extent > 0 for a in axes))
    scope = Scope(env)
    reducer = None
    try:
        if reduction is None:
            body = tuple(canonical.value(e, scope) for e in op.body)
        else:
            reducer = canonical_reducer(reduction.reducer, op.dtypes, axis_names.values(), op.name)
            body = _reduced_values(reduction, reducer, canonical, scope)
        body = tuple(map(simplify_expr, body))
    except RecursionError:
        raise TEError(f"The formula of tensor '{op.name}' is nested too deeply.") from None
    return Op(
        names[op],
        op.shape,
        op.dtypes,
        tuple(axis_names[a] for a in op.axis),
        tuple((axis_names[a], a.dom.extent) for a in op.reduce_axis),
        body,
        reducer,
        tuple((key, _attribute(value, names)) for key, value in op.attrs),
        op.tag,
    )


def _axis_names(axes: Sequence[te.IterVar], label: str) -> dict[te.IterVar, str]:
    if len(set(axes)) < len(axes):
        twice = next(a for a, n in Counter(axes).items() if n > 1)
        raise TEError(f"The reduction axis '{twice.name}' is used twice in tensor '{label}'.")
    names: dict[te.IterVar, str] = {}
    taken: set[str] = set()
    for a in (*(a for a in axes if a.named), *(a for a in axes if not a.named)):
        name = identifier(a.name)
        if a.named and name in taken:
            raise TEError(f"Expected unique names of axes in tensor '{label}', got '{name}' twice.")
        names[a] = fresh(name, taken)
        taken.add(names[a])
    return names


def _reduced_values(
    reduction: te.Reduction, reducer: Reducer, canonical: Canonicalizer, scope: Scope
) -> tuple[Expr, ...]:
    """What is combined; where the condition of the reduction fails, the neutral element."""
    condition = canonical.condition(reduction.condition, scope)
    if condition == Holds(()):
        return tuple(canonical.value(e, scope) for e in reduction.sources)

    def value(source: te.Expr, neutral: Const) -> Expr:
        return canonical.choose(
            condition, lambda s: canonical.value(source, s), lambda _: neutral, scope
        )

    return tuple(map(value, reduction.sources, reducer.identity))


def canonical_reducer(
    reducer: CommReducer, dtypes: Sequence[DType], taken: Iterable[str], label: str
) -> Reducer:
    """A reducer for values of these types.

    Raises:
        TEError: if it does not give as many values as it takes, of the same types.
    """
    reserved = set(taken)
    sides: list[list[te.Variable]] = []
    for side in ("lhs", "rhs"):
        labels = [side] if len(dtypes) == 1 else [f"{side}{o}" for o in range(len(dtypes))]
        sides.append(
            [te.Variable(fresh(n, reserved), t) for n, t in zip(labels, dtypes, strict=True)]
        )
    lhs, rhs = sides
    identity = [t.name for t in dtypes]
    if len(dtypes) == 1:
        combined, neutral = reducer.combine(lhs[0], rhs[0]), reducer.identity(*identity)
    else:
        combined, neutral = reducer.combine(tuple(lhs), tuple(rhs)), reducer.identity(*identity)
    operands = {v: Var(v.name, v.dtype) for v in (*lhs, *rhs)}
    canonical = Canonicalizer(label, {}, {}, operands)
    scope = Scope({})
    results = tuple(canonical.value(te.as_expr(e), scope) for e in _as_tuple(combined))
    neutrals = tuple(
        _neutral(e, t, reducer) for e, t in zip(_as_tuple(neutral), dtypes, strict=False)
    )
    if tuple(map(dtype_of, results)) != tuple(dtypes) or len(neutrals) != len(dtypes):
        raise TEError(
            f"Expected the reducer '{reducer.name}' to combine values of types "
            f"({', '.join(map(str, dtypes))}) of tensor '{label}' to the same types, "
            f"got ({', '.join(str(dtype_of(e)) for e in results)}): convert the values first."
        )
    return Reducer(
        reducer.name,
        tuple(v.name for v in lhs),
        tuple(v.name for v in rhs),
        results,
        neutrals,
    )


def _as_tuple(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _neutral(value: object, dtype: DType, reducer: CommReducer) -> Const:
    e = te.convert(te.as_expr(value), dtype)
    if isinstance(e, te.Constant):
        return Const(e.value, dtype)
    raise TEError(f"Expected a constant as neutral element of the reducer '{reducer.name}'.")


def _attribute(value: object, names: Mapping[Operation, str]) -> AttrValue:
    """An attribute in plain types; tensors and axes by their names."""
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return tuple(_attribute_name(v, names) for v in value)
    return _attribute_name(value, names)


def _attribute_name(value: object, names: Mapping[Operation, str]) -> str:
    if isinstance(value, Tensor):
        return names.get(value.op, value.name)
    if isinstance(value, te.IterVar):
        return value.name
    return value if isinstance(value, str) else repr(value)
