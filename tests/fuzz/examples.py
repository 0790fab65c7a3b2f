"""Programs from all generators, with inputs, what they compute by definition, and how closely."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import kernels_ref
from tensorc import te
from tensorc.te import ComputeDAG, Tensor
from tensorc.te.tensor import ComputeOp
from tests.fuzz import chains
from tests.fuzz.layouts import layouts
from tests.fuzz.programs import random_program
from tests.fuzz.suite import suite_case
from tests.fuzz.transforms import transforms
from tests.fuzz.windows import another_way, window_case
from tests.lower.programs import PROGRAMS, narrow
from tests.te.interpreter import interpret, numpy_dtype

Array: TypeAlias = NDArray[Any]

# Relative and absolute, by the coarsest type that takes part.
_TOLERANCES = {"bfloat16": (6e-2, 6e-2), "float16": (8e-3, 8e-3)}
_TOLERANCE = (2e-4, 1e-4)
_SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-42, 3e38, -3e38, 1.0, -1.0)


@dataclass(frozen=True, slots=True)
class Example:
    """A program and the right answer.

    Attributes:
        dag: The program.
        inputs: Arrays for the placeholders.
        outputs: The right values of the computed tensors.
        tolerances: For each output, relative and absolute.
    """

    dag: ComputeDAG
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    tolerances: tuple[tuple[float, float], ...]

    def mismatch(self, number: int, got: Array) -> str:
        """What is wrong with an output, '' if nothing is."""
        want, (rtol, atol) = self.outputs[number], self.tolerances[number]
        if got.dtype != want.dtype or got.shape != want.shape:
            return f"{got.dtype}{got.shape} where {want.dtype}{want.shape} was expected"
        x, y = (a if a.dtype.kind in "biu" else a.astype(np.float64) for a in (got, want))
        with np.errstate(all="ignore"):
            right = (x == y) | (np.isclose(x, y, rtol, atol, equal_nan=True) if rtol or atol else
                                (x != x) & (y != y))  # fmt: skip
        if right.all():
            return ""
        at = tuple(int(i) for i in np.argwhere(~right)[0]) if right.ndim else ()
        return f"{x[at]} at {list(at)} where {y[at]} is right, {np.sum(~right)} of {right.size}"


def random_example(r: Random) -> Example:
    """An example from one of the generators."""
    share = r.random()
    if share < 0.5:
        program = random_program(r)
        tolerances = tuple((0.0, 4 * error) for error in program.errors)
        dag = ComputeDAG.from_tensors(program.tensors)
        return Example(dag, program.inputs, tuple(program.expected()), tolerances)
    if share < 0.77:
        return _by_definition(r.choice(PROGRAMS)(r), r)
    if share < 0.85:
        return _by_definition(layouts(r), r)
    if share < 0.9:
        return _by_definition(narrow(r), r)
    others = (_suite, _suite, _special_values, _divisions, _blocks, _blocks, _chains)
    return r.choice((*others, _definitions, _definitions))(r)


def _by_definition(tensors: Sequence[Tensor], r: Random) -> Example:
    inputs = _inputs(tensors, r)
    return _example(tensors, inputs, interpret(tensors, inputs))


def _blocks(r: Random) -> Example:
    return _by_definition(transforms(r), r)


def _definitions(r: Random) -> Example:
    """A sum over windows by another algorithm than its own."""
    case = window_case(r)
    tensors = case.tensors()
    way = another_way(r, ComputeDAG.from_tensors(tensors))
    inputs = _inputs(tensors, r)
    want = case.right(*inputs)
    error = max(way.error / 8, 1e-5) * float(np.abs(want).max())
    return Example(way.dag, tuple(inputs), (want.astype(np.float32),), ((0.0, error),))


def _chains(r: Random) -> Example:
    """Reductions that need each other's results, part by part."""
    case = chains.chain_case(r)
    way = chains.another_way(r, ComputeDAG.from_tensors(case.tensors))
    inputs = [a.astype(np.float32) for a in _inputs(case.tensors, r)]
    want = case.right(*(a.astype(np.float64) for a in inputs))
    error = 1e-5 * max(float(np.abs(want).max()), 1.0)
    return Example(way.dag, tuple(inputs), (want.astype(np.float32),), ((0.0, error),))


def _suite(r: Random) -> Example:
    tensors, function, kwargs = suite_case(r)
    inputs = _inputs(tensors, r)
    reference: Callable[..., Array] = getattr(kernels_ref, function)
    return _example(tensors, inputs, [np.asarray(reference(*inputs, **kwargs))])


