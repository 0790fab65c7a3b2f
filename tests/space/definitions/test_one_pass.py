"""Chains of reductions, part by part: the same results, under any schedule, of any length."""

from random import Random

import numpy as np
import pytest
from hypothesis import example as case_of
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels_ref
from tensorc import te, topi
from tensorc.driver.compile import compile_state
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import At
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions import one_pass
from tensorc.space.definitions.definition import DEFAULT_TOLERANCE, GIVEN, definitions_of
from tensorc.space.definitions.one_pass import OnePass
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.space.definitions.winograd import Winograd
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tests.fuzz.chains import RULES, chain_case

LLVM, C = Target("llvm", num_cores=1), Target("c", num_cores=1)
WIDE = Target("llvm", num_cores=1, features=("avx512f",), vector_bytes=64, l1_bytes=32 << 10)


def softmax(rows, length):
    x = te.placeholder((rows, length), name="x")
    return ComputeDAG.of([x, topi.softmax(x)])


def parted(dag):
    ways = definitions_of(dag, RULES, DEFAULT_TOLERANCE, LLVM)
    assert len(ways) == 2
    return ways[1].dag


def default_of(dag, *inputs, target=LLVM):
    return compile_state(default_schedule(dag, target), target)(*inputs)


def relative_error(got, want):
    return np.abs(got - want).max() / np.abs(want).max()


def example(seed, shift=0.0):
    case = chain_case(Random(seed))
    rng = np.random.default_rng(seed)
    inputs = [(rng.standard_normal(t.shape) + shift).astype(np.float32) for t in case.tensors[:-1]]
    # Weights of both signs cancel, and of what is left few digits are right by any definition.
    inputs = [np.abs(a) if t.name == "w" else a for t, a in zip(case.tensors, inputs, strict=False)]
    want = case.right(*(a.astype(np.float64) for a in inputs))
    return parted(ComputeDAG.of(case.tensors)), inputs, want


@pytest.mark.parametrize("length", [1024, 1031])
def test_softmax_has_both_reductions_of_a_part_in_front_of_what_follows(golden, length):
    (way,) = OnePass(cache=0.01, least=0.0).apply(softmax(3, length), 0.0, WIDE)
    assert way.name == "one pass for T_softmax_maxelem, T_softmax_expsum"
    golden.check(f"softmax_of_{length}", str(softmax(3, length)), str(way.dag))


@pytest.mark.parametrize("length", [1024, 1031])
def test_sums_of_squares_are_taken_from_the_mean_of_a_part(golden, length):
    x = te.placeholder((3, length), name="x")
    g, b = te.placeholder((length,), name="g"), te.placeholder((length,), name="b")
    dag = ComputeDAG.of([x, g, b, topi.layer_norm(x, g, b)])
    (way,) = OnePass(cache=0.01, least=0.0).apply(dag, 0.0, WIDE)
    golden.check(f"layer_norm_of_{length}", str(dag), str(way.dag))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.0, 10.0]))
@case_of(2000, 0.0)
def test_both_definitions_compute_the_same(seed, shift):
    dag, inputs, want = example(seed, shift)
    assert relative_error(default_of(dag, *inputs), want) <= 2e-6


@pytest.mark.parametrize("seed", range(8))
def test_every_backend_agrees_under_random_schedules(seed):
    dag, inputs, want = example(seed)
    rng = np.random.default_rng(seed)
    for target in (LLVM, C):
        task = SearchTask(dag, target)
        sketches = generate_sketches(task)
        space = Space(task, sketches[rng.integers(len(sketches))])
        for row in space.sample(2, rng):
            got = compile_state(replay(dag, space.steps(row)), target)(*inputs)
            assert relative_error(got, want) <= 2e-6


