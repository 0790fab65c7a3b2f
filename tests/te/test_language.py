"""The dialect: what people write, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from tensorc import te
from tensorc.ir.dtype import as_dtype
from tensorc.te import Tensor, tir
from tests.te.interpreter import interpret, numpy_dtype
from tests.te.running import by_canonical_form

RNG = np.random.default_rng(0)


def run(tensors: list[Tensor], *inputs: Any) -> Any:
    """The outputs, which the program's meaning and its canonical form must agree about."""
    arrays = [np.asarray(x) for x in inputs]
    expected = interpret(tensors, arrays)
    for x, y in zip(by_canonical_form(tensors, arrays), expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)
    return expected[0] if len(expected) == 1 else expected


def element_of(dtype: str, other: str = "float32") -> te.Expr:
    return te.placeholder((4,), dtype, name="A")[0]


# ---- Tensors


def test_three_ways_to_index() -> None:
    A = te.placeholder((3, 4), name="A")
    sums = te.compute((3, 4), lambda i, j: A[i, j] + A[i][j] + A(i, j), name="B")
    a = RNG.random((3, 4), np.float32)
    np.testing.assert_array_equal(run([A, sums], a), a + a + a)


def test_what_a_tensor_answers() -> None:
    A = te.placeholder((3, 4), "int8", name="A")
    B = te.compute(A.shape, lambda i, j: A[i, j] * 2, name="B")
    assert (A.shape, A.dtype, A.ndim, A.op.name) == ((3, 4), "int8", 2, "A")
    assert (B.name, B.dtype, B.op.axis[0].name, B.op.reduce_axis) == ("B", "int8", "i", ())
    assert B.op.output(0).shape == (3, 4)
    assert repr(A) == "Tensor('A', shape=(3, 4), dtype=int8)"


def test_tensors_without_dimensions_stand_for_numbers() -> None:
    A = te.placeholder((), name="A")
    B = te.compute((3,), lambda i: A * 2 + A() + te.exp(A) - A, name="B")
    np.testing.assert_allclose(run([A, B], np.float32(0.5)), np.full(3, 1 + np.exp(0.5)), rtol=1e-6)


def test_tensors_without_elements() -> None:
    A = te.placeholder((0, 4), name="A")
    k = te.reduce_axis((0, 0), name="k")
    B = te.compute((4,), lambda j: te.sum(A[k, j], axis=k), name="B")
    C = te.compute((0, 4), lambda i, j: A[i, j] + B[j], name="C")
    total, nothing = run([A, B, C], np.zeros((0, 4), np.float32))
    np.testing.assert_array_equal(total, np.zeros(4))
    assert nothing.shape == (0, 4)


def test_shapes_may_be_numpy_and_te_integers() -> None:
    assert te.placeholder((np.int64(3), te.const(4)), name="A").shape == (3, 4)
    assert te.compute(5, lambda i: i, name="B").shape == (5,)


def test_formulas_may_be_any_callable() -> None:
    A = te.placeholder((3, 4), name="A")

    def element(scale: float, i: te.Expr, j: te.Expr) -> te.Expr:
        return A[i, j] * scale

    B = te.compute((3, 4), partial(element, 2.0), name="B")
    assert [a.name for a in B.op.axis] == ["i", "j"]


def test_rest_parameters_take_the_remaining_axes() -> None:
    A = te.placeholder((2, 3, 4), name="A")
    B = te.compute(A.shape, lambda n, *i: A(n, *i), name="B")
    assert [a.name for a in B.op.axis] == ["n", "i0", "i1"]


