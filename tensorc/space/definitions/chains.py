"""Reductions one behind the other over the same data: the second needs the first one's result.

    A(i) = max over k of x(i, k)        A(i) = Σ over k of x(i, k)
    B(i) = Σ over k of f(i, k) · exp(x(i, k) - A(i))      B(i) = Σ over k of (x(i, k) - A(i)/n)²

Both second sums follow from sums over parts of the data, each with a reference `r` of its own in
the place of the first one's result:

    f · exp(x - A) = f · exp(x - r) · exp(r - A)       for any r
    Σ (x - t)² = Σ (x - r)² + count · (r - t)²         for r the mean of the part, any t

With the largest value of the part as reference no exponential overflows (Milakov and Gimelshein,
arXiv 1805.02867); the sums of squares have no terms that cancel (Chan, Golub and LeVeque, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tensorc.arith.affine import substitute_expr
from tensorc.ir.affine import variable
from tensorc.ir.expr import BinaryOp, Call, Cast, Const, Expr, Read, Var, dtype_of
from tensorc.ir.visit import rewrite_expr, walk_expr
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op

# What stands in formulas for the figures of a part.
REFERENCE: Final = "reference"
PARTIAL: Final = "partial"
COUNT: Final = "count"


@dataclass(frozen=True, slots=True, eq=False)
class Follower:
    """A sum that needs the result of a reduction, in terms of that one's axes.

    Attributes:
        stage: The operation.
        term: What is summed over a part of the data; `REFERENCE` stands for the part's own.
        whole: What a part adds to the sum: of its `REFERENCE`, its `PARTIAL` sum, the `COUNT` of
            its terms, and the first reduction's result.
        written_out: The stages between the two reductions that are part of the term.
    """

    stage: str
    term: Expr
    whole: Expr
    written_out: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A reduction, a maximum or a sum, and the sums behind it."""

    first: Op
    followers: tuple[Follower, ...]

    @property
    def is_sum(self) -> bool:
        """Whether the first reduction is a sum, and its reference a mean."""
        return _combines(self.first, "+")


def may_begin(op: Op) -> bool:
    """Whether it is a reduction that a chain may begin with."""
    return _reduces(op, "max") or _reduces(op, "+")


def chain_of(dag: ComputeDAG, first: Op) -> Chain | None:
    """The chain that begins with a reduction; None if no sum needs its result in such a way."""
    if not may_begin(first):
        return None
    behind = _behind(dag, first.name)
    found = [f for other in dag.ops if (f := _follower(dag, first, other, behind)) is not None]
    return Chain(first, tuple(found)) if found else None


def written_into(e: Expr, producer: Op) -> Expr:
    """The expression with the formula of an element-wise operation for each read of it."""

    def rule(x: Expr) -> Expr | None:
        if not isinstance(x, Read) or x.op != producer.name:
            return None
        return substitute_expr(producer.body[0], dict(zip(producer.axes, x.indices, strict=True)))

    return rewrite_expr(e, rule)


def with_values(e: Expr, values: dict[str, Expr]) -> Expr:
    """The expression with values for variables of data."""
    return rewrite_expr(e, lambda x: values.get(x.name) if isinstance(x, Var) else None)


def _reduces(op: Op, operator: str) -> bool:
    """Whether it is such a reduction of one floating-point value, over known extents."""
    if not op.reduce_axes or len(op.body) != 1 or not op.dtype.is_float:
        return False
    return all(isinstance(n, int) for n in op.extents().values()) and _combines(op, operator)


def _combines(op: Op, operator: str) -> bool:
    reducer = op.reducer
    if reducer is None or reducer.identity[0].value != {"+": 0, "max": -float("inf")}[operator]:
        return False
    whole = reducer.combine[0]
    if not isinstance(whole, BinaryOp) or whole.op != operator:
        return False
    names = {e.name for e in (whole.a, whole.b) if isinstance(e, Var)}
    return names == {reducer.lhs[0], reducer.rhs[0]}


def _behind(dag: ComputeDAG, stage: str) -> frozenset[str]:
    """What depends on a stage."""
    found = {stage}
    for op in dag.ops:
        if found & set(dag.reads[op.name]):
            found.add(op.name)
    return frozenset(found - {stage})


