"""The simplifier of te bodies, its literals, and the ranges of expressions."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorc.arith.bounds import expr_range
from tensorc.arith.divisibility import alignment, common_divisor, is_multiple
from tensorc.arith.simplify import simplify_expr
from tensorc.codegen.python import execute
from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.affine import Affine, FloorMod, of_atom, variable
from tensorc.ir.dtype import ALL_DTYPES, BOOL, FLOAT16, FLOAT32, INT8, INT32, INT64, UINT8, DType
from tensorc.ir.expr import BinaryOp, Call, Cast, Const, Expr, Index, Read, Select, Where, dtype_of
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import For, ForKind, Seq, Store
from tests.random_programs import Generator

i = variable("i")
x = Read("X", (i,), FLOAT32)
n = Read("N", (i,), INT32)
b = Read("B", (i,), BOOL)


def f32(value: float) -> Const:
    return Const(value, FLOAT32)


def i32(value: int) -> Const:
    return Const(value, INT32)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BinaryOp("+", f32(1), f32(2)), f32(3)),
        (BinaryOp("+", x, f32(0)), x),
        (BinaryOp("*", f32(1), x), x),
        (BinaryOp("*", x, f32(0)), BinaryOp("*", x, f32(0))),
        (BinaryOp("*", n, i32(0)), i32(0)),
        (BinaryOp("-", n, n), i32(0)),
        (BinaryOp("//", n, i32(1)), n),
        (BinaryOp("//", n, i32(-1)), BinaryOp("-", i32(0), n)),
        (BinaryOp("%", n, i32(-1)), i32(0)),
        (BinaryOp("//", i32(7), i32(-2)), i32(-4)),
        (BinaryOp("%", i32(7), i32(-2)), i32(-1)),
        (BinaryOp("truncdiv", i32(7), i32(-2)), i32(-3)),
        (BinaryOp("truncmod", i32(-7), i32(2)), i32(-1)),
        (BinaryOp("//", i32(7), i32(0)), BinaryOp("//", i32(7), i32(0))),
        (BinaryOp("+", BinaryOp("+", n, i32(2)), i32(3)), BinaryOp("+", n, i32(5))),
        (BinaryOp("+", i32(2**31 - 1), i32(1)), i32(-(2**31))),
        (BinaryOp("+", Index(i, INT32), i32(3)), Index(i + 3, INT32)),
        (Index(Affine(3), INT64), Const(3, INT64)),
        (BinaryOp("max", x, x), x),
        (BinaryOp("and", b, Const(True, BOOL)), b),
        (BinaryOp("or", Const(True, BOOL), b), Const(True, BOOL)),
        (Call("not", (Call("not", (b,)),)), b),
        (Cast(x, FLOAT32), x),
        (Cast(f32(1.5), INT32), i32(1)),
        (Cast(Cast(Read("K", (i,), INT8), INT32), INT8), Read("K", (i,), INT8)),
        (Cast(Cast(n, INT8), INT32), Cast(Cast(n, INT8), INT32)),
        (Where(Const(False, BOOL), x, f32(1)), f32(1)),
        (Where(b, x, x), x),
        (Select((Affine(-1),), x, f32(1)), f32(1)),
        (Select((Affine(0), i), x, f32(1)), x),
        (Select((Affine(3) - i,), x, f32(1)), Select((Affine(3) - i,), x, f32(1))),
        (Call("isnan", (f32(float("nan")),)), Const(True, BOOL)),
        (BinaryOp("<", f32(1), f32(2)), Const(True, BOOL)),
    ],
)
def test_expression_becomes_simpler(before: Expr, after: Expr) -> None:
    assert simplify_expr(before, {"i": (0, 7)}) == after


def test_rounding_of_a_16_bit_result_is_kept() -> None:
    half = Read("H", (i,), FLOAT16)
    total = BinaryOp("+", half, half)
    rounded = Cast(total, FLOAT16)
    assert simplify_expr(rounded) == rounded
    assert simplify_expr(Cast(half, FLOAT16)) == half


def values(e: Expr, seed: int, check: Callable[[np.ndarray[Any, Any]], None]) -> None:
    """Run an expression for each value of its loop variable."""
    rng = np.random.default_rng(seed)
    inputs = [Buffer(f"A{d}", (8,), d, "global") for d in ALL_DTYPES]
    out = Buffer("out", (8,), dtype_of(e), "global")
    loop = For("i", 0, 8, ForKind.SERIAL, Store(out, i, e))
    arrays = [array_of(d, rng) for d in ALL_DTYPES]
    result = np.zeros(8, numpy_dtype(out.dtype))
    execute(PrimFunc("f", (*inputs, out), ("out",), Seq((loop,))), [*arrays, result])
    check(result)


def array_of(dtype: DType, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    low = 0 if dtype.kind in ("uint", "bool") else -9
    numbers = rng.integers(low, 2 if dtype == BOOL else 10, 8)
    return (numbers / 4 if dtype.is_float else numbers).astype(numpy_dtype(dtype))


def random_expr(seed: int) -> Expr:
    rng = Random(seed)
    generator = Generator(rng, ALL_DTYPES, ranges={"i": (0, 7)})
    generator.buffers = [Buffer(f"A{d}", (8,), d, "global") for d in ALL_DTYPES]
    return generator.expr(rng.choice(ALL_DTYPES), 1, 4)


@given(st.integers(0, 10**9))
def test_simplified_expression_has_the_same_values(seed: int) -> None:
    e = random_expr(seed)
    expected: list[np.ndarray[Any, Any]] = []
    values(e, seed, expected.append)
    simple = simplify_expr(e, {"i": (0, 7)})
    values(simple, seed, lambda got: np.testing.assert_array_equal(got, expected[0]))


@given(st.integers(0, 10**9))
def test_values_lie_in_the_range_of_the_expression(seed: int) -> None:
    e = random_expr(seed)
    found = expr_range(e, {"i": (0, 7)})
    if found is not None:
        values(e, seed, lambda got: np.testing.assert_array_equal(got, np.clip(got, *found)))


def test_range_of_clipped_data() -> None:
    clipped = BinaryOp("max", BinaryOp("min", n, i32(9)), i32(0))
    assert expr_range(clipped) == (0, 9)
    assert expr_range(Cast(Read("K", (i,), UINT8), INT32)) == (0, 255)
    assert expr_range(Index(i * 2 + 1, INT32, 4, 3), {"i": (0, 5)}) == (1, 20)
    assert expr_range(x) is None


def test_divisors_and_alignment() -> None:
    a = i * 12 + of_atom(FloorMod(variable("j") * 8, 4)) * 2 + 4
    assert common_divisor(a) == 4
    assert is_multiple(a, 2)
    assert not is_multiple(a, 8)
    assert alignment(a, 4) == 16
    assert alignment(Affine(0), 4) == 64
    assert alignment(i * 513, 4) == 4
