"""Programs published for TVM run when only their imports are changed."""

from __future__ import annotations

import numpy as np
import pytest

import kernels_ref
from tensorc import te, tir, topi
from tensorc.support.errors import TEError
from tests.te.running import by_loops
from tests.topi.agreement import random_array


def conv_relu(data: te.Tensor, kernel: te.Tensor, padding: object) -> te.Tensor:
    """Written as meta_schedule's `te_workload` writes its convolutions."""
    batch, height, width, channels = topi.utils.get_const_tuple(data.shape)
    kh, kw, _, filters = kernel.shape
    top, left, bottom, right = topi.nn.get_pad_tuple(padding, (kh, kw))
    out_height = topi.utils.simplify((height - kh + top + bottom) // 1 + 1)
    out_width = topi.utils.simplify((width - kw + left + right) // 1 + 1)
    padded = topi.nn.pad(data, [0, top, left, 0], [0, bottom, right, 0], name="PaddedInput")
    rc = te.reduce_axis((0, channels), name="rc")
    ry = te.reduce_axis((0, kh), name="ry")
    rx = te.reduce_axis((0, kw), name="rx")
    conv = te.compute(
        (batch, out_height, out_width, filters),
        lambda nn, yy, xx, ff: te.sum(
            padded[nn, yy + ry, xx + rx, rc].astype("float32") * kernel[ry, rx, rc, ff],
            axis=[ry, rx, rc],
        ),
        name="Conv2dOutput",
        tag="conv2d_nhwc",
    )
    return topi.nn.relu(conv)


@pytest.mark.parametrize("padding", [1, (1, 1), (1, 1, 1, 1), "SAME"])
def test_a_convolution_as_it_was_published(padding: object) -> None:
    data, kernel = random_array((1, 5, 4, 2), "float32"), random_array((3, 3, 2, 3), "float32")
    inputs = [te.placeholder(a.shape, name=n) for n, a in (("data", data), ("kernel", kernel))]
    dag = te.ComputeDAG.from_tensors([*inputs, conv_relu(*inputs, padding)])
    assert "PaddedInput" in dag.by_name
    (result,) = by_loops([*inputs, conv_relu(*inputs, padding)], [data, kernel])
    expected = np.maximum(kernels_ref.conv2d_nhwc(data, kernel, 1, 1), 0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pools_by_the_name_of_their_kind(kind: str) -> None:
    data = te.placeholder((1, 2, 6, 6), name="data")
    spelled = topi.nn.pool2d(data, [2, 2], [1, 1], [1, 1], [1, 1, 1, 1], kind)
    pool = {"max": topi.max_pool2d_nchw, "avg": topi.avg_pool2d_nchw}[kind]
    ours = pool(data, 2, 1, 1) if kind == "max" else pool(data, 2, 1, 1, 1, True)
    hashes = {te.ComputeDAG.from_tensors([data, out]).structural_hash() for out in (spelled, ours)}
    assert len(hashes) == 1


def test_padding_that_says_nothing_is_refused() -> None:
    with pytest.raises(TEError, match="'VALID' or 'SAME', got 'FULL'"):
        topi.nn.get_pad_tuple("FULL", (3, 3))
    data = te.placeholder((1, 2, 6, 6), name="data")
    with pytest.raises(TEError, match="the same padding on both sides"):
        topi.nn.pool2d(data, 2, 1, 1, (0, 0, 1, 1), "max")
    with pytest.raises(TEError, match="Unknown pool 'min'"):
        topi.nn.pool2d(data, 2, 1, 1, 0, "min")


def test_extents_are_numbers_already() -> None:
    assert topi.utils.get_const_int(tir.const(3, "int32")) == 3
    with pytest.raises(TEError, match="symbolic"):
        topi.utils.get_const_tuple((2, te.var("n")))
