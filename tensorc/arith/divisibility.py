"""What an affine is surely a multiple of: alignment, and whole vectors."""

from __future__ import annotations

from math import gcd

from tensorc.ir.affine import Affine, Atom, FloorMod


def common_divisor(a: Affine) -> int:
    """The greatest number that divides every value of `a`; 0 for the constant 0.

    Variables and quotients are taken to be any integer, so only coefficients count, except that
    `x % d` is a multiple of what divides both `x` and `d`.
    """
    return gcd(a.const, *(c * _atom_divisor(atom) for atom, c in a.terms))


def _atom_divisor(atom: Atom) -> int:
    match atom:
        case FloorMod(inner, divisor):
            return gcd(common_divisor(inner), divisor)
        case _:
            return 1


def is_multiple(a: Affine, factor: int) -> bool:
    """Whether every value of `a` is surely a multiple of `factor`."""
    return common_divisor(a) % factor == 0


def alignment(index: Affine, itemsize: int, most: int = 64) -> int:
    """The power of two, at most `most`, that divides the byte offset of every position `index`.

    That is the alignment of an access in bytes, where the buffer itself is aligned that well.
    """
    offset = common_divisor(index) * itemsize
    return min(most, offset & -offset) if offset else most
