"""Every operator of topi agrees with the reference kernel of its name."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import kernels_ref
from kernels_ref.suite import cases
from tensorc import te, topi
from tensorc.support.errors import TEError
from tensorc.te import ComputeDAG
from tests.te.running import by_loops
from tests.topi.agreement import assert_agree, computed, random_array

ELEMENTWISE = (
    "negative", "abs", "floor", "ceil", "round", "exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid",
    "erf", "relu", "gelu", "gelu_tanh",
)  # fmt: skip


def test_the_packages_have_the_same_functions() -> None:
    ours, theirs = set(topi.__all__), set(kernels_ref.__all__) - {"Array"}
    assert theirs <= ours
    assert ours - theirs == {"conv2d_winograd_nhwc", "utils"}


@pytest.mark.parametrize("name", sorted(set(kernels_ref.__all__) - {"Array"}))
def test_arguments_have_the_same_order(name: str) -> None:
    ours, theirs = (
        [
            (p.name, p.default)
            for p in inspect.signature(getattr(module, name)).parameters.values()
            if p.kind != p.KEYWORD_ONLY  # names and attributes of tensors
        ]
        for module in (topi, kernels_ref)
    )
    assert ours == theirs


@pytest.mark.parametrize("case", cases(), ids=[c.name for c in cases()])
def test_the_suite_can_be_built(case: Any) -> None:
    inputs = [te.placeholder(a.shape, name=a.name) for a in case.arguments]
    out = getattr(topi, case.function)(*inputs, **case.kwargs)
    dag = ComputeDAG.from_tensors([*inputs, out])
    assert out.shape == case.output_shape
    assert ComputeDAG.from_json(dag.to_json()).structural_hash() == dag.structural_hash()


# ---- Elementwise


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_of_one_array(name: str, dtype: str) -> None:
    assert_agree(name, np.abs(random_array((3, 4), dtype)) + dtype.endswith("64"))


@pytest.mark.parametrize("name", ["negative", "abs", "floor", "ceil", "round", "relu"])
def test_functions_of_integers(name: str) -> None:
    assert_agree(name, random_array((3, 4), "int32"))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
@pytest.mark.parametrize(
    "shapes", [((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((), (2, 2)), ((0, 3), (3,))]
)
def test_functions_of_two_arrays(name: str, shapes: tuple[Any, Any]) -> None:
    a, b = (random_array(s, seed=n) for n, s in enumerate(shapes))
    assert_agree(name, np.asarray(a), np.asarray(b))


def test_integers_are_divided_toward_zero() -> None:
    assert_agree("divide", np.array([-7, 7, -8], np.int32), np.array([2, -2, 3], np.int32))


def test_power_where_clip_and_cast() -> None:
    a, b = np.abs(random_array((3, 4))), random_array((4,), seed=1)
    assert_agree("power", a, b)
    assert_agree("where", random_array((3, 1), "bool"), a, b)
    assert_agree("clip", b, minimum=-0.5, maximum=0.25)
    assert_agree("cast", b * 3, dtype="int8")


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(TEError, match=r"Cannot broadcast shapes \(2,\), \(3,\) together"):
        topi.add(te.placeholder((2,)), te.placeholder((3,)))


def test_numbers_are_operands() -> None:
    np.testing.assert_array_equal(computed("add", [np.ones(3, np.float32)], b=2.0), [3, 3, 3])


# ---- Matrix products and convolutions


def test_matrix_products() -> None:
    a, b = random_array((5, 7)), random_array((7, 6), seed=1)
    assert_agree("matmul", a, b)
    assert_agree("batch_matmul", random_array((2, 3, 4)), random_array((2, 4, 5), seed=1))
    assert_agree("dense", a, np.ascontiguousarray(b.T))
    assert_agree("dense", a, np.ascontiguousarray(b.T), random_array((6,), seed=2))
    assert_agree("transpose_batch_matmul", random_array((2, 3, 2, 4)), random_array((2, 3, 2, 4)))


@pytest.mark.parametrize("out_dtype", ["float16", "float64", "int32"])
def test_products_are_of_the_given_type(out_dtype: str) -> None:
    dtype = "int8" if out_dtype == "int32" else "float16"
    a, b = random_array((4, 5), dtype), random_array((5, 3), dtype, seed=1)
    assert_agree("matmul", a, b, out_dtype=out_dtype, rtol=2e-3)


def test_shapes_that_do_not_multiply_are_refused() -> None:
    with pytest.raises(TEError, match="Cannot multiply 'placeholder' of shape"):
        topi.matmul(te.placeholder((2, 3)), te.placeholder((2, 3)))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2}]
)
def test_convolutions(options: dict[str, int]) -> None:
    assert_agree("conv1d_nlc", random_array((2, 9, 3)), random_array((3, 3, 4), seed=1), **options)
    image, weight = random_array((2, 7, 8, 4)), random_array((3, 3, 4, 6), seed=1)
    assert_agree("conv2d_nhwc", image, weight, **options)
    assert_agree("group_conv2d_nhwc", image, weight[:, :, :2], groups=2, **options)
    assert_agree("depthwise_conv2d_nhwc", image, random_array((2, 3, 3, 4), seed=1), **options)
    assert_agree("depthwise_conv2d_nhwc", image, random_array((1, 3, 3, 4), seed=1), **options)
    volume = random_array((1, 5, 5, 6, 2))
    assert_agree("conv3d_ndhwc", volume, random_array((3, 3, 3, 2, 3), seed=1), **options)


@pytest.mark.parametrize("options", [{}, {"stride": (2, 1), "padding": (1, 0)}])
def test_convolutions_with_channels_first(options: dict[str, Any]) -> None:
    image, weight = random_array((2, 4, 7, 8)), random_array((6, 4, 3, 2), seed=1)
    assert_agree("conv2d_nchw", image, weight, **options)
    assert_agree("group_conv2d_nchw", image, weight[:, :2], groups=2, **options)
    assert_agree("depthwise_conv2d_nchw", image, random_array((4, 2, 3, 3), seed=1), **options)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(4, 2, 1), (3, 1, 0), (3, 2, 3), (2, 3, 0), (5, (1, 3), (4, 1))],
)
def test_transposed_convolutions(kernel: int, stride: Any, padding: Any) -> None:
    image, weight = random_array((1, 5, 6, 2)), random_array((kernel, kernel, 2, 3), seed=1)
    assert_agree("conv2d_transpose_nhwc", image, weight, stride=stride, padding=padding)


def test_capsule_convolution() -> None:
    image, weight = random_array((1, 5, 5, 2, 2, 3)), random_array((3, 3, 2, 2, 3, 4), seed=1)
    assert_agree("conv2d_capsule_nhwijc", image, weight, stride=2, padding=1)


@pytest.mark.parametrize(("height", "padding", "tile"), [(8, 1, 4), (7, 0, 2), (9, (1, 0), 6)])
def test_winograd_convolution(height: int, padding: Any, tile: int) -> None:
    image, weight = random_array((2, height, 8, 3)), random_array((3, 3, 3, 4), seed=1)
    got = computed("conv2d_winograd_nhwc", [image, weight], padding=padding, tile_size=tile)
    expected = kernels_ref.conv2d_nhwc(image, weight, padding=padding)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_winograd_of_a_stride_is_refused() -> None:
    with pytest.raises(TEError, match=r"Expected stride and dilation 1 .* got 2 and 1"):
        topi.conv2d_winograd_nhwc(te.placeholder((1, 8, 8, 2)), te.placeholder((3, 3, 2, 2)), 2)


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(TEError, match="Cannot form 3 groups: 4 input and 6 output channels"):
        topi.group_conv2d_nhwc(te.placeholder((1, 8, 8, 4)), te.placeholder((3, 3, 1, 6)), groups=3)


# ---- Networks


def test_normalisations() -> None:
    a = random_array((3, 4, 5))
    for axis in (-1, 0, 1):
        assert_agree("softmax", a, axis=axis)
    assert_agree("softmax", a.astype(np.float16), rtol=2e-3)
    assert_agree("layer_norm", a, random_array((5,), seed=1), random_array((5,), seed=2))
    gamma, beta = random_array((4, 5), seed=1), random_array((4, 5), seed=2)
    assert_agree("layer_norm", a, gamma, beta, axis=1)
    assert_agree("bias_add", a, random_array((4,)), axis=1)
    assert_agree("bias_gelu", a, random_array((5,)), rtol=1e-5)


def test_fused_convolution() -> None:
    image, weight = random_array((1, 6, 6, 3)), random_array((3, 3, 3, 4), seed=1)
    channels = [random_array((4,), seed=n) for n in range(3)]
    assert_agree("conv2d_bn_relu", image, weight, *channels, stride=2, padding=1)


@pytest.mark.parametrize(
    "options",
    [{"stride": 2, "padding": 1}, {"dilation": 2}, {"stride": 3, "padding": 2, "dilation": 2}],
)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_pooling(options: dict[str, int], dtype: str) -> None:
    image = random_array((1, 2, 7, 8), dtype)
    assert_agree("max_pool2d_nchw", image, kernel_size=3, **options)
    assert_agree("avg_pool2d_nchw", image, kernel_size=3, **options)
    assert_agree("avg_pool2d_nchw", image, kernel_size=(2, 3), count_include_pad=True, **options)


def test_padding() -> None:
    a = random_array((3, 4))
    assert_agree("pad", a, pad_before=(1, 0), pad_after=(0, 2), pad_value=7.0)
    assert_agree("pad", a, pad_before=(0, 0))


# ---- Reductions


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean"])
@pytest.mark.parametrize("options", [{}, {"axis": -1}, {"axis": (0, 2), "keepdims": True}])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_reductions(name: str, options: dict[str, Any], dtype: str) -> None:
    assert_agree(name, random_array((2, 3, 4), dtype), rtol=2e-3, **options)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize(
    "options", [{}, {"axis": 1, "keepdims": True}, {"axis": 0, "out_dtype": "int64"}]
)
def test_positions(name: str, options: dict[str, Any]) -> None:
    assert_agree(name, random_array((4, 5), "int32"), **options)


def test_norm() -> None:
    assert_agree("norm_bmn", random_array((3, 4, 5)))


def test_axes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(TEError, match="Expected different axes from -2 to 1, got 2"):
        topi.sum(te.placeholder((2, 3)), axis=2)
    with pytest.raises(TEError, match="Expected different axes"):
        topi.sum(te.placeholder((2, 3)), axis=(0, -2))


# ---- Transformations


def test_transformations() -> None:
    a = random_array((2, 3, 4))
    assert_agree("transpose", a)
    assert_agree("transpose", a, axes=(1, 0, -1))
    for shape in ((4, 6), (-1,), (3, 2, 2, 2), (1, -1, 8)):
        assert_agree("reshape", a, shape=shape)
    assert_agree("strided_slice", a, begin=(1, -1), end=(2, -9), strides=(1, -1))
    assert_agree("strided_slice", a, begin=(1,), end=(4,), strides=(2,), axes=(2,))
    assert_agree("take", a, np.array([[0, -1], [2, 1]]), axis=1)
    assert_agree("gather", a, random_array((2, 2, 4), "int32").clip(-3, 2), axis=1)


def test_concatenation() -> None:
    parts = [random_array((2, n, 3), seed=n) for n in (1, 4, 2)]
    inputs = [te.placeholder(p.shape) for p in parts]
    out = topi.concatenate(tuple(inputs), axis=1)
    got = by_loops([*inputs, out], parts)[0]
    np.testing.assert_array_equal(got, kernels_ref.concatenate(tuple(parts), axis=1))


@pytest.mark.parametrize(
    "call",
    [
        lambda A: topi.reshape(A, (5, 5)),
        lambda A: topi.transpose(A, (0, 0)),
        lambda A: topi.concatenate((A, topi.transpose(A)), axis=0),
        lambda A: topi.gather(A, A, axis=1) if A.shape == (1,) else topi.pad(A, (1,)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call: Any) -> None:
    with pytest.raises(TEError, match=r"reshape|permutation|concatenate|borders"):
        call(te.placeholder((2, 3), name="A"))


# ---- As loops


def test_operators_lowered_to_loops_agree_too() -> None:
    image = random_array((1, 5, 5, 4))
    weight = random_array((3, 3, 4, 4), seed=1)
    options = {"stride": 2, "padding": 1}
    assert_agree("conv2d_nhwc", image, weight, run=by_loops, **options)
    assert_agree("conv2d_transpose_nhwc", image, weight, run=by_loops, **options)
    assert_agree("depthwise_conv2d_nhwc", image, weight[:1], run=by_loops, **options)
    assert_agree("softmax", random_array((3, 8)), run=by_loops)
    assert_agree("argmax", random_array((3, 8)), run=by_loops, axis=1)
    assert_agree("take", random_array((3, 8)), np.array([2, -1]), run=by_loops)
    assert_agree("avg_pool2d_nchw", image, kernel_size=2, padding=1, run=by_loops)
