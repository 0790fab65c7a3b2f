"""Cases as ONNX models, for the runtimes that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case
from tensorc.cli.peers.convolution import Convolution, as_convolution
from tensorc.support.optional import optional_import

# What the runtimes of the day read, all of them.
_OPSET: Final = 20
_IR_VERSION: Final = 10
_FLOAT: Final = 1

Node: TypeAlias = Any


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """One way to write a case.

    Attributes:
        variant: What is special about it.
        data: The model in ONNX's format.
        inputs: The arrays it is fed with, by name, in its layout.
        output_shape: The shape of its output, which is called 'result'.
        restore: From its layout to the suite's.
    """

    variant: str
    data: bytes
    inputs: dict[str, Array]
    output_shape: tuple[int, ...]
    restore: Callable[[Array], Array] = np.asarray


@dataclass(slots=True)
class _Graph:
    """A graph being written: every operand is an input or a constant, and nodes follow."""

    constants: frozenset[str]
    inputs: dict[str, Array] = field(default_factory=dict)
    held: dict[str, Array] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def operand(self, name: str, array: Array) -> str:
        place = self.held if name in self.constants else self.inputs
        place[name] = array
        return name

    def hold(self, name: str, array: Array) -> str:
        self.held[name] = array
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        helper = _onnx("onnx.helper")
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def model(
        self,
        variant: str,
        output_shape: tuple[int, ...],
        restore: Callable[[Array], Array] = np.asarray,
    ) -> OnnxModel:
        helper, arrays = _onnx("onnx.helper"), _onnx("onnx.numpy_helper")
        graph = helper.make_graph(
            self.nodes,
            "case",
            [
                helper.make_tensor_value_info(name, _FLOAT, list(array.shape))
                for name, array in self.inputs.items()
            ],
            [helper.make_tensor_value_info("result", _FLOAT, list(output_shape))],
            [arrays.from_array(array, name) for name, array in self.held.items()],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return OnnxModel(variant, model.SerializeToString(), self.inputs, output_shape, restore)


def onnx_models(
    case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
) -> Iterator[OnnxModel]:
    """Yield each way to write a case: layouts, and weights as inputs and as constants.

    Raises:
        MissingDependencyError: ONNX is not installed.
    """
    choices = {frozenset(), constants} if constants else {frozenset()}
    for chosen in sorted(choices, key=len):
        weights = "constant weights" if chosen else ""
        convolution = as_convolution(case, inputs)
        if convolution is None:
            yield _operator(case, inputs, _Graph(chosen), weights)
        else:
            yield _convolution(convolution, _Graph(chosen), weights)
            if convolution.rank == 2:
                yield _channels_last(convolution, _Graph(chosen), weights)


def _onnx(module: str) -> Any:
    return optional_import(module, extra="bench", purpose="writing ONNX models")


def _convolution(conv: Convolution, graph: _Graph, weights: str) -> OnnxModel:
    _convolve(conv, graph, graph.operand("data", conv.data), "result")
    variant = f"channels first, {weights}".rstrip(", ")
    return graph.model(variant, _output_shape(conv), conv.restore)


def _channels_last(conv: Convolution, graph: _Graph, weights: str) -> OnnxModel:
    """Between transpositions, which runtimes merge with their own changes of layout."""
    data = graph.operand("data", np.ascontiguousarray(np.moveaxis(conv.data, 1, -1)))
    first = graph.node("Transpose", [data], "first", perm=[0, 3, 1, 2])
    graph.node(
        "Transpose", [_convolve(conv, graph, first, "computed")], "result", perm=[0, 2, 3, 1]
    )
    batch, channels, *sizes = _output_shape(conv)
    return graph.model(
        f"channels last, {weights}".rstrip(", "),
        (batch, *sizes, channels),
        lambda result: conv.restore(np.moveaxis(result, -1, 1)),
    )


def _convolve(conv: Convolution, graph: _Graph, data: str, output: str) -> str:
    operands = [data, graph.operand("weight", conv.weight)]
    attributes = {
        "strides": [conv.stride] * conv.rank,
        "pads": [conv.padding] * (2 * conv.rank),
        "dilations": [conv.dilation] * conv.rank,
        "group": conv.groups,
        "kernel_shape": list(conv.taps),
    }
    kind = "ConvTranspose" if conv.transposed else "Conv"
    if not conv.batch_norm:
        return graph.node(kind, operands, output, **attributes)
    bias, scale, offset = conv.batch_norm
    graph.node(kind, [*operands, graph.operand("bias", bias)], "convolved", **attributes)
    normal = [
        "convolved",
        graph.operand("bn_scale", scale),
        graph.operand("bn_offset", offset),
        graph.hold("mean", np.zeros_like(scale)),
        graph.hold("variance", np.ones_like(scale)),
    ]
    graph.node("BatchNormalization", normal, "normal", epsilon=0.0)
    return graph.node("Relu", ["normal"], output)


def _output_shape(conv: Convolution) -> tuple[int, ...]:
    batch, _, *sizes = conv.data.shape
    pairs = list(zip(sizes, conv.taps, strict=True))
    if conv.transposed:
        spatial = [(n - 1) * conv.stride - 2 * conv.padding + k for n, k in pairs]
        return (batch, conv.weight.shape[1], *spatial)
    spans = [(n + 2 * conv.padding - conv.dilation * (k - 1) - 1) for n, k in pairs]
    return (batch, conv.weight.shape[0], *(span // conv.stride + 1 for span in spans))


def _operator(case: Case, inputs: tuple[Array, ...], graph: _Graph, weights: str) -> OnnxModel:
    names = [
        graph.operand(argument.name, array)
        for argument, array in zip(case.arguments, inputs, strict=True)
    ]
    _OPERATORS[case.function](case, graph, names)
    return graph.model(weights, case.output_shape)


def _matmul(case: Case, graph: _Graph, names: list[str]) -> None:
    graph.node("MatMul", names, "result")


def _attention_scores(case: Case, graph: _Graph, names: list[str]) -> None:
    query, value = names
    graph.node("Transpose", [query], "rows", perm=[0, 2, 1, 3])
    graph.node("Transpose", [value], "columns", perm=[0, 2, 3, 1])
    graph.node("MatMul", ["rows", "columns"], "result")


def _norm(case: Case, graph: _Graph, names: list[str]) -> None:
    axes = graph.hold("axes", np.array([1, 2], np.int64))
    graph.node("ReduceL2", [*names, axes], "result", keepdims=0)


def _softmax(case: Case, graph: _Graph, names: list[str]) -> None:
    graph.node("Softmax", names, "result", axis=-1)


def _layer_norm(case: Case, graph: _Graph, names: list[str]) -> None:
    graph.node("LayerNormalization", names, "result", axis=-1, epsilon=1e-5)


def _bias_gelu(case: Case, graph: _Graph, names: list[str]) -> None:
    graph.node("Add", names, "biased")
    graph.node("Gelu", ["biased"], "result")


def _sum(case: Case, graph: _Graph, names: list[str]) -> None:
    axes = graph.hold("axes", np.array([case.kwargs["axis"]], np.int64))
    graph.node("ReduceSum", [*names, axes], "result", keepdims=0)


def _transpose(case: Case, graph: _Graph, names: list[str]) -> None:
    graph.node("Transpose", names, "result", perm=list(case.kwargs["axes"]))


_OPERATORS: Final[dict[str, Callable[[Case, _Graph, list[str]], None]]] = {
    "batch_matmul": _matmul,
    "bias_gelu": _bias_gelu,
    "layer_norm": _layer_norm,
    "matmul": _matmul,
    "norm_bmn": _norm,
    "softmax": _softmax,
    "sum": _sum,
    "transpose": _transpose,
    "transpose_batch_matmul": _attention_scores,
}
