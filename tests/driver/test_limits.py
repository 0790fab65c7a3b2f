"""What is known for certain about how fast a program can be."""

import pytest

from kernels_ref import suite
from tensorc import te, topi
from tensorc.cli.workload import of_case
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


def total(shape, terms, product):
    """A sum of products over one axis."""
    k = te.reduce_axis((0, terms), name="k")
    return te.compute(shape, lambda *place: te.sum(product(*place, k), axis=k), name="D")


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: total((16, 4), 8, lambda i, o, k: a[i // 2, k] * b[k, o]),
        lambda a, b: total((16, 4), 8, lambda i, o, k: a[i % 8, k] * b[k, o]),
        lambda a, b: total((4, 4), 4, lambda i, o, k: a[i + k, 0] * b[0, o]),
        lambda a, b: total((8, 8), 8, lambda i, o, k: a[i, k] * a[o, k]),
        lambda a, b: total((5, 4), 8, lambda i, o, k: a[2 * i // 3, k] * b[k, o]),
    ],
    ids=["upsampled", "in rings", "windows of one weight", "symmetric", "rounded"],
)
def test_of_sums_that_repeat_some_products_nothing_is_certain(product):
    a, b = inputs((8, 8), (8, 4))
    assert limit_of(a, b, product(a, b)) is None


def test_nor_of_elements_that_padding_repeats():
    a, b = inputs((8, 8), (8, 4))
    twice = te.compute((18, 8), lambda i, k: te.if_then_else(i < 16, a[i // 2, k], 0.0), name="U")
    assert limit_of(a, b, total((18, 4), 8, lambda i, o, k: twice[i, k] * b[k, o])) is None


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: total((2, 4, 4), 8, lambda i, j, o, k: a[4 * i + j, k] * b[k, o]),
        lambda a, b: total((2, 4, 4), 8, lambda i, j, o, k: a[7 - 4 * i - j, k] * b[k, o]),
        lambda a, b: total(
            (8, 4), 8, lambda i, o, k: a[(i * 8 + k) // 8, (i * 8 + k) % 8] * b[k, o]
        ),
        lambda a, b: total((8, 4), 8, lambda i, o, k: a[(i + k) // 2, (i + k) % 2] * b[k, o]),
    ],
    ids=["digits", "digits backwards", "reshaped", "quotient and remainder"],
)
def test_places_that_tell_the_iterations_apart_may_be_written_in_any_way(product):
    a, b = inputs((8, 8), (8, 4))
    assert limit_of(a, b, product(a, b)).operations == 2 * 8 * 4 * 8


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("factor", [1, 2])
def test_each_channel_of_a_depthwise_convolution_has_its_products(factor, padding):
    terms = 8 * 3 - 2 if padding else 6 * 3
    first, last = inputs((1, 8, 8, 4), (1, 4, 8, 8))
    one = te.placeholder((factor, 3, 3, 4), name="W")
    other = te.placeholder((4, factor, 3, 3), name="W")
    rows = topi.depthwise_conv2d_nhwc(first, one, 1, padding)
    planes = topi.depthwise_conv2d_nchw(last, other, 1, padding)
    for data, weight, result in ((first, one, rows), (last, other, planes)):
        assert limit_of(data, weight, result).operations == 2 * 4 * factor * terms**2


def test_every_sum_of_products_of_the_suite_has_a_limit():
    for case in suite.cases():
        dag = of_case(case).dag
        found = compute_limit(SearchTask(dag, ONE))
        assert (found is None) == (case.workload.code == "SFM"), case.name


def test_of_a_product_that_another_needs_in_part_only_that_one_is_certain():
    a, b, c = inputs((6, 6), (6, 6), (6, 4))
    product = topi.matmul(a, b)
    below = total((6, 4), 6, lambda i, j, k: te.if_then_else(k < i, product[i, k], 0.0) * c[k, j])
    assert limit_of(a, b, c, below).operations == 2 * 15 * 4


def test_nor_of_what_the_zeros_of_the_other_factor_leave_out():
    a, b, c = inputs((6, 6), (8, 5), (5, 4))
    product = topi.matmul(b, c)
    wide = topi.nn.pad(a, (0, 0), (0, 2))
    late = total((6, 4), 8, lambda i, j, k: wide[i, k] * product[k, j])
    assert limit_of(a, b, c, late).operations == 2 * 6 * 6 * 4


def test_what_is_computed_once_takes_no_time_in_a_call():
    a, b, c = inputs((8, 8), (8, 8), (8, 8))
    early = topi.matmul(b, c)
    found = limit_of(a, b, c, topi.matmul(a, early), constants=("B", "C"))
    assert found.operations == 2 * 8**3
