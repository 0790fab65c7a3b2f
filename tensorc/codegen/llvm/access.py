"""What a load or a store accesses, apart from constants."""

from __future__ import annotations

from dataclasses import dataclass

from tensorc.ir.func import Buffer


@dataclass(slots=True, eq=False)
class Access:
    """Elements of a buffer around a place that is known up to a constant.

    Attributes:
        buffer: The buffer.
        lanes: How many elements are accessed.
        of: The type of so many in memory.
        converts: Whether they look different in registers.
        const: The constant part of the position.
        unrolled: What unrolled variables contribute to it: their names and coefficients.
        pointer: Address of the element at the open part of the position.
        bits: The coefficients of the open part, ored: what it is a multiple of.
        level: The scope that constant offsets are added in.
        places: Pointer and alignment of elements, as text, by constant; those of all accesses of
            the scope that have the same pointer.
    """

    buffer: Buffer
    lanes: int
    of: str
    converts: bool
    const: int
    unrolled: tuple[tuple[str, int], ...]
    pointer: str
    bits: int
    level: int
    places: dict[int, str]

    def alignment(self, const: int) -> int:
        """The alignment in bytes that an element surely has.

        Parameters are only aligned to their elements; other buffers start at a multiple of 64.
        """
        if self.buffer.scope == "global":
            return self.buffer.dtype.itemsize
        return self.alignment_within(const)

    def alignment_within(self, const: int) -> int:
        """The alignment in bytes, at most 64, that an element has if its buffer has that of 64."""
        bits = (self.bits | const) * self.buffer.dtype.itemsize
        return min(64, bits & -bits) if bits else 64
