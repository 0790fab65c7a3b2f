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
from tensorc.space.definitions.winograd import Winograd
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tests.fuzz.windows import FORMS, RULES, window_case

LLVM, PYTHON = Target("llvm", num_cores=1), Target("python", num_cores=1)


def example(r: Random, form=window_case):
    """A sum over windows of random shape and layout, often with a relu behind."""
    case = form(r)
    *tensors, result = case.tensors()
    rng = np.random.default_rng(r.getrandbits(32))
    inputs = [rng.uniform(-1, 1, t.shape).astype(np.float32) for t in tensors]
    want = case.right(*inputs)
    if r.random() < 0.5:
        result, want = topi.relu(result), np.maximum(want, 0)
    return ComputeDAG.of([*tensors, result]), inputs, want


def relative_error(got, want):
    return np.abs(got - want).max() / np.abs(want).max()


def default_of(dag, inputs):
    return compile_state(default_schedule(dag, LLVM), LLVM)(*inputs)


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_every_form_has_other_definitions(form):
    dag, _, _ = example(Random(form), FORMS[form])
    names = [way.name for way in definitions_of(dag, RULES, 1.0, LLVM)]
    assert names[0] == GIVEN
    assert len(names) > 1
    assert all(name.startswith("winograd(") for name in names[1:])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_definition_computes_the_same(seed):
    dag, inputs, want = example(Random(seed))
    for way in definitions_of(dag, RULES, 1.0, LLVM):
        assert way.dag.params == dag.params
        assert relative_error(default_of(way.dag, inputs), want) <= max(way.error / 8, 1e-6)


def test_padding_in_front_of_the_product_is_looked_through():
    D, W = te.placeholder((8, 8, 4), name="D"), te.placeholder((3, 3, 4, 6), name="W")
    r, s, c = (te.reduce_axis((0, n), name=x) for x, n in zip("rsc", (3, 3, 4), strict=True))

    def product(h, w, o):
        y, x = h + r - 1, w + s - 1
        inside = te.all(y >= 0, y < 8, x >= 0, x < 8)
        value = te.if_then_else(inside, D(y, x, c), te.const(0, "float32"))
        return te.sum(value * W(r, s, c, o), axis=[r, s, c])

    dag = ComputeDAG.of([D, W, te.compute((8, 8, 6), product, name="C")])
    rng = np.random.default_rng(0)
    d, w = (rng.uniform(-1, 1, n).astype(np.float32) for n in ((8, 8, 4), (3, 3, 4, 6)))
    want = kernels_ref.conv2d_nhwc(d[None], w, 1, 1)[0]
    ways = definitions_of(dag, RULES, 1.0, LLVM)
    assert len(ways) == 3
    for way in ways:
        assert relative_error(default_of(way.dag, (d, w)), want) <= max(way.error / 8, 1e-6)


def test_taps_that_are_counted_downwards_are_those_of_a_true_convolution():
    D, W = te.placeholder((12, 4), name="D"), te.placeholder((3, 4, 6), name="W")
    r, c = te.reduce_axis((0, 3), name="r"), te.reduce_axis((0, 4), name="c")
    C = te.compute(
        (10, 6), lambda h, o: te.sum(D(h + 2 - r, c) * W(r, c, o), axis=[r, c]), name="C"
    )
    rng = np.random.default_rng(0)
    d, w = (rng.uniform(-1, 1, n).astype(np.float32) for n in ((12, 4), (3, 4, 6)))
    want = kernels_ref.conv1d_nlc(d[None], w[::-1])[0]
    _, *ways = definitions_of(ComputeDAG.of([D, W, C]), RULES, 1.0, LLVM)
    assert ways
    for way in ways:
        assert relative_error(default_of(way.dag, (d, w)), want) <= way.error / 8


