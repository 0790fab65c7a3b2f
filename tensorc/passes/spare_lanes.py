"""Elements at the ends of a buffer's rows that nobody uses.

Scratch buffers have rows that are longer than the data where that makes vectors whole (see
`lower.storage.padded_row`). What is written to the rest does not matter, so the last vector of a
row need not be kept from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tensorc.arith.affine import Range, interval
from tensorc.ir.affine import Affine
from tensorc.ir.expr import Load, lanes_of
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Allocate, For, Stmt, Store, sub_statements
from tensorc.ir.visit import stmt_exprs

Ranges = dict[str, Range]


@dataclass(frozen=True, slots=True)
class Row:
    """The rows of a buffer: their length, and how many elements of each are used."""

    length: int
    used: int

    def is_spare(self, index: Affine, live: int, lanes: int) -> bool:
        """Whether the lanes of a vector beyond the live ones lie in the unused part of a row."""
        first = index.const % self.length
        whole = all(c % self.length == 0 for _, c in index.terms)
        return whole and first + live >= self.used and first + lanes <= self.length


def used_rows(s: Stmt, ranges: Mapping[str, Range]) -> dict[int, Row]:
    """The rows of the buffers allocated in a statement that are not used whole.

    They are found by the identity of the allocating statement. Buffers that are accessed in vectors
    already count as used whole.
    """
    survey = _Survey()
    survey.visit(s, dict(ranges))
    return {
        key: Row(use.buffer.shape[-1], use.used)
        for key, use in survey.found.items()
        if use.used < use.buffer.shape[-1]
    }


def power_above(count: int) -> int:
    """The least power of two that is not less: the lanes of a vector for so many elements."""
    return 1 << (count - 1).bit_length()


def inside(loop: For, env: Ranges) -> Ranges:
    """Ranges of variables in the body of a loop."""
    known = {**env, loop.var: (loop.start, loop.start + loop.extent - 1)}
    for name, definition in loop.lets:
        known[name] = interval(definition, known)
    return known


@dataclass(slots=True)
class _Use:
    buffer: Buffer
    used: int = 0


@dataclass(slots=True)
class _Survey:
    found: dict[int, _Use] = field(default_factory=dict)
    active: dict[str, _Use] = field(default_factory=dict)

    def visit(self, s: Stmt, env: Ranges) -> None:
        if isinstance(s, Allocate) and s.buffer.shape:
            use = self.found.setdefault(id(s), _Use(s.buffer))
            outer = self.active
            self.active = {**outer, s.buffer.name: use}
            self.visit(s.body, env)
            self.active = outer
            return
        if self.active:
            for buffer, index, lanes in _accesses(s):
                self._note(buffer, index, lanes, env)
        known = inside(s, env) if isinstance(s, For) else env
        for part in sub_statements(s):
            self.visit(part, known)

    def _note(self, buffer: Buffer, index: Affine, lanes: int, env: Ranges) -> None:
        use = self.active.get(buffer.name)
        if use is None:
            return
        length = buffer.shape[-1]
        if use.used >= length:
            return
        within = Affine(index.const % length, tuple((t, c) for t, c in index.terms if c % length))
        low, high = interval(within, env)
        whole = lanes > 1 or low < 0 or high >= length
        use.used = length if whole else max(use.used, high + 1)


def _accesses(s: Stmt) -> Iterator[tuple[Buffer, Affine, int]]:
    if isinstance(s, Store):
        yield s.buffer, s.index, lanes_of(s.value)
    for e in stmt_exprs(s):
        if isinstance(e, Load):
            yield e.buffer, e.index, e.lanes
