"""Every convolution of the suite as what libraries know: channels first, filters first.

The suite keeps channels last. Libraries were made for `[N, C, *spatial]` and take weights as
`[filters, channels, *taps]`; from there each is led to the layout that it likes best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from kernels_ref.array import Array
from kernels_ref.suite import Case


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution with the same strides, borders and gaps along every axis.

    Attributes:
        data: `[N, C, *spatial]`.
        weight: `[filters, channels of a group, *taps]`; `[channels, filters, *taps]` if transposed.
        stride: Step between windows; between the elements of the data if transposed.
        padding: Zeros on both sides, or what is cut off both sides if transposed.
        dilation: Step between taps.
        groups: Into how many groups the channels are divided.
        transposed: Whether it is the transposed (gradient) convolution.
        batch_norm: Bias, scale and offset that follow, and then a relu; empty for none.
        restore: From `[N, filters, *spatial]` to the layout of the suite.
    """

    data: Array
    weight: Array
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    transposed: bool = False
    batch_norm: tuple[Array, ...] = ()
    restore: Callable[[Array], Array] = lambda result: np.moveaxis(result, 1, -1)

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return self.data.ndim - 2

    @property
    def taps(self) -> tuple[int, ...]:
        """The size of the kernel."""
        return self.weight.shape[2:]


def as_convolution(case: Case, inputs: tuple[Array, ...]) -> Convolution | None:
    """Return a case as a convolution with contiguous operands, None if it is none."""
    build = _BUILDERS.get(case.function)
    return build(case, inputs) if build else None


def _plain(case: Case, inputs: tuple[Array, ...]) -> Convolution:
    data, weight, *vectors = inputs
    return Convolution(
        np.ascontiguousarray(np.moveaxis(data, -1, 1)),
        # [*taps, CI, CO] -> [CO, CI, *taps]
        np.ascontiguousarray(np.moveaxis(weight, (-1, -2), (0, 1))),
        **case.kwargs,
        batch_norm=tuple(vectors),
    )


def _depthwise(case: Case, inputs: tuple[Array, ...]) -> Convolution:
    data, weight = inputs
    return Convolution(
        np.ascontiguousarray(np.moveaxis(data, -1, 1)),
        # [1, kh, kw, C] -> [C, 1, kh, kw]
        np.ascontiguousarray(np.moveaxis(weight, -1, 0)),
        **case.kwargs,
        groups=data.shape[-1],
    )


def _transposed(case: Case, inputs: tuple[Array, ...]) -> Convolution:
    data, weight = inputs
    return Convolution(
        np.ascontiguousarray(np.moveaxis(data, -1, 1)),
        # [kh, kw, CI, CO] -> [CI, CO, kh, kw]
        np.ascontiguousarray(weight.transpose(2, 3, 0, 1)),
        **case.kwargs,
        transposed=True,
    )


def _capsule(case: Case, inputs: tuple[Array, ...]) -> Convolution:
    """The rows of a capsule as images of their own, its columns as channels."""
    data, weight = inputs
    batch, height, width, rows, inner, channels = data.shape
    columns, filters = weight.shape[3], weight.shape[5]
    images = data.transpose(0, 3, 4, 5, 1, 2)
    # [kh, kw, K, J, CI, CO] -> [J * CO, K * CI, kh, kw]
    kernels = weight.transpose(3, 5, 2, 4, 0, 1)

    def restore(result: Array) -> Array:
        split = result.reshape(batch, rows, columns, filters, *result.shape[2:])
        return split.transpose(0, 4, 5, 1, 2, 3)

    return Convolution(
        np.ascontiguousarray(images).reshape(batch * rows, inner * channels, height, width),
        np.ascontiguousarray(kernels).reshape(
            columns * filters, inner * channels, *weight.shape[:2]
        ),
        **case.kwargs,
        restore=restore,
    )


_BUILDERS: Final[dict[str, Callable[[Case, tuple[Array, ...]], Convolution]]] = {
    "conv1d_nlc": _plain,
    "conv2d_bn_relu": _plain,
    "conv2d_capsule_nhwijc": _capsule,
    "conv2d_nhwc": _plain,
    "conv2d_transpose_nhwc": _transposed,
    "conv3d_ndhwc": _plain,
    "depthwise_conv2d_nhwc": _depthwise,
    "group_conv2d_nhwc": _plain,
}
