"""Canonical operations mean what the formula says, and know what they can."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from tensorc import te
from tensorc.ir.printer import print_expr
from tensorc.te import ComputeDAG, Expr, Tensor
from tensorc.te.check import check_formulas
from tensorc.te.op import Op
from tests.te.interpreter import interpret
from tests.te.running import by_canonical_form

ROWS, COLUMNS = 5, 7


def op_of(tensor: Tensor, *inputs: Tensor) -> Op:
    return ComputeDAG.from_tensors([*inputs, tensor]).by_name[tensor.name]


def text_of(shape: tuple[int, ...], formula: Callable[..., object], *inputs: Tensor) -> str:
    op = op_of(te.compute(shape, formula, name="out"), *inputs)
    check_formulas(op)
    return print_expr(op.body[0])


def vector(n: int, name: str = "A", dtype: str = "float32") -> Tensor:
    return te.placeholder((n,), dtype, name=name)


# ---- Indices

numbers = st.integers(-9, 9)


@st.composite
def integers_of_axes(draw: st.DrawFn, depth: int = 3) -> Callable[..., Expr]:
    """A function from two axes to an integer expression."""
    if depth == 0 or draw(st.booleans()):
        match draw(st.sampled_from("ijn")):
            case "i":
                return lambda i, j: i
            case "j":
                return lambda i, j: j
            case _:
                n = draw(numbers)
                return lambda i, j: te.const(n)
    a = draw(integers_of_axes(depth - 1))
    kind = draw(st.sampled_from(("+", "-", "*", "//", "%", "div", "mod", "max", "select", "cast")))
    if kind in ("//", "%", "div", "mod"):
        n = draw(numbers.filter(lambda x: x != 0))
        functions = {"//": te.floordiv, "%": te.floormod, "div": te.truncdiv, "mod": te.truncmod}
        return lambda i, j: functions[kind](a(i, j), n)
    if kind == "cast":
        return lambda i, j: a(i, j).astype("int64").astype("int32")
    b = draw(integers_of_axes(depth - 1))
    match kind:
        case "+":
            return lambda i, j: a(i, j) + b(i, j)
        case "-":
            return lambda i, j: a(i, j) - b(i, j)
        case "*":
            return lambda i, j: a(i, j) * b(i, j)
        case "max":
            return lambda i, j: te.max(a(i, j), b(i, j))
        case _:
            c = draw(conditions_on_axes(depth - 1))
            return lambda i, j: te.if_then_else(c(i, j), a(i, j), b(i, j))


@st.composite
def conditions_on_axes(draw: st.DrawFn, depth: int) -> Callable[..., Expr]:
    if depth > 0 and draw(st.booleans()):
        p, q = draw(conditions_on_axes(depth - 1)), draw(conditions_on_axes(depth - 1))
        match draw(st.sampled_from(("all", "any", "not"))):
            case "all":
                return lambda i, j: te.all(p(i, j), q(i, j))
            case "any":
                return lambda i, j: te.any(p(i, j), q(i, j))
            case _:
                return lambda i, j: ~p(i, j)
    a, b = draw(integers_of_axes(depth)), draw(integers_of_axes(depth))
    comparison = draw(st.sampled_from(("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")))
    return lambda i, j: getattr(te.const(0) + a(i, j), comparison)(b(i, j))


@settings(max_examples=150)
@given(integers_of_axes())
def test_integer_values_of_axes_are_kept(formula: Callable[..., Expr]) -> None:
    out = te.compute((ROWS, COLUMNS), formula, name="out")
    check_formulas(op_of(out))
    np.testing.assert_array_equal(by_canonical_form([out], [])[0], interpret([out], [])[0])


@settings(max_examples=150)
@given(integers_of_axes(), conditions_on_axes(2))
def test_indices_and_guards_are_kept(
    formula: Callable[..., Expr], condition: Callable[..., Expr]
) -> None:
    A = te.placeholder((ROWS,), name="A")

    def element(i: Expr, j: Expr) -> Expr:
        index = formula(i, j)
        inside = te.all(index >= 0, index < ROWS)
        return te.if_then_else(te.all(condition(i, j), inside), A[index], -1.0)

    out = te.compute((ROWS, COLUMNS), element, name="out")
    check_formulas(op_of(out, A))
    a = np.arange(ROWS, dtype=np.float32)
    np.testing.assert_array_equal(by_canonical_form([A, out], [a])[0], interpret([A, out], [a])[0])


@settings(max_examples=60)
@given(conditions_on_axes(3))
def test_conditions_as_values_are_kept(condition: Callable[..., Expr]) -> None:
    out = te.compute((ROWS, COLUMNS), condition, name="out")
    check_formulas(op_of(out))
    np.testing.assert_array_equal(by_canonical_form([out], [])[0], interpret([out], [])[0])


@settings(max_examples=60)
@given(conditions_on_axes(1), conditions_on_axes(1), st.sampled_from(("all", "any")))
def test_conditions_on_axes_and_data_mix(
    p: Callable[..., Expr], q: Callable[..., Expr], kind: str
) -> None:
    A = te.placeholder((ROWS, COLUMNS), name="A")
    join = te.all if kind == "all" else te.any

    def element(i: Expr, j: Expr) -> Expr:
        test = join(p(i, j), A[i, j] > 0.5, te.any(q(i, j), A[i, j] < 0.2))
        return te.select(test, A[i, j], te.select(~test, -A[i, j], 7.0))

    out = te.compute((ROWS, COLUMNS), element, name="out")
    check_formulas(op_of(out, A))
    a = np.random.default_rng(0).random((ROWS, COLUMNS), np.float32)
    np.testing.assert_array_equal(by_canonical_form([A, out], [a])[0], interpret([A, out], [a])[0])