def _follower(dag: ComputeDAG, first: Op, op: Op, behind: frozenset[str]) -> Follower | None:
    if op.name not in behind or not _reduces(op, "+") or op.shape != first.shape:
        return None
    if [n for _, n in op.reduce_axes] != [n for _, n in first.reduce_axes]:
        return None
    names = zip(op.extents(), first.extents(), strict=True)
    renamed = {mine: variable(its) for mine, its in names}
    term, between = substitute_expr(op.body[0], renamed), set()
    while read := next((x for x in walk_expr(term) if _is_read_of(x, behind)), None):
        producer = dag.by_name[read.op] if isinstance(read, Read) else op
        if producer.reducer is not None or len(producer.body) > 1 or dag.is_output(producer.name):
            return None
        term = written_into(term, producer)
        between.add(producer.name)
    result = _result(first)
    if any(isinstance(x, Read) and x.op == first.name and x != result for x in walk_expr(term)):
        return None
    parted = _squares(term, first) if _combines(first, "+") else _powers(term, first)
    if parted is None:
        return None
    return Follower(op.name, *parted, frozenset(between))


def _is_read_of(e: Expr, stages: frozenset[str]) -> bool:
    return isinstance(e, Read) and e.op in stages


def _result(first: Op) -> Read:
    """The read of a reduction's result where its axes are those of the reader."""
    return Read(first.name, tuple(map(variable, first.axes)), first.dtype)


def _powers(term: Expr, first: Op) -> tuple[Expr, Expr] | None:
    """The parts of a sum of exponentials that are below a maximum, or of multiples of them."""
    result, reference = _result(first), Var(REFERENCE, first.dtype)
    power = _only_power(term, result)
    if power is None:
        return None
    difference = _difference(power.args[0], result)
    if difference is None or difference.a != _replaced(difference.b, result, first.body[0]):
        return None
    apart = BinaryOp("-", _replaced(difference.b, result, reference), difference.b)
    factor = _replaced(power, difference, apart)
    partial = Var(PARTIAL, dtype_of(term))
    return _replaced(term, result, reference), BinaryOp("*", partial, factor)


def _only_power(term: Expr, result: Read) -> Call | None:
    """The factor of a product that alone depends on a result, if it is an exponential."""
    match term:
        case Call("exp" | "exp2"):
            return term
        case BinaryOp("*", a, b) if not _depends(b, result):
            return _only_power(a, result)
        case BinaryOp("*", a, b) if not _depends(a, result):
            return _only_power(b, result)
        case BinaryOp("/", a, b) if not _depends(b, result):
            return _only_power(a, result)
        case _:
            return None


def _difference(e: Expr, result: Read) -> BinaryOp | None:
    """The difference from a result, itself or converted, that an exponent is, times a constant."""
    match e:
        case BinaryOp("-", a, Read() | Cast(Read()) as b):
            of = b.value if isinstance(b, Cast) else b
            return e if of == result and not _depends(a, result) else None
        case BinaryOp("*", a, Const(value)) if value > 0:
            return _difference(a, result)
        case BinaryOp("*", Const(value), b) if value > 0:
            return _difference(b, result)
        case _:
            return None


def _squares(term: Expr, first: Op) -> tuple[Expr, Expr] | None:
    """The parts of a sum of squares of differences from what is the same for all of them."""
    result, reference = _result(first), Var(REFERENCE, first.dtype)
    match term:
        case BinaryOp("*", BinaryOp("-", value, centre), b) if term.a == b:
            pass
        case _:
            return None
    moving = {axis for axis, _ in first.reduce_axes}
    if value != first.body[0] or not _depends(centre, result) or dtype_of(centre) != first.dtype:
        return None
    if moving & set(centre.variables()):
        return None
    inside, apart = (BinaryOp("-", x, y) for x, y in ((value, reference), (reference, centre)))
    count, partial = Var(COUNT, first.dtype), Var(PARTIAL, first.dtype)
    whole = BinaryOp("+", partial, BinaryOp("*", count, BinaryOp("*", apart, apart)))
    return BinaryOp("*", inside, inside), whole


def _depends(e: Expr, result: Read) -> bool:
    return any(x == result for x in walk_expr(e))


def _replaced(e: Expr, old: Expr, new: Expr) -> Expr:
    return rewrite_expr(e, lambda x: new if x == old else None)
