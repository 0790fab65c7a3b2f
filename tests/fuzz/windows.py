"""Random sums over windows, of every form that has other definitions, and these definitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import kernels_ref
from tensorc import te, topi
from tensorc.space.definitions.definition import Definition, definitions_of
from tensorc.space.definitions.winograd import Winograd
from tensorc.target import Target
from tensorc.te import Tensor
from tensorc.te.dag import ComputeDAG

# Also where so few channels make it no less work.
RULES = (Winograd(2, 0.0), Winograd(4, 0.0))

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WindowCase:
    """An operator, the shapes of its data and weights, and its options."""

    function: str
    data: Shape
    weight: Shape
    options: dict[str, int]

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Data, weights and the result."""
        data, weight = te.placeholder(self.data, name="D"), te.placeholder(self.weight, name="W")
        return data, weight, getattr(topi, self.function)(data, weight, **self.options)

    def right(self, data: NDArray[Any], weight: NDArray[Any]) -> NDArray[np.float64]:
        """The result in double precision."""
        wide = (data.astype(np.float64), weight.astype(np.float64))
        function = getattr(kernels_ref, self.function)
        return np.asarray(function(*wide, **self.options, out_dtype="float64"))


Form: TypeAlias = Callable[[Random], WindowCase]


def plain(r: Random, rank: int, stride: int = 1, dilation: int = 1) -> WindowCase:
    """A convolution of so many axes, with its data last or, of two axes, first."""
    ci, co = r.randint(2, 9), r.randint(2, 20)
    taps = (*(r.choice((1, 2, 3, 3, 4, 5)) for _ in range(rank - 1)), r.randint(2, 5))
    spatial = tuple(dilation * (k - 1) + 1 + r.randint(1, 40 // 4**rank + 6) * stride for k in taps)
    of_two = r.choice(("conv2d_nhwc", "conv2d_nchw"))
    function = {1: "conv1d_nlc", 2: of_two, 3: "conv3d_ndhwc"}[rank]
    first, n = function == "conv2d_nchw", r.randint(1, 2)
    return WindowCase(
        function,
        (n, ci, *spatial) if first else (n, *spatial, ci),
        (co, ci, *taps) if first else (*taps, ci, co),
        {"stride": stride, "padding": r.randint(0, 2), "dilation": dilation},
    )


def grouped(r: Random) -> WindowCase:
    """A convolution within groups of channels."""
    groups, ci, co = r.randint(2, 3), r.randint(2, 5), r.randint(2, 9)
    h, w, n = r.randint(3, 11), r.randint(3, 11), r.randint(1, 2)
    function = r.choice(("group_conv2d_nhwc", "group_conv2d_nchw"))
    first = function == "group_conv2d_nchw"
    return WindowCase(
        function,
        (n, groups * ci, h, w) if first else (n, h, w, groups * ci),
        (groups * co, ci, 3, 3) if first else (3, 3, ci, groups * co),
        {"padding": r.randint(0, 1), "groups": groups},
    )


def stretched(r: Random) -> WindowCase:
    """A transposed convolution whose elements share positions."""
    stride = r.randint(2, 3)
    taps = (stride + r.randint(1, 2), stride + r.randint(1, 2))
    data = (r.randint(1, 2), r.randint(2, 7), r.randint(2, 7), r.randint(2, 9))
    options = {"stride": stride, "padding": r.randint(0, 2)}
    return WindowCase("conv2d_transpose_nhwc", data, (*taps, data[-1], r.randint(2, 9)), options)


def capsules(r: Random) -> WindowCase:
    """A convolution of small matrices."""
    rows, inner, columns = (r.randint(2, 4) for _ in range(3))
    ci, co, stride = r.randint(2, 5), r.randint(2, 5), r.randint(1, 2)
    data = (r.randint(1, 2), r.randint(4, 9), r.randint(4, 9), rows, inner, ci)
    options = {"stride": stride, "padding": r.randint(0, 1)}
    return WindowCase("conv2d_capsule_nhwijc", data, (3, 3, inner, columns, ci, co), options)


FORMS: tuple[Form, ...] = (
    lambda r: plain(r, 1),
    lambda r: plain(r, 2),
    lambda r: plain(r, 2),
    lambda r: plain(r, 3),
    lambda r: plain(r, r.randint(1, 2), stride=2),
    lambda r: plain(r, r.randint(1, 2), dilation=r.randint(2, 3)),
    lambda r: plain(r, 1, stride=2, dilation=3),
    grouped,
    stretched,
    capsules,
)


def window_case(r: Random) -> WindowCase:
    """A sum over windows of any form."""
    return r.choice(FORMS)(r)


def another_way(r: Random, dag: ComputeDAG) -> Definition:
    """One of the other definitions of a program; its own if there is none."""
    own, *others = definitions_of(dag, RULES, 1.0, Target("llvm"))
    return r.choice(others or [own])
