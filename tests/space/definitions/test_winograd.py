"""Winograd's definitions agree with the plain one, under any schedule, as closely as they say."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels_ref
from tensorc import te, topi
from tensorc.driver.compile import compile_state
from tensorc.schedule.replay import replay
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions.definition import DEFAULT_TOLERANCE, GIVEN, definitions_of
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.space.definitions.winograd import Winograd, error_bound
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

LLVM, PYTHON = Target("llvm", num_cores=1), Target("python", num_cores=1)


def convolution(r: Random):
    """A 3x3 convolution of random shape and layout, often with a relu behind."""
    n, ci, co, padding = r.randint(1, 2), r.randint(2, 9), r.randint(2, 20), r.randint(0, 2)
    h, w = (r.randint(3, 11) for _ in range(2))
    function = r.choice(["conv2d_nhwc", "conv2d_nchw"])
    data = (n, h, w, ci) if function == "conv2d_nhwc" else (n, ci, h, w)
    weight = (3, 3, ci, co) if function == "conv2d_nhwc" else (co, ci, 3, 3)
    D, W = te.placeholder(data, name="D"), te.placeholder(weight, name="W")
    C = getattr(topi, function)(D, W, 1, padding)
    rng = np.random.default_rng(r.getrandbits(32))
    inputs = [rng.uniform(-1, 1, s).astype(np.float32) for s in (data, weight)]
    wide = [x.astype(np.float64) for x in inputs]
    want = getattr(kernels_ref, function)(*wide, 1, padding, out_dtype="float64")
    if r.random() < 0.5:
        C, want = topi.relu(C), np.maximum(want, 0)
    return ComputeDAG.of([D, W, C]), inputs, want, ci


def relative_error(got, want):
    return np.abs(got - want).max() / np.abs(want).max()


@pytest.mark.parametrize("seed", range(12))
def test_every_definition_computes_the_same(seed):
    dag, inputs, want, ci = convolution(Random(seed))
    ways = definitions_of(dag, DEFINITION_RULES, 1.0)
    assert [way.name.partition(" of ")[0] for way in ways] == [
        GIVEN,
        "winograd(2x2)",
        "winograd(4x4)",
    ]
    for way, bound in zip(ways, (1e-5, error_bound(2, ci), error_bound(4, ci)), strict=True):
        assert way.dag.params == dag.params
        got = compile_state(default_schedule(way.dag, LLVM), LLVM)(*inputs)
        assert relative_error(got, want) <= bound


@pytest.mark.parametrize("seed", range(8))
def test_every_backend_agrees_under_random_schedules(seed):
    dag, inputs, want, _ = convolution(Random(100 + seed))
    rng = np.random.default_rng(seed)
    for way in definitions_of(dag, DEFINITION_RULES, 1.0)[1:]:
        constants = ("W",) if seed % 2 else ()
        sketches = generate_sketches(SearchTask(way.dag, LLVM, constants))
        for sketch in rng.choice(len(sketches), min(2, len(sketches)), replace=False):
            space = Space(SearchTask(way.dag, LLVM, constants), sketches[sketch])
            state = replay(way.dag, space.steps(space.sample(1, rng)[0]))
            bound = dict.fromkeys(constants, inputs[1])
            free = inputs[:1] if constants else inputs
            got = compile_state(state, LLVM, constants=bound)(*free)
            oracle = compile_state(state, PYTHON, constants=bound)(*free)
            assert relative_error(got, want) <= way.error
            assert relative_error(oracle, got) <= way.error


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([2, 4]), st.integers(2, 700), st.integers(0, 2**32 - 1))
def test_the_bound_holds_on_random_data(tile, channels, seed):
    rng = np.random.default_rng(seed)
    D = te.placeholder((1, 10, 10, channels), name="D")
    W = te.placeholder((3, 3, channels, 4), name="W")
    dag = ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W)])
    (_, way) = definitions_of(dag, [Winograd(tile)], 1.0)
    kernel = compile_state(default_schedule(way.dag, LLVM), LLVM)
    shift = rng.choice([0.0, 0.0, 1.0, 10.0])
    d = (rng.standard_normal((1, 10, 10, channels)) + shift).astype(np.float32)
    w = rng.uniform(-1, 1, (3, 3, channels, 4)).astype(np.float32)
    want = kernels_ref.conv2d_nhwc(d.astype(np.float64), w.astype(np.float64), out_dtype="float64")
    assert relative_error(kernel(d, w), want) <= way.error / 8


def test_the_default_tolerance_keeps_the_definition_that_is_given():
    for channels in (2, 16, 512):
        D = te.placeholder((1, 8, 8, channels), name="D")
        W = te.placeholder((3, 3, channels, 4), name="W")
        dag = ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W)])
        (only,) = definitions_of(dag, DEFINITION_RULES, DEFAULT_TOLERANCE)
        assert (only.name, only.dag, only.error) == (GIVEN, dag, 0.0)


@pytest.mark.parametrize(("tolerance", "count"), [(1e-5, 1), (1e-4, 2), (1e-3, 3)])
def test_a_tolerance_says_which_tiles_are_allowed(tolerance, count):
    D, W = te.placeholder((1, 8, 8, 64), name="D"), te.placeholder((3, 3, 64, 8), name="W")
    dag = ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W, 1, 1)])
    assert len(definitions_of(dag, DEFINITION_RULES, tolerance)) == count


def test_windows_of_other_sizes_are_left_alone():
    D, W = te.placeholder((1, 8, 8, 4), name="D"), te.placeholder((5, 5, 4, 4), name="W")
    dag = ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W, 1, 2)])
    assert len(definitions_of(dag, DEFINITION_RULES, 1.0)) == 1


def test_the_transform_of_constant_weights_is_not_in_the_kernel():
    D, W = te.placeholder((1, 8, 8, 4), name="D"), te.placeholder((3, 3, 4, 8), name="W")
    dag = ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W, 1, 1)])
    way = definitions_of(dag, DEFINITION_RULES, 1.0)[1]
    weights = np.zeros((3, 3, 4, 8), np.float32)
    kernel = compile_state(default_schedule(way.dag, LLVM), LLVM, constants={"W": weights})
    prologue, main = kernel.ir().split("def kernel(")
    assert "kernel_rows" in prologue
    assert "kernel_rows" not in main
