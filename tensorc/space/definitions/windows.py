"""Sums of products whose data is read through windows, whatever their names and dimensions.

An axis `o` of the result and an axis `r` of the sum, the taps, form a window where the data has a
dimension that both walk: position `(step * o + gap * r + shift) / spread`, and zero where that is
not whole. Strided windows have a step, dilated ones a gap, transposed convolutions a spread.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import gcd

from tensorc.arith.affine import substitute_expr
from tensorc.ir.affine import (
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    affine_variables,
    variable,
)
from tensorc.ir.dtype import FLOAT32
from tensorc.ir.expr import BinaryOp, Const, Expr, Read, Select, Var
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op


@dataclass(frozen=True, slots=True)
class Window:
    """An axis of the result, with the axis of its taps: how positions of the data follow.

    Attributes:
        axis: The role of the axis of the result, and of the position in the data.
        tap: The role of the axis of the sum.
        extent: How many elements of the result there are along it.
        taps: How many taps.
        step: Positions from an element to the next one.
        gap: Positions from a tap to the next one; it has no factor in common with `step`.
        spread: By how much the data is stretched; if not 1, step and gap are 1.
        shift: Above `-spread`, at most 0.
    """

    axis: str
    tap: str
    extent: int
    taps: int
    step: int = 1
    gap: int = 1
    spread: int = 1
    shift: int = 0

    @property
    def positions(self) -> int:
        """How many positions of the data there are."""
        last = self.step * (self.extent - 1) + self.gap * (self.taps - 1) + self.shift
        return last // self.spread + 1


@dataclass(frozen=True, slots=True)
class Source:
    """What windows slide over: an input with zeros where a condition fails.

    Attributes:
        op: The input.
        indices: Where it is read: affines of positions (by the roles of their axes) and of roles.
        conditions: Affines of the same that are not negative where it is read.
    """

    op: str
    indices: tuple[Affine, ...]
    conditions: tuple[Affine, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What of an axis of the result has a role: `(axis // over) % extent`."""

    axis: str
    over: int
    extent: int


@dataclass(frozen=True, slots=True)
class WindowSum:
    """`O[rows, groups, outputs] = Σ over taps, channels of S · W[groups, taps, channels, outputs]`.

    S, the source, is read at the positions of windows, which are rows like batches, at groups and
    at channels. Axes of the result are whole roles or several in one; those of one element have
    none.

    Attributes:
        stage: The operation.
        axes: Its axes and their extents.
        parts: Which part of which axis each role of the result is.
        sizes: The extent of every role, those of the sum included.
        windows: In the order of the dimensions of the source.
        rows: The roles of windows (`h0`, …) and batches (`n0`, …), in that order too.
        groups: The roles that source and weights share: `g0`, …
        channels: The roles of the sum, taps left out: `c0`, … in the order of the source.
        outputs: The roles that only the weights have: `o0`, …
        source: What windows slide over.
        weight: The operation that holds the weights.
        weight_indices: Where it is read, in terms of roles.
    """

    stage: str
    axes: dict[str, int]
    parts: dict[str, Part]
    sizes: dict[str, int]
    windows: tuple[Window, ...]
    rows: tuple[str, ...]
    groups: tuple[str, ...]
    channels: tuple[str, ...]
    outputs: tuple[str, ...]
    source: Source
    weight: str
    weight_indices: tuple[Affine, ...]


def window_sum(dag: ComputeDAG, stage: str) -> WindowSum | None:
    """Return what an operation is if it has this form, in float32; None for any other.

    Where elements share no position there is no window: its axes are a row and a channel. Data and
    weights are inputs or the first results of operations.
    """
    op = dag.by_name[stage]
    if op.dtypes != (FLOAT32,) or not op.reduce_axes or not _is_sum(op):
        return None
    if not all(isinstance(n, int) for n in op.extents().values()):
        return None
    form = _split_up(op)
    product = form.body
    if not isinstance(product, BinaryOp) or product.op != "*":
        return None
    for data, weight in ((product.a, product.b), (product.b, product.a)):
        found = _matched(dag, form, data, weight)
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


@dataclass(frozen=True, slots=True)
class _Form:
    """A stage in terms of parts of axes, each by a name that is not a role yet."""

    op: Op
    parts: dict[str, Part]
    reduced: dict[str, int]
    body: Expr

    def size(self, name: str) -> int:
        return self.parts[name].extent if name in self.parts else self.reduced[name]


