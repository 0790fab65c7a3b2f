"""Accuracy of the recipes, as LLVM runs them, in units in the last place of float64 or better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from tensorc.ir.affine import Affine
from tensorc.ir.dtype import FLOAT32, FLOAT64, DType
from tensorc.ir.expr import Call, Function, Load
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import For, ForKind, Store
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.target import Target
from tests.codegen.llvm.running import BASELINE, TARGET, Array

COUNT = 20_000
LANES = 8


@dataclass(frozen=True)
class Case:
    """A function, its reference, and the largest errors allowed in ulp."""

    function: Function
    reference: Callable[..., Array]
    fused: float
    unfused: float
    widest: float = math.inf  # arguments are at most this large


def _erf(x: Array) -> Array:
    return np.array([math.erf(v) for v in x.astype(np.float64)], np.longdouble)


SINGLE = [
    Case("exp", np.exp, 1.0, 1.6),
    Case("exp2", np.exp2, 1.1, 1.6),
    Case("expm1", np.expm1, 1.6, 2.2),
    Case("log", np.log, 1.0, 1.6),
    Case("log2", np.log2, 1.0, 2.0),
    Case("log10", np.log10, 1.0, 2.0),
    Case("log1p", np.log1p, 1.5, 2.0),
    Case("tanh", np.tanh, 1.1, 2.0),
    Case("sigmoid", lambda x: 1 / (1 + np.exp(-x)), 2.3, 3.0),
    Case("erf", _erf, 1.3, 2.0),
    Case("sinh", np.sinh, 1.7, 2.5),
    Case("cosh", np.cosh, 1.6, 2.5),
    Case("sin", np.sin, 1.7, 2.2, 2.0**28),
    Case("cos", np.cos, 1.7, 2.2, 2.0**28),
    Case("tan", np.tan, 2.5, 3.5, 2.0**28),
    Case("atan", np.arctan, 1.6, 2.2),
    Case("rsqrt", lambda x: 1 / np.sqrt(x), 1.5, 1.5),
    Case("pow", np.power, 1.0, 1.0),
    Case("atan2", np.arctan2, 1.6, 2.5),
    Case("fmod", np.fmod, 0.0, 0.0),
    Case("copysign", np.copysign, 0.0, 0.0),
]
DOUBLE = [
    Case("exp", np.exp, 1.1, 1.6),
    Case("exp2", np.exp2, 1.0, 1.6),
    Case("expm1", np.expm1, 2.0, 2.5),
    Case("log", np.log, 1.0, 1.6),
    Case("log2", np.log2, 1.0, 2.0),
    Case("log10", np.log10, 1.0, 2.0),
    Case("log1p", np.log1p, 1.5, 2.0),
    Case("tanh", np.tanh, 1.1, 2.0),
    Case("sigmoid", lambda x: 1 / (1 + np.exp(-x)), 2.3, 3.0),
    Case("sinh", np.sinh, 1.7, 2.5),
    Case("cosh", np.cosh, 1.6, 2.5),
    Case("sin", np.sin, 1.0, 1.0, 1e6),
    Case("pow", np.power, 1.0, 1.0),
]
TWO_ARGUMENTS = ("pow", "atan2", "fmod", "copysign")
SPECIAL = (0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0)


@cache
def samples(dtype: DType, seed: int) -> Array:
    """Every kind of number: any bits, the common ranges, and the special values."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype.name)
    bits = rng.integers(0, 1 << dtype.bits, COUNT, dtype=f"u{kind.itemsize}").view(kind)
    ranges = [rng.uniform(-w, w, COUNT).astype(kind) for w in (1.0, 20.0, 110.0)]
    near_one = rng.uniform(0.9, 1.1, COUNT).astype(kind)
    subnormal = (rng.uniform(-1, 1, 64) * np.finfo(kind).tiny).astype(kind)
    limits = np.array([*SPECIAL, np.finfo(kind).max, np.finfo(kind).tiny], kind)
    parts = np.concatenate([bits, *ranges, near_one, subnormal, limits])
    return np.concatenate([parts, np.ones(-parts.size % LANES, kind)])


