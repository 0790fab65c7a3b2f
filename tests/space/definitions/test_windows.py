"""Windows are recognised by structure: any order of dimensions, any names, and nothing else."""

from itertools import permutations
from random import Random

import pytest

from tensorc import te, topi
from tensorc.space.definitions.windows import Window, window_sum
from tensorc.te.dag import ComputeDAG


def slid(dag):
    """The stages that slide a window."""
    found = [window_sum(dag, op.name) for op in dag.ops if not op.is_placeholder]
    return [f for f in found if f is not None]


def of_topi(function, data, weight, **kwargs):
    d, w = te.placeholder(data, name="D"), te.placeholder(weight, name="W")
    return ComputeDAG.of([d, w, getattr(topi, function)(d, w, **kwargs)])


def of_sum(data, weight, shape, product, reduced, dtype="float32"):
    """`O[shape] = Σ over reduced of product(D, W, axes of the result, axes of the sum)`."""
    d, w = te.placeholder(data, dtype, name="D"), te.placeholder(weight, dtype, name="W")
    axes = [te.reduce_axis((0, n), name=f"r{k}") for k, n in enumerate(reduced)]
    out = te.compute(shape, lambda *i: te.sum(product(d, w, i, axes), axis=axes), name="C")
    return ComputeDAG.of([d, w, out])


def in_order(data_order, weight_order, out_order, padding=None):
    """A convolution of 9x8 positions, 5 channels in and 4 out, with dimensions in some order."""
    sizes = {"n": 2, "h": 9, "w": 8, "c": 5, "o": 4, "r": 3, "s": 3}
    D = te.placeholder([sizes[d] for d in data_order], name="D")
    W = te.placeholder([sizes[d] for d in weight_order], name="W")
    taps = {k: te.reduce_axis((0, sizes[k]), name=f"t{k}") for k in "rsc"}
    border = 0 if padding is None else 1

    def element(*axes):
        at = dict(zip(out_order, axes, strict=True))
        place = {
            "n": at["n"],
            "h": at["h"] + taps["r"] - border,
            "w": at["w"] + taps["s"] - border,
            "c": taps["c"],
        }
        value = D(*(place[d] for d in data_order))
        if border:
            inside = [te.all(place[d] >= 0, place[d] < sizes[d]) for d in "hw"]
            value = te.if_then_else(te.all(*inside), value, te.const(padding, "float32"))
        factor = W(*(taps[d] if d in taps else at[d] for d in weight_order))
        return te.sum(value * factor, axis=[taps["c"], taps["s"], taps["r"]])

    out = {**sizes, "h": 7 + 2 * border, "w": 6 + 2 * border}
    C = te.compute([out[d] for d in out_order], element, name="C", varargs_names=list(out_order))
    return ComputeDAG.of([D, W, C])


ORDERS = Random(3).sample(
    [
        (d, w, o)
        for d in permutations("nhwc")
        for w in permutations("rsco")
        for o in ("nhwo", "ohwn")
    ],
    12,
)


@pytest.mark.parametrize(("data", "weight", "out"), ORDERS)
def test_dimensions_may_have_any_order(data, weight, out):
    (found,) = slid(in_order(data, weight, out))
    # Windows, like all roles, are in the order of the data's dimensions.
    first, second = ("w", "h") if data.index("w") < data.index("h") else ("h", "w")
    roles = {"n": "n0", first: "h0", second: "h1", "o": "o0", "c": "c0"}
    taps = {{"h": "r", "w": "s"}[axis]: f"r{n}" for n, axis in enumerate((first, second))}
    assert {role: part.axis for role, part in found.parts.items()} == {roles[d]: d for d in out}
    assert [index.terms for index in found.weight_indices] == [
        (((roles | taps)[d], 1),) for d in weight
    ]
    assert found.rows == tuple(roles[d] for d in data if d != "c")
    assert (found.source.op, found.source.conditions) == ("D", ())


