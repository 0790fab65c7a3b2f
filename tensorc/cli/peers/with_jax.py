"""JAX: each case compiled by XLA, in the layout that is faster, with weights closed over."""

from __future__ import annotations

import os
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

# JAX is not there to be type-checked against.
Traced: TypeAlias = Any
Operator: TypeAlias = Callable[..., Traced]
Restore: TypeAlias = Callable[[Array], Array]

_SPATIAL: Final = ("W", "HW", "DHW")


def _load() -> ModuleType:
    return optional_import("jax", extra="bench", purpose="the comparison with JAX")


@dataclass(frozen=True, slots=True)
class JaxPeer:
    """JAX on the CPU, with so many threads."""

    threads: int
    name: str = "jax"
    jax: ModuleType = field(default_factory=_load, repr=False)

    def __post_init__(self) -> None:
        """Say how many threads XLA may start, before it does."""
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        os.environ["NPROC"] = str(self.threads)

    @property
    def version(self) -> str:
        """The version that is installed."""
        return str(self.jax.__version__)

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Compile all forms, with constants as arguments and closed over; return the fastest."""
        names = [argument.name for argument in case.arguments]
        variants = []
        for variant, operator, arrays, restore in self._forms(case, inputs):
            variants.append(self._compiled(variant, operator, arrays, restore))
            held = [name in constants for name in names]
            if any(held):
                variants.append(self._closed(variant, operator, arrays, restore, held))
        return quickest(variants)

    def _forms(
        self, case: Case, inputs: tuple[Array, ...]
    ) -> Iterator[tuple[str, Operator, tuple[Array, ...], Restore]]:
        convolution = as_convolution(case, inputs)
        if convolution is not None:
            yield from _convolutions(self.jax, convolution)
        else:
            yield "", _OPERATORS[case.function](self.jax, case), inputs, np.asarray

    def _compiled(
        self, variant: str, operator: Operator, arrays: tuple[Array, ...], restore: Restore
    ) -> Prepared:
        function = self.jax.jit(operator)
        operands = tuple(map(self.jax.numpy.asarray, arrays))

        def run() -> Traced:
            return function(*operands).block_until_ready()

        return Prepared(run, lambda: np.ascontiguousarray(restore(np.asarray(run()))), variant)

    def _closed(
        self,
        variant: str,
        operator: Operator,
        arrays: tuple[Array, ...],
        restore: Restore,
        held: list[bool],
    ) -> Prepared:
        """The same with the arrays that are `held` as constants of the program."""
        free = tuple(a for a, constant in zip(arrays, held, strict=True) if not constant)

        def partly(*given: Traced) -> Traced:
            rest = iter(given)
            pairs = zip(arrays, held, strict=True)
            return operator(*(array if constant else next(rest) for array, constant in pairs))

        return self._compiled(f"{variant} constant".strip(), partly, free, restore)


def _convolutions(
    jax: ModuleType, conv: Convolution
) -> Iterator[tuple[str, Operator, tuple[Array, ...], Restore]]:
    space = _SPATIAL[conv.rank - 1]
    first = (f"NC{space}", f"OI{space}", f"NC{space}")
    last = (f"N{space}C", f"{space}IO", f"N{space}C")
    weight = conv.weight
    if conv.transposed:
        # The same as a convolution of data with gaps, whose taps go backwards.
        taps = tuple(range(2, weight.ndim))
        weight = np.ascontiguousarray(np.flip(weight, taps).swapaxes(0, 1))
    operands = (conv.data, weight, *conv.batch_norm)
    yield "channels first", _convolve(jax, conv, first), operands, conv.restore
    moved = (
        np.ascontiguousarray(np.moveaxis(conv.data, 1, -1)),
        np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2))),
        *conv.batch_norm,
    )

    def restore(result: Array) -> Array:
        return conv.restore(np.moveaxis(result, -1, 1))

    yield "channels last", _convolve(jax, conv, last), moved, restore


def _convolve(jax: ModuleType, conv: Convolution, layout: tuple[str, str, str]) -> Operator:
    padding, stride, gaps = conv.padding, conv.stride, 1
    if conv.transposed:
        padding, stride, gaps = conv.taps[0] - 1 - conv.padding, 1, conv.stride
    shape = [1] * (conv.rank + 2)
    shape[layout[2].index("C")] = -1

    def run(data: Traced, weight: Traced, *vectors: Traced) -> Traced:
        result = jax.lax.conv_general_dilated(
            data,
            weight,
            (stride,) * conv.rank,
            [(padding, padding)] * conv.rank,
            lhs_dilation=(gaps,) * conv.rank,
            rhs_dilation=(conv.dilation,) * conv.rank,
            dimension_numbers=layout,
            feature_group_count=conv.groups,
        )
        if not vectors:
            return result
        bias, scale, offset = (vector.reshape(shape) for vector in vectors)
        return jax.numpy.maximum((result + bias) * scale + offset, 0)

    return run


def _attention_scores(jax: ModuleType, case: Case) -> Operator:
    return lambda q, v: jax.numpy.matmul(q.transpose(0, 2, 1, 3), v.transpose(0, 2, 3, 1))


def _norm(jax: ModuleType, case: Case) -> Operator:
    return lambda data: jax.numpy.sqrt((data * data).sum((1, 2)))


def _layer_norm(jax: ModuleType, case: Case) -> Operator:
    def run(data: Traced, gamma: Traced, beta: Traced) -> Traced:
        centred = data - data.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * gamma + beta

    return run


def _bias_gelu(jax: ModuleType, case: Case) -> Operator:
    return lambda data, bias: jax.nn.gelu(data + bias, approximate=False)


def _sum(jax: ModuleType, case: Case) -> Operator:
    axis = case.kwargs["axis"]
    return lambda data: data.sum(axis)


def _transpose(jax: ModuleType, case: Case) -> Operator:
    axes = case.kwargs["axes"]
    return lambda data: data.transpose(axes)


_OPERATORS: Final[dict[str, Callable[[ModuleType, Case], Operator]]] = {
    "batch_matmul": lambda jax, case: jax.numpy.matmul,
    "bias_gelu": _bias_gelu,
    "layer_norm": _layer_norm,
    "matmul": lambda jax, case: jax.numpy.matmul,
    "norm_bmn": _norm,
    "softmax": lambda jax, case: lambda data: jax.nn.softmax(data, -1),
    "sum": _sum,
    "transpose": _transpose,
    "transpose_batch_matmul": _attention_scores,
}