def _special_values(r: Random) -> Example:
    """Functions of NaN, infinities, zeros of both signs, and numbers that are nearly none."""
    shape = (r.randint(1, 3), r.randint(1, 40))
    dtype = r.choice(("float32", "float32", "float64"))
    A, B = te.placeholder(shape, dtype, name="A"), te.placeholder(shape, dtype, name="B")
    f, g = r.choice(_FUNCTIONS), r.choice(_EXACT)
    C = te.compute(shape, lambda i, j: f(A[i, j], B[i, j]), name="C")
    D = te.compute(shape, lambda i, j: te.select(g(A[i, j], B[i, j]) > 0, C[i, j], B[i, j]), "D")
    rng = np.random.default_rng(r.getrandbits(32))
    tensors = [A, B, C, D]
    with np.errstate(all="ignore"):
        inputs = [rng.choice(np.array(_SPECIAL), shape).astype(dtype) for _ in range(2)]
    return _example(tensors, inputs, interpret(tensors, inputs))


def _divisions(r: Random) -> Example:
    """Divisions and shifts by data, where a guard says that they make sense."""
    shape = (r.randint(1, 3), r.randint(1, 70))
    dtype = r.choice(("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"))
    A, B = te.placeholder(shape, dtype, name="A"), te.placeholder(shape, dtype, name="B")
    divide = r.choice((te.floordiv, te.floormod, te.truncdiv, te.truncmod))
    shift = r.choice((operator.lshift, operator.rshift))
    C = te.compute(
        shape, lambda i, j: te.if_then_else(B[i, j] != 0, divide(A[i, j], B[i, j]), A[i, j]), "C"
    )
    D = te.compute(shape, lambda i, j: shift(C[i, j], B[i, j] & 7), name="D")
    rng, whole = np.random.default_rng(r.getrandbits(32)), np.iinfo(dtype)
    a = rng.choice(np.array([whole.min, whole.max, 0, 1, 5, 77], dtype), shape)
    b = rng.integers(max(whole.min, -3), 4, shape).astype(dtype)
    tensors = [A, B, D] if r.random() < 0.5 else [A, B, C, D]
    return _example(tensors, [a, b], interpret(tensors, [a, b]))


_EXACT: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, y: te.maximum(x, y), lambda x, y: te.minimum(x, y), lambda x, _: te.abs(x),
    lambda x, _: te.floor(x), lambda x, _: te.ceil(x), lambda x, _: te.round(x),
    lambda x, _: te.trunc(x), lambda x, y: te.select(x < y, x, y), lambda x, y: x - y,
    lambda x, y: te.select(x >= y, x, y), lambda x, y: te.select(x != y, x, y),
    lambda x, y: te.select(te.isnan(x), y, x), lambda x, y: te.copysign(x, y),
)  # fmt: skip
_FUNCTIONS: tuple[Callable[[Any, Any], Any], ...] = (
    *_EXACT, lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x / y,
    lambda x, _: te.exp(x), lambda x, _: te.tanh(x), lambda x, _: te.sqrt(x),
    lambda x, _: te.log(x), lambda x, _: te.erf(x), lambda x, _: te.sigmoid(x),
    lambda x, y: te.clip(x, -1, 1) + y,
    lambda x, _: te.exp2(x), lambda x, _: te.expm1(x), lambda x, _: te.log2(x),
    lambda x, _: te.log10(x), lambda x, _: te.log1p(x), lambda x, _: te.rsqrt(x),
    lambda x, _: te.atan(x), lambda x, _: te.sinh(x), lambda x, _: te.cosh(x),
    lambda x, y: te.atan2(x, y), lambda x, y: te.fmod(x, y),
    lambda x, y: te.select(te.isfinite(x), te.sin(te.clip(x, -9, 9)), te.cos(te.clip(y, -9, 9))),
    lambda x, y: te.power(x, y),
)  # fmt: skip


def _inputs(tensors: Sequence[Tensor], r: Random) -> list[Array]:
    rng = np.random.default_rng(r.getrandbits(32))
    return [
        _random(t.shape, numpy_dtype(t.element_type), rng)
        for t in tensors
        if not isinstance(t.op, ComputeOp)
    ]


def _random(shape: Sequence[int], dtype: np.dtype[Any], rng: np.random.Generator) -> Array:
    if dtype.kind in "biu":
        return np.asarray(rng.integers(-9, 9, shape)).astype(dtype)
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def _example(tensors: Sequence[Tensor], inputs: Sequence[Array], outputs: list[Array]) -> Example:
    computed = [t for t in tensors if isinstance(t.op, ComputeOp)]
    typed = [o.astype(numpy_dtype(t.element_type)) for t, o in zip(computed, outputs, strict=True)]
    coarsest = {t.element_type.name for t in tensors}
    tolerance = next((v for k, v in _TOLERANCES.items() if k in coarsest), _TOLERANCE)
    exact = (0.0, 0.0)
    tolerances = [exact if o.dtype.kind in "biu" else tolerance for o in typed]
    dag = ComputeDAG.from_tensors(tensors)
    return Example(dag, tuple(inputs), tuple(typed), tuple(tolerances))
