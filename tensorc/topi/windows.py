"""Windows that slide over the spatial axes of an image: the access pattern of conv and pooling."""

from __future__ import annotations

from typing import TypeAlias

from tensorc.support.errors import TEError
from tensorc.te import Tensor
from tensorc.topi.transform import pad

PerAxis: TypeAlias = int | tuple[int, ...]
"""One number for every spatial axis, or a tuple with one number for each."""


def per_axis(value: PerAxis, rank: int) -> tuple[int, ...]:
    """`value` with one number for each of `rank` axes.

    >>> per_axis(2, 3)
    (2, 2, 2)

    Raises:
        TEError: there are more or fewer numbers than axes.
    """
    numbers = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(numbers) != rank:
        raise TEError(f"Expected {rank} numbers, one for each spatial axis, got {numbers}.")
    return numbers


def window_counts(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
) -> tuple[int, ...]:
    """How many windows fit along each spatial axis.

    >>> window_counts((224, 224), (7, 7), 2, 3)
    (112, 112)
    """
    rank = len(sizes)
    steps, borders, gaps = (per_axis(value, rank) for value in (stride, padding, dilation))
    return tuple(
        (size + 2 * border - gap * (taps - 1) - 1) // step + 1
        for size, taps, step, border, gap in zip(sizes, kernel, steps, borders, gaps, strict=True)
    )


def padded(data: Tensor, padding: PerAxis, first: int, rank: int, value: float = 0.0) -> Tensor:
    """`data` with its `rank` spatial axes, from `first` on, padded; itself without padding."""
    borders = per_axis(padding, rank)
    if not any(borders):
        return data
    around = (*(0,) * first, *borders, *(0,) * (data.ndim - first - rank))
    return pad(data, around, pad_value=value)


def get_pad_tuple(padding: PerAxis | str, kernel: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Padding at the top, left, bottom and right of an image, from each way to give it.

    That is one number, two (rows and columns), all four, 'VALID' (none) or 'SAME' (what keeps the
    size at stride 1, for windows of `kernel` elements).

    >>> get_pad_tuple("SAME", (4, 3))
    (2, 1, 1, 1)

    Raises:
        TEError: `padding` is none of these.
    """
    match padding:
        case int():
            return padding, padding, padding, padding
        case "VALID":
            return 0, 0, 0, 0
        case "SAME":
            rows, columns = kernel[0] - 1, kernel[1] - 1
            return rows - rows // 2, columns - columns // 2, rows // 2, columns // 2
        case (int() as rows, int() as columns):
            return rows, columns, rows, columns
        case (int() as top, int() as left, int() as bottom, int() as right):
            return top, left, bottom, right
        case _:
            raise TEError(
                f"Expected padding of 1, 2 or 4 numbers, 'VALID' or 'SAME', got '{padding}'."
            )
