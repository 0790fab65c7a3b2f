"""Every term is in one part, and parts know how many they have."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorc import te, topi
from tensorc.arith.affine import substitute_expr
from tensorc.arith.simplify import simplify_expr
from tensorc.ir.affine import Affine
from tensorc.ir.dtype import FLOAT32
from tensorc.ir.expr import BinaryOp, Cast, Const, Expr, Index
from tensorc.space.definitions.parts import parts_of
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.scope import evaluate

TARGET = Target("llvm", num_cores=1, features=("avx2",), vector_bytes=32)


def parts(shape, axis, nbytes=256):
    x = te.placeholder(shape, name="x")
    dag = ComputeDAG.of([x, topi.max(x, axis)])
    return parts_of(dag, dag.ops[-1], TARGET, nbytes)


def number(e: Expr) -> float:
    """The value of a formula of constants."""
    match e:
        case Const(value):
            return value
        case Index(affine):
            return evaluate(affine, {})
        case Cast(value):
            return number(value)
        case BinaryOp("min" | "max" as op, a, b):
            return {"min": min, "max": max}[op](number(a), number(b))
    raise AssertionError(e)


@settings(max_examples=12)
@given(st.integers(130, 400), st.booleans(), st.integers(0, 256))
def test_every_term_is_in_one_part_and_counted(length, along, nbytes):
    found = parts((3, length) if along else (length, 3), int(along), nbytes)
    assert found is not None
    sizes = dict(found.axes)
    seen = []
    for place in product(*(range(sizes[name]) for name in found.inside)):
        at = dict(zip(found.inside, place, strict=True))
        terms = [evaluate(found.index, {**at, found.step: n}) for n in range(found.steps)]
        mine = [k for k in terms if k < length]
        whole = {name: Affine(value) for name, value in at.items()}
        assert number(simplify_expr(substitute_expr(found.count(FLOAT32), whole))) == len(mine)
        seen += mine
    assert sorted(seen) == list(range(length))


def test_lanes_along_rows_have_parts_of_their_own():
    found = parts((3, 1024), 1)
    assert dict(found.axes) == {"i0": 3, "c": 16, "v": 32}
    assert (found.steps, found.conditions) == (2, ())


def test_parts_across_rows_keep_the_elements_innermost():
    found = parts((1024, 3), 0)
    assert [name for name, _ in found.axes] == ["c", "i0"]


@pytest.mark.parametrize(
    ("dtype", "inputs", "steps"), [("float32", 1, 4), ("float32", 2, 2), ("float16", 1, 8)]
)
def test_parts_are_as_long_as_what_is_read_for_them_fits(dtype, inputs, steps):
    read = [te.placeholder((3, 4096), dtype, name=f"x{n}") for n in range(inputs)]
    k = te.reduce_axis((0, 4096), name="k")

    def term(i):
        first, *others = (te.cast("float32", x[i, k]) for x in read)
        return sum(others, first) + te.cast("float32", read[0][i, 0])  # that one does not move

    total = te.compute((3,), lambda i: te.sum(term(i), axis=k))
    dag = ComputeDAG.of([*read, total])
    found = parts_of(dag, dag.ops[-1], TARGET, 512)
    assert found is not None
    assert (found.steps, dict(found.axes)["v"]) == (steps, 32)


@pytest.mark.parametrize(("shape", "axis"), [((3, 60), 1), ((3, 1024, 2, 2), 1)])
def test_few_terms_are_not_cut_nor_those_whose_neighbours_are_neither(shape, axis):
    x = te.placeholder(shape, name="x")
    k = te.reduce_axis((0, shape[1]), name="k")
    columns = te.compute((3,), lambda i: te.max(x(i, k, *(0 for _ in shape[2:])), axis=k))
    dag = ComputeDAG.of([x, columns])
    assert parts_of(dag, dag.ops[-1], TARGET, 256) is None


def test_terms_that_are_all_the_same_element_are_not_cut():
    x = te.placeholder((64,), name="x")
    k = te.reduce_axis((0, 4096), name="k")
    repeated = te.compute((64,), lambda i: te.sum(x[i], axis=k))
    dag = ComputeDAG.of([x, repeated])
    assert parts_of(dag, dag.ops[-1], TARGET, 256) is None