def test_windows_may_slide_along_four_axes():
    D, W = te.placeholder((5, 4, 4, 4, 2), name="D"), te.placeholder((2, 2, 2, 2, 2, 3), name="W")
    taps = [te.reduce_axis((0, 2), name=f"r{n}") for n in range(4)]
    c = te.reduce_axis((0, 2), name="c")

    def product(*axes):
        *places, o = axes
        at = (p + r for p, r in zip(places, taps, strict=True))
        return te.sum(D(*at, c) * W(*taps, c, o), axis=[*taps, c])

    dag = ComputeDAG.of([D, W, te.compute((4, 3, 3, 3, 3), product, name="C")])
    rng = np.random.default_rng(0)
    d, w = (rng.uniform(-1, 1, t.shape).astype(np.float32) for t in (D, W))
    windows = np.lib.stride_tricks.sliding_window_view(d, (2,) * 4, range(4))
    want = np.einsum("abcdijklm,jklmio->abcdo", windows, w, dtype=np.float64)
    way = definitions_of(dag, [Winograd(2, 0.0)], 1.0, LLVM)[-1]
    assert way.name == "winograd(2x2x2x2) of C"
    assert relative_error(default_of(way.dag, (d, w)), want) <= way.error / 8


@pytest.mark.parametrize("seed", range(10))
def test_every_backend_agrees_under_random_schedules(seed):
    dag, inputs, want = example(Random(100 + seed), FORMS[seed])
    rng = np.random.default_rng(seed)
    for way in definitions_of(dag, RULES, 1.0, LLVM)[1:]:
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
    (_, way) = definitions_of(dag, [Winograd(tile, 0.0)], 1.0, LLVM)
    kernel = compile_state(default_schedule(way.dag, LLVM), LLVM)
    shift = rng.choice([0.0, 0.0, 1.0, 10.0])
    d = (rng.standard_normal((1, 10, 10, channels)) + shift).astype(np.float32)
    w = rng.uniform(-1, 1, (3, 3, channels, 4)).astype(np.float32)
    want = kernels_ref.conv2d_nhwc(d.astype(np.float64), w.astype(np.float64), out_dtype="float64")
    assert relative_error(kernel(d, w), want) <= way.error / 8


OTHER_WINDOWS = [
    ("conv1d_nlc", (1, 16), (5,), {}),
    ("conv1d_nlc", (1, 33), (3,), {"stride": 2}),
    ("conv2d_nhwc", (1, 20, 20), (3, 3), {"stride": 2}),
    ("conv2d_nhwc", (1, 12, 12), (3, 3), {"dilation": 2}),
    ("conv3d_ndhwc", (1, 6, 6, 6), (3, 3, 3), {}),
    ("conv2d_transpose_nhwc", (1, 6, 6), (4, 4), {"stride": 2, "padding": 1}),
    # A spread of 3 and a shift of -2.
    ("conv2d_transpose_nhwc", (1, 5, 5), (5, 5), {"stride": 3, "padding": 2}),
    # Tiles within each other, of two phases.
    ("conv1d_nlc", (1, 40), (4,), {"stride": 2, "dilation": 3}),
    ("conv1d_nlc", (1, 40), (7,), {"stride": 2}),
    ("group_conv2d_nhwc", (1, 9, 9), (3, 3), {"groups": 2}),
    ("conv2d_capsule_nhwijc", (1, 6, 6, 2, 2), (3, 3, 2, 2), {}),
]


