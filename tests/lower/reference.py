"""What a ComputeDAG computes, by definition: every operation over its whole grid with NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorc.codegen.python_namespace import NAMESPACE, numpy_dtype
from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.dtype import compute_dtype
from tensorc.ir.expr import (
    BinaryOp,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Read,
    Select,
    Var,
    Where,
)
from tensorc.te import ComputeDAG
from tensorc.te.op import Op

Array = NDArray[Any]
_OPERATORS = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "//": np.floor_divide,
    "%": np.mod, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    "==": np.equal, "!=": np.not_equal, "and": np.logical_and, "or": np.logical_or,
    "&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor, "<<": np.left_shift,
    ">>": np.right_shift, "truncmod": np.fmod,
    "min": lambda a, b: np.where(a < b, a, b), "max": lambda a, b: np.where(a > b, a, b),
}  # fmt: skip


def evaluate(dag: ComputeDAG, inputs: dict[str, Array]) -> dict[tuple[str, int], Array]:
    """All tensors of a DAG, given the placeholders by name."""
    known: dict[tuple[str, int], Array] = {(name, 0): a for name, a in inputs.items()}
    with np.errstate(all="ignore"):
        for op in dag.ops:
            if not op.is_placeholder:
                for output, value in enumerate(_Grid(op, known).values()):
                    known[op.name, output] = value
    return known


class _Grid:
    """One operation over all its axes at once: each axis is an array dimension."""

    def __init__(self, op: Op, known: dict[tuple[str, int], Array]) -> None:
        self.op, self.known = op, known
        self.shape = tuple(op.extents().values())
        rank = len(self.shape)
        self.axes = {
            axis: np.arange(n).reshape((n,) + (1,) * (rank - 1 - d))
            for d, (axis, n) in enumerate(op.extents().items())
        }

    def values(self) -> list[Array]:
        op = self.op
        terms = [np.broadcast_to(self.expr(e, {}), self.shape) for e in op.body]
        if op.reducer is None:
            return [t.astype(numpy_dtype(d)) for t, d in zip(terms, op.dtypes, strict=True)]
        lead = self.shape[: len(op.shape)]
        terms = [t.reshape((*lead, int(np.prod(self.shape[len(lead) :])))) for t in terms]
        running = [
            np.full(lead, c.value, _wide(d))
            for c, d in zip(op.reducer.identity, op.dtypes, strict=True)
        ]
        for step in range(terms[0].shape[-1]):
            env = dict(zip(op.reducer.lhs, running, strict=True))
            env |= {x: t[..., step] for x, t in zip(op.reducer.rhs, terms, strict=True)}
            running = [
                np.broadcast_to(self.expr(e, env), lead).astype(_wide(d))
                for e, d in zip(op.reducer.combine, op.dtypes, strict=True)
            ]
        return [r.astype(numpy_dtype(d)) for r, d in zip(running, op.dtypes, strict=True)]

    def affine(self, a: Affine) -> Array:
        total = np.asarray(a.const)
        for atom, c in a.terms:
            total = total + self.atom(atom) * c
        return total

    def atom(self, atom: Atom) -> Array:
        match atom:
            case str():
                return self.axes[atom]
            case FloorDiv(inner, d):
                return self.affine(inner) // d
            case FloorMod(inner, d):
                return self.affine(inner) % d
            case Opaque(value, _, _):
                return np.asarray(self.expr(value, {})).astype(np.int64)

    def holds(self, conditions: tuple[Affine, ...]) -> Array:
        result = np.asarray(True)
        for condition in conditions:
            result = result & (self.affine(condition) >= 0)
        return result

    def read(self, source: Array, indices: tuple[Affine, ...]) -> Array:
        if source.size == 0:
            return np.zeros(self.shape, source.dtype)
        # What a select does not want may lie outside.
        at = tuple(
            np.clip(self.affine(i), 0, n - 1) for i, n in zip(indices, source.shape, strict=True)
        )
        found = source[at] if at else source
        half = found.dtype.itemsize == 2 and found.dtype.kind in "fV"
        return found.astype(np.float32) if half else found

    def expr(self, e: Expr, env: dict[str, Array]) -> Array:
        match e:
            case Const(value, dtype):
                return np.asarray(value, _wide(dtype))
            case Var(name):
                return env[name]
            case Index(affine, dtype):
                return self.affine(affine).astype(_wide(dtype))
            case Cast(value, dtype):
                return self.expr(value, env).astype(numpy_dtype(dtype)).astype(_wide(dtype))
            case BinaryOp(op, a, b):
                x, y = self.expr(a, env), self.expr(b, env)
                operator = _OPERATORS.get(op) or NAMESPACE[op]
                return np.asarray(operator(x, y))  # type: ignore[operator]
            case Call(function, args):
                return _call(function, [np.asarray(self.expr(a, env)) for a in args])
            case Where(condition, a, b):
                return np.where(self.expr(condition, env), self.expr(a, env), self.expr(b, env))
            case Select(conditions, a, b):
                holds = self.holds(conditions)
                return np.where(holds, self.expr(a, env), self.expr(b, env))
            case Read(name, indices, _, output):
                return self.read(self.known[name, output], indices)
            case _:
                raise AssertionError(e)


def _call(function: str, values: list[Array]) -> Array:
    if function == "erf":
        return np.vectorize(math.erf, otypes=[values[0].dtype])(values[0])
    name = "logical_not" if function == "not" else function
    return np.asarray(NAMESPACE[name](*values))  # type: ignore[operator]


def _wide(dtype: Any) -> np.dtype[Any]:
    return numpy_dtype(compute_dtype(dtype))
