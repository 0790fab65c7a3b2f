from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.affine import Affine
from tensorc.ir.dtype import (
    ALL_DTYPES,
    BFLOAT16,
    BOOL,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    DType,
)
from tensorc.ir.expr import (
    COMPARISONS,
    BinaryOp,
    BinaryOperator,
    Call,
    Cast,
    Const,
    Expr,
    Function,
    Load,
)
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.ir.stmt import For, ForKind, Seq, Store
from tensorc.target import Target
from tests.codegen.llvm.running import (
    BASELINE,
    TARGET,
    check,
    inputs_of,
    numpy_dtype,
    run_llvm,
    run_oracle,
)

SIZE = 48
INTEGERS = [d for d in ALL_DTYPES if d.is_integer]
FLOATS = [d for d in ALL_DTYPES if d.is_float]


Body = Callable[..., Expr]


def kernel(inputs: Sequence[DType], *results: tuple[DType, Body]) -> PrimFunc:
    """Each result from the elements of the inputs: once one at a time, once in vectors of 8."""
    buffers = [Buffer(f"X{n}", (SIZE,), d, "global") for n, d in enumerate(inputs)]
    outputs, loops = [], []
    for n, (dtype, body) in enumerate(results):
        for lanes in (1, 8):
            output = Buffer(f"Y{n}_{lanes}", (SIZE,), dtype, "global")
            index = Affine(0, (("i", lanes),))
            store = Store(output, index, body(*(Load(b, index, lanes) for b in buffers)))
            loops.append(For("i", 0, SIZE // lanes, ForKind.SERIAL, store))
            outputs.append(output)
    names = tuple(o.name for o in outputs)
    return PrimFunc("f", (*buffers, *outputs), names, Seq(tuple(loops)))


def operators(dtype: DType, *ops: str) -> PrimFunc:
    """Each operator on two values of a type."""
    return kernel(
        (dtype, dtype),
        *(
            (BOOL if op in COMPARISONS else dtype, partial(BinaryOp, cast(BinaryOperator, op)))
            for op in ops
        ),
    )


def functions(dtype: DType, *names: str, result: DType | None = None) -> PrimFunc:
    """Each function of one value of a type."""

    def body(name: str) -> Body:
        return lambda x: Call(cast(Function, name), (x,))

    return kernel((dtype,), *((result or dtype, body(name)) for name in names))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_operators_agree_with_the_oracle(dtype: DType) -> None:
    check(operators(dtype, "+", "-", "*", "min", "max", "&", "|", "^", *sorted(COMPARISONS)))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_division_rounds_as_the_operator_says(dtype: DType) -> None:
    func = operators(dtype, "//", "%", "truncdiv", "truncmod")
    x, y, *rest = inputs_of(func)
    y[y == 0] = 3
    check(func, arrays=[x, y, *rest])


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_division_by_a_constant_floors(dtype: DType) -> None:
    def body(op: BinaryOperator, divisor: int) -> Body:
        return lambda x: BinaryOp(op, x, Const(divisor, dtype))

    bodies = [body(op, divisor) for op in ("//", "%") for divisor in (1, 2, 7, 64)]
    check(scalar_kernel(dtype, bodies))


def scalar_kernel(dtype: DType, bodies: Sequence[Body]) -> PrimFunc:
    """Results of bodies that contain scalar constants, one element at a time."""
    func = kernel((dtype,), *((dtype, body) for body in bodies))
    assert isinstance(func.body, Seq)
    kept = func.params[1::2]
    return PrimFunc(
        "f", (func.params[0], *kept), tuple(b.name for b in kept), Seq(func.body.body[::2])
    )


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_division_by_zero_and_overflowing_division_do_not_trap(dtype: DType) -> None:
    func = operators(dtype, "//", "%", "truncdiv", "truncmod")
    x, y, *rest = inputs_of(func)
    x[::2], y[::3] = np.iinfo(x.dtype).min, 0
    if dtype.kind == "int":
        y[1::3] = -1
    results = run_llvm(func, [x, y, *rest])[2:]
    divisor = np.where(y == 0, 1, y).astype(y.dtype)
    for got, expected in zip(results, run_oracle(func, [x, divisor, *rest])[2:], strict=True):
        np.testing.assert_array_equal(got[y != 0], expected[y != 0])


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_shifts_keep_the_sign(dtype: DType) -> None:
    func = operators(dtype, "<<", ">>")
    x, y, *rest = inputs_of(func)
    check(func, arrays=[x, np.abs(y) % np.array(dtype.bits, y.dtype), *rest])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_float_operators_agree_with_the_oracle(dtype: DType) -> None:
    func = operators(dtype, "+", "-", "*", "/", "min", "max", *sorted(COMPARISONS))
    x, y, *rest = inputs_of(func)
    x[:4], y[2:6] = np.nan, np.nan
    x[6:8], y[7:9] = np.inf, -np.inf
    x[10], y[10], x[11], y[11] = 0.0, -0.0, -0.0, 0.0
    check(func, arrays=[x, y, *rest])


def test_division_of_floats_floors_or_truncates() -> None:
    check(operators(FLOAT64, "//", "%", "truncdiv", "truncmod"), rtol=1e-13)


def test_bools_are_one_bit_in_registers_and_a_byte_in_memory() -> None:
    check(operators(BOOL, "and", "or", "&", "|", "^", "==", "!="))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_functions_that_are_instructions_are_exact(dtype: DType) -> None:
    func = functions(dtype, "sqrt", "floor", "ceil", "round", "trunc", "abs")
    x, *rest = inputs_of(func)
    x[:6] = [0.5, 1.5, -2.5, -0.0, np.inf, np.nan]
    check(func, arrays=[x, *rest])


def test_tests_of_floats_give_bools() -> None:
    func = functions(FLOAT32, "isnan", "isinf", "isfinite", result=BOOL)
    x, *rest = inputs_of(func)
    x[:3] = [np.inf, -np.inf, np.nan]
    check(func, arrays=[x, *rest])


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_functions_of_integers_agree_with_the_oracle(dtype: DType) -> None:
    check(functions(dtype, "abs", "bitwise_not", "popcount", "floor", "round"))
    check(functions(dtype, "isnan", "isinf", "isfinite", result=BOOL))


def test_not_negates_a_bool() -> None:
    check(functions(BOOL, "not"))


@pytest.mark.parametrize("source", ALL_DTYPES, ids=str)
def test_casts_agree_with_the_oracle(source: DType) -> None:
    def to(dtype: DType) -> Body:
        return lambda x: Cast(x, dtype)

    signed = [d for d in ALL_DTYPES if d.kind != "uint"]
    check(kernel((source,), *((d, to(d)) for d in signed)))
    # A negative float has no unsigned value.
    func = kernel((source,), *((d, to(d)) for d in ALL_DTYPES if d.kind == "uint"))
    x, *rest = inputs_of(func)
    check(func, arrays=[np.abs(x) if source.is_float else x, *rest])


@pytest.mark.parametrize("target", [TARGET, BASELINE], ids=["native", "baseline"])
@pytest.mark.parametrize("source", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_rounding_to_sixteen_bits_is_to_even_and_happens_once(
    dtype: DType, source: DType, target: Target
) -> None:
    func = kernel((source,), (dtype, lambda x: Cast(x, dtype)))
    kind = numpy_dtype(dtype)
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 1 << 16, SIZE, dtype=np.uint16).view(kind).astype(numpy_dtype(source))
    neighbour = np.nextafter(bits, np.array(np.inf, bits.dtype))
    ties = (bits.astype(np.float64) * (1 + 2.0**-12)).astype(bits.dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 65520, 65519.996, 2.0**-25, 6e-8, 1e-40, 3.4e38]
    wide = np.resize(np.array(special, bits.dtype), SIZE)
    for x in (bits, neighbour, ties, wide):
        check(func, arrays=[x, np.zeros(SIZE, kind), np.zeros(SIZE, kind)], target=target)


@pytest.mark.parametrize("target", [TARGET, BASELINE], ids=["native", "baseline"])
@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_every_sixteen_bit_float_is_read_exactly(dtype: DType, target: Target) -> None:
    func = parse_func(f"""
@prim_func(outputs=('Y',))
def read(X: buffer((65536,), '{dtype}'), Y: buffer((65536,), 'float32')):
    for i in serial(0, 8192):
        Y[ramp(8*i, 8)] = float32(X[ramp(8*i, 8)])
""")
    every = np.arange(1 << 16, dtype=np.uint16).view(numpy_dtype(dtype))
    got = run_llvm(func, [every, np.zeros(1 << 16, np.float32)], target)[1]
    np.testing.assert_array_equal(got, every.astype(np.float32))


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_sixteen_bit_arithmetic_rounds_when_it_is_stored_or_cast(dtype: DType) -> None:
    def body(a: Expr, b: Expr) -> Expr:
        product = BinaryOp("*", a, b)
        return BinaryOp("max", product, Cast(Cast(product, FLOAT32), dtype))

    check(kernel((dtype, dtype), (dtype, body)))


def test_constants_of_every_type_are_spelled() -> None:
    values = {"bool": True, "int": -3, "uint": 200, "float": 0.1, "bfloat": 0.1}
    for dtype in ALL_DTYPES:
        value = Const(values[dtype.kind], dtype)
        check(scalar_kernel(dtype, [lambda _, value=value: value]))  # type: ignore[misc]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -0.0, 0.0])
def test_constants_that_are_not_numbers_or_negative_zero_are_spelled(value: float) -> None:
    got = check(scalar_kernel(FLOAT32, [lambda _: Const(value, FLOAT32)]))
    assert np.signbit(got[1]).all() == np.signbit(value)


STRIDES = """
@prim_func(outputs=('B', 'C', 'D'))
def strides(A: buffer((64,), '{0}'), B: buffer((64,), '{0}'), C: buffer((64,), '{0}'), D: buffer((8,), '{0}')):
    for i in serial(0, 2):
        B[ramp(i, 8, 2)] = A[ramp(8*i, 8, 3)]
        C[ramp(8*i + 7, 8, -1)] = A[ramp(8*i, 8)]
        C[ramp(8*i + 16, 8)] = A[ramp(8*i + 31, 8, -1)]
        D[ramp(0, 8)] = A[ramp(i + 3, 8, 5)]
"""  # noqa: E501


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_strided_vectors_reach_the_elements_they_say(dtype: DType) -> None:
    check(STRIDES.format(dtype))


def test_indices_are_values() -> None:
    check("""
@prim_func(outputs=('B', 'C'))
def numbers(B: buffer((8, 8), 'int32'), C: buffer((8, 8), 'int64')):
    for i in serial(0, 8):
        B[ramp(8*i, 8)] = index(ramp(3*i - 5, 8))
        C[ramp(8*i, 8)] = index(ramp(7 - i, 8, -2), 'int64') + broadcast(index(i, 'int64'), 8)
""")


def test_gathers_follow_the_data() -> None:
    rng = np.random.default_rng(3)
    table = rng.standard_normal((10, 8)).astype(np.float32)
    rows = rng.integers(0, 10, 5).astype(np.int64)
    check("""
@prim_func(outputs=('B',))
def gather(A: buffer((10, 8), 'float32'), I: buffer((5,), 'int64'), B: buffer((5, 8), 'float32')):
    for i in serial(0, 5):
        B[ramp(8*i, 8)] = A[ramp(8*opaque(I[i], 0, 9), 8)]
""", arrays=[table, rows, np.zeros((5, 8), np.float32)])  # fmt: skip


def test_a_scattered_position_that_changes_is_read_again() -> None:
    check("""
@prim_func(outputs=('I', 'B'))
def moving(A: buffer((4,), 'int32'), I: buffer((1,), 'int32'), B: buffer((3,), 'int32')):
    I[0] = 0
    for i in unrolled(0, 3):
        B[i] = A[opaque(I[0], 0, 3)]
        I[0] = I[0] + 1
""")


PADDED = """
@prim_func(outputs=('B',))
def padded(A: buffer((6, 6), 'float32'), B: buffer((8, 8), 'float32')):
    for i in serial(0, 8):
        for j in {kind}(0, 8):
            B[8*i + j] = A[6*i + j - 7] if i - 1 >= 0 and 6 - i >= 0 and j - 1 >= 0 and 6 - j >= 0 else -1.0
"""  # noqa: E501


@pytest.mark.parametrize("kind", ["serial", "unrolled"])
def test_a_select_never_reads_the_side_it_does_not_take(kind: str) -> None:
    check(PADDED.format(kind=kind))


def test_a_cheap_select_is_one_instruction() -> None:
    func = parse_func("""
@prim_func(outputs=('B',))
def cheap(B: buffer((8,), 'int32')):
    for i in serial(0, 8):
        B[i] = index(i) if 3 - i >= 0 else 0
""")
    check(func)
    assert "phi i32" not in emit_llvm(func, TARGET)


@pytest.mark.parametrize("lanes", [1, 8])
def test_where_reads_through_data_only_where_it_is_chosen(lanes: int) -> None:
    at = f"ramp({lanes}*i, {lanes})" if lanes > 1 else "i"
    row = "ramp(8*opaque(I[i], 0, 3), 8)" if lanes > 1 else "opaque(I[i], 0, 3)"
    zero = "broadcast(0.0, 8)" if lanes > 1 else "0.0"
    text = f"""
@prim_func(outputs=('B',))
def chosen(A: buffer((4, {lanes}), 'float32'), I: buffer((3,), 'int64'), M: buffer((3, {lanes}), 'bool'), B: buffer((3, {lanes}), 'float32')):
    for i in serial(0, 3):
        B[{at}] = where(M[{at}], A[{row}], {zero})
"""  # noqa: E501
    rng = np.random.default_rng(0)
    far = np.array([2, 1 << 40, 0], np.int64)
    mask = np.ones((3, lanes), bool)
    mask[1] = False
    table = rng.standard_normal((4, lanes)).astype(np.float32)
    check(text, arrays=[table, far, mask, np.zeros((3, lanes), np.float32)])


def test_data_lets_are_computed_once_and_repeated_in_lanes() -> None:
    check("""
@prim_func(outputs=('B',))
def lets(A: buffer((4, 8), 'float32'), B: buffer((4, 8), 'float32')):
    for i in serial(0, 4):
        t: float32 = A[8*i] - 1.0
        B[ramp(8*i, 8)] = A[ramp(8*i, 8)] * broadcast(t, 8)
""")
