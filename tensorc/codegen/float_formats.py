"""Numbers of the two floating-point formats that recipes are written for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tensorc.codegen.recipes import Value


@dataclass(frozen=True, slots=True)
class Format:
    """A format, and where its functions overflow, vanish and become constant.

    Attributes:
        bits: Width.
        mantissa: Stored bits of the significand.
        bias: Of the exponent.
        magic: 1.5 · 2^mantissa; adding it to a small number rounds that to an integer.
        log2_e: 1 / ln 2.
        ln2_high: ln 2 to so few bits that its product with an exponent is exact.
        ln2_low: The rest of ln 2.
        exp_low: exp of less is 0.
        exp_high: exp of this is infinite.
        exp2_low: exp2 of less is 0.
        exp2_high: exp2 of this is infinite.
        expm1_flat: expm1 of minus this is -1.
        tanh_flat: tanh of this is 1.
        tiny: The smallest normal number.
        rescale: Binary digits that make the smallest subnormal number normal.
    """

    bits: int
    mantissa: int
    bias: int
    magic: float
    ln2_high: float
    ln2_low: float
    exp_low: float
    exp_high: float
    exp2_low: float
    exp2_high: float
    expm1_flat: float
    tanh_flat: float
    tiny: float
    rescale: int
    log2_e: float = 1.0 / math.log(2.0)

    @property
    def magic_bits(self) -> int:
        """The bits of `magic`."""
        return ((self.bias + self.mantissa) << self.mantissa) + (1 << (self.mantissa - 1))

    @property
    def one_bits(self) -> int:
        """The bits of 1."""
        return self.bias << self.mantissa

    @property
    def sign_bit(self) -> int:
        """The bits of -0, as a signed integer."""
        return -(1 << (self.bits - 1))


SINGLE: Final = Format(
    bits=32,
    mantissa=23,
    bias=127,
    magic=12582912.0,
    ln2_high=0.693359375,
    ln2_low=-2.1219444005469057e-4,
    exp_low=-103.98,
    exp_high=89.0,
    exp2_low=-150.0,
    exp2_high=129.0,
    expm1_flat=18.0,
    tanh_flat=10.0,
    tiny=2.0**-126,
    rescale=25,
)
DOUBLE: Final = Format(
    bits=64,
    mantissa=52,
    bias=1023,
    magic=6755399441055744.0,
    ln2_high=float.fromhex("0x1.62e42feep-1"),
    ln2_low=float.fromhex("0x1.a39ef35793c76p-33"),
    exp_low=-745.14,
    exp_high=710.0,
    exp2_low=-1075.0,
    exp2_high=1025.0,
    expm1_flat=40.0,
    tanh_flat=20.0,
    tiny=2.0**-1022,
    rescale=54,
)


def format_of(x: Value) -> Format:
    """The format of a float."""
    return SINGLE if x.dtype.bits == 32 else DOUBLE
