"""Operations of a ComputeDAG in canonical form: what the compiler sees of a te program.

Front-end tensors (`te.tensor`) are turned into these when a `ComputeDAG` is built: axes are named
and start at 0, every index and every condition on indices is affine, names are unique.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tensorc.arith.sizes import Size
from tensorc.ir.dtype import DType
from tensorc.ir.expr import Const, Expr

AttrValue: TypeAlias = int | float | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reducer:
    """A commutative, associative combination of tuples of values.

    `combine[o]` is output `o` of combining the running values, `Var`s named in `lhs`, with new
    ones, `Var`s named in `rhs`; `identity[o]` leaves the other operand unchanged. `name` is `sum`,
    `prod`, `max`, `min`, `argmax`, `argmin` or a user's.
    """

    name: str
    lhs: tuple[str, ...]
    rhs: tuple[str, ...]
    combine: tuple[Expr, ...]
    identity: tuple[Const, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """A placeholder (no body), or a compute operation with one or more outputs of equal shape.

    Element `axes` of output `o` is `body[o]`, or, with a reducer, the combination of `body` over
    all values of the reduction axes. Sizes are ints, or arrays while a sketch is replayed for a
    population (rfactor makes shapes depend on decisions); then an Op must not be compared.

    `attrs` carries annotations, among them Ansor's `auto_scheduler_always_unroll_inner`,
    `auto_scheduler_no_split_at_inner`, `auto_scheduler_simplify_const_tensor_indices` (names of
    axes), `FLOP`, `layout_free_placeholders`, and `holds_results` (what it reads is computed right
    before it).
    """

    name: str
    shape: tuple[Size, ...]
    dtypes: tuple[DType, ...]
    axes: tuple[str, ...] = ()
    reduce_axes: tuple[tuple[str, Size], ...] = ()
    body: tuple[Expr, ...] = ()
    reducer: Reducer | None = None
    attrs: tuple[tuple[str, AttrValue], ...] = ()
    tag: str = ""

    @property
    def is_placeholder(self) -> bool:
        """Whether this is an input."""
        return not self.body

    @property
    def dtype(self) -> DType:
        """The type of the first output."""
        return self.dtypes[0]

    def extents(self) -> dict[str, Size]:
        """Extent of every axis, spatial ones first; a placeholder has no axes."""
        if self.is_placeholder:
            return {}
        return dict(zip(self.axes, self.shape, strict=True)) | dict(self.reduce_axes)

    def attr(self, name: str) -> AttrValue | None:
        """The attribute of that name, None if absent."""
        return dict(self.attrs).get(name)


def output_name(op: Op, output: int) -> str:
    """The tensor name of one output: the op's name, with `.v0`, … where there are several."""
    return op.name if len(op.dtypes) == 1 else f"{op.name}.v{output}"
