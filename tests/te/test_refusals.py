"""What is no program is refused, and the message names the object."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorc import te
from tensorc.support.errors import TEError
from tensorc.te import ComputeDAG, Tensor


def matrix(name: str = "A", dtype: str = "float32", shape: tuple[int, ...] = (4, 6)) -> Tensor:
    return te.placeholder(shape, dtype, name=name)


def build(shape: tuple[int, ...], formula: Callable[..., object], *inputs: Tensor) -> ComputeDAG:
    return ComputeDAG.from_tensors([*inputs, te.compute(shape, formula, name="B")])


def refused(message: str) -> pytest.RaisesExc[TEError]:
    return pytest.raises(TEError, match=message)


# ---- Tensors and shapes


def test_negative_extent() -> None:
    with refused("non-negative extent of tensor 'A', got -1"):
        te.placeholder((3, -1), name="A")


def test_negative_extent_of_a_reduction() -> None:
    with refused("non-negative extent of reduction axis 'k', got -2"):
        te.reduce_axis((5, 3), name="k")


@pytest.mark.parametrize("extent", [2.0, "3", True, None])
def test_extent_that_is_no_integer(extent: object) -> None:
    with refused("Expected an int as extent of tensor 'A'"):
        te.placeholder((extent,), name="A")


def test_symbolic_extents() -> None:
    n = te.var("n")
    with refused("The extent 'n' of tensor 'A' is symbolic: shapes must be known"):
        te.placeholder((n, 4), name="A")
    with refused("The extent 'n' of reduction axis 'k' is symbolic"):
        te.reduce_axis((0, n), name="k")


def test_symbolic_variable_in_a_formula() -> None:
    with refused("tensor 'B' uses the symbolic variable 'n'"):
        build((4,), lambda i: i + te.var("n"))


def test_unsupported_dtype() -> None:
    with refused("Expected a dtype among float16, .* got 'complex64'"):
        te.placeholder((2,), "complex64", name="A")


def test_formula_of_the_wrong_number_of_indices() -> None:
    with refused("formula of 2 indices for tensor 'B' of shape .4, 6., got one of 1"):
        te.compute((4, 6), lambda i: i, name="B")
    with refused("got one of 3"):
        te.compute((4, 6), lambda i, j, k, *rest: i, name="B")


def test_formula_without_a_value() -> None:
    with refused("The formula of tensor 'B' returned no value"):
        te.compute((4,), lambda i: (), name="B")
    with refused("Expected a te expression or a number, got 'None'"):
        te.compute((4,), lambda i: None, name="B")


def test_equal_names_of_tensors() -> None:
    A, B = matrix("X"), matrix("X")
    with refused("unique names of tensors, got 'X' twice"):
        build((4, 6), lambda i, j: A[i, j] + B[i, j], A, B)


def test_names_that_are_spelled_alike_stay_apart() -> None:
    A, B = matrix("é"), matrix("ß")
    dag = build((4, 6), lambda i, j: A[i, j] + B[i, j], A, B)
    assert [op.name for op in dag.ops[:2]] == ["_", "__1"]


def test_axis_named_like_a_reduction_axis() -> None:
    A, k = matrix(), te.reduce_axis((0, 6), name="k")
    B = te.compute((4,), lambda *i: te.sum(A[i[0], k], k), name="B", varargs_names=["k"])
    with refused("unique names of axes in tensor 'B', got 'k' twice"):
        ComputeDAG.from_tensors([A, B])


# ---- Parameters of a program


def test_placeholder_that_is_not_a_parameter() -> None:
    A = matrix()
    with refused("The placeholder 'A' is read but is no parameter"):
        build((4,), lambda i: A[i, 0])


def test_parameter_given_twice() -> None:
    A = matrix()
    with refused("The tensor 'A' is a parameter twice"):
        build((4,), lambda i: A[i, 0], A, A)


def test_nothing_computed() -> None:
    with refused("Expected at least one computed tensor"):
        ComputeDAG.from_tensors([matrix()])


def test_parameter_that_is_no_tensor() -> None:
    with refused("Expected tensors as parameters of a program, got '3'"):
        ComputeDAG.from_tensors([3])


# ---- Indices


@pytest.mark.parametrize(
    "read",
    [
        lambda A, i: A[i, i, i],
        lambda A, i: A[i][i][i],
        lambda A, i: A(i),
        lambda A, i: A[i] + 1.0,
        lambda A, i: A + 1.0,
        lambda A, i: te.exp(A),
    ],
)
def test_wrong_number_of_indices(read: Callable[..., object]) -> None:
    A = matrix()
    with refused("Expected 2 indices for tensor 'A' of shape .4, 6., got [013]"):
        te.compute((4,), lambda i: read(A, i), name="B")


@pytest.mark.parametrize("index", [1.5, slice(None), Ellipsis, None])
def test_index_that_is_no_integer(index: object) -> None:
    A = matrix()
    with refused("Expected an integer index for tensor 'A'"):
        te.compute((4,), lambda i: A[i, index], name="B")


def test_float_expression_as_index() -> None:
    A = matrix()
    with refused("Expected an integer index for tensor 'A', got an expression of type 'float32'"):
        te.compute((4,), lambda i: A[i, A[i, 0]], name="B")


def test_iteration_over_a_tensor() -> None:
    with refused("The tensor 'A' cannot be iterated over"):
        list(matrix())


@pytest.mark.parametrize(
    ("index", "what"),
    [
        (lambda i: i + 4, "index number 1 is 6 where i = 2"),
        (lambda i: i - 1, "index number 1 is -1 where i = 0"),
        (lambda i: 6, "index number 1 is 6"),
        (lambda i: 2 * i, "index number 1 is 6 where i = 3"),
        (lambda i: i // 2 - 1, "index number 1 is -1 where i = 0"),
        (lambda i: te.if_then_else(i > 1, i + 7, i + 6), "index number 1 is between 6 and 10"),
        (lambda i: i * i + 6, "index number 1 is between 6 and 15"),
    ],
)
def test_index_out_of_bounds(index: Callable[..., object], what: str) -> None:
    A = matrix()
    with refused(rf"Tensor 'B' reads 'A' of shape \(4, 6\) out of bounds: {what}"):
        build((4,), lambda i: A[i, index(i)], A)


def test_guard_that_is_not_enough() -> None:
    A = matrix()
    with refused("index number 1 is 6 where i = 3"):
        build((8,), lambda i: te.if_then_else(te.all(i > 0, i < 5), A[0, i + 3], 0), A)


def test_guard_on_two_axes_that_is_not_enough() -> None:
    A = matrix()
    with refused("out of bounds: index number 1 is -1 where"):
        build((8, 8), lambda i, j: te.if_then_else(i + j >= 2, A[0, (i + j) % 6 - 1], 0), A)


def test_read_of_a_tensor_without_elements() -> None:
    A = matrix(shape=(4, 0))
    with refused("reads 'A' of shape .4, 0., which has no elements"):
        build((4,), lambda i: A[i, 0], A)


@pytest.mark.parametrize(
    "formula",
    [
        lambda A, i: te.if_then_else(te.all(i >= 2, i < 8), A[0, i - 2], 0),
        lambda A, i: te.select(te.any(i < 2, i >= 8), 0.0, A[0, i - 2]),
        lambda A, i: te.select(i >= 6, 0.0, A[0, i]),
        lambda A, i: te.if_then_else((i * 2 - 3) % 8 < 6, A[0, (i * 2 - 3) % 8], 0),
        lambda A, i: te.if_then_else(~te.any(i < 2, i > 7), A[0, i - 2], 0),
        lambda A, i: te.if_then_else(te.all(i // 2 >= 1, i // 2 <= 3), A[0, i // 2 + 2], 0),
        lambda A, i: te.if_then_else(i == 9, A[0, i - 4], 0),
        lambda A, i: te.if_then_else(A[0, 0] > 0, A[0, i], 0),
        lambda A, i: te.if_then_else(i > 100, A[0, i], 0),
    ],
)
def test_guarded_reads_are_allowed(formula: Callable[..., object]) -> None:
    A = matrix()
    build((10,), lambda i: formula(A, i), A)


def test_reads_in_empty_domains_are_allowed() -> None:
    A = matrix()
    build((0,), lambda i: A[i + 9, 0], A)


# ---- Axes and reductions


def test_reduction_axis_outside_of_a_reduction() -> None:
    A, k = matrix(), te.reduce_axis((0, 6), name="k")
    with refused("The reduction axis 'k' is used in tensor 'B' outside of a reduction over it"):
        build((4,), lambda i: A[i, k], A)


def test_reduction_axis_used_twice() -> None:
    A, k = matrix(), te.reduce_axis((0, 6), name="k")
    with refused("The reduction axis 'k' is used twice in tensor 'B'"):
        build((4,), lambda i: te.sum(A[i, k], axis=[k, k]), A)


def test_axis_of_another_tensor() -> None:
    A = matrix()
    other = te.compute((4,), lambda p: A[p, 0], name="C")
    with refused("The axis 'p' used in tensor 'B' is not an axis of it"):
        build((4,), lambda i: A[other.op.axis[0], 0], A)


@pytest.mark.parametrize(
    "formula",
    [
        lambda A, i, k: te.sum(A[i, k], axis=k) + 1.0,
        lambda A, i, k: te.exp(te.sum(A[i, k], axis=k)),
        lambda A, i, k: te.if_then_else(i > 0, te.sum(A[i, k], axis=k), 0.0),
        lambda A, i, k: te.max(te.sum(A[i, k], axis=k), axis=te.reduce_axis((0, 2))),
    ],
)
def test_reduction_inside_an_expression(formula: Callable[..., object]) -> None:
    A, k = matrix(), te.reduce_axis((0, 6), name="k")
    with refused("tensor 'B' has a reduction inside an expression"):
        build((4,), lambda i: formula(A, i, k), A)


def test_outputs_of_several_reductions() -> None:
    A, k = matrix(), te.reduce_axis((0, 6), name="k")
    with refused("outputs of tensor 'B' to be those of one reduction"):
        build((4,), lambda i: (te.sum(A[i, k], axis=k), te.max(A[i, k], axis=k)), A)


def test_axis_that_is_no_reduction_axis() -> None:
    A = matrix()
    with refused("Expected reduction axes made by te.reduce_axis"):
        te.compute((4,), lambda i: te.sum(A[i, 0], axis=[i]), name="B")
    with refused("The reduction 'sum' has no axis"):
        te.compute((4,), lambda i: te.sum(A[i, 0], axis=[]), name="B")


def test_initial_value_of_a_reduction() -> None:
    A, k = matrix(), te.reduce_axis((0, 6), name="k")
    with refused("The reduction 'sum' cannot start from a given value"):
        te.compute((4,), lambda i: te.sum(A[i, k], axis=k, init=1.0), name="B")


def test_reducer_that_changes_the_type() -> None:
    A, k = matrix(dtype="bool"), te.reduce_axis((0, 6), name="k")
    with refused("reducer 'sum' to combine values of types .bool. of tensor 'B' to the same"):
        build((4,), lambda i: te.sum(A[i, k], axis=k), A)


def test_reducer_without_a_constant_identity() -> None:
    A, k = matrix(), te.reduce_axis((0, 6), name="k")
    odd = te.comm_reducer(lambda x, y: x + y, lambda t: A[0, 0], name="odd")
    with refused("Expected a constant as neutral element of the reducer 'odd'"):
        build((4,), lambda i: odd(A[i, k], axis=k), A)


# ---- Types and numbers


def test_truth_value_of_an_expression() -> None:
    with refused("has no truth value .* use te.if_then_else"):
        te.compute((4,), lambda i: 1 if i > 2 else 0, name="B")


def test_division_of_integers() -> None:
    with refused("'/' of two values of type 'int32' is ambiguous"):
        te.compute((4,), lambda i: i / 2, name="B")


def test_division_by_zero() -> None:
    with refused("The divisor of '//' is the constant 0"):
        te.compute((4,), lambda i: i // 0, name="B")
    with refused("The divisor of '%' is the constant 0"):
        te.indexmod(4, 0)


def test_bits_of_a_float() -> None:
    A = matrix()
    with refused("Expected integers for '<<', got values of type 'float32'"):
        te.compute((4,), lambda i: A[i, 0] << 1, name="B")
    with refused("Expected an integer for 'bitwise_not'"):
        te.compute((4,), lambda i: ~A[i, 0], name="B")


def test_number_that_does_not_fit() -> None:
    A = matrix(dtype="int8")
    with refused("The number 300 does not fit the type 'int8'"):
        te.compute((4,), lambda i: A[i, 0] + 300, name="B")


def test_number_without_a_type() -> None:
    with refused("fits no integer type"):
        te.const(2**70)
    with refused("Expected a real number"):
        te.const(np.complex64(1))


def test_power_of_an_integer() -> None:
    A = matrix(dtype="int32")
    with refused("power of an integer needs a constant exponent"):
        te.compute((4,), lambda i: A[i, 0] ** A[i, 1], name="B")
