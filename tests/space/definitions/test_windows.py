"""Windows are recognised by structure: any order of dimensions, any names, and nothing else."""

from itertools import permutations
from random import Random

import pytest

from tensorc import te, topi
from tensorc.space.definitions.windows import window_sum
from tensorc.te.dag import ComputeDAG


def slid(dag):
    """The stages that slide a window."""
    found = [window_sum(dag, op.name) for op in dag.ops if not op.is_placeholder]
    return [f for f in found if f is not None]


def of_topi(function, data, weight, **kwargs):
    d, w = te.placeholder(data, name="D"), te.placeholder(weight, name="W")
    return ComputeDAG.of([d, w, getattr(topi, function)(d, w, **kwargs)])


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
    # Which axis of the window is called `h` follows from the order of the data's dimensions.
    turned = dict(zip("hwrs", "whsr", strict=True)) if data.index("w") < data.index("h") else {}
    roles = {"n": "batch0", "o": "co", **turned}
    assert [roles.get(d, d) for d in out] == list(found.axes)
    assert [roles.get(d, d) for d in weight] == list(found.weight_roles)
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
    ("function", "data", "weight", "kwargs"),
    [
        ("conv2d_nhwc", (1, 9, 9, 4), (3, 3, 4, 4), {"stride": 2}),
        ("conv2d_nhwc", (1, 9, 9, 4), (3, 3, 4, 4), {"dilation": 2}),
        ("group_conv2d_nhwc", (1, 9, 9, 4), (3, 3, 2, 4), {"groups": 2}),
        ("conv3d_ndhwc", (1, 5, 5, 5, 2), (3, 3, 3, 2, 2), {}),
        ("conv1d_nlc", (1, 9, 4), (3, 4, 4), {}),
        ("dense", (4, 8), (4, 8), {}),
    ],
)
def test_other_patterns_are_refused(function, data, weight, kwargs):
    assert not slid(of_topi(function, data, weight, **kwargs))


@pytest.mark.parametrize("dtype", ["int32", "int8", "float64", "float16"])
def test_other_types_are_refused(dtype):
    d = te.placeholder((1, 8, 8, 3), dtype, name="D")
    w = te.placeholder((3, 3, 3, 4), dtype, name="W")
    out = {"int8": "int32", "float16": "float32"}.get(dtype, dtype)
    assert not slid(ComputeDAG.of([d, w, topi.conv2d_nhwc(d, w, out_dtype=out)]))


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