def arguments(case: Case, dtype: DType) -> list[Array]:
    x = samples(dtype, 0)
    x = np.where(np.abs(x) > case.widest, x.dtype.type(1), x)
    if case.function not in TWO_ARGUMENTS:
        return [x]
    y = np.random.default_rng(2).permutation(samples(dtype, 1))
    return [*every_pair(x, y)]


def every_pair(x: Array, y: Array) -> tuple[Array, Array]:
    """The samples, and every pair of special values in front."""
    special = np.array(SPECIAL, x.dtype)
    a, b = (m.ravel() for m in np.meshgrid(special, special))
    x, y = x.copy(), y.copy()
    x[: a.size], y[: b.size] = a, b
    return x, y


def run(function: Function, dtype: DType, arrays: list[Array], target: Target) -> Array:
    count = arrays[0].size
    index = Affine(0, (("i", LANES),))
    inputs = tuple(Buffer(f"X{n}", (count,), dtype, "global") for n in range(len(arrays)))
    output = Buffer("Y", (count,), dtype, "global")
    store = Store(output, index, Call(function, tuple(Load(b, index, LANES) for b in inputs)))
    loop = For("i", 0, count // LANES, ForKind.SERIAL, store)
    func = PrimFunc("f", (*inputs, output), ("Y",), loop)
    result: Array = CompiledFunction(build(func, target))(*arrays)
    return result


def errors(got: Array, expected: Array) -> Array:
    """Distance in units in the last place; infinite where only one side is a number."""
    rounded = expected.astype(got.dtype)
    spacing = np.abs(np.spacing(np.where(np.isfinite(rounded), rounded, 0)))
    distance = np.abs(got.astype(np.longdouble) - expected) / spacing.astype(np.longdouble)
    same = (np.isnan(got) & np.isnan(rounded)) | (got == rounded)
    both = np.isfinite(got) & np.isfinite(rounded)
    result: Array = np.where(same, np.where(both, distance, 0), np.where(both, distance, np.inf))
    return result


def worst(case: Case, dtype: DType, target: Target) -> tuple[float, str]:
    arrays = arguments(case, dtype)
    got = run(case.function, dtype, arrays, target)
    with np.errstate(all="ignore"):
        expected = case.reference(*(a.astype(np.longdouble) for a in arrays))
        found = errors(got, expected)
    zero = (expected == 0) & (got == 0)
    assert (np.signbit(got[zero]) == np.signbit(expected[zero])).all(), "the sign of a zero"
    at = int(found.argmax())
    return float(found[at]), f"{[a[at] for a in arrays]}: {got[at]}, not {expected[at]}"


@pytest.mark.parametrize("case", SINGLE, ids=lambda c: c.function)
def test_float32_functions_are_as_accurate_as_stated(case: Case) -> None:
    error, where = worst(case, FLOAT32, TARGET)
    assert error <= (case.fused if "fma" in TARGET.features else case.unfused), where


@pytest.mark.parametrize("case", SINGLE, ids=lambda c: c.function)
def test_float32_functions_need_no_fused_multiply_add(case: Case) -> None:
    error, where = worst(case, FLOAT32, BASELINE)
    assert error <= case.unfused, where


@pytest.mark.parametrize("case", DOUBLE, ids=lambda c: c.function)
def test_float64_functions_are_as_accurate_as_stated(case: Case) -> None:
    error, where = worst(case, FLOAT64, TARGET)
    assert error <= (case.fused if "fma" in TARGET.features else case.unfused), where


def test_sines_of_huge_arguments_are_missing_rather_than_wrong() -> None:
    x = np.full(LANES, 1e30, np.float32)
    assert np.isnan(run("sin", FLOAT32, [x], TARGET)).all()