def test_the_variance_of_data_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(0)
    x = te.placeholder((2, 1031), name="x")
    k1, k2 = (te.reduce_axis((0, 1031), name="k") for _ in range(2))
    total = te.compute((2,), lambda i: te.sum(x[i, k1], axis=k1), name="total")

    def apart(i):
        return x[i, k2] - total[i] / 1031

    squares = te.compute((2,), lambda i: te.sum(apart(i) * apart(i), axis=k2), name="squares")
    data = (rng.standard_normal((2, 1031)) + 1000).astype(np.float32)
    want = data.astype(np.float64).var(1) * 1031
    assert relative_error(default_of(parted(ComputeDAG.of([x, squares])), data), want) <= 1e-5


@pytest.mark.parametrize("target", [LLVM, C])
def test_parts_without_a_finite_element_add_nothing(target):
    data = np.random.default_rng(0).standard_normal((2, 1024)).astype(np.float32)
    data[0, :800] = -np.inf
    data[1, 1:] = -np.inf
    got = default_of(parted(softmax(2, 1024)), data, target=target)
    assert np.abs(got - kernels_ref.softmax(data)).max() <= 1e-6
    assert not got[0, :800].any()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_row_with_an_element_that_is_no_number_has_none(odd):
    data = np.zeros((2, 1024), np.float32)
    data[0, 500] = odd
    got = default_of(parted(softmax(2, 1024)), data)
    assert np.isnan(got[0]).all()
    assert np.allclose(got[1], 1 / 1024)


def test_half_precision_is_summed_in_single():
    x = te.placeholder((2, 700), "float16", name="x")
    dag = parted(ComputeDAG.of([x, topi.softmax(x)]))
    data = np.random.default_rng(0).standard_normal((2, 700)).astype(np.float16)
    assert relative_error(default_of(dag, data), kernels_ref.softmax(data)) <= 1e-3


def test_what_stood_between_the_reductions_is_computed_again_by_its_only_reader():
    assert "T_softmax_exp" not in parted(softmax(2, 700)).by_name


def test_what_several_others_read_is_kept():
    x = te.placeholder((2, 700), name="x")
    k1, k2 = (te.reduce_axis((0, 700), name="k") for _ in range(2))
    m = te.compute((2,), lambda i: te.max(x[i, k1], axis=k1), name="m")
    e = te.compute((2, 700), lambda i, j: te.exp(x[i, j] - m[i]), name="e")
    s = te.compute((2,), lambda i: te.sum(e[i, k2], axis=k2), name="s")
    y = te.compute((2, 700), lambda i, j: e[i, j] * te.rsqrt(s[i]), name="y")
    z = te.compute((2, 700), lambda i, j: e[i, j] * te.sqrt(s[i]), name="z")
    dag = parted(ComputeDAG.of([x, y, z]))
    assert dag.read_by["e"] == ("y", "z")


def attention():
    """Rows of weights that are exponentials, each of which is read for 64 elements."""
    x, v = te.placeholder((2, 700), name="x"), te.placeholder((700, 64), name="v")
    k1, k2, k3 = (te.reduce_axis((0, 700), name="k") for _ in range(3))
    m = te.compute((2,), lambda i: te.max(x[i, k1], axis=k1), name="m")
    e = te.compute((2, 700), lambda i, j: te.exp(x[i, j] - m[i]), name="e")
    s = te.compute((2,), lambda i: te.sum(e[i, k2], axis=k2), name="s")
    o = te.compute((2, 64), lambda i, d: te.sum(e[i, k3] * v[k3, d], axis=k3), name="o")
    return ComputeDAG.of([x, v, te.compute((2, 64), lambda i, d: o[i, d] / s[i], name="y")])


def test_what_another_reduction_reads_several_times_is_kept():
    dag = parted(attention())
    assert dag.read_by["e"] == ("o",)
    rng = np.random.default_rng(0)
    x, v = rng.standard_normal((2, 700)), rng.standard_normal((700, 64))
    got = default_of(dag, x.astype(np.float32), v.astype(np.float32))
    assert relative_error(got, kernels_ref.softmax(x) @ v) <= 2e-6


