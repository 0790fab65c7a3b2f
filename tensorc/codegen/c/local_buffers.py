"""Register tiles: which named variables hold the elements of a `local` buffer.

Once unrolled loops are expanded, every access to the buffer is at a constant position. Accesses
that are equal or nested in one another share a slot, a vector or scalar variable of its own, which
the compiler can keep in a register. Where accesses overlap in another way, or a position is not
constant, the buffer is an array instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tensorc.arith.affine import Env, interval, substitute
from tensorc.arith.bounds import undecided
from tensorc.ir.affine import Affine
from tensorc.ir.expr import Load, lanes_of
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import For, ForKind, IfThenElse, Stmt, Store, sub_statements
from tensorc.ir.visit import stmt_exprs

Access: TypeAlias = tuple[int, int]  # first element, number of elements

# A tile is some dozen vectors; more variables than this are an array in disguise.
_MOST_SLOTS = 512


class _IsArrayError(Exception):
    """The buffer cannot be variables."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable for `lanes` elements from `offset` on."""

    name: str
    offset: int
    lanes: int


@dataclass(slots=True)
class _Accesses:
    name: str
    size: int
    found: set[Access] = field(default_factory=set)

    def visit(self, s: Stmt, env: dict[str, Any]) -> None:
        for index, lanes, stride in self.direct(s):
            self.add(index, lanes, stride, env)
        if isinstance(s, For):
            self.loop(s, env)
        elif isinstance(s, IfThenElse):
            for part in live_sides(s, env):
                self.visit(part, env)
        else:
            for part in sub_statements(s):
                self.visit(part, env)

    def direct(self, s: Stmt) -> Iterator[tuple[Affine, int, int]]:
        if isinstance(s, Store) and s.buffer.name == self.name:
            yield s.index, lanes_of(s.value), s.stride
        for e in stmt_exprs(s):
            if isinstance(e, Load) and e.buffer.name == self.name:
                yield e.index, e.lanes, e.stride

    def add(self, index: Affine, lanes: int, stride: int, env: Env) -> None:
        settled = substitute(index, {}, env)
        if settled.terms or (lanes > 1 and stride != 1):
            raise _IsArrayError
        if settled.const < 0 or settled.const + lanes > self.size:
            raise _IsArrayError  # never reached, but its conditions do not show that
        self.found.add((settled.const, lanes))

    def loop(self, s: For, env: dict[str, Any]) -> None:
        if s.kind is ForKind.PARALLEL:
            inside = _Accesses(self.name, self.size)
            inside.body(s, (s.start, s.start + s.extent - 1), env)
            if inside.found:
                raise _IsArrayError
        elif s.kind is ForKind.UNROLLED:
            for value in range(s.start, s.start + s.extent):
                self.body(s, (value, value), env)
        else:
            self.body(s, (s.start, s.start + s.extent - 1), env)

    def body(self, s: For, values: tuple[int, int], env: dict[str, Any]) -> None:
        self.visit(s.body, loop_env(s, values, env))


def loop_env(s: For, values: tuple[int, int], env: Mapping[str, Any]) -> dict[str, Any]:
    """The ranges inside a loop whose variable has these values, its lets included."""
    inner = {**env, s.var: values}
    for name, a in s.lets:
        inner[name] = interval(a, inner)
    return inner


def live_sides(s: IfThenElse, env: Env) -> tuple[Stmt, ...]:
    """The sides of a branch that can be taken where variables have these ranges."""
    left = undecided(tuple(substitute(a, {}, env) for a in s.conditions), env)
    sides = (s.orelse,) if left is None else (s.then, s.orelse) if left else (s.then,)
    return tuple(side for side in sides if side is not None)


def slots_of(buffer: Buffer, body: Stmt, env: Env, prefix: str) -> tuple[Slot, ...] | None:
    """The variables for a buffer, None if it has to be an array."""
    accesses = _Accesses(buffer.name, buffer.size)
    try:
        accesses.visit(body, dict(env))
    except _IsArrayError:
        return None
    largest: list[Access] = []
    for offset, lanes in sorted(accesses.found, key=lambda access: (access[0], -access[1])):
        end = sum(largest[-1]) if largest else 0
        if offset >= end:
            largest.append((offset, lanes))
        elif offset + lanes > end or (lanes > 1 and (offset, lanes) != largest[-1]):
            return None
    if len(largest) > _MOST_SLOTS:
        return None
    return tuple(Slot(f"{prefix}_{offset}", offset, lanes) for offset, lanes in largest)