@pytest.mark.parametrize("function", ["conv2d_nhwc", "conv2d_nchw"])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_a_stage_of_padding_is_looked_through(function, padding):
    data, weight = ((1, 8, 8, 3), (3, 3, 3, 4))
    if function == "conv2d_nchw":
        data, weight = (1, 3, 8, 8), (4, 3, 3, 3)
    (found,) = slid(of_topi(function, data, weight, padding=padding))
    assert found.source.op == "D"
    assert len(found.source.conditions) == (4 if padding else 0)


def test_padding_may_be_a_condition_in_front():
    (found,) = slid(in_order("nhwc", "rsco", "nhwo", padding=0))
    assert len(found.source.conditions) == 4


def test_a_padding_that_others_read_stays():
    d, w = te.placeholder((1, 8, 8, 3), name="D"), te.placeholder((3, 3, 3, 4), name="W")
    p = topi.pad(d, (0, 1, 1, 0))
    c = topi.conv2d_nhwc(p, w)
    total = te.compute(c.shape, lambda *i: c(*i) + p(i[0], i[1], i[2], 0), name="T")
    (found,) = slid(ComputeDAG.of([d, w, total]))
    assert found.source.op not in ("D", "W")


def test_padding_with_another_value_than_zero_is_data():
    assert not slid(in_order("nhwc", "rsco", "nhwo", padding=1.0))


@pytest.mark.parametrize(
    ("function", "data", "weight", "kwargs", "windows"),
    [
        ("conv1d_nlc", (1, 9, 4), (5, 4, 4), {}, [(5, 5, 1, 1, 1, 0)]),
        ("conv2d_nhwc", (1, 9, 9, 4), (3, 2, 4, 4), {}, [(7, 3, 1, 1, 1, 0), (8, 2, 1, 1, 1, 0)]),
        ("conv2d_nhwc", (1, 9, 9, 4), (3, 3, 4, 4), {"stride": 2}, [(4, 3, 2, 1, 1, 0)] * 2),
        ("conv2d_nhwc", (1, 9, 9, 4), (3, 3, 4, 4), {"dilation": 2}, [(5, 3, 1, 2, 1, 0)] * 2),
        # Every second position is all that is read.
        (
            "conv2d_nhwc",
            (1, 9, 9, 4),
            (3, 3, 4, 4),
            {"stride": 2, "dilation": 2},
            [(3, 3, 1, 1, 1, 0)] * 2,
        ),
        ("conv3d_ndhwc", (1, 5, 5, 5, 2), (3, 3, 3, 2, 2), {}, [(3, 3, 1, 1, 1, 0)] * 3),
        # A window of one tap is none.
        ("conv2d_nhwc", (1, 9, 9, 4), (1, 3, 4, 4), {}, [(7, 3, 1, 1, 1, 0)]),
        (
            "conv2d_transpose_nhwc",
            (1, 4, 4, 4),
            (4, 4, 4, 4),
            {"stride": 2, "padding": 1},
            [(8, 4, 1, 1, 2, 0)] * 2,
        ),
        (
            "conv2d_transpose_nhwc",
            (1, 4, 4, 4),
            (5, 5, 4, 4),
            {"stride": 3, "padding": 1},
            [(12, 5, 1, 1, 3, 0)] * 2,
        ),
    ],
)
def test_steps_gaps_and_spreads_are_of_the_window(function, data, weight, kwargs, windows):
    (found,) = slid(of_topi(function, data, weight, **kwargs))
    assert found.windows == tuple(
        Window(f"h{n}", f"r{n}", *window) for n, window in enumerate(windows)
    )


def test_groups_are_a_part_of_the_axis_that_is_divided():
    (found,) = slid(of_topi("group_conv2d_nhwc", (1, 9, 9, 6), (3, 3, 3, 8), groups=2))
    assert (found.groups, found.channels, found.outputs) == (("g0",), ("c0",), ("o0",))
    parts = {role: (p.axis, p.over, p.extent) for role, p in found.parts.items() if role[0] in "go"}
    assert parts == {"g0": ("co", 4, 2), "o0": ("co", 1, 4)}