def test_what_is_written_into_what_is_written_into_another_is_so_in_any_order():
    x = te.placeholder((2, 700), name="x")
    k1, k2 = (te.reduce_axis((0, 700), name="k") for _ in range(2))
    m = te.compute((2,), lambda i: te.max(x[i, k1], axis=k1), name="m")
    e = te.compute((2, 700), lambda i, j: te.exp(x[i, j] - m[i]), name="e")
    t = te.compute((2, 700), lambda i, j: e[i, j] * x[i, j], name="t")
    s = te.compute((2,), lambda i: te.sum(t[i, k2], axis=k2), name="s")
    y = te.compute((2, 700), lambda i, j: t[i, j] / s[i], name="y")
    dag = parted(ComputeDAG.of([x, y]))
    assert not {"e", "t"} & dag.by_name.keys()


def test_several_sums_may_follow_one_maximum():
    x = te.placeholder((2, 700), name="x")
    k1, k2, k3 = (te.reduce_axis((0, 700), name="k") for _ in range(3))
    m = te.compute((2,), lambda i: te.max(x[i, k1], axis=k1), name="m")
    s = te.compute((2,), lambda i: te.sum(te.exp(x[i, k2] - m[i]), axis=k2), name="s")
    t = te.compute((2,), lambda i: te.sum(x[i, k3] * te.exp(x[i, k3] - m[i]), axis=k3), name="t")
    entropy = te.compute((2,), lambda i: te.log(s[i]) + m[i] - t[i] / s[i], name="entropy")
    dag = parted(ComputeDAG.of([x, entropy]))
    assert len(dag.by_name["m_parts"].body) == 3
    data = np.random.default_rng(0).standard_normal((2, 700)).astype(np.float32)
    p = kernels_ref.softmax(data.astype(np.float64))
    assert relative_error(default_of(dag, data), -(p * np.log(p)).sum(1)) <= 2e-6


@pytest.mark.parametrize("last", ["l2_bytes", "l3_bytes"])
def test_only_data_that_leaves_the_caches_has_two_definitions(last):
    caches = {"l1_bytes": 32 << 10, "l2_bytes": 1 << 20, "l3_bytes": 0}
    small = Target("llvm", num_cores=1, **{**caches, last: 4 << 20})
    ways = {
        length: [d.name for d in definitions_of(softmax(4, length), DEFINITION_RULES, 1e-5, small)]
        for length in (1 << 10, 1 << 18, 1 << 19)
    }
    assert ways[1 << 10] == ways[1 << 18] == [GIVEN]
    assert len(ways[1 << 19]) == 2


def maximum_and_sum(dtype, inputs, length):
    """A maximum, and a sum of exponentials, of sums of inputs in single precision."""
    xs = [te.placeholder((2, length), dtype, name=f"x{n}") for n in range(inputs)]
    k1, k2 = (te.reduce_axis((0, length), name="k") for _ in range(2))

    def at(i, k):
        return sum(x[i, k].astype("float32") for x in xs)

    m = te.compute((2,), lambda i: te.max(at(i, k1), axis=k1), name="m")
    s = te.compute((2,), lambda i: te.sum(te.exp(at(i, k2) - m[i]), axis=k2), name="s")
    return ComputeDAG.of([*xs, s])


@pytest.mark.parametrize(
    ("dtype", "inputs", "longest"),
    [("float32", 1, 1 << 19), ("float32", 2, 1 << 18), ("float16", 1, 1 << 20)],
)
def test_data_is_as_large_as_what_is_read(dtype, inputs, longest):
    machine = Target("llvm", num_cores=1, l1_bytes=32 << 10, l2_bytes=1 << 20, l3_bytes=4 << 20)
    counts = [
        len(definitions_of(maximum_and_sum(dtype, inputs, n), (OnePass(),), 1e-5, machine))
        for n in (longest - 1, longest)
    ]
    assert counts == [1, 2]


