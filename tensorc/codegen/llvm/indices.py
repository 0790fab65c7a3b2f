"""Index arithmetic: affines to integers, buffer positions to pointers.

A settled affine is a constant and terms `(SSA name, coefficient)`: unrolled variables have become
part of the constant and every `//`, `%` and opaque atom an SSA value. Each SSA value has a level,
the scope in which it is known; sums are built level by level, constant last, so that each part
stands outside the loops it does not depend on.

Unrolled code reaches the same access many times, and only constants change: what does not is in an
`Access`, which the scope remembers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import reduce
from operator import or_
from typing import TypeAlias, assert_never

from tensorc.codegen.llvm.access import Access
from tensorc.codegen.llvm.types import memory_type, needs_conversion
from tensorc.codegen.llvm.writer import Module, Writer
from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.expr import Expr, Load
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Prefetch, Store

Terms: TypeAlias = list[tuple[str, int]]


class IndexWriter(Writer, ABC):
    """A writer that knows index variables and buffers.

    Attributes:
        index: What an index variable is: a constant if unrolled, else an SSA name.
        level: The scope of an SSA name that occurs in indices.
        ranges: Lowest and highest value of such a name.
        base: Pointer to the first element, by buffer name.
        streams: Whether this function stores something past the caches.
    """

    __slots__ = ("base", "index", "level", "ranges", "streams")

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self.index: dict[str, int | str] = {}
        self.level: dict[str, int] = {}
        self.ranges: dict[str, tuple[int, int]] = {}
        self.base: dict[str, str] = {}
        self.streams = False

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

    def access(self, e: Load | Store | Prefetch, lanes: int) -> tuple[Access, int]:
        """What a load or store of so many lanes accesses, and its constant part now."""
        known = self.scopes[-1].accesses.get(id(e))
        if known is None:
            known = self._access(e, lanes)
        const = known.const
        index = self.index
        for name, c in known.unrolled:
            const += c * index[name]  # type: ignore[operator]  # unrolled, so an int
        return known, const

    def place(self, access: Access, const: int) -> str:
        """The address of the element at a constant, and its alignment: `ptr %v1, align 4`."""
        known = access.places.get(const)
        if known is None:
            p = access.pointer
            if const:
                element = memory_type(access.buffer.dtype)
                p = self.op_at(access.level, f"getelementptr {element}, ptr {p}, i64 {const}")
            known = f"ptr {p}, align {access.alignment(const)}"
            access.places[const] = known
        return known

    def _access(self, e: Load | Store | Prefetch, lanes: int) -> Access:
        """Settle the position of a load or store; remember it while its open part stays."""
        buffer, affine = e.buffer, e.index
        index = self.index
        plain = [(x, c) for x, c in affine.terms if isinstance(x, str)]
        unrolled = tuple((x, c) for x, c in plain if isinstance(index[x], int))
        const, terms = self.settle(affine)
        is_plain = len(plain) == len(unrolled) + len(terms) == len(affine.terms)
        bits = reduce(or_, (c for _, c in terms), 0)
        pointer = self._open_pointer(buffer, terms)
        # Offsets are immediates of the access and stay next to it; those of register tiles vanish,
        # so one copy at the top serves the whole function.
        level = 0 if buffer.scope == "local" and not terms else len(self.scopes) - 1
        made = Access(
            buffer,
            lanes,
            memory_type(buffer.dtype, lanes),
            needs_conversion(buffer.dtype),
            affine.const if is_plain else const,
            unrolled if is_plain else (),
            pointer,
            bits,
            level,
            self.scopes[level].places.setdefault(pointer, {}),
        )
        if is_plain:
            self.scopes[-1].accesses[id(e)] = made
        return made

    def _open_pointer(self, buffer: Buffer, terms: Terms) -> str:
        """The address at the open part. What varies with one loop only is added at that loop."""
        p = self.base[buffer.name]
        scopes = self.scopes
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
        return p
