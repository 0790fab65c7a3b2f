"""Stages that slide a window over two axes, whatever their names and the order of dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tensorc.arith.affine import substitute_expr
from tensorc.ir.affine import Affine, affine_variables
from tensorc.ir.dtype import FLOAT32
from tensorc.ir.expr import BinaryOp, Const, Expr, Read, Select, Var
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op


@dataclass(frozen=True, slots=True)
class Source:
    """What a window slides over: an input with zeros where a condition fails.

    Attributes:
        op: The input.
        output: Which of its outputs.
        indices: Where it is read: affines of the roles `batch0`, …, `h`, `w`, `c`.
        conditions: Affines of the roles that are not negative where it is read.
    """

    op: str
    output: int
    indices: tuple[Affine, ...]
    conditions: tuple[Affine, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowSum:
    """`O[batch, h, w, co] = Σ over r, s, c of S(batch, h + r, w + s, c) · W[r, s, c, co]`.

    Dimensions are in any order; tuples of roles say which one is which.

    Attributes:
        stage: The operation.
        axes: The role of each of its axes: `batch0`, …, `h`, `w`, `co`.
        sizes: The extent of every role, `r`, `s` and `c` included.
        source: What the window slides over.
        weight: The operation that holds the weights.
        weight_output: Which of its outputs.
        weight_roles: The role of each dimension of the weights: `r`, `s`, `c`, `co`.
    """

    stage: str
    axes: tuple[str, ...]
    sizes: dict[str, int]
    source: Source
    weight: str
    weight_output: int
    weight_roles: tuple[str, ...]

    @property
    def batch(self) -> tuple[str, ...]:
        """The roles of the axes that are neither in a window nor of the weights."""
        return tuple(role for role in self.axes if role.startswith("batch"))


def window_sum(dag: ComputeDAG, stage: str) -> WindowSum | None:
    """Return what an operation is if it has this form, in float32; None for any other."""
    op = dag.by_name[stage]
    if op.dtypes != (FLOAT32,) or len(op.reduce_axes) != 3 or not _is_sum(op):
        return None
    product = op.body[0]
    if not isinstance(product, BinaryOp) or product.op != "*":
        return None
    if not all(isinstance(n, int) for n in op.extents().values()):
        return None
    for data, weight in ((product.a, product.b), (product.b, product.a)):
        found = _matched(dag, op, data, weight)
        if found is not None:
            return found
    return None


def _is_sum(op: Op) -> bool:
    reducer = op.reducer
    if reducer is None or len(reducer.combine) != 1:
        return False
    whole, zero = reducer.combine[0], reducer.identity[0]
    if not isinstance(whole, BinaryOp) or whole.op != "+" or zero.value != 0:
        return False
    names = {e.name for e in (whole.a, whole.b) if isinstance(e, Var)}
    return names == {*reducer.lhs, *reducer.rhs}


def _matched(dag: ComputeDAG, op: Op, data: Expr, weight: Expr) -> WindowSum | None:
    if not isinstance(weight, Read) or weight.dtype != FLOAT32:
        return None
    reduced = [axis for axis, _ in op.reduce_axes]
    weight_axes = [axis for index in weight.indices if (axis := _single(index)) is not None]
    if len(weight.indices) != 4 or len(set(weight_axes)) != 4:
        return None
    outputs = [axis for axis in weight_axes if axis not in reduced]
    place = _place(data)
    if len(outputs) != 1 or place is None:
        return None
    pairs = _slides(place, op.axes, reduced)
    if pairs is None or outputs[0] in pairs:
        return None
    (h, r), (w, s) = pairs.items()
    (c,) = (axis for axis in reduced if axis not in (r, s))
    others = [axis for axis in op.axes if axis not in (h, w, outputs[0])]
    roles = {h: "h", r: "r", w: "w", s: "s", c: "c", outputs[0]: "co"}
    roles |= {axis: f"batch{n}" for n, axis in enumerate(others)}
    source = _source(data, roles, {r: h, s: w})
    if source is None or not _walks_all(source, roles.values()):
        return None
    return WindowSum(
        op.name,
        tuple(roles[axis] for axis in op.axes),
        {roles[axis]: int(n) for axis, n in op.extents().items()},
        _behind_padding(dag, op.name, source),
        weight.op,
        weight.output,
        tuple(roles[axis] for axis in weight_axes),
    )


def _place(data: Expr) -> Read | None:
    """The only element that an expression of a window reads; zero elsewhere."""
    match data:
        case Read():
            return data if data.dtype == FLOAT32 else None
        case Select(_, inner, Const(0)):
            return _place(inner)
        case _:
            return None


def _slides(read: Read, axes: Sequence[str], reduced: Sequence[str]) -> dict[str, str] | None:
    """The two axes that a window slides along, each with the axis of its taps."""
    pairs: dict[str, str] = {}
    for index in read.indices:
        match index.terms:
            case ((str(a), 1), (str(b), 1)):
                still, moving = (a, b) if b in reduced else (b, a)
                if still not in axes or moving not in reduced or still in pairs:
                    return None
                pairs[still] = moving
            case ((str(a), 1),) if a not in pairs:
                pass
            case _:
                return None
    return pairs if len(set(pairs.values())) == len(pairs) == 2 else None


def _source(data: Expr, roles: dict[str, str], taps: dict[str, str]) -> Source | None:
    """What is read, in terms of positions `h + r` and `w + s`, called `h` and `w`."""
    match data:
        case Read(op, indices, _, output):
            found = [_positions(index, roles, taps) for index in indices]
            places = [index for index in found if index is not None]
            return Source(op, output, tuple(places)) if len(places) == len(found) else None
        case Select(conditions, inner, _):
            source = _source(inner, roles, taps)
            found = [_positions(c, roles, taps) for c in conditions]
            inside = tuple(c for c in found if c is not None)
            if source is None or len(inside) < len(found):
                return None
            return Source(source.op, source.output, source.indices, inside + source.conditions)
        case _:
            return None


def _positions(affine: Affine, roles: dict[str, str], taps: dict[str, str]) -> Affine | None:
    """An affine that knows `h` and `r`, `w` and `s` by their sums only."""
    steps = {atom: c for atom, c in affine.terms if isinstance(atom, str)}
    if len(steps) < len(affine.terms):
        return None
    for tap, still in taps.items():
        if steps.pop(tap, 0) != steps.get(still, 0):
            return None
    return Affine(affine.const, tuple((roles[axis], c) for axis, c in steps.items()))


def _walks_all(source: Source, roles: Iterable[str]) -> bool:
    """Whether each role but those of the weights walks a dimension, and nothing else does."""
    wanted = set(roles) - {"r", "s", "co"}
    walked = [v for index in source.indices for v in affine_variables(index)]
    tested = {v for condition in source.conditions for v in affine_variables(condition)}
    return sorted(walked) == sorted(wanted) and tested <= wanted


def _behind_padding(dag: ComputeDAG, reader: str, source: Source) -> Source:
    """The source of a padding stage in the place of the stage, which nobody else reads."""
    op = dag.by_name[source.op]
    if op.is_placeholder or op.reducer is not None or dag.is_output(op.name):
        return source
    if len(op.body) > 1 or dag.read_by[op.name] != (reader,):
        return source
    mapping = dict(zip(op.axes, source.indices, strict=True))
    inner = substitute_expr(op.body[0], mapping)
    names = {v: v for index in source.indices for v, _ in index.terms if isinstance(v, str)}
    found = _source(inner, names, {}) if _place(inner) is not None else None
    if found is None or not _walks_all(found, names):
        return source
    return Source(found.op, found.output, found.indices, source.conditions + found.conditions)


def _single(index: Affine) -> str | None:
    match index:
        case Affine(0, ((str(axis), 1),)):
            return axis
        case _:
            return None