def test_nobody_looks_behind_reductions_of_little_data(monkeypatch):
    asked = []
    monkeypatch.setattr(one_pass, "chain_of", lambda dag, first: asked.append(first.name))
    assert not list(OnePass().apply(softmax(2, 1024), 0.0, WIDE))
    assert not asked
    assert not list(OnePass(least=0.0).apply(softmax(2, 1024), 0.0, WIDE))
    assert asked == ["T_softmax_maxelem", "T_softmax_expsum"]


def softmax_of_softmax(length):
    x = te.placeholder((2, length), name="x")
    return ComputeDAG.of([x, topi.softmax(topi.softmax(x))])


@pytest.mark.parametrize("axis", [0, 1])
def test_all_of_a_part_is_computed_in_the_loop_of_parts(axis):
    x = te.placeholder((2, 1024) if axis else (1024, 64), name="x")
    task = SearchTask(parted(ComputeDAG.of([x, topi.softmax(x, axis)])), LLVM)
    rng = np.random.default_rng(0)
    for sketch in generate_sketches(task):
        space = Space(task, sketch)
        for row in space.sample(8, rng):
            stages = replay(task.dag, space.steps(row)).stages
            for name in ("T_softmax_maxelem_part", "T_softmax_expsum_part"):
                assert stages[name].location == At("T_softmax_maxelem_parts", "c")


def test_all_chains_of_a_program_are_one_definition():
    dag = softmax_of_softmax(700)
    found = parted(dag)
    (way,) = OnePass(cache=0.01, least=0.0).apply(dag, 0.0, LLVM)
    assert way.name == (
        "one pass for T_softmax_maxelem, T_softmax_expsum "
        "and T_softmax_maxelem_1, T_softmax_expsum_1"
    )
    assert {"T_softmax_maxelem_parts", "T_softmax_maxelem_1_parts"} <= found.by_name.keys()
    data = np.random.default_rng(0).standard_normal((2, 700)).astype(np.float32)
    want = kernels_ref.softmax(kernels_ref.softmax(data.astype(np.float64)))
    assert relative_error(default_of(found, data), want) <= 2e-6


def test_many_softmaxes_leave_room_for_other_algorithms():
    data, weight = te.placeholder((1, 14, 14, 32)), te.placeholder((3, 3, 32, 32), name="weight")
    rows = [te.placeholder((2, 700), name=f"x{n}") for n in range(4)]
    layer = topi.conv2d_nhwc(data, weight, padding=1)
    dag = ComputeDAG.of([data, weight, *rows, layer, *map(topi.softmax, rows)])
    rules = (OnePass(cache=0.01, least=0.0), Winograd(2), Winograd(4))
    names = [way.name for way in definitions_of(dag, rules, 1.0, LLVM)]
    assert sum("one pass" in name for name in names) == 3
    assert sum("winograd(2x2)" in name for name in names) == 2
    assert sum("winograd(4x4)" in name for name in names) == 2
    assert len(names) == 6


def test_a_chain_whose_innermost_axis_moves_nothing_has_the_given_definition_only():
    z = te.placeholder((64, 32), name="z")
    axes = [[te.reduce_axis((0, n), name=a) for a, n in (("j", 64), ("k", 512))] for _ in range(2)]
    (j1, k1), (j2, k2) = axes
    m = te.compute((32,), lambda i: te.max(z[j1, i], axis=[j1, k1]), name="m")
    s = te.compute((32,), lambda i: te.sum(te.exp(z[j2, i] - m[i]), axis=[j2, k2]), name="s")
    assert not list(OnePass(least=0.0).apply(ComputeDAG.of([z, s]), 0.0, WIDE))


def test_gpus_have_the_given_definition_only():
    gpu = Target("cuda")
    (only,) = definitions_of(softmax(1, 1 << 26), DEFINITION_RULES, 1e-5, gpu)
    assert only.name == GIVEN