# ---- Numbers and types


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda: element_of("int8") + 1, "int8"),
        (lambda: 1 + element_of("uint16"), "uint16"),
        (lambda: element_of("int32") * 0.5, "float32"),
        (lambda: element_of("float16") * 0.5, "float16"),
        (lambda: element_of("float64") + np.float32(1), "float64"),
        (lambda: element_of("float32") + np.float64(1), "float32"),
        (lambda: element_of("int8") + np.int64(1), "int8"),
        (lambda: element_of("bool") + element_of("bool"), "int32"),
        (lambda: element_of("bool") & element_of("bool"), "bool"),
        (lambda: element_of("bool") | True, "bool"),
        (lambda: element_of("bool") * 2, "int32"),
        (lambda: element_of("int8") + element_of("uint8"), "int16"),
        (lambda: element_of("int64") + element_of("float32"), "float32"),
        (lambda: element_of("float16") + element_of("bfloat16"), "float32"),
        (lambda: te.exp(element_of("int32")), "float32"),
        (lambda: te.abs(element_of("int8")), "int8"),
        (lambda: te.floor(element_of("int8")), "int8"),
        (lambda: element_of("float32") > 1, "bool"),
        (lambda: te.isnan(element_of("float32")), "bool"),
        (lambda: te.const(1), "int32"),
        (lambda: te.const(2**40), "int64"),
        (lambda: te.const(1.5), "float32"),
        (lambda: te.const(True), "bool"),
        (lambda: te.const(3, "float16"), "float16"),
        (lambda: te.if_then_else(element_of("bool"), element_of("int8"), 1.5), "float32"),
        (lambda: te.cast("float64", element_of("int8")), "float64"),
        (lambda: te.max_value("int8"), "int8"),
        (lambda: te.power(element_of("int32"), 3), "int32"),
        (lambda: -element_of("uint8"), "uint8"),
        (lambda: ~element_of("int16"), "int16"),
    ],
)
def test_types(make: Callable[[], te.Expr], dtype: str) -> None:
    assert make().dtype.name == dtype


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda: te.const(7) // -2, -4),
        (lambda: te.const(7) % -2, -1),
        (lambda: te.truncdiv(te.const(-7), 2), -3),
        (lambda: te.const(127, "int8") + 1, -128),
        (lambda: te.const(0.1) + te.const(0.2), float(np.float32(0.1) + np.float32(0.2))),
        (lambda: te.cast("int32", te.const(2.9)), 2),
        (lambda: te.cast("uint8", te.const(-1)), 255),
        (lambda: te.const(0.1, "bfloat16"), 0.10009765625),
        (lambda: te.const(65536.0, "float16"), float("inf")),
        (lambda: te.min_value("int8"), -128),
        (lambda: te.max_value("float32"), float(np.finfo(np.float32).max)),
        (lambda: te.min_value("bfloat16"), -3.3895313892515355e38),
        (lambda: te.infinity(), float("inf")),
        (lambda: te.if_then_else(te.const(1) < 2, te.const(3), 4), 3),
        (lambda: te.all(), True),
        (lambda: te.any(), False),
    ],
)
def test_literals_are_folded(make: Callable[[], Any], value: Any) -> None:
    assert make().value == value


def test_arithmetic_on_plain_integers_gives_plain_integers() -> None:
    assert te.indexdiv(7, 2) == 3
    assert te.indexmod(-7, 4) == 1
    assert te.ceildiv(7, 2) == 4
    assert te.placeholder((te.floordiv(9, 2), te.truncmod(9, 5)), name="A").shape == (4, 4)


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float64", "int8", "uint8", "int64", "bool"]
)
def test_data_of_all_types_is_read_and_written(dtype: str) -> None:
    A = te.placeholder((4,), dtype, name="A")
    B = te.compute((4,), lambda i: A[i], name="B")
    C = te.compute((4,), lambda i: te.cast(dtype, A[i] + A[3 - i]), name="C")
    a = np.array([0, 1, 1, 3]).astype(numpy_dtype(as_dtype(dtype)))
    copy, sums = run([A, B, C], a)
    np.testing.assert_array_equal(copy, a)
    np.testing.assert_array_equal(sums, a + a[::-1])


# ---- Conditions


def test_conditions_on_data_and_axes() -> None:
    A = te.placeholder((8,), name="A")
    B = te.compute(
        (8,),
        lambda i: te.if_then_else(
            te.all(i > 0, A[i] > 0.3), A[i - 1], te.select(te.any(i == 3, A[i] < 0.1), 1.0, -1.0)
        ),
        name="B",
    )
    a = RNG.random(8, np.float32)
    run([A, B], a)


def test_bitwise_operators_join_conditions() -> None:
    B = te.compute((8,), lambda i: te.select((i > 2) & (i < 5) | ~(i < 7), 1, 0), name="B")
    np.testing.assert_array_equal(run([B]), [0, 0, 0, 1, 1, 0, 0, 1])


def test_conditions_are_values_too() -> None:
    A = te.placeholder((4,), name="A")
    B = te.compute((4,), lambda i: te.all(i < 3, A[i] > 0.5), name="B")
    C = te.compute((4,), lambda i: (i < 2).astype("float32") + (A[i] > 0.5), name="C")
    a = np.array([0, 1, 0, 1], np.float32)
    both, total = run([A, B, C], a)
    np.testing.assert_array_equal(both, [False, True, False, False])
    np.testing.assert_array_equal(total, [1, 2, 0, 1])


