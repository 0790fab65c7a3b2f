"""PyTorch in the layout, channels first or last, that is faster: eager, and by Inductor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case
from tensorc.cli.peers.convolution import Convolution, as_convolution
from tensorc.cli.peers.peer import Prepared, quickest
from tensorc.support.optional import optional_import

# PyTorch is not there to be type-checked against.
Tensor: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a case in PyTorch.

    Attributes:
        variant: What is special about it.
        operator: Computes the result of `operands`.
        operands: The inputs in its layout.
        restore: From its layout to the suite's.
    """

    variant: str
    operator: Callable[..., Tensor]
    operands: tuple[Tensor, ...]
    restore: Callable[[Array], Array] = np.asarray


def _load() -> ModuleType:
    return optional_import("torch", extra="bench", purpose="the comparison with PyTorch")


@dataclass(frozen=True, slots=True)
class TorchPeer:
    """PyTorch as it is written, with so many threads."""

    threads: int
    name: str = "torch"
    torch: ModuleType = field(default_factory=_load, repr=False)

    @property
    def version(self) -> str:
        """The version that is installed."""
        return str(self.torch.__version__)

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Return the faster layout."""
        _set_up(self.torch, self.threads)
        forms = _forms(self.torch, case, inputs)
        return quickest([_prepared(form, form.operator) for form in forms])


@dataclass(frozen=True, slots=True)
class InductorPeer:
    """PyTorch compiled by Inductor, with so many threads; a case takes it seconds."""

    threads: int
    name: str = "inductor"
    torch: ModuleType = field(default_factory=_load, repr=False)

    def __post_init__(self) -> None:
        """Load the compiler, which PyTorch does not by itself."""
        for module in ("torch._dynamo", "torch._inductor.config"):
            optional_import(module, extra="bench", purpose="the comparison with Inductor")

    @property
    def version(self) -> str:
        """The version that is installed."""
        return str(self.torch.__version__)

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Compile both layouts and return the faster one; constants are frozen parameters."""
        _set_up(self.torch, self.threads)
        self.torch._inductor.config.freezing = bool(constants)
        self.torch._dynamo.reset()
        frozen = [argument.name in constants for argument in case.arguments]
        return quickest([self._compiled(form, frozen) for form in _forms(self.torch, case, inputs)])

    def _compiled(self, form: Form, frozen: list[bool]) -> Prepared:
        parameters = [
            self.torch.nn.Parameter(operand, requires_grad=False) if constant else None
            for operand, constant in zip(form.operands, frozen, strict=True)
        ]
        free = tuple(o for o, p in zip(form.operands, parameters, strict=True) if p is None)

        class Module(self.torch.nn.Module):  # type: ignore[misc, name-defined]  # torch is Any
            """What holds the parameters, since only those of a module are frozen."""

            def __init__(self) -> None:
                super().__init__()
                for number, parameter in enumerate(parameters):
                    self.register_parameter(f"p{number}", parameter)

            def forward(self, *inputs: Tensor) -> Tensor:
                """Compute the case."""
                given = iter(inputs)
                held = (getattr(self, f"p{number}") for number in range(len(parameters)))
                return form.operator(*(next(given) if p is None else p for p in held))

        compiled = self.torch.compile(Module().eval(), dynamic=False)
        return _prepared(Form(form.variant, compiled, free, form.restore), compiled)


def _set_up(torch: ModuleType, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)


def _prepared(form: Form, operator: Callable[..., Tensor]) -> Prepared:
    operands = form.operands

    def run() -> Tensor:
        return operator(*operands)

    def result() -> Array:
        return np.ascontiguousarray(form.restore(run().numpy()))

    return Prepared(run, result, form.variant)


def _forms(torch: ModuleType, case: Case, inputs: tuple[Array, ...]) -> list[Form]:
    convolution = as_convolution(case, inputs)
    if convolution is not None:
        return list(_convolutions(torch, convolution))
    operands = tuple(map(torch.from_numpy, inputs))
    forms = _OPERATORS[case.function](torch, case)
    return [Form(variant, operator, operands) for variant, operator in forms.items()]


def _convolutions(torch: ModuleType, conv: Convolution) -> Iterator[Form]:
    operator = _convolve(torch, conv)
    data, weight = torch.from_numpy(conv.data), torch.from_numpy(conv.weight)
    vectors = tuple(map(torch.from_numpy, conv.batch_norm))
    yield Form("channels first", operator, (data, weight, *vectors), conv.restore)
    last = {2: torch.channels_last, 3: torch.channels_last_3d}.get(conv.rank)
    if last is not None:
        data, weight = data.to(memory_format=last), weight.to(memory_format=last)
        yield Form("channels last", operator, (data, weight, *vectors), conv.restore)


def _convolve(torch: ModuleType, conv: Convolution) -> Callable[..., Tensor]:
    stride, padding, dilation, groups = conv.stride, conv.padding, conv.dilation, conv.groups
    if conv.transposed:
        return lambda data, weight: torch.conv_transpose2d(data, weight, None, stride, padding)
    function = (torch.conv1d, torch.conv2d, torch.conv3d)[conv.rank - 1]
    if not conv.batch_norm:
        return lambda data, weight: function(data, weight, None, stride, padding, dilation, groups)

    def fused(data: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        result = function(data, weight, bias, stride, padding, dilation, groups)
        return torch.addcmul(offset[:, None, None], result, scale[:, None, None]).relu_()

    return fused


Operators: TypeAlias = dict[str, Callable[..., Tensor]]


def _batch_matmul(torch: ModuleType, case: Case) -> Operators:
    if case.output_shape[0] == 1:
        return {"bmm": torch.bmm, "mm": lambda a, b: torch.mm(a[0], b[0])[None]}
    return {"bmm": torch.bmm}


def _attention_scores(torch: ModuleType, case: Case) -> Operators:
    return {"": lambda q, v: torch.matmul(q.permute(0, 2, 1, 3), v.permute(0, 2, 3, 1))}


def _norm(torch: ModuleType, case: Case) -> Operators:
    return {
        "vector_norm": lambda data: torch.linalg.vector_norm(data, dim=(1, 2)),
        "sum of squares": lambda data: (data * data).sum((1, 2)).sqrt_(),
    }


def _layer_norm(torch: ModuleType, case: Case) -> Operators:
    def run(data: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return torch.nn.functional.layer_norm(data, gamma.shape, gamma, beta, 1e-5)

    return {"": run}


def _bias_gelu(torch: ModuleType, case: Case) -> Operators:
    return {"": lambda data, bias: torch.nn.functional.gelu(data + bias)}


def _sum(torch: ModuleType, case: Case) -> Operators:
    axis = case.kwargs["axis"]
    return {"": lambda data: data.sum(axis)}


def _transpose(torch: ModuleType, case: Case) -> Operators:
    axes = case.kwargs["axes"]
    return {"": lambda data: data.permute(axes).contiguous()}


_OPERATORS: Final[dict[str, Callable[[ModuleType, Case], Operators]]] = {
    "batch_matmul": _batch_matmul,
    "bias_gelu": _bias_gelu,
    "layer_norm": _layer_norm,
    "matmul": lambda torch, case: {"": torch.mm},
    "norm_bmn": _norm,
    "softmax": lambda torch, case: {"": lambda data: torch.softmax(data, -1)},
    "sum": _sum,
    "transpose": _transpose,
    "transpose_batch_matmul": _attention_scores,
}
