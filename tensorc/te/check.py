"""Whether canonical operations fit together: what a program read from text has to satisfy.

The formulas are checked by the rules of the loop IR, as loops over the axes that store each output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorc.ir.affine import Affine, total
from tensorc.ir.dtype import DType
from tensorc.ir.expr import Expr, Load, Read, Var
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import For, ForKind, Let, Seq, Stmt, Store
from tensorc.ir.verify import verify
from tensorc.ir.visit import rewrite_expr, walk_expr
from tensorc.support.errors import RecordError, VerifyError
from tensorc.te.op import Op, Reducer
from tensorc.te.rename import numbered_axes, renamed


def check_program(ops: Sequence[Op], params: Sequence[tuple[str, int]]) -> None:
    """Check names, reads, types and parameters of operations given producers first.

    Raises:
        RecordError: names the first operation that does not fit.
    """
    before: dict[str, Op] = {}
    for op in ops:
        if op.name in before:
            raise RecordError(f"Damaged program: there are two operations '{op.name}'.")
        _check_form(op)
        _check_reads(op, before)
        before[op.name] = op
    for name, output in params:
        if name not in before or not 0 <= output < len(before[name].dtypes):
            raise RecordError(f"Damaged program: parameter '{name}' is no tensor of it.")
    if len(set(params)) < len(params):
        raise RecordError("Damaged program: a parameter occurs twice.")


def _check_form(op: Op) -> None:
    """The parts of an operation have the right number."""
    names = (*op.axes, *(a for a, _ in op.reduce_axes))
    problem = None
    if op.is_placeholder:
        if len(op.dtypes) != 1:
            problem = "an input has one dtype"
    elif len(op.body) != len(op.dtypes) or len(op.axes) != len(op.shape):
        problem = "outputs and dtypes, or axes and extents, differ in number"
    elif len(set(names)) < len(names):
        problem = "two axes have one name"
    elif (op.reducer is None) != (not op.reduce_axes):
        problem = "there is a reducer without reduction axes, or the reverse"
    elif op.reducer is not None:
        r = op.reducer
        if {len(part) for part in (r.lhs, r.rhs, r.combine, r.identity)} != {len(op.body)}:
            problem = "the parts of its reducer differ in number"
    if problem is not None:
        raise RecordError(f"Damaged program: operation '{op.name}' is malformed, {problem}.")


def _check_reads(op: Op, before: dict[str, Op]) -> None:
    reducer = () if op.reducer is None else op.reducer.combine
    for node in _nodes((*op.body, *reducer)):
        if isinstance(node, Read):
            source = before.get(node.op)
            if (
                source is None
                or not 0 <= node.output < len(source.dtypes)
                or source.dtypes[node.output] != node.dtype
                or len(source.shape) != len(node.indices)
            ):
                raise RecordError(f"Damaged program: operation '{op.name}' misreads '{node.op}'.")
    try:
        check_formulas(op)
    except VerifyError as error:
        raise RecordError(f"Damaged program: operation '{op.name}': {error}") from None


def _nodes(body: Iterable[Expr]) -> Iterable[Expr]:
    for e in body:
        yield from walk_expr(e)


def check_formulas(op: Op) -> None:
    """Check that bodies and reducer of an operation are well typed and use its axes only.

    Raises:
        VerifyError: if not.
    """
    if op.is_placeholder:
        return
    # Names of programs may be words of the loop IR.
    op = renamed(op, {}, numbered_axes(op))
    buffers: dict[tuple[str, int], Buffer] = {}

    def as_load(e: Expr) -> Expr | None:
        if not isinstance(e, Read):
            return None
        key = e.op, e.output
        buffer = buffers.setdefault(key, Buffer(f"b{len(buffers)}", (1,), e.dtype, "global"))
        flat = (i * (n + 1) for n, i in enumerate(e.indices))
        return Load(buffer, total(Affine(0), flat))

    from_axes = [rewrite_expr(e, as_load) for e in op.body]
    outputs = [Buffer(f"c{o}", (1,), t, "global") for o, t in enumerate(op.dtypes)]
    stores: list[Stmt] = [
        Store(out, Affine(0), e) for out, e in zip(outputs, from_axes, strict=True)
    ]
    if op.reducer is not None:
        stores.append(_combination(op.reducer, op.dtypes, outputs))
    body: Stmt = Seq(tuple(stores))
    for axis in reversed(tuple(op.extents())):
        body = For(axis, 0, 1, ForKind.SERIAL, body)
    params = (*buffers.values(), *outputs)
    verify(PrimFunc("check", params, tuple(b.name for b in outputs), body))


def _combination(reducer: Reducer, dtypes: Sequence[DType], outputs: Sequence[Buffer]) -> Stmt:
    """Store what a reducer makes of its neutral elements."""
    body: Stmt = Seq(
        tuple(Store(out, Affine(0), e) for out, e in zip(outputs, reducer.combine, strict=True))
    )
    for names in (reducer.lhs, reducer.rhs):
        for name, dtype, neutral in zip(names, dtypes, reducer.identity, strict=True):
            body = Let(Var(name, dtype), neutral, body)
    return body
