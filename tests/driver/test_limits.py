"""What is known for certain about how fast a program can be."""

import pytest

from tensorc import te, topi
from tensorc.driver import limits
from tensorc.driver.limits import compute_limit
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

ONE = Target("llvm", num_cores=1)


def inputs(*shapes, dtype="float32"):
    return [te.placeholder(s, dtype, name="ABC"[n]) for n, s in enumerate(shapes)]


def limit_of(*tensors, constants=()):
    return compute_limit(SearchTask(ComputeDAG.from_tensors(tensors), ONE, constants))


def test_a_matrix_product_needs_its_multiply_adds(monkeypatch):
    monkeypatch.setattr(limits, "fma_peak", lambda *_, **__: 2e9)
    a, b = inputs((8, 16), (16, 32))
    found = limit_of(a, b, topi.matmul(a, b))
    assert found.operations == 2 * 8 * 16 * 32
    assert found() == pytest.approx(8 * 16 * 32 / 1e9)


def test_the_best_reading_of_the_peak_counts(monkeypatch):
    readings = iter([1e9, 4e9, 2e9, 1e9, 1e9, 1e9])
    monkeypatch.setattr(limits, "fma_peak", lambda *_, **__: next(readings))
    limit = limits.ComputeLimit(4e9, 1)
    assert [limit(), limit()] == [1.0, 1.0]


def test_float64_is_held_against_its_own_peak(monkeypatch):
    monkeypatch.setattr(limits, "fma_peak", lambda _, kind, **__: {"float64": 1e9}[kind])
    a, b = inputs((4, 4), (4, 4), dtype="float64")
    k = te.reduce_axis((0, 4), name="k")
    product = te.compute((4, 4), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="D")
    assert limit_of(a, b, product)() > 0


@pytest.mark.parametrize(("padding", "terms"), [(0, 6 * 3), (1, 8 * 3 - 2), (2, 10 * 3 - 2 * 3)])
def test_products_by_the_zeros_of_padding_are_not_needed(padding, terms):
    data, weight = inputs((1, 4, 8, 8), (5, 4, 3, 3))
    found = limit_of(data, weight, topi.conv2d_nchw(data, weight, 1, padding))
    assert found.operations == 2 * 4 * 5 * terms**2


def test_nor_are_those_by_the_gaps_of_transposed_convolutions():
    data, weight = inputs((1, 4, 4, 3), (4, 4, 3, 5))
    found = limit_of(data, weight, topi.conv2d_transpose_nhwc(data, weight, 2, 1))
    assert found.operations == 2 * 3 * 5 * (4 * 4 - 2) ** 2


def test_a_diagonal_condition_is_counted_too():
    a, b = inputs((6, 6), (6, 4))
    k = te.reduce_axis((0, 6), name="k")
    below = te.compute((6, 6), lambda i, j: te.if_then_else(j <= i, a[i, j], 0.0), name="L")
    product = te.compute((6, 4), lambda i, j: te.sum(below[i, k] * b[k, j], axis=k), name="D")
    assert limit_of(a, b, product).operations == 2 * 21 * 4


def test_where_other_conditions_decide_what_is_needed_nothing_is_certain():
    a, b = inputs((8, 8), (8, 8))
    product, padded = topi.matmul(a, b), topi.nn.pad(a, (0, 2), pad_value=0.0)
    signs = te.compute((8, 8), lambda i, j: te.if_then_else(a[i, j] > 0, a[i, j], 0.0), name="S")
    upper = te.compute((8, 8), lambda i, j: te.if_then_else(i < j, product[i, j], 0.0), name="U")
    twice = te.compute((8, 10), lambda i, j: padded[i, j] * 2.0, name="T")
    k = te.reduce_axis((0, 8), name="k")
    late = te.compute((10, 8), lambda i, j: te.sum(twice[k, i] * b[k, j], axis=k), name="D")
    assert limit_of(a, b, topi.matmul(signs, b)) is None
    assert limit_of(a, b, upper) is None
    assert limit_of(a, b, late) is None


def test_of_a_sum_that_is_read_in_part_no_products_are_certain():
    a, b = inputs((8, 8), (8, 8))
    product = topi.matmul(a, b)
    few = te.compute((2, 8), lambda i, j: product[i, j] + 1.0, name="F")
    turned = te.compute((8, 8), lambda i, j: product[j, i] + 1.0, name="T")
    assert limit_of(a, b, few) is None
    assert limit_of(a, b, turned).operations == 2 * 8**3


def test_of_other_types_and_of_mere_traffic_nothing_is_certain():
    a, b = inputs((4, 4), (4, 4), dtype="float16")
    assert limit_of(a, b, topi.matmul(a, b)) is None
    (c,) = inputs((64,))
    assert limit_of(c, topi.relu(c)) is None
    assert limit_of(c, topi.sum(c)) is None


def test_products_that_repeat_need_not_be_computed_again():
    a, b = inputs((8,), (8,))
    k = te.reduce_axis((0, 8), name="k")
    same = te.compute((16,), lambda i: te.sum(a[k] * b[k], axis=k), name="D")
    assert limit_of(a, b, same) is None


def test_what_is_computed_once_takes_no_time_in_a_call():
    a, b, c = inputs((8, 8), (8, 8), (8, 8))
    early = topi.matmul(b, c)
    found = limit_of(a, b, c, topi.matmul(a, early), constants=("B", "C"))
    assert found.operations == 2 * 8**3