@pytest.mark.parametrize("form", OTHER_WINDOWS)
@settings(max_examples=5, deadline=None)
@given(st.sampled_from([2, 4]), st.integers(2, 300), st.integers(0, 2**32 - 1))
def test_the_bound_holds_for_other_windows(form, tile, channels, seed):
    function, data, taps, options = form
    rng = np.random.default_rng(seed)
    D = te.placeholder((*data, channels * options.get("groups", 1)), name="D")
    W = te.placeholder((*taps, channels, 4), name="W")
    dag = ComputeDAG.of([D, W, getattr(topi, function)(D, W, **options)])
    d = rng.standard_normal(D.shape).astype(np.float32)
    w = rng.uniform(-1, 1, W.shape).astype(np.float32)
    wide = (d.astype(np.float64), w.astype(np.float64))
    want = getattr(kernels_ref, function)(*wide, **options, out_dtype="float64")
    for way in definitions_of(dag, [Winograd(tile, 0.0)], 1.0, LLVM)[1:]:
        assert relative_error(default_of(way.dag, (d, w)), want) <= way.error / 8


def layer(data, weight, **options):
    D, W = te.placeholder(data, name="D"), te.placeholder(weight, name="W")
    return ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W, **options)])


def names_of(dag, tolerance, rules=DEFINITION_RULES):
    ways = definitions_of(dag, rules, tolerance, LLVM)
    return [way.name.partition(" of ")[0] for way in ways]


def test_the_default_tolerance_keeps_the_definition_that_is_given():
    for channels in (32, 128, 512):
        dag = layer((1, 8, 8, channels), (3, 3, channels, 64))
        (only,) = definitions_of(dag, DEFINITION_RULES, DEFAULT_TOLERANCE, LLVM)
        assert (only.name, only.dag, only.error) == (GIVEN, dag, 0.0)


@pytest.mark.parametrize(
    ("tolerance", "names"),
    [
        (1e-5, []),
        (5e-5, ["winograd(2x2)"]),
        (1e-4, ["winograd(2x2)", "winograd(4x2)"]),
        (1e-3, ["winograd(2x2)", "winograd(4x4)"]),
    ],
)
def test_a_tolerance_says_which_tiles_are_allowed(tolerance, names):
    dag = layer((1, 8, 8, 64), (3, 3, 64, 64), padding=1)
    assert names_of(dag, tolerance) == [GIVEN, *names]


def test_few_channels_are_not_worth_transforms():
    assert names_of(layer((1, 32, 32, 3), (3, 3, 3, 64)), 1.0) == [GIVEN]
    assert names_of(layer((1, 32, 32, 64), (3, 3, 64, 3)), 1.0) == [GIVEN]
    assert len(names_of(layer((1, 32, 32, 64), (3, 3, 64, 64)), 1.0)) > 1


def test_tiles_are_as_small_as_their_number_allows():
    assert names_of(layer((1, 11, 12, 64), (3, 3, 64, 64)), 1.0)[-1] == "winograd(3x4)"


def test_tiles_of_very_many_products_are_left_out():
    D = te.placeholder((1, 17, 17, 17, 64), name="D")
    W = te.placeholder((3, 3, 3, 64, 64), name="W")
    dag = ComputeDAG.of([D, W, topi.conv3d_ndhwc(D, W, 2)])
    # 4x4x2 would be 9 · 9 · 5 products.
    assert names_of(dag, 1.0, [Winograd(4)]) == [GIVEN, "winograd(4x2x2)"]


def test_windows_of_many_taps_have_small_tiles():
    assert names_of(layer((1, 12, 14, 64), (5, 7, 64, 64)), 1.0)[-1] == "winograd(4x2)"
    assert names_of(layer((1, 20, 20, 64), (9, 9, 64, 64)), 1.0) == [GIVEN]


def test_the_transform_of_constant_weights_is_not_in_the_kernel():
    D, W = te.placeholder((1, 8, 8, 4), name="D"), te.placeholder((3, 3, 4, 8), name="W")
    dag = ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W, 1, 1)])
    way = definitions_of(dag, RULES, 1.0, LLVM)[1]
    weights = np.zeros((3, 3, 4, 8), np.float32)
    kernel = compile_state(default_schedule(way.dag, LLVM), LLVM, constants={"W": weights})
    prologue, main = kernel.ir().split("def kernel(")
    assert "kernel_0" in prologue
    assert "kernel_0" not in main