def _split_up(op: Op) -> _Form:
    """Axes that are only read as quotient and remainder become two; those of one element, none.

    Taps that are counted downwards are counted upwards.
    """
    divisors = _divisors(op)
    backwards = _backwards(op)
    parts: dict[str, Part] = {}
    mapping: dict[str, Affine] = {}
    extents = {axis: int(n) for axis, n in op.extents().items()}
    for axis in op.axes:
        over = divisors.get(axis, 1)
        if over > 1:
            parts |= {f"{axis}//": Part(axis, over, extents[axis] // over)}
            parts |= {f"{axis}%": Part(axis, 1, over)}
            mapping[axis] = Affine(0, ((f"{axis}//", over), (f"{axis}%", 1)))
        else:
            parts[axis] = Part(axis, 1, extents[axis])
    reduced = {axis: extents[axis] for axis, _ in op.reduce_axes}
    mapping |= {axis: Affine(reduced[axis] - 1, ((axis, -1),)) for axis in backwards}
    env = {name: (0, part.extent - 1) for name, part in parts.items()}
    env |= {axis: (0, n - 1) for axis, n in reduced.items()}
    body = substitute_expr(op.body[0], mapping, env)
    return _Form(
        op,
        {name: part for name, part in parts.items() if part.extent > 1},
        {axis: n for axis, n in reduced.items() if n > 1},
        body,
    )


def _divisors(op: Op) -> dict[str, int]:
    """By what axes are divided; only those that nothing but one number divides, without rest."""
    found: dict[str, set[int]] = {}
    for index in (index for read in _reads(op.body[0]) for index in read.indices):
        for atom, _ in index.terms:
            match atom:
                case FloorDiv(inner, divisor) | FloorMod(inner, divisor):
                    axis = _single(inner)
                    if axis in op.axes and isinstance(divisor, int):
                        found.setdefault(str(axis), set()).add(divisor)
    extents = op.extents()
    return {
        axis: n for axis, (n, *more) in found.items() if not more and int(extents[axis]) % n == 0
    }


def _backwards(op: Op) -> set[str]:
    """The axes of the sum that an axis of the result less them is read at."""
    reduced = {axis for axis, _ in op.reduce_axes}
    return {
        str(atom)
        for read in _reads(op.body[0])
        for index in read.indices
        if any(a in op.axes and c > 0 for a, c in index.terms)
        for atom, c in index.terms
        if atom in reduced and c < 0
    }


def _reads(e: Expr) -> tuple[Read, ...]:
    """What a product reads, conditions left alone."""
    match e:
        case Read():
            return (e,)
        case BinaryOp(_, a, b) | Select(_, a, b):
            return (*_reads(a), *_reads(b))
        case _:
            return ()


def _matched(dag: ComputeDAG, form: _Form, data: Expr, weight: Expr) -> WindowSum | None:
    place = _place(data)
    if place is None or not isinstance(weight, Read) or not _is_walked(weight):
        return None
    windows = [window for index in place.indices if (window := _window(form, index)) is not None]
    roles = _roles(form, place, weight, windows)
    if roles is None:
        return None
    sizes = {role: form.size(name) for name, role in roles.items()}
    names = {name: variable(role) for name, role in roles.items()}
    data, weight = substitute_expr(data, names), substitute_expr(weight, names)
    windows = [replace(w, axis=roles[w.axis], tap=roles[w.tap]) for w in windows]
    source = _source(data, windows)
    read = {role for role in sizes if role[0] in "nhgc"}
    if source is None or not _depends_on(source, read) or not isinstance(weight, Read):
        return None
    groups, channels, outputs = (tuple(r for r in sizes if r[0] == kind) for kind in "gco")
    return WindowSum(
        form.op.name,
        {axis: int(form.op.extents()[axis]) for axis in form.op.axes},
        {roles[name]: part for name, part in form.parts.items()},
        sizes,
        tuple(windows),
        tuple(role for role in sizes if role[0] in "nh"),
        groups,
        channels,
        outputs,
        _behind_padding(dag, form.op.name, source),
        weight.op,
        weight.indices,
    )


def _is_walked(weight: Read) -> bool:
    """Whether steps of axes say where weights are read: neighbours do not share elements."""
    atoms = (atom for index in weight.indices for atom, _ in index.terms)
    return _place(weight) is not None and all(isinstance(atom, str) for atom in atoms)


def _place(data: Expr) -> Read | None:
    """The only element that an expression of a window reads; zero elsewhere."""
    match data:
        case Read():
            return data if data.dtype == FLOAT32 and data.output == 0 else None
        case Select(_, inner, Const(0)):
            return _place(inner)
        case _:
            return None


def _window(form: _Form, index: Affine) -> Window | None:
    """The window that slides along a dimension, if one does whose elements share positions."""
    inner, spread = index, 1
    match index.terms:
        case ((FloorDiv(stretched, int(divisor)), 1),):
            inner, spread = stretched, divisor
        case _:
            pass
    match inner.terms:
        case ((str(a), int(x)), (str(b), int(y))) if x > 0 and y > 0:
            (axis, step), (tap, gap) = ((a, x), (b, y)) if a in form.parts else ((b, y), (a, x))
        case _:
            return None
    if axis not in form.parts or tap not in form.reduced:
        return None
    extent, taps = form.size(axis), form.size(tap)
    if spread > 1:
        shift = inner.const - -(-inner.const // spread) * spread
        found = Window(axis, tap, extent, taps, spread=spread, shift=shift)
        return found if step == gap == 1 and taps > spread else None
    whole = gcd(step, gap)
    return (
        Window(axis, tap, extent, taps, step // whole, gap // whole)
        if taps > step // whole
        else None
    )


def _roles(
    form: _Form, place: Read, weight: Read, windows: Sequence[Window]
) -> dict[str, str] | None:
    """The role of every axis, in the order in which the data has them; None if one has none."""
    weighted = {v for index in weight.indices for v in affine_variables(index)}
    walked = [v for index in place.indices for v in affine_variables(index)]
    slid = {
        name: kind for window in windows for name, kind in ((window.axis, "h"), (window.tap, "r"))
    }
    if len(slid) < 2 * len(windows) or any(walked.count(name) > 1 for name in slid):
        return None
    roles: dict[str, str] = {}
    for name in dict.fromkeys((*walked, *form.parts, *form.reduced)):
        kind = slid.get(name) or _kind(name in form.parts, name in walked, name in weighted)
        if kind is None or (kind in "hr" and (name in weighted) != (kind == "r")):
            return None
        roles[name] = f"{kind}{sum(role[0] == kind for role in roles.values())}"
    return roles if set("hco") <= {role[0] for role in roles.values()} else None


def _kind(is_spatial: bool, in_data: bool, in_weight: bool) -> str | None:
    match is_spatial, in_data, in_weight:
        case True, True, True:
            return "g"
        case True, True, False:
            return "n"
        case True, False, True:
            return "o"
        case False, True, True:
            return "c"
        case _:
            return None


def _source(data: Expr, windows: Sequence[Window]) -> Source | None:
    """What is read, in terms of positions, called like the axes of their windows."""
    place, conditions = _place(data), _conditions(data)
    stretched = [window for window in windows if window.spread > 1]
    asked = [[c for c in conditions if _asks_whole(c, window)] for window in stretched]
    if place is None or not all(asked):
        return None
    others = [c for c in conditions if not any(c in cs for cs in asked)]
    indices = [_positions(index, windows) for index in place.indices]
    inside = [_positions(condition, windows) for condition in others]
    known = [tuple(a for a in found if a is not None) for found in (indices, inside)]
    if [len(found) for found in known] != [len(indices), len(inside)]:
        return None
    return Source(place.op, *known)


def _conditions(data: Expr) -> tuple[Affine, ...]:
    """Where something is read at all."""
    match data:
        case Select(conditions, inner, _):
            return (*conditions, *_conditions(inner))
        case _:
            return ()


def _asks_whole(condition: Affine, window: Window) -> bool:
    """Whether it holds where the position of a stretched window is whole."""
    match condition:
        case Affine(0, ((FloorMod(inner, divisor), -1),)):
            return _offset(inner, divisor, window) is not None
        case _:
            return False


def _offset(inner: Affine, divisor: int, window: Window) -> int | None:
    """By how much a quotient is above the position of a window; None if it is something else."""
    if divisor != window.spread or set(inner.terms) != {(window.axis, 1), (window.tap, 1)}:
        return None
    offset, rest = divmod(inner.const - window.shift, divisor)
    return None if rest else offset


def _positions(affine: Affine, windows: Sequence[Window]) -> Affine | None:
    """An affine that knows axes and taps of windows by their positions only."""
    steps: dict[Atom, int] = dict(affine.terms)
    const, found = affine.const, []
    for window in windows:
        along = 0
        for atom in [atom for atom in steps if isinstance(atom, FloorDiv)]:
            offset = _offset(atom.affine, atom.divisor, window)
            if offset is not None:
                const += steps[atom] * offset
                along += steps.pop(atom)
        times, rest = divmod(steps.pop(window.tap, 0), window.gap)
        if rest or steps.pop(window.axis, 0) != times * window.step:
            return None
        const -= times * window.shift
        found.append((window.axis, along + times * window.spread))
    if not all(isinstance(atom, str) for atom in steps):
        return None
    return Affine(const, tuple((a, c) for a, c in (*steps.items(), *found) if c))


def _depends_on(source: Source, roles: Collection[str]) -> bool:
    """Whether nothing else says where it is read, and all of these do."""
    walked = {v for index in source.indices for v in affine_variables(index)}
    tested = {v for condition in source.conditions for v in affine_variables(condition)}
    return walked == set(roles) and tested <= walked


def _behind_padding(dag: ComputeDAG, reader: str, source: Source) -> Source:
    """The source of a padding stage in the place of the stage, which nobody else reads."""
    op = dag.by_name[source.op]
    if op.is_placeholder or op.reducer is not None or dag.is_output(op.name):
        return source
    if len(op.body) > 1 or dag.read_by[op.name] != (reader,):
        return source
    mapping = dict(zip(op.axes, source.indices, strict=True))
    inner = substitute_expr(op.body[0], mapping)
    found = _source(inner, ()) if _place(inner) is not None else None
    roles = {v for index in source.indices for v in affine_variables(index)}
    if found is None or not _depends_on(found, roles):
        return source
    return Source(found.op, found.indices, source.conditions + found.conditions)


def _single(index: Affine) -> str | None:
    match index:
        case Affine(0, ((str(axis), 1),)):
            return axis
        case _:
            return None
