"""Windows that slide over the spatial axes of an image: the access pattern of conv and pooling."""

from typing import TypeAlias

import numpy as np

from kernels_ref.array import Array

PerAxis: TypeAlias = int | tuple[int, ...]
"""One number for every spatial axis, or a tuple with one number for each."""


def per_axis(value: PerAxis, rank: int) -> tuple[int, ...]:
    """`value` with one number for each of `rank` axes.

    >>> per_axis(2, 3)
    (2, 2, 2)

    Raises:
        ValueError: there are more or fewer numbers than axes.
    """
    numbers = (value,) * rank if isinstance(value, int) else value
    if len(numbers) != rank:
        raise ValueError(f"Expected {rank} numbers, one for each spatial axis, but got {numbers}.")
    return numbers


def sliding_windows(
    image: Array,
    kernel: tuple[int, ...],
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    *,
    pad_value: float = 0.0,
) -> Array:
    """A view of the padded image with the taps of each window as leading axes.

    Args:
        image: `[*spatial, C]`, any dtype.
        kernel: number of taps along each spatial axis.
        stride: distance between neighbouring windows.
        padding: elements of `pad_value` added on both sides of each spatial axis.
        dilation: distance between neighbouring taps of a window.
        pad_value: what the padding holds.

    Returns:
        `[*kernel, *out, C]` with the image's dtype, where
        `out = (spatial + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1`.
    """
    rank = len(kernel)
    borders = [(border, border) for border in per_axis(padding, rank)]
    padded = np.pad(image, [*borders, (0, 0)], constant_values=pad_value)
    dilations = per_axis(dilation, rank)
    spans = [step * (taps - 1) + 1 for step, taps in zip(dilations, kernel, strict=True)]
    every_window = np.lib.stride_tricks.sliding_window_view(padded, spans, tuple(range(rank)))
    windows = every_window[
        (
            *(slice(None, None, step) for step in per_axis(stride, rank)),
            slice(None),
            *(slice(None, None, step) for step in dilations),
        )
    ]
    return np.moveaxis(windows, range(rank + 1, 2 * rank + 1), range(rank))