def test_gather_by_data() -> None:
    A = te.placeholder((6, 3), name="A")
    I = te.placeholder((4,), "int64", name="I")  # noqa: E741
    B = te.compute((4, 3), lambda i, j: A[I[i], j] + A[te.max(I[i] - 1, 0), j], name="B")
    a, at = RNG.random((6, 3), np.float32), np.array([5, 0, 3, 3])
    np.testing.assert_array_equal(run([A, I, B], a, at), a[at] + a[np.maximum(at - 1, 0)])


def test_indices_that_are_not_affine() -> None:
    A = te.placeholder((20,), name="A")
    B = te.compute((4, 5), lambda i, j: A[i * j + te.min(i, j)], name="B")
    a = RNG.random(20, np.float32)
    run([A, B], a)


# ---- Reductions


def test_reductions() -> None:
    A = te.placeholder((3, 5), name="A")
    a = RNG.random((3, 5), np.float32)
    for reducer, function in (
        (te.sum, np.sum), (te.prod, np.prod), (te.max, np.max), (te.min, np.min),
    ):  # fmt: skip
        k = te.reduce_axis((0, 5), name="k")
        B = te.compute((3,), lambda i: reducer(A[i, k], axis=k), name="B")  # noqa: B023
        np.testing.assert_allclose(run([A, B], a), function(a, axis=1), rtol=1e-6)


def test_reduction_over_part_of_an_axis() -> None:
    A = te.placeholder((9,), name="A")
    k = te.reduce_axis((2, 6), name="k")
    B = te.compute((3,), lambda i: te.sum(A[i + k], axis=k, where=k % 2 == 0), name="B")
    a = RNG.random(9, np.float32)
    np.testing.assert_allclose(run([A, B], a), [a[i + 2] + a[i + 4] for i in range(3)], rtol=1e-6)


def test_logical_reductions() -> None:
    A = te.placeholder((2, 3), "bool", name="A")
    k, m = (te.reduce_axis((0, 3), name=n) for n in "km")
    B = te.compute((2,), lambda i: te.all(A[i, k], axis=k), name="B")
    C = te.compute((2,), lambda i: te.any(A[i, m], axis=m), name="C")
    a = np.array([[True, True, True], [False, True, False]])
    every, some = run([A, B, C], a)
    np.testing.assert_array_equal(every, [True, False])
    np.testing.assert_array_equal(some, [True, True])


def test_argmax_takes_the_first_of_equals() -> None:
    A = te.placeholder((2, 3, 2), "int32", name="A")
    k, m = te.reduce_axis((0, 3), name="k"), te.reduce_axis((0, 2), name="m")
    position, largest = te.compute((2,), lambda i: te.argmax(A[i, k, m], axis=[k, m]), name="B")
    a = np.array([[[1, 5], [5, 0], [2, 5]], [[-7, -7], [-7, -7], [-7, -7]]], np.int32)
    where, what = run([A, position, largest], a)
    np.testing.assert_array_equal(where, [1, 0])
    np.testing.assert_array_equal(what, [5, -7])


def test_argmin_of_infinities_is_a_position() -> None:
    A = te.placeholder((3,), name="A")
    k = te.reduce_axis((0, 3), name="k")
    position, _ = te.compute((), lambda: te.argmin(A[k], axis=k), name="B")
    assert run([A, position], np.full(3, np.inf, np.float32)) == 0


def test_a_reducer_of_the_user() -> None:
    def combine(x: Any, y: Any) -> Any:
        keep = x[1] >= y[1]
        return tir.Select(keep, x[0], y[0]), tir.Select(keep, x[1], y[1])

    argmax = te.comm_reducer(
        combine, lambda t0, t1: (tir.const(-1, t0), te.min_value(t1)), name="argmax"
    )
    A = te.placeholder((4, 6), name="val")
    I = te.placeholder((4, 6), "int32", name="idx")  # noqa: E741
    k = te.reduce_axis((0, 6), "k")
    T0, T1 = te.compute((4,), lambda i: argmax((I[i, k], A[i, k]), axis=k), name="T")
    a = RNG.random((4, 6), np.float32)
    index = RNG.permutation(24).reshape(4, 6).astype(np.int32)
    first, second = run([I, A, T0, T1], index, a)
    np.testing.assert_array_equal(first, index[np.arange(4), a.argmax(1)])
    np.testing.assert_array_equal(second, a.max(1))


