"""Values: expressions of the loop IR as LLVM instructions.

`value(e, lanes)` writes the instructions of an expression and returns its name in register form.
A scalar where a vector is wanted is repeated in every lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from tensorc.codegen.llvm.access import Access
from tensorc.codegen.llvm.arithmetic import binary, simple_opcode
from tensorc.codegen.llvm.calls import call
from tensorc.codegen.llvm.casts import cast, from_memory
from tensorc.codegen.llvm.indices import IndexWriter
from tensorc.codegen.llvm.partial import load_live
from tensorc.codegen.llvm.traits import has_opaque, is_safe, loads_opaquely
from tensorc.codegen.llvm.types import (
    constant,
    memory_type,
    register_type,
    vector,
)
from tensorc.codegen.llvm.writer import Module
from tensorc.ir.affine import Affine
from tensorc.ir.dtype import BOOL, INT64, DType
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
from tensorc.passes.block_transpositions import MOST_SHUFFLED
from tensorc.support.errors import CodegenError

RareExpr: TypeAlias = Var | Cast | Call | Index | Select | Where | Read


class ExpressionWriter(IndexWriter):
    """A writer of values.

    Attributes:
        data: Name, in register form, and lanes of each data variable.
        opcodes: What `_opcode` found, by identity of the expression (unrolled code repeats it).
    """

    __slots__ = ("data", "opcodes")

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self.data: dict[str, str] = {}
        self.opcodes: dict[tuple[int, int], str] = {}

    def value(self, e: Expr, lanes: int) -> str:
        """The value of an expression, computed here.

        Raises:
            CodegenError: if an operation is not defined on its type, or was not lowered.
        """
        match e:
            case BinaryOp(op, a, b):
                opcode = self.opcodes.get((id(e), lanes)) or self._opcode(e, lanes)
                x = self.value(a, lanes)
                y = self.value(b, lanes)
                if opcode != "?":
                    return self.op(f"{opcode} {x}, {y}")
                return binary(self, op, dtype_of(a), lanes, x, y)
            case Load():
                return self._load(e, lanes)
            case Const(number, dtype):
                return constant(number, dtype, lanes)
            case Broadcast(Const(number, dtype)):
                return constant(number, dtype, lanes)
            case Broadcast(inner):
                return self.splat(self.value(inner, 1), dtype_of(inner), lanes)
            case Var() | Cast() | Call() | Index() | Select() | Where() | Read():
                return self._rare_value(e, lanes)
            case _:
                assert_never(e)

    def _rare_value(self, e: RareExpr, lanes: int) -> str:
        """The value of an expression that is not the multiply-add of inner loops."""
        match e:
            case Var(name, dtype, own):
                return (
                    self.data[name] if own == lanes else self.splat(self.data[name], dtype, lanes)
                )
            case Cast(inner, dtype):
                return cast(self, self.value(inner, lanes), dtype_of(inner), dtype, lanes)
            case Call(function, args):
                values = [self.value(arg, lanes) for arg in args]
                return call(self, function, dtype_of(args[0]), lanes, values)
            case Index():
                return self._index(e, lanes)
            case Select(conditions, a, b):
                return self._select(conditions, a, b, lanes)
            case Where():
                return self._where(e, lanes)
            case Read(name):
                raise CodegenError(f"Cannot compile the read of '{name}': it was not lowered.")
            case _:
                assert_never(e)

    def opaque(self, value: Expr) -> str:
        """The value of an integer expression, here, as an `i64`."""
        return cast(self, self.value(value, 1), dtype_of(value), INT64, 1)

    def splat(self, x: str, dtype: DType, lanes: int) -> str:
        """A scalar in every lane."""
        if lanes == 1:
            return x
        cache = self.scopes[-1].values
        known = cache.get((x, lanes))
        if known is None:
            scalar, of = register_type(dtype), register_type(dtype, lanes)
            if not x.startswith("%"):
                return f"splat ({scalar} {x})"
            first = self.op(f"insertelement {of} poison, {scalar} {x}, i64 0")
            known = self.op(
                f"shufflevector {of} {first}, {of} poison, {vector('i32', lanes)} zeroinitializer"
            )
            cache[x, lanes] = known
        return known

    def _opcode(self, e: BinaryOp, lanes: int) -> str:
        """Instruction and type of an operator that is one instruction, else `?`."""
        dtype = dtype_of(e.a)
        found = simple_opcode(e.op, dtype)
        text = "?" if found is None else f"{found} {register_type(dtype, lanes)}"
        self.opcodes[id(e), lanes] = text
        return text

    def _load(self, e: Load, lanes: int) -> str:
        """A load, or the value that an earlier one of this scope gave."""
        access, const = self.access(e, e.lanes)
        own = access.lanes
        if own != lanes:
            assert own == 1, f"a load of {own} lanes cannot give {lanes}"
        buffer = access.buffer
        if buffer.scope == "local":
            x = self._load_new(access, const, e.stride, e.dead)
        else:
            cache = self.scopes[-1].loads.setdefault(buffer.name, {})
            key: tuple[object, ...] = (access.pointer, const, own, e.stride)
            if e.dead:
                key = (*key, e.dead)
            known = cache.get(key)
            if known is None:
                known = cache[key] = self._load_new(access, const, e.stride, e.dead)
            x = known
        return x if own == lanes else self.splat(x, buffer.dtype, lanes)

    def _load_new(self, access: Access, const: int, stride: int, dead: int) -> str:
        dtype, lanes, of = access.buffer.dtype, access.lanes, access.of
        if lanes > 1 and stride == 0:
            lanes, of = 1, memory_type(dtype)
        if lanes > 1 and stride != 1:
            x = self._load_strided(access, const, stride)
        elif dead:
            x = load_live(self, access, const, dead)
        else:
            x = self.op(f"load {of}, {self.place(access, const)}")
        if access.converts:
            x = from_memory(self, x, dtype, lanes)
        return x if lanes == access.lanes else self.splat(x, dtype, access.lanes)

    def _load_strided(self, access: Access, const: int, stride: int) -> str:
        """Lanes that are not neighbours: by shuffles if they are close, else one at a time."""
        lanes, of = access.lanes, access.of
        if stride == -1:
            x = self.op(f"load {of}, {self.place(access, const - lanes + 1)}")
            return self.reverse(x, of, lanes)
        if 1 < stride <= min(MOST_SHUFFLED, lanes) and access.buffer.scope != "local":
            return self._pick(access, const, stride)  # not of registers, which are whole vectors
        x, scalar = "poison", memory_type(access.buffer.dtype)
        for lane in range(lanes):
            one = self.op(f"load {scalar}, {self.place(access, const + lane * stride)}")
            x = self.op(f"insertelement {of} {x}, {scalar} {one}, i64 {lane}")
        return x

    def _pick(self, access: Access, const: int, stride: int) -> str:
        """Every so many elements, out of `stride` vectors; the last one ends with the last lane.

        The stride must not be longer than the vector: others would reach beyond that.
        """
        lanes, of = access.lanes, access.of
        starts = [*range(0, (stride - 1) * lanes, lanes), (stride - 1) * (lanes - 1)]
        x = ""
        for number, start in enumerate(starts):
            y = self.op(f"load {of}, {self.place(access, const + start)}")
            order = []
            for lane in range(lanes):
                offset = lane * stride - start
                # Lanes already right stay, those of later vectors do not matter yet.
                mine = 0 <= offset < lanes and (number == 0 or lane * stride >= number * lanes)
                order.append(lanes + offset if mine else lane)
            picks = ", ".join(f"i32 {place}" for place in order)
            first = x or "poison"
            x = self.op(f"shufflevector {of} {first}, {of} {y}, {vector('i32', lanes)} <{picks}>")
        return x

    def reverse(self, x: str, of: str, lanes: int) -> str:
        """The lanes in opposite order."""
        order = ", ".join(f"i32 {lane}" for lane in reversed(range(lanes)))
        return self.op(f"shufflevector {of} {x}, {of} poison, {vector('i32', lanes)} <{order}>")

    def _index(self, e: Index, lanes: int) -> str:
        """An index as a value; consecutive numbers in the lanes of a vector."""
        const, terms = self.settle(e.affine)
        wide = DType("int", e.dtype.bits) if e.dtype.is_integer else INT64
        if not terms:
            x = constant(const, wide)
        else:
            x = cast(self, self.integer(const, terms), INT64, wide, 1)
        if lanes > 1:
            x = self.splat(x, wide, lanes)
            if e.stride:
                of = register_type(wide, lanes)
                steps = ", ".join(
                    f"{register_type(wide)} {lane * e.stride}" for lane in range(lanes)
                )
                x = self.op(f"add {of} {x}, <{steps}>")
        return cast(self, x, wide, e.dtype, lanes)

    def condition(self, conditions: Sequence[Affine]) -> bool | str:
        """Whether every affine is ≥ 0: known, or an `i1`."""
        result = ""
        for a in conditions:
            const, terms = self.settle(a)
            low, high = self.interval(const, terms)
            if high < 0:
                return False
            if low >= 0:
                continue
            test = self.op(f"icmp sge i64 {self.integer(const, terms)}, 0")
            result = self.op(f"and i1 {result}, {test}") if result else test
        return result or True

    def _select(self, conditions: tuple[Affine, ...], a: Expr, b: Expr, lanes: int) -> str:
        plain = tuple(c for c in conditions if not has_opaque(c))
        test = self.condition(plain)
        if test is True and len(plain) < len(conditions):
            plain = conditions
            test = self.condition(conditions)
        if isinstance(test, bool):
            return self.value(a if test else b, lanes)
        if len(plain) < len(conditions):
            # Data-dependent conditions may read out of bounds unless the others hold.
            a = Select(tuple(c for c in conditions if has_opaque(c)), a, b)
        return self._choose(test, a, b, lanes)

    def _choose(self, test: str, a: Expr, b: Expr, lanes: int) -> str:
        """Evaluate both sides if they are cheap and cannot fail, else branch."""
        dtype = dtype_of(a)
        if is_safe(a) and is_safe(b):
            of = register_type(dtype, lanes)
            return self.op(
                f"select i1 {test}, {of} {self.value(a, lanes)}, {of} {self.value(b, lanes)}"
            )
        return self.branch_value(
            test,
            register_type(dtype, lanes),
            lambda: self.value(a, lanes),
            lambda: self.value(b, lanes),
        )

    def branch_value(
        self, test: str, of: str, then: Callable[[], str], otherwise: Callable[[], str]
    ) -> str:
        """A value that one of two blocks computes."""
        number = self.number()
        before = self.new_list()
        self.emit(f"br i1 {test}, label %T{number}, label %F{number}")
        arms = []
        for tag, side in (("T", then), ("F", otherwise)):
            self.label(f"{tag}{number}")
            self.open_scope(before)
            x = side()
            self.close_scope()
            self.emit(f"br label %J{number}")
            arms.append(f"[ {x}, %{self.block} ]")
        self.label(f"J{number}")
        return self.op(f"phi {of} {', '.join(arms)}")

    def _where(self, e: Where, lanes: int) -> str:
        """A select; a side that reads at data-dependent places is computed only if it is chosen."""
        test_lanes = lanes_of(e.condition) if lanes > 1 else 1
        test = self.value(e.condition, test_lanes)
        dtype = dtype_of(e.a)
        of = register_type(dtype, lanes)
        lazy = [loads_opaquely(e.a), loads_opaquely(e.b)]
        if test_lanes == 1 and any(lazy):
            return self.branch_value(
                test, of, lambda: self.value(e.a, lanes), lambda: self.value(e.b, lanes)
            )
        a = self._if_any(test, e.a, lanes) if lazy[0] else self.value(e.a, lanes)
        if lazy[1]:
            test_not = self.op(f"xor {vector('i1', lanes)} {test}, {constant(True, BOOL, lanes)}")
            b = self._if_any(test_not, e.b, lanes)
        else:
            b = self.value(e.b, lanes)
        return self.op(f"select {vector('i1', test_lanes)} {test}, {of} {a}, {of} {b}")

    def _if_any(self, test: str, e: Expr, lanes: int) -> str:
        """The value of an expression, computed if some lane of the test wants it, else 0."""
        symbol = f"@llvm.vector.reduce.or.v{lanes}i1"
        self.declare(f"i1 {symbol}({vector('i1', lanes)})")
        some = self.op(f"call i1 {symbol}({vector('i1', lanes)} {test})")
        of, zero = register_type(dtype_of(e), lanes), constant(0, dtype_of(e), lanes)
        return self.branch_value(some, of, lambda: self.value(e, lanes), lambda: zero)
