"""Statements and expressions of one iteration, turned into those of several lanes at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Final, assert_never

from tensorc.arith.affine import Range, interval, substitute
from tensorc.ir.affine import Affine, affine_variables, coefficient
from tensorc.ir.dtype import INT32, INT64
from tensorc.ir.expr import (
    BinaryOp,
    Broadcast,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Load,
    Read,
    Select,
    Var,
    Where,
    dtype_of,
    lanes_of,
)
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.ir.visit import walk_expr
from tensorc.passes.spare_lanes import Row

_DIVISIONS: Final = frozenset({"/", "//", "%", "truncdiv", "truncmod"})
# Stands for the number of the lane while indices are taken apart; no identifier.
LANE = "<lane>"


class NoVectorForm(Exception):  # noqa: N818  # says what was found, and is always caught
    """The statement cannot be done for several lanes at once."""


@dataclass(slots=True)
class Widening:
    """Replaces variable `var` by `value`, an affine of `LANE`, for `lanes` lanes.

    `env` has ranges of all variables, those of `LANE` included. The last `dead` lanes are beyond
    the end of the loop: they are computed with, but no memory is touched for them, except where
    `rows` says that nobody uses it. Scratch buffers of up to `tile_bytes` may become registers.
    `vectors` are the data variables that hold a vector.
    """

    var: str
    value: Affine
    lanes: int
    env: dict[str, Range]
    dead: int = 0
    rows: Mapping[str, Row] = field(default_factory=dict)
    tile_bytes: int = 0
    vectors: set[str] = field(default_factory=set)

    def statement(self, s: Stmt) -> Stmt:
        """The statement for all lanes.

        Raises:
            NoVectorForm: if there is none.
        """
        match s:
            case Store(buffer, index, value, streams=streams):
                position, stride = self.split(index)
                if stride == 0 or lanes_of(value) > 1:
                    raise NoVectorForm
                wide = self.spread(self.expression(value))
                dead = self._dead(buffer, position, stride, stores=True)
                return Store(buffer, position, wide, stride, dead, streams)
            case Prefetch(buffer, index):
                return Prefetch(buffer, self.split(index)[0])
            case Seq(parts):
                return Seq(tuple(self.statement(part) for part in parts))
            case For():
                return self._loop(s)
            case IfThenElse(conditions, then, orelse):
                return self._branch(conditions, then, orelse)
            case Let(data, value, body):
                wide = self.expression(value)
                if lanes_of(wide) == 1:
                    return Let(data, wide, self.statement(body))
                self.vectors.add(data.name)
                return Let(Var(data.name, data.dtype, self.lanes), wide, self.statement(body))
            case Allocate():
                raise NoVectorForm
            case _:
                assert_never(s)

    def _loop(self, s: For) -> Stmt:
        lets = tuple((name, self.uniform(a)) for name, a in s.lets)
        if s.kind in (ForKind.VECTORIZED, ForKind.PARALLEL):
            raise NoVectorForm
        self.env = {**self.env, s.var: (s.start, s.start + s.extent - 1)}
        for name, a in lets:
            self.env[name] = interval(a, self.env)
        return For(s.var, s.start, s.extent, s.kind, self.statement(s.body), lets)

    def _branch(self, conditions: tuple[Affine, ...], then: Stmt, orelse: Stmt | None) -> Stmt:
        uniform, varying, holds = self.conditions(conditions)
        if varying:
            raise NoVectorForm
        if not holds:
            return Seq(()) if orelse is None else self.statement(orelse)
        new = self.statement(then)
        if not uniform:
            return new
        return IfThenElse(uniform, new, None if orelse is None else self.statement(orelse))

    def _dead(self, buffer: Buffer, position: Affine, stride: int, *, stores: bool) -> int:
        """How many lanes of a vector of elements must not be touched."""
        if not self.dead:
            return 0
        if stride != 1:
            raise NoVectorForm
        row = self.rows.get(buffer.name)
        if row and row.is_spare(position, self.lanes - self.dead, self.lanes):
            return 0
        if buffer.scope == "global":
            return self.dead
        if self._is_aligned(buffer, position):
            return self.dead if stores else 0  # what dead lanes hold does not matter
        if buffer.nbytes <= self.tile_bytes:
            raise NoVectorForm  # registers are vectors that do not overlap
        return self.dead

    def _is_aligned(self, buffer: Buffer, position: Affine) -> bool:
        """Whether a vector is one of those that a buffer consists of, one after another."""
        numbers = (buffer.size, position.const, *(c for _, c in position.terms))
        return all(n % self.lanes == 0 for n in numbers)

    def split(self, a: Affine) -> tuple[Affine, int]:
        """An affine in lane 0, and how much it grows from lane to lane.

        Raises:
            NoVectorForm: if it does not grow evenly.
        """
        if self.var not in affine_variables(a):
            return a, 0
        wide = substitute(a, {self.var: self.value}, self.env)
        stride = coefficient(wide, LANE)
        rest = Affine(wide.const, tuple(t for t in wide.terms if t[0] != LANE))
        if LANE in affine_variables(rest):
            raise NoVectorForm
        return rest, int(stride)

    def uniform(self, a: Affine) -> Affine:
        """An affine that has to be the same in all lanes.

        Raises:
            NoVectorForm: if it is not.
        """
        position, stride = self.split(a)
        if stride:
            raise NoVectorForm
        return position

    def conditions(
        self, conditions: tuple[Affine, ...]
    ) -> tuple[tuple[Affine, ...], list[tuple[Affine, int]], bool]:
        """Conditions alike in all lanes, those that are not, and whether they can hold at all.

        Raises:
            NoVectorForm: if one of them does not grow evenly.
        """
        uniform: list[Affine] = []
        varying: list[tuple[Affine, int]] = []
        for condition in conditions:
            position, stride = self.split(condition)
            low, high = self._interval(position, stride)
            if high < 0:
                return (), [], False
            if low < 0 and stride:
                varying.append((position, stride))
            elif low < 0:
                uniform.append(position)
        return tuple(uniform), varying, True

    def _interval(self, position: Affine, stride: int) -> Range:
        low, high = interval(position, self.env)
        reach = stride * (self.lanes - self.dead - 1)
        return low + min(reach, 0), high + max(reach, 0)

    def spread(self, e: Expr) -> Expr:
        """A value in every lane."""
        return Broadcast(e, self.lanes) if lanes_of(e) == 1 else e

    def _alike(self, *values: Expr) -> tuple[Expr, ...]:
        """Scalars repeated if any of the values is a vector."""
        if all(lanes_of(value) == 1 for value in values):
            return values
        return tuple(map(self.spread, values))

    def expression(self, e: Expr) -> Expr:
        """The value in all lanes: a scalar where it is the same in all.

        Raises:
            NoVectorForm: if there is no vector form.
        """
        match e:
            case Const():
                return e
            case Var(name, dtype, _):
                return Var(name, dtype, self.lanes) if name in self.vectors else e
            case Index(affine, dtype, 1, _):
                position, stride = self.split(affine)
                return (
                    Index(position, dtype, self.lanes, stride) if stride else Index(position, dtype)
                )
            case Load(buffer, index, 1, _):
                position, stride = self.split(index)
                dead = self._dead(buffer, position, stride, stores=False) if stride else 0
                lanes = self.lanes if stride else 1
                return Load(buffer, position, lanes, stride or 1, dead)
            case Cast(value, dtype):
                return Cast(self.expression(value), dtype)
            case BinaryOp(op, a, b):
                self._refuse_division(op, a)
                return BinaryOp(op, *self._alike(self.expression(a), self.expression(b)))
            case Call(function, args):
                return Call(function, self._alike(*map(self.expression, args)))
            case Where(condition, a, b):
                return Where(*self._alike(*map(self.expression, (condition, a, b))))
            case Select(conditions, a, b):
                return self._select(conditions, a, b)
            case Index() | Load() | Broadcast() | Read():
                raise NoVectorForm
            case _:
                assert_never(e)

    def _refuse_division(self, op: str, operand: Expr) -> None:
        """Dead lanes may divide by 0, which integers must not."""
        if self.dead and op in _DIVISIONS and dtype_of(operand).is_integer:
            raise NoVectorForm

    def _select(self, conditions: tuple[Affine, ...], a: Expr, b: Expr) -> Expr:
        uniform, varying, holds = self.conditions(conditions)
        if not holds:
            return self.expression(b)
        x = self.expression(a)
        if not uniform and not varying:
            return x
        y = self.expression(b)
        if varying:
            # Both sides are evaluated, so neither may leave its buffers.
            if not (self._is_safe(x) and self._is_safe(y)):
                raise NoVectorForm
            tests = [self._test(position, stride) for position, stride in varying]
            choose = reduce(lambda p, q: BinaryOp("and", p, q), tests)
            x = Where(choose, self.spread(x), self.spread(y))
        if not uniform:
            return x
        x, y = self._alike(x, y)
        return Select(uniform, x, y)

    def _test(self, position: Affine, stride: int) -> Expr:
        low, high = self._interval(position, stride)
        dtype = INT32 if low >= -(2**31) and high < 2**31 else INT64
        index = Index(position, dtype, self.lanes, stride)
        return BinaryOp(">=", index, Broadcast(Const(0, dtype), self.lanes))

    def _is_safe(self, e: Expr) -> bool:
        for part in walk_expr(e):
            if not isinstance(part, Load):
                continue
            reach = (part.lanes - part.dead - 1) * part.stride
            low, high = interval(part.index, self.env)
            if low + min(reach, 0) < 0 or high + max(reach, 0) >= part.buffer.size:
                return False
        return True
