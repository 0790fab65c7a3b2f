"""Which reductions need each other's results in a way that parts of the data can be combined."""

import pytest

from tensorc import te, topi
from tensorc.space.definitions.chains import chain_of
from tensorc.te.dag import ComputeDAG

ROWS, LENGTH = 4, 100


def chains(dag):
    """The chains of a program, in the order of their first reductions."""
    return [chain for op in dag.ops if (chain := chain_of(dag, op)) is not None]


def found(first=None, term=None, *, rows=ROWS, length=LENGTH, more=lambda *_: []):
    """What is found in a maximum, or the reduction `first`, and a sum of `term` behind it."""
    x = te.placeholder((ROWS, LENGTH), name="x")
    k1, k2 = te.reduce_axis((0, LENGTH), name="k"), te.reduce_axis((0, length), name="k")
    first = first or (lambda x, i, k: te.max(x[i, k], axis=k))
    term = term or (lambda x, m, i, k: te.exp(x[i, k] - m[i]))
    m = te.compute((ROWS,), lambda i: first(x, i, k1), name="m")
    s = te.compute((rows,), lambda i: te.sum(term(x, m, i, k2), axis=k2), name="s")
    dag = ComputeDAG.of([x, *more(x, m, s), s])
    return [(c.first.name, [f.stage for f in c.followers]) for c in chains(dag)]


def total(x, i, k):
    return te.sum(x[i, k], axis=k)


def test_a_sum_of_exponentials_behind_its_maximum_is_a_chain():
    assert found() == [("m", ["s"])]


@pytest.mark.parametrize(
    "term",
    [
        lambda x, m, i, k: te.exp2((x[i, k] - m[i]) * 1.5),
        lambda x, m, i, k: x[i, k] * te.exp(x[i, k] - m[i]),
        lambda x, m, i, k: te.exp(x[i, k] - m[i]) * x[i, k],
        lambda x, m, i, k: te.exp(x[i, k] - m[i]) / (x[i, k] * x[i, k] + 1.0),
        lambda x, m, i, k: te.exp(x[i, k].astype("float64") - m[i].astype("float64")),
    ],
)
def test_multiples_of_exponentials_are_too(term):
    assert found(term=term) == [("m", ["s"])]


@pytest.mark.parametrize(
    "term",
    [
        lambda x, m, i, k: te.exp(m[i] - x[i, k]),
        lambda x, m, i, k: te.exp((x[i, k] - m[i]) * -1.0),
        lambda x, m, i, k: te.exp(x[i, k] * 2.0 - m[i]),
        lambda x, m, i, k: te.exp(x[i, LENGTH - 1 - k] - m[i]),
        lambda x, m, i, k: te.exp(x[i, k] - m[(i + 1) % ROWS]),
        lambda x, m, i, k: te.exp(x[i, k] - m[i]) * m[i],
        lambda x, m, i, k: te.exp(x[i, k] - m[i]) + 1.0,
        lambda x, m, i, k: x[i, k] - m[i],
        lambda x, m, i, k: te.tanh(x[i, k] - m[i]),
        lambda x, m, i, k: x[i, k],
    ],
)
def test_other_terms_do_not_follow_from_those_of_parts(term):
    assert found(term=term) == []


def test_a_smallest_value_bounds_no_exponential():
    assert found(lambda x, i, k: te.min(x[i, k], axis=k)) == []


@pytest.mark.parametrize(
    ("rows", "length"), [(ROWS, LENGTH - 1), (ROWS - 1, LENGTH)], ids=["terms", "elements"]
)
def test_reductions_over_other_axes_are_no_chain(rows, length):
    assert found(rows=rows, length=length) == []


def test_positions_of_the_largest_are_no_first_reduction():
    x = te.placeholder((ROWS, LENGTH), name="x")
    k1, k2 = (te.reduce_axis((0, LENGTH), name="k") for _ in range(2))
    at, m = te.compute((ROWS,), lambda i: te.argmax(x[i, k1], axis=k1), name="m")
    s = te.compute((ROWS,), lambda i: te.sum(te.exp(x[i, k2] - m[i]), axis=k2), name="s")
    assert chains(ComputeDAG.of([x, at, s])) == []


def test_what_others_read_too_may_be_a_first_reduction():
    def more(x, m, s):
        return [te.compute((ROWS,), lambda i: m[i] + s[i], name="log_of_sum")]

    assert found(more=more) == [("m", ["s"])]


def test_powers_that_are_a_result_are_not_computed_twice():
    x = te.placeholder((ROWS, LENGTH), name="x")
    k1, k2 = (te.reduce_axis((0, LENGTH), name="k") for _ in range(2))
    m = te.compute((ROWS,), lambda i: te.max(x[i, k1], axis=k1), name="m")
    e = te.compute((ROWS, LENGTH), lambda i, j: te.exp(x[i, j] - m[i]), name="e")
    s = te.compute((ROWS,), lambda i: te.sum(e[i, k2], axis=k2), name="s")
    assert chains(ComputeDAG.of([x, e, s])) == []
    (chain,) = chains(ComputeDAG.of([x, s]))
    assert chain.followers[0].written_out == {"e"}


@pytest.mark.parametrize("centre", [lambda m: m / 100.0, lambda m: m * 0.01, lambda m: m + 3.0])
def test_squares_of_differences_from_anything_of_a_sum_are_a_chain(centre):
    def squares(x, m, i, k):
        apart = x[i, k] - centre(m[i])
        return apart * apart

    assert found(total, squares) == [("m", ["s"])]


@pytest.mark.parametrize(
    "term",
    [
        lambda x, m, i, k: (x[i, k] - m[i]) * (x[i, k] + m[i]),
        lambda x, m, i, k: (x[i, k] - m[i]) * (x[i, k] - m[i]) * (x[i, k] - m[i]),
        lambda x, m, i, k: (x[i, k] * x[i, k] - m[i]) * (x[i, k] * x[i, k] - m[i]),
        lambda x, m, i, k: (x[i, k] - m[i] * k) * (x[i, k] - m[i] * k),
        lambda x, m, i, k: te.exp(x[i, k] - m[i]),
    ],
)
def test_other_products_are_none(term):
    assert found(total, term) == []


def test_softmax_and_layer_norm_are_chains_and_a_plain_sum_is_none():
    x = te.placeholder((ROWS, LENGTH), name="x")
    g, b = te.placeholder((LENGTH,), name="g"), te.placeholder((LENGTH,), name="b")
    counts = [
        len(chains(ComputeDAG.of(tensors)))
        for tensors in (
            [x, topi.softmax(x)],
            [x, topi.softmax(x, 0)],
            [x, g, b, topi.layer_norm(x, g, b)],
            [x, topi.sum(x, 1)],
        )
    ]
    assert counts == [1, 1, 1, 0]