def test_reducers_combine_values_directly_too() -> None:
    A = te.placeholder((4,), name="A")
    B = te.compute((4,), lambda i: te.max(A[i], 0.5) + te.min(A[i], A[3 - i], 0.5), name="B")
    a = RNG.random(4, np.float32)
    expected = np.maximum(a, 0.5) + np.minimum(np.minimum(a, a[::-1]), 0.5)
    np.testing.assert_array_equal(run([A, B], a), expected)


def test_several_outputs_of_one_formula() -> None:
    A = te.placeholder((4,), name="A")
    B, C = te.compute((4,), lambda i: (A[i] * 2, i), name="B")
    D = te.compute((4,), lambda i: B[i] + C[i], name="D")
    a = RNG.random(4, np.float32)
    _, total = run([A, C, D], a)
    np.testing.assert_array_equal(total, a * 2 + np.arange(4, dtype=np.float32))


def test_unnamed_reduction_axes_may_share_a_tensor() -> None:
    A = te.placeholder((4, 5), name="A")
    k, m = te.reduce_axis((0, 4)), te.reduce_axis((0, 5))
    B = te.compute((), lambda: te.sum(A[k, m], axis=[k, m]), name="B")
    (op,) = [op for op in te.ComputeDAG.from_tensors([A, B]).ops if not op.is_placeholder]
    assert [name for name, _ in op.reduce_axes] == ["rv", "rv_1"]


# ---- Functions


@pytest.mark.parametrize(
    "name",
    [
        "exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "sqrt", "rsqrt", "tanh", "sigmoid",
        "sin", "cos", "tan", "atan", "sinh", "cosh", "floor", "ceil", "round", "trunc", "abs",
        "isnan", "isinf", "isfinite", "nearbyint",
    ],
)  # fmt: skip
def test_functions_of_one_value(name: str) -> None:
    A = te.placeholder((5,), name="A")
    B = te.compute((5,), lambda i: getattr(te, name)(A[i]), name="B")
    run([A, B], np.array([0.25, 0.5, 1.0, 1.5, 2.5], np.float32))


@pytest.mark.parametrize(
    "name", ["power", "atan2", "fmod", "copysign", "floordiv", "floormod", "div"]
)
def test_functions_of_two_floats(name: str) -> None:
    A = te.placeholder((4,), name="A")
    B = te.placeholder((4,), name="B")
    C = te.compute((4,), lambda i: getattr(te, name)(A[i], B[i]), name="C")
    a = np.array([0.5, 1.5, 2.0, 7.25], np.float32)
    run([A, B, C], a, np.array([2.0, -1.0, 0.5, 2.5], np.float32))


@pytest.mark.parametrize(
    "name", ["floordiv", "floormod", "truncdiv", "truncmod", "indexdiv", "div"]
)
@pytest.mark.parametrize("divisor", [3, -3])
def test_divisions_of_integers(name: str, divisor: int) -> None:
    A = te.placeholder((7,), "int32", name="A")
    B = te.compute((7,), lambda i: getattr(te, name)(A[i], divisor), name="B")
    C = te.compute((7,), lambda i: getattr(te, name)(i - 3, divisor), name="C")
    a = np.arange(-3, 4, dtype=np.int32)
    data, axes = run([A, B, C], a)
    np.testing.assert_array_equal(data, axes)


def test_bits() -> None:
    A = te.placeholder((4,), "uint8", name="A")
    B = te.compute((4,), lambda i: (A[i] << 1 | A[i] >> 2) ^ (~A[i] & 15), name="B")
    C = te.compute((4,), lambda i: te.popcount(A[i]), name="C")
    run([A, B, C], np.array([0, 1, 127, 255], np.uint8))


# ---- Attributes


def test_attributes_are_kept_in_plain_form() -> None:
    A = te.placeholder((4, 4), name="W")
    k = te.reduce_axis((0, 4), name="k")
    B = te.compute(
        (4, 4),
        lambda i, j: te.sum(A[i, k] * A[k, j], axis=k),
        name="B",
        tag="dense",
        attrs={
            "layout_free_placeholders": [A],
            "auto_scheduler_always_unroll_inner": ["i", k],
            "FLOP": 7,
            "workload": ("dense", 4, ("x", 1)),
        },
    )
    op = te.ComputeDAG.from_tensors([A, B]).by_name["B"]
    assert op.tag == "dense"
    assert op.attrs == (
        ("layout_free_placeholders", ("W",)),
        ("auto_scheduler_always_unroll_inner", ("i", "k")),
        ("FLOP", 7),
        ("workload", ("dense", "4", "('x', 1)")),
    )
