"""How the terms of a reduction are cut into parts that stay in a cache while they are read twice.

    along rows:  k = (c · steps + l) · lanes + v     part (c, v) has the terms of all l
    across:      k = c · steps + l                   part c

Along rows the lanes of vectors have parts of their own, so that no lanes are combined before the
end. Conditions keep the last parts within the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tensorc.arith.affine import divmod_affine, interval, substitute
from tensorc.arith.sizes import Size
from tensorc.ir.affine import Affine, add, scale
from tensorc.ir.dtype import INT32, DType
from tensorc.ir.expr import BinaryOp, Cast, Const, Expr, Index, Read, Select
from tensorc.ir.visit import walk_expr
from tensorc.space.strides import flat_stride
from tensorc.support.names import fresh
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op

# Vectors of running values, enough to hide how long an operation takes.
_VECTORS: Final = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the terms of each element.

    Attributes:
        axes: The axes of partial results and their extents: those of the elements, and which part.
        inside: The axes of parts among them.
        step: The axis of the terms of a part.
        steps: How many terms a part has at most.
        axis: The axis of the reduction that is cut.
        index: Which term that is, in terms of parts and steps.
        extent: How many terms there are along that axis.
    """

    axes: tuple[tuple[str, int], ...]
    inside: tuple[str, ...]
    step: str
    steps: int
    axis: str
    index: Affine
    extent: int

    @property
    def conditions(self) -> tuple[Affine, ...]:
        """What is not negative where there is a term; empty if parts have all their terms."""
        sizes = {**dict(self.axes), self.step: self.steps}
        _, last = interval(self.index, {name: (0, n - 1) for name, n in sizes.items()})
        return (self._left(self.index),) if last >= self.extent else ()

    def count(self, dtype: DType, least: int = 0) -> Expr:
        """How many terms a part has, or `least` if it has fewer."""
        if not self.conditions:
            return Const(float(self.steps), dtype)
        first, second = (self._number(n) for n in (0, 1))
        apart = add(second, scale(first, -1)).const
        left, _ = divmod_affine(add(self._left(first), Affine(apart)), apart)
        most = BinaryOp("max", Index(left, INT32), Const(least, INT32))
        return Cast(BinaryOp("min", most, Const(self.steps, INT32)), dtype)

    def mean(self, total: Expr, dtype: DType) -> Expr:
        """The mean of a part, given its sum."""
        whole = BinaryOp("*", total, Const(1.0 / self.steps, dtype))
        if not self.conditions:
            return whole
        full = self._left(self._number(self.steps - 1))
        return Select((full,), whole, BinaryOp("/", total, self.count(dtype, 1)))

    def _number(self, step: int) -> Affine:
        """Which term of all the term of that number in a part is."""
        return substitute(self.index, {self.step: Affine(step)})

    def _left(self, term: Affine) -> Affine:
        """How many terms there are behind one; negative if that one is none."""
        return add(Affine(self.extent - 1), scale(term, -1))


def parts_of(dag: ComputeDAG, op: Op, target: Target, nbytes: int) -> Parts | None:
    """Cut the innermost reduction into parts for which about so many bytes are read.

    None if all of its terms are hardly more than that, if nothing that is read moves with them, or
    if neither they nor elements are neighbours in memory.
    """
    *outer, (axis, extent) = op.reduce_axes
    assert isinstance(extent, int)
    reads = [x for e in op.body for x in walk_expr(e) if isinstance(x, Read)]

    def walks(name: str) -> bool:
        strides = [flat_stride(x.indices, dag.by_name[x.op].shape, name) for x in reads]
        return any(isinstance(s, int) and abs(s) == 1 for s in strides)

    along = walks(axis)
    if not along and not (op.axes and walks(op.axes[-1])):
        return None
    lanes = _VECTORS * target.lanes(op.dtype.bits)
    moving = {x for x in reads if axis in x.variables()}
    if not moving:
        return None
    terms = nbytes // sum(x.dtype.itemsize for x in moving)
    wide = lanes if along else min(lanes, size_of(op.shape[-1]))
    steps = max(terms // wide, 1)
    across = steps * lanes if along else steps
    if extent < 2 * across:
        return None
    taken = set(op.extents())
    c, step = fresh("c", taken), fresh("l", taken)
    v = fresh("v", taken)
    elements = [(name, size_of(n)) for name, n in zip(op.axes, op.shape, strict=True)]
    blocks = [*((name, size_of(n)) for name, n in outer), (c, math.ceil(extent / across))]
    if along:
        axes = [*elements, *blocks, (v, lanes)]
        index = Affine(0, ((c, across), (step, lanes), (v, 1)))
    else:
        axes = [*elements[:-1], *blocks, elements[-1]]
        index = Affine(0, ((c, across), (step, 1)))
    inside = tuple(name for name, _ in axes if name not in op.axes)
    return Parts(tuple(axes), inside, step, steps, axis, index, extent)


def size_of(extent: Size) -> int:
    """An extent that is known, as those of programs that are not yet scheduled are."""
    assert isinstance(extent, int)
    return extent