def test_channels_and_outputs_may_be_several():
    (found,) = slid(of_topi("conv2d_capsule_nhwijc", (2, 8, 8, 4, 4, 3), (3, 3, 4, 4, 3, 5)))
    assert (found.channels, found.outputs) == (("c0", "c1"), ("o0", "o1"))
    assert found.rows == ("n0", "h0", "h1", "n1")


def test_windows_whose_elements_share_nothing_are_channels():
    (found,) = slid(of_topi("conv2d_nhwc", (1, 9, 9, 4), (3, 3, 4, 4), stride=(1, 3)))
    assert (len(found.windows), found.channels) == (1, ("c0", "c1"))


def test_taps_that_are_counted_downwards_are_turned_round():
    (found,) = slid(
        of_sum(
            (9, 4),
            (3, 4, 6),
            (7, 6),
            lambda d, w, i, r: d(i[0] + 2 - r[0], r[1]) * w(r[0], r[1], i[1]),
            (3, 4),
        )
    )
    assert found.windows == (Window("h0", "r0", 7, 3),)
    assert (found.weight_indices[0].const, found.weight_indices[0].terms) == (2, (("r0", -1),))


REFUSED = {
    "no window": ((4, 8), (8, 4), (4, 4), lambda d, w, i, r: d(i[0], r[0]) * w(r[0], i[1]), (8,)),
    "no channels": (
        (9, 1),
        (3, 4),
        (7, 4),
        lambda d, w, i, r: d(i[0] + r[0], 0) * w(r[0], i[1]),
        (3,),
    ),
    "no axis of the weights alone": (
        (9, 4),
        (3, 4),
        (7,),
        lambda d, w, i, r: d(i[0] + r[0], r[1]) * w(r[0], r[1]),
        (3, 4),
    ),
    "other weights at each position": (
        (9, 4),
        (7, 3, 4, 6),
        (7, 6),
        lambda d, w, i, r: d(i[0] + r[0], r[1]) * w(i[0], r[0], r[1], i[1]),
        (3, 4),
    ),
    "the same weights for all taps": (
        (9, 4),
        (4, 6),
        (7, 6),
        lambda d, w, i, r: d(i[0] + r[0], r[1]) * w(r[1], i[1]),
        (3, 4),
    ),
    "data that is read twice": (
        (9, 4),
        (3, 4, 6),
        (7, 6),
        lambda d, w, i, r: d(i[0] + r[0], r[1]) * d(i[0], r[1]) * w(r[0], r[1], i[1]),
        (3, 4),
    ),
    "a tap in two dimensions": (
        (9, 3, 4),
        (3, 4, 6),
        (7, 6),
        lambda d, w, i, r: d(i[0] + r[0], r[0], r[1]) * w(r[0], r[1], i[1]),
        (3, 4),
    ),
    "an axis in two windows": (
        (9, 9, 4),
        (3, 3, 4, 6),
        (7, 6),
        lambda d, w, i, r: d(i[0] + r[0], i[0] + r[1], r[2]) * w(r[0], r[1], r[2], i[1]),
        (3, 3, 4),
    ),
    "an axis that nothing is read by": (
        (9, 4),
        (3, 4, 6),
        (2, 7, 6),
        lambda d, w, i, r: d(i[1] + r[0], r[1]) * w(r[0], r[1], i[2]),
        (3, 4),
    ),
    "data that is stretched by copies": (
        (5, 4),
        (3, 4, 6),
        (7, 6),
        lambda d, w, i, r: d(te.indexdiv(i[0] + r[0], 2), r[1]) * w(r[0], r[1], i[1]),
        (3, 4),
    ),
    "a condition on the tap alone": (
        (9, 4),
        (3, 4, 6),
        (7, 6),
        lambda d, w, i, r: (
            te.if_then_else(r[0] < 2, d(i[0] + r[0], r[1]), te.const(0, "float32"))
            * w(r[0], r[1], i[1])
        ),
        (3, 4),
    ),
    "weights that several channels share": (
        (9, 4),
        (3, 2, 6),
        (7, 6),
        lambda d, w, i, r: d(i[0] + r[0], r[1]) * w(r[0], te.indexdiv(r[1], 2), i[1]),
        (3, 4),
    ),
    "weights that several elements share": (
        (9, 4),
        (3, 4, 4),
        (7, 7),
        lambda d, w, i, r: d(i[0] + r[0], r[1]) * w(r[0], r[1], te.indexdiv(i[1], 2)),
        (3, 4),
    ),
    "weights that take turns": (
        (9, 4),
        (3, 4, 2, 3),
        (7, 6),
        lambda d, w, i, r: (
            d(i[0] + r[0], r[1]) * w(r[0], r[1], te.indexmod(i[1], 2), te.indexdiv(i[1], 3))
        ),
        (3, 4),
    ),
    "masked weights": (
        (9, 4),
        (3, 4, 6),
        (7, 6),
        lambda d, w, i, r: (
            d(i[0] + r[0], r[1])
            * te.if_then_else(r[0] < 2, w(r[0], r[1], i[1]), te.const(0, "float32"))
        ),
        (3, 4),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_patterns_are_refused(what):
    assert not slid(of_sum(*REFUSED[what]))


@pytest.mark.parametrize(
    ("function", "data", "weight", "kwargs"),
    [
        ("conv2d_nhwc", (1, 9, 9, 4), (1, 1, 4, 4), {}),
        ("conv2d_nhwc", (1, 9, 9, 4), (3, 3, 4, 4), {"stride": 3}),
        ("conv2d_transpose_nhwc", (1, 4, 4, 4), (2, 2, 4, 4), {"stride": 2}),
        ("depthwise_conv2d_nhwc", (1, 9, 9, 4), (1, 3, 3, 4), {}),
        ("depthwise_conv2d_nhwc", (1, 9, 9, 4), (2, 3, 3, 4), {}),
        ("dense", (4, 8), (4, 8), {}),
    ],
)
def test_operators_without_shared_positions_or_channels_are_refused(function, data, weight, kwargs):
    assert not slid(of_topi(function, data, weight, **kwargs))


@pytest.mark.parametrize("dtype", ["int32", "int8", "float64", "float16"])
def test_other_types_are_refused(dtype):
    d = te.placeholder((1, 8, 8, 3), dtype, name="D")
    w = te.placeholder((3, 3, 3, 4), dtype, name="W")
    out = {"int8": "int32", "float16": "float32"}.get(dtype, dtype)
    assert not slid(ComputeDAG.of([d, w, topi.conv2d_nhwc(d, w, out_dtype=out)]))


@pytest.mark.parametrize("side", ["data", "weights"])
def test_second_results_of_operations_are_refused(side):
    shapes = {"data": (1, 8, 8, 3), "weights": (3, 3, 3, 4)}
    plain = {n: te.placeholder(shape, name=n) for n, shape in shapes.items() if n != side}
    long = te.placeholder((*shapes[side], 5), name="long")
    k = te.reduce_axis((0, 5), name="k")
    _, largest = te.compute(shapes[side], lambda *i: te.argmax(long(*i, k), axis=k), name="largest")
    both = {**plain, side: largest}
    result = topi.conv2d_nhwc(both["data"], both["weights"])
    assert not slid(ComputeDAG.of([*plain.values(), long, result]))


def test_other_reductions_are_refused():
    d, w = te.placeholder((1, 8, 8, 3), name="D"), te.placeholder((3, 3, 3, 4), name="W")
    r, s = te.reduce_axis((0, 3), name="r"), te.reduce_axis((0, 3), name="s")
    c = te.reduce_axis((0, 3), name="c")
    top = te.compute(
        (1, 6, 6, 4),
        lambda n, h, v, o: te.max(d[n, h + r, v + s, c] * w[r, s, c, o], axis=[r, s, c]),
        name="M",
    )
    assert not slid(ComputeDAG.of([d, w, top]))
