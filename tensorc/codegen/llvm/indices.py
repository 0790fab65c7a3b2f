"""Index arithmetic: affines to integers, buffer positions to pointers.

A settled affine is a constant and terms `(SSA name, coefficient)`: unrolled variables have become
part of the constant and every `//`, `%` and opaque atom an SSA value. Each SSA value has a level,
the scope in which it is known; sums are built level by level, constant last, so that each part
stands outside the loops it does not depend on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias, assert_never

from tensorc.codegen.llvm.types import memory_type
from tensorc.codegen.llvm.writer import Module, Writer
from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.expr import Expr
from tensorc.ir.func import Buffer

Terms: TypeAlias = list[tuple[str, int]]


class IndexWriter(Writer, ABC):
    """A writer that knows index variables and buffers.

    Attributes:
        index: What an index variable is: a constant if unrolled, else an SSA name.
        level: The scope of an SSA name that occurs in indices.
        ranges: Lowest and highest value of such a name.
        base: Pointer to the first element, by buffer name.
    """

    __slots__ = ("base", "index", "level", "ranges")

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self.index: dict[str, int | str] = {}
        self.level: dict[str, int] = {}
        self.ranges: dict[str, tuple[int, int]] = {}
        self.base: dict[str, str] = {}

    @abstractmethod
    def opaque(self, value: Expr) -> str:
        """The value of an integer expression, here, as an `i64`."""

    def settle(self, a: Affine) -> tuple[int, Terms]:
        """The constant part and the open terms under the constants known here."""
        const: int = a.const
        terms: Terms = []
        index = self.index
        for atom, c in a.terms:
            x = index[atom] if isinstance(atom, str) else self._atom(atom)
            if isinstance(x, int):
                const += c * x
            else:
                terms.append((x, c))
        if len(terms) > 1:
            terms = self._collect(terms)
        return const, terms

    def _collect(self, terms: Terms) -> Terms:
        """Terms by level, outermost first, each name once (lets may alias)."""
        names = [x for x, _ in terms]
        if len(set(names)) != len(names):
            merged: dict[str, int] = {}
            for x, c in terms:
                merged[x] = merged.get(x, 0) + c
            terms = [(x, c) for x, c in merged.items() if c]
        level = self.level
        terms.sort(key=lambda term: level[term[0]])
        return terms

    def interval(self, const: int, terms: Terms) -> tuple[int, int]:
        """Lowest and highest value of a settled affine."""
        low = high = const
        for x, c in terms:
            lo, hi = self.ranges[x]
            low, high = (low + c * lo, high + c * hi) if c >= 0 else (low + c * hi, high + c * lo)
        return low, high

    def bind(self, ssa: str, level: int, low: int, high: int) -> str:
        """Make an SSA value usable in indices."""
        self.level[ssa] = level
        self.ranges[ssa] = (low, high)
        return ssa

    def _atom(self, atom: Atom) -> int | str:
        match atom:
            case str():
                return self.index[atom]
            case FloorDiv(inner, divisor):
                return self._divide("div", inner, divisor)
            case FloorMod(inner, divisor):
                return self._divide("mod", inner, divisor)
            case Opaque(value, low, high):
                return self.bind(self.opaque(value), len(self.scopes) - 1, low, high)
            case _:
                assert_never(atom)

    def _divide(self, kind: str, inner: Affine, divisor: int) -> int | str:
        """Floor quotient or remainder; unsigned division after a shift to a non-negative value."""
        const, terms = self.settle(inner)
        if not terms:
            return const // divisor if kind == "div" else const % divisor
        low, high = self.interval(const, terms)
        if low // divisor == high // divisor and kind == "div":
            return low // divisor
        level = self.level[terms[-1][0]]
        key = (kind, const, divisor, *terms)
        known = self.scopes[level].integers.get(key)
        if known is not None:
            return known
        shift = max(0, -(low // divisor))
        x = self.integer(const + shift * divisor, terms)
        if kind == "div":
            ssa = self.op_at(level, f"udiv i64 {x}, {divisor}")
            if shift:
                ssa = self.op_at(level, f"sub nsw i64 {ssa}, {shift}")
            self.bind(ssa, level, low // divisor, high // divisor)
        else:
            ssa = self.op_at(level, f"urem i64 {x}, {divisor}")
            self.bind(ssa, level, 0, divisor - 1)
        self.scopes[level].integers[key] = ssa
        return ssa

    def _multiple(self, x: str, c: int) -> str:
        """The product of an index value and a constant."""
        if c == 1:
            return x
        level = self.level[x]
        cache = self.scopes[level].integers
        known = cache.get((x, c))
        if known is None:
            known = cache[x, c] = self.op_at(level, f"mul nsw i64 {x}, {c}")
        return known

    def integer(self, const: int, terms: Terms) -> str:
        """A settled affine as an `i64`."""
        if not terms:
            return str(const)
        total = ""
        key: tuple[object, ...] = ()
        level = 0
        for x, c in terms:
            level = self.level[x]
            key = (*key, x, c)
            cache = self.scopes[level].integers
            known = cache.get(key)
            if known is None:
                part = self._multiple(x, c)
                known = self.op_at(level, f"add nsw i64 {total}, {part}") if total else part
                cache[key] = known
            total = known
        if not const:
            return total
        cache = self.scopes[level].integers
        key = (*key, const)
        if key not in cache:
            cache[key] = self.op_at(level, f"add nsw i64 {total}, {const}")
        return cache[key]

    def pointer(self, buffer: Buffer, const: int, terms: Terms) -> str:
        """The address of an element. Parts that vary with one loop only are built at that loop."""
        p = self.base[buffer.name]
        scopes = self.scopes
        if terms:
            key: tuple[object, ...] = (p,)
            for x, c in terms:
                key = (*key, x, c)
                level = self.level[x]
                cache = scopes[level].pointers
                q = cache.get(key)
                if q is None:
                    element = memory_type(buffer.dtype)
                    part = self._multiple(x, c)
                    q = self.op_at(level, f"getelementptr {element}, ptr {p}, i64 {part}")
                    cache[key] = q
                p = q
        if const:
            # Offsets are immediates of the access and stay next to it; those of register tiles
            # vanish, so one copy at the top serves the whole function.
            level = 0 if buffer.scope == "local" and not terms else len(scopes) - 1
            cache = scopes[level].pointers
            q = cache.get((p, const))
            if q is None:
                element = memory_type(buffer.dtype)
                q = self.op_at(level, f"getelementptr {element}, ptr {p}, i64 {const}")
                cache[p, const] = q
            p = q
        return p


def alignment(buffer: Buffer, const: int, terms: Terms) -> int:
    """The alignment in bytes that an element surely has.

    Parameters are only aligned to their elements; other buffers start at a multiple of 64.
    """
    size = buffer.dtype.itemsize
    if buffer.scope == "global":
        return size
    bits = const
    for _, c in terms:
        bits |= c
    bits *= size
    return min(64, bits & -bits) if bits else 64
