"""Random well-formed loop IR, every access within its buffer, with arrays to run it on.

Programs hold only operations whose result is the same to the last bit everywhere, so backends can
be compared with the oracle for equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from tensorc.arith.affine import interval
from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.affine import Affine, FloorDiv, FloorMod, Opaque, of_atom, variable
from tensorc.ir.dtype import ALL_DTYPES, BOOL, FLOAT32, INT32, INT64, DType
from tensorc.ir.expr import (
    BinaryOp,
    Broadcast,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Load,
    Select,
    Var,
    Where,
)
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store

LANES = (1, 1, 2, 4, 8)
SIZE = 96


@dataclass
class Generator:
    rng: Random
    dtypes: tuple[DType, ...]
    buffers: list[Buffer] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    values: list[Var] = field(default_factory=list)
    offsets: list[tuple[str, int]] = field(default_factory=list)
    parallel: bool = False
    count: int = 0

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    # ---- indices

    def affine(self) -> Affine:
        a = Affine(self.rng.randint(-3, 12))
        for name in self.rng.sample(sorted(self.ranges), min(2, len(self.ranges))):
            a = a + variable(name) * self.rng.choice((-2, -1, 1, 2, 3, 8))
        if a.terms and self.rng.random() < 0.3:
            atom = self.rng.choice((FloorDiv, FloorMod))(a, self.rng.choice((2, 3, 4)))
            a = of_atom(atom) + self.rng.randint(0, 3)
        return a

    def position(self, size: int, span: int) -> Affine:
        """An index such that `span` positions from it on lie in `[0, size)`."""
        # The range is a promise: only inputs, which are never stored to, are known to keep it.
        inputs = [b for b in self.buffers if b.name not in self.written]
        integers = [b for b in inputs if b.dtype in (INT32, INT64)]
        if integers and self.rng.random() < 0.1:
            buffer = self.rng.choice(integers)
            value = Load(buffer, self.position(buffer.size, 1))
            return of_atom(FloorMod(of_atom(Opaque(value, -9, 9)), size - span + 1))
        a = self.affine()
        low, high = interval(a, self.ranges)
        if low < 0 or high + span > size:
            return of_atom(FloorMod(a, size - span + 1))
        return a

    def dead(self, lanes: int, stride: int) -> int:
        """How many lanes are dead: often none, and only where the others are neighbours."""
        if lanes == 1 or stride != 1 or self.rng.random() < 0.6:
            return 0
        return self.rng.randint(1, lanes - 1)

    # ---- values

    def const(self, dtype: DType) -> Const:
        if dtype == BOOL:
            return Const(self.rng.random() < 0.5, dtype)
        low = 0 if dtype.kind == "uint" else -9
        value = self.rng.randint(low, 9)
        return Const(value / 4 if dtype.is_float else value, dtype)

    def leaf(self, dtype: DType, lanes: int) -> Expr:
        known = [v for v in self.values if v.dtype == dtype and v.lanes == lanes]
        buffers = [b for b in self.buffers if b.dtype == dtype]
        choice = self.rng.random()
        if known and choice < 0.3:
            return self.rng.choice(known)
        if buffers and choice < 0.7:
            buffer = self.rng.choice(buffers)
            stride = self.rng.choice((1, 1, 1, 2, 0, -1)) if lanes > 1 else 1
            dead = self.dead(lanes, stride)
            span = (lanes - dead - 1) * abs(stride) + 1
            first = self.position(buffer.size, span)
            return Load(buffer, first - min(0, stride) * (lanes - 1), lanes, stride, dead)
        if dtype.is_integer and choice < 0.85:
            return Index(
                self.affine(), dtype, lanes, 0 if lanes == 1 else self.rng.choice((0, 1, 3))
            )
        if lanes > 1:
            return Broadcast(self.leaf(dtype, 1), lanes)
        return self.const(dtype)

    def expr(self, dtype: DType, lanes: int, depth: int) -> Expr:
        if depth == 0:
            return self.leaf(dtype, lanes)
        a = self.expr(dtype, lanes, depth - 1)
        b = self.expr(dtype, lanes, self.rng.randint(0, depth - 1))
        match self.rng.randint(0, 6):
            case 0:
                return Select(tuple(self.affine() for _ in range(self.rng.randint(1, 2))), a, b)
            case 1:
                condition = self.expr(BOOL, self.rng.choice((1, lanes)), depth - 1)
                return Where(condition, a, b)
            case 2:
                return self.cast(dtype, lanes, depth)
            case 3:
                return self.call(dtype, a)
            case _:
                return self.binary(dtype, a, b, lanes, depth)

    def binary(self, dtype: DType, a: Expr, b: Expr, lanes: int, depth: int) -> Expr:
        if dtype == BOOL:
            if self.rng.random() < 0.4:
                return BinaryOp(self.rng.choice(("and", "or")), a, b)
            other = self.rng.choice(self.dtypes)
            x, y = (self.expr(other, lanes, depth - 1) for _ in range(2))
            return BinaryOp(self.rng.choice(("<", "<=", ">", ">=", "==", "!=")), x, y)
        if dtype.is_float:
            return BinaryOp(self.rng.choice(("+", "-", "*", "/", "min", "max")), a, b)
        op = self.rng.choice(
            (
                "+",
                "-",
                "*",
                "min",
                "max",
                "&",
                "|",
                "^",
                "//",
                "%",
                "truncdiv",
                "truncmod",
                "<<",
                ">>",
            )
        )
        if op in ("//", "%", "truncdiv", "truncmod"):
            b = Const(self.rng.choice((2, 3, 7) if dtype.kind == "uint" else (-3, 2, 3, 7)), dtype)
        if op in ("<<", ">>"):
            b = Const(self.rng.randint(0, 7), dtype)
        return BinaryOp(op, a, Broadcast(b, lanes) if isinstance(b, Const) and lanes > 1 else b)

    def call(self, dtype: DType, a: Expr) -> Expr:
        if dtype == BOOL:
            return Call("not", (a,))
        if dtype.is_float:
            return Call(self.rng.choice(("floor", "ceil", "trunc", "round", "abs")), (a,))
        return Call(self.rng.choice(("abs", "bitwise_not", "popcount")), (a,))

    def cast(self, dtype: DType, lanes: int, depth: int) -> Expr:
        source = self.rng.choice(self.dtypes)
        value = self.expr(source, lanes, depth - 1)
        if source.is_float and dtype.is_integer:
            low, high = (Const(c, source) for c in (0.0 if dtype.kind == "uint" else -99.0, 99.0))
            if lanes > 1:
                low, high = Broadcast(low, lanes), Broadcast(high, lanes)
            value = BinaryOp("min", BinaryOp("max", value, low), high)
        return Cast(value, dtype)

    # ---- statements

    def stmt(self, depth: int) -> Stmt:
        match self.rng.randint(0, 9) if depth else 9:
            case 0 | 1 | 7 | 8:
                return self.loop(depth)
            case 2:
                orelse = self.stmt(depth - 1) if self.rng.random() < 0.5 else None
                conditions = tuple(self.affine() for _ in range(self.rng.randint(1, 2)))
                return IfThenElse(conditions, self.stmt(depth - 1), orelse)
            case 3:
                return self.let(depth)
            case 4:
                return self.allocation(depth)
            case 5 | 6:
                parts = tuple(self.stmt(depth - 1) for _ in range(self.rng.choice((0, 2, 2, 3))))
                return Seq(parts)
            case _ if self.rng.random() < 0.1:
                params = [b for b in self.buffers if b.scope == "global"]
                return Prefetch(self.rng.choice(params), self.affine() * 100)
            case _:
                return self.store()

    def loop(self, depth: int) -> Stmt:
        name, extent = self.name("i"), self.rng.randint(1, 6)
        start = self.rng.choice((0, 0, 0, 2))
        kind = self.rng.choice((ForKind.SERIAL, ForKind.UNROLLED))
        before = dict(self.ranges)
        self.ranges[name] = (start, start + extent - 1)
        lets: tuple[tuple[str, Affine], ...] = ()
        if self.rng.random() < 0.3:
            parts = (FloorDiv(variable(name), 3), FloorMod(variable(name), 3))
            lets = tuple((self.name("p"), of_atom(part)) for part in parts)
            self.ranges |= {let: interval(a, self.ranges) for let, a in lets}
        body = self.stmt(depth - 1)
        self.ranges = before
        return For(name, start, extent, kind, body, lets)

    def let(self, depth: int) -> Stmt:
        dtype, lanes = self.rng.choice(self.dtypes), self.rng.choice(LANES)
        value = self.expr(dtype, lanes, 2)
        var = Var(self.name("t"), dtype, lanes)
        self.values.append(var)
        body = self.stmt(depth - 1)
        self.values.pop()
        return Let(var, value, body)

    def allocation(self, depth: int) -> Stmt:
        scope = self.rng.choice(("local", "stack", "workspace"))
        buffer = Buffer(self.name("T"), (4, 8), self.rng.choice(self.dtypes), scope)
        if scope == "workspace":
            self.offsets.append((buffer.name, 256 * len(self.offsets)))
        # Lanes come in full rows of what is stored first, so that nothing is read uninitialised.
        i = self.name("i")
        zero = Const(0, buffer.dtype)
        fill = For(i, 0, 32, ForKind.UNROLLED, Store(buffer, variable(i), zero))
        self.buffers.append(buffer)
        self.written.add(buffer.name)
        body = self.stmt(depth - 1)
        self.buffers.remove(buffer)
        return Allocate(buffer, Seq((fill, body)))

    def store(self) -> Stmt:
        buffer = self.rng.choice([b for b in self.buffers if b.name in self.written])
        lanes = self.rng.choice(LANES)
        stride = self.rng.choice((1, 1, 2)) if lanes > 1 else 1
        dead = self.dead(lanes, stride)
        index = self.position(buffer.size, (lanes - dead - 1) * stride + 1)
        value = self.expr(buffer.dtype, lanes, self.rng.randint(0, 3))
        streams = buffer.scope == "global" and self.rng.random() < 0.2
        return Store(buffer, index, value, stride, dead, streams)


def random_func(rng: Random, dtypes: tuple[DType, ...] = ALL_DTYPES, depth: int = 5) -> PrimFunc:
    """A random function: some inputs, some outputs, which are also read."""
    generator = Generator(rng, dtypes)
    chosen = [FLOAT32, INT32, *rng.sample(dtypes, min(2, len(dtypes)))]
    params = [
        Buffer(f"{stem}{i}", (SIZE,), dtype, "global")
        for stem in ("A", "C")
        for i, dtype in enumerate(chosen)
    ]
    generator.buffers = list(params)
    generator.written = {p.name for p in params if p.name.startswith("C")}
    body = Seq(tuple(generator.stmt(depth) for _ in range(5)))
    offsets = tuple(generator.offsets)
    outputs = tuple(sorted(generator.written & {p.name for p in params}))
    return PrimFunc("kernel", tuple(params), outputs, body, 256 * len(offsets), 0, offsets)


def random_arrays(func: PrimFunc, rng: Random) -> list[np.ndarray[Any, Any]]:
    """Arrays for the parameters: small numbers, quarters where they are floats."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    arrays = []
    for p in func.params:
        low = 0 if p.dtype.kind in ("uint", "bool") else -9
        values = numbers.integers(low, 2 if p.dtype == BOOL else 10, p.shape)
        scaled = values / 4 if p.dtype.is_float else values
        arrays.append(scaled.astype(numpy_dtype(p.dtype)))
    return arrays
