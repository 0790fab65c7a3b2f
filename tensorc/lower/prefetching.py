"""Which cache lines a loop asks for ahead of their use.

The pragma `prefetch` on a loop, with value `d`: each iteration asks for the lines of the kernel's
inputs that the stage reads `d` iterations later and not before. Where the loop ends sooner, the
address runs on, into what lies behind it in memory: mostly what is read next. The length of lines
is the machine's business: a loop that reads no new ones, or too many at a time, asks for nothing.

    for j in serial(0, 256):                 # A has rows of 4096 elements; prefetch: 4
        prefetch(A, 4096*i + 16*j + 64)
        …  C[ramp(…, 16)] = A[ramp(4096*i + 16*j, 16)]
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import product
from math import prod
from typing import Final, TypeAlias

from tensorc.arith.affine import Range
from tensorc.ir.affine import Affine, Atom
from tensorc.ir.expr import Expr, Load
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import ForKind, Prefetch
from tensorc.ir.visit import walk_expr
from tensorc.lower.placement import Placed
from tensorc.schedule.stage import PREFETCH
from tensorc.support.errors import LoweringError
from tensorc.target import Target

# Lines asked for in one iteration; a core waits for no more at a time.
MAX_LINES: Final = 32

# The part of positions that is the same for all loads of a group, with their buffer.
_Group: TypeAlias = tuple[Buffer, tuple[tuple[Atom, int], ...]]


def prefetches(
    placed: Placed, bodies: Iterable[Expr], ranges: Mapping[str, Range], target: Target
) -> dict[int, tuple[Prefetch, ...]]:
    """What a stage asks for in each iteration of its loops, by their numbers.

    Raises:
        LoweringError: a pragma stands at a vectorised loop.
    """
    pragmas = placed.stage.pragmas
    ahead = {name: value for name, key, value in pragmas if key == PREFETCH and value}
    if not ahead:
        return {}
    loads = dict.fromkeys(e for body in bodies for e in walk_expr(body) if isinstance(e, Load))
    leaves = placed.instance.leaves
    found: dict[int, tuple[Prefetch, ...]] = {}
    for k, leaf in enumerate(leaves):
        if leaf.iterator in ahead:
            if leaf.kind is ForKind.VECTORIZED:
                raise LoweringError(
                    f"Cannot prefetch in loop '{leaf.iterator}' of stage '{placed.stage.name}': "
                    f"expected a loop around vectors, got '{leaf.kind.value}'."
                )
            lines = _Lines(leaf.var, target.cache_line_bytes)
            inner = [name for x in leaves[k + 1 :] for name in (x.var, *(n for n, _ in x.lets))]
            for e in loads:
                lines.add(e, {name: ranges[name] for name in inner})
            found[k] = lines.ahead(ahead[leaf.iterator])
    return found


class _Lines:
    """The cache lines that one iteration of a loop reads."""

    def __init__(self, var: str, line_bytes: int) -> None:
        self.var = var
        self.line_bytes = line_bytes
        self.starts: dict[_Group, set[int]] = {}
        self.too_many = False

    def add(self, e: Load, inner: Mapping[str, Range]) -> None:
        """Note what a load reads while inner loops run; the kernel's inputs only."""
        if e.buffer.scope != "global" or any(not isinstance(x, str) for x, _ in e.index.terms):
            return
        outer = tuple((x, c) for x, c in e.index.terms if x not in inner)
        width = self.width(e.buffer)
        first, span, jumps = _runs(e.index, inner, width)
        lines = -(-span // width)
        if lines * prod(len(jump) for jump in jumps) > MAX_LINES:
            self.too_many = True
            return
        starts = self.starts.setdefault((e.buffer, outer), set())
        for places in product(*jumps):
            starts |= {first + sum(places) + width * n for n in range(lines)}

    def width(self, buffer: Buffer) -> int:
        """Elements in a line."""
        return max(self.line_bytes // buffer.dtype.itemsize, 1)

    def ahead(self, distance: int) -> tuple[Prefetch, ...]:
        """What is read so many iterations later, and not before; nothing if that is too much."""
        if self.too_many:
            return ()
        found: list[Prefetch] = []
        for (buffer, outer), starts in self.starts.items():
            width, step = self.width(buffer), dict(outer).get(self.var, 0)
            last: int | None = None
            order = sorted(starts)
            for start in order:
                near = bisect_right(order, start + step - width)
                again = near < len(order) and order[near] < start + step + width
                if not again and (last is None or start - last >= width):
                    last = start
                    found.append(Prefetch(buffer, Affine(start + distance * step, outer)))
        return tuple(found) if len(found) <= MAX_LINES else ()


def _runs(index: Affine, inner: Mapping[str, Range], width: int) -> tuple[int, int, list[range]]:
    """First element, length of the run without gaps as long as a line, and where runs start."""
    first, span = index.const, 1
    jumps: list[range] = []
    for x, c in sorted(index.terms, key=lambda term: abs(term[1])):
        if not isinstance(x, str) or x not in inner:
            continue
        low, high = inner[x]
        first += c * (low if c > 0 else high)
        if abs(c) <= max(span, width):
            span += abs(c) * (high - low)
        else:
            jumps.append(range(0, abs(c) * (high - low) + 1, abs(c)))
    return first, span, jumps
