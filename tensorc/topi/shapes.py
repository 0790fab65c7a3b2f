"""What TVM's programs do to shapes, as `topi.utils`: extents are plain numbers here already."""

from __future__ import annotations

from collections.abc import Iterable

from tensorc.te.tensor import as_extent, as_shape


def simplify(extent: int) -> int:
    """The extent; TVM simplifies an expression here."""
    return extent


def get_const_int(extent: object) -> int:
    """The extent as an int.

    Raises:
        TEError: it is not known, or no extent.
    """
    return as_extent(extent, "a shape")


def get_const_tuple(shape: Iterable[object]) -> tuple[int, ...]:
    """The extents as ints.

    Raises:
        TEError: one is not known, or no extent.
    """
    return as_shape(shape, "a shape")
