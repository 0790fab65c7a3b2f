"""Programs whose long sums are carried out in float64, to know what others should give.

Added one behind the other, n terms of one sign are off by up to n/2 roundings: once the sum is
large, each addition rounds the same way. Eight million exponentials in float32 lose 1 %, where a
candidate that adds in lanes and blocks is right to five digits. So a program must not be held
against another one that adds in the same type.

    before:  C(i) += A(i, k)                      after:  C(i) += float64(A(i, k))
             D(i) = C(i) * 2                              D(i) = float32(C(i)) * 2
                                                          C.cast(i) = float32(C(i))

The last one stands for C among the parameters. Stages keep their names and axes, so that the steps
of a schedule apply to either program.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from tensorc.ir.affine import variable
from tensorc.ir.dtype import FLOAT64, DType
from tensorc.ir.expr import BinaryOp, Call, Cast, Const, Expr, Read, Var
from tensorc.ir.visit import rewrite_expr, walk_expr
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op, Reducer

# In shorter sums the worst case is about what tolerances allow, and what data really do is 1e-6:
# no reason to build a second program.
_LONG: Final = 4096
_ARITHMETIC: Final = frozenset("+-*/")


def sum_terms(op: Op) -> int:
    """How many values each element combines by a reducer that rounds; 1 if none."""
    if op.reducer is None or not any(map(_rounds, op.reducer.combine)):
        return 1
    return math.prod(int(extent) for _, extent in op.reduce_axes)


def with_wide_sums(dag: ComputeDAG) -> ComputeDAG:
    """Return the program with long float sums in float64; itself if it has none.

    The parameters are as many, in the same order and of the same types.
    """
    wide = {op.name for op in dag.ops if sum_terms(op) >= _LONG and any(map(_narrow, op.dtypes))}
    if not wide:
        return dag
    ops = [_widened(op) if op.name in wide else op for op in dag.ops]
    ops = [_casting(op, wide) for op in ops]
    casts = {name: _free_name(name, dag.by_name) for name in dag.outputs if name in wide}
    ops += [_cast_op(dag.by_name[name], cast) for name, cast in casts.items()]
    return ComputeDAG(tuple(ops), tuple((casts.get(name, name), o) for name, o in dag.params))


def _narrow(dtype: DType) -> bool:
    return dtype.is_float and dtype.bits < FLOAT64.bits


def _wide(dtype: DType) -> DType:
    return FLOAT64 if _narrow(dtype) else dtype


def _rounds(combine: Expr) -> bool:
    """Whether a reducer does arithmetic, where others choose one of their operands."""
    return any(
        isinstance(e, Call) or (isinstance(e, BinaryOp) and e.op in _ARITHMETIC)
        for e in walk_expr(combine)
    )


def _widened(op: Op) -> Op:
    assert op.reducer is not None
    body = (
        Cast(e, FLOAT64) if _narrow(dtype) else e
        for e, dtype in zip(op.body, op.dtypes, strict=True)
    )
    dtypes = tuple(map(_wide, op.dtypes))
    return replace(op, dtypes=dtypes, body=tuple(body), reducer=_wide_reducer(op.reducer))


def _wide_reducer(reducer: Reducer) -> Reducer:
    def widen(e: Expr) -> Expr | None:
        return replace(e, dtype=_wide(e.dtype)) if isinstance(e, (Var, Const, Cast)) else None

    combine = tuple(rewrite_expr(e, widen) for e in reducer.combine)
    identity = tuple(replace(e, dtype=_wide(e.dtype)) for e in reducer.identity)
    return replace(reducer, combine=combine, identity=identity)


def _casting(op: Op, wide: set[str]) -> Op:
    """The operation where it reads wide sums and expects others."""

    def cast(e: Expr) -> Expr | None:
        if isinstance(e, Read) and e.op in wide and _narrow(e.dtype):
            return Cast(replace(e, dtype=FLOAT64), e.dtype)
        return None

    return replace(op, body=tuple(rewrite_expr(e, cast) for e in op.body))


def _cast_op(op: Op, name: str) -> Op:
    """The elements of a wide sum in the types that they had."""
    axes = tuple(map(variable, op.axes))
    body: list[Expr] = []
    for output, dtype in enumerate(op.dtypes):
        read = Read(op.name, axes, _wide(dtype), output)
        body.append(Cast(read, dtype) if _narrow(dtype) else read)
    return Op(name, op.shape, op.dtypes, op.axes, body=tuple(body))


def _free_name(name: str, taken: Iterable[str]) -> str:
    known = set(taken)
    new = f"{name}.cast"
    while new in known:
        new = f"{new}.d"
    return new
