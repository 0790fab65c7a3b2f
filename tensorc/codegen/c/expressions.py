"""Expressions of the loop IR as C expressions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from tensorc.arith.affine import interval, substitute
from tensorc.arith.bounds import IntRange, undecided
from tensorc.codegen.c import operators
from tensorc.codegen.c.casts import cast, from_memory, memory_type, to_memory
from tensorc.codegen.c.inline import Inline
from tensorc.codegen.c.local_buffers import Slot
from tensorc.codegen.c.module import Module
from tensorc.codegen.c.types import SCALARS, const_literal, memory_element, register_element
from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.dtype import BOOL, DType
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
from tensorc.ir.printer import has_opaque_load
from tensorc.ir.stmt import Store
from tensorc.support.errors import CodegenError


@dataclass(slots=True)
class ExprWriter:
    """Writes expressions under what is known where they stand.

    Attributes:
        module: The file.
        env: Ranges of the index variables in scope; an unrolled variable is one point.
        names: C names of the index variables, buffers and data values in scope.
        slots: For each `local` buffer that is kept in variables, the variable of each element.
    """

    module: Module
    env: dict[str, IntRange]
    names: dict[str, str]
    slots: dict[str, dict[int, Slot]]

    # ---- indices

    def index(self, a: Affine) -> str:
        """An index as a C expression of type `int64_t`, in parentheses if it has an operator."""
        text = self.bare_index(a)
        return f"({text})" if " " in text or text[0] == "-" else text

    def bare_index(self, a: Affine) -> str:
        """An index as a C expression, not to be used as an operand."""
        settled = substitute(a, {}, self.env)
        parts = [(c, self._product(atom, abs(c))) for atom, c in settled.terms]
        if settled.const or not parts:
            parts.append((settled.const, str(abs(settled.const))))
        (first, text), *rest = parts
        signed = [f"{'-' if c < 0 else '+'} {x}" for c, x in rest]
        return " ".join([f"-{text}" if first < 0 else text, *signed])

    def _product(self, atom: Atom, c: int) -> str:
        text = self._atom(atom)
        return text if c == 1 else f"{c} * {text}"

    def _atom(self, atom: Atom) -> str:
        match atom:
            case str():
                return self.names[atom]
            case FloorDiv(inner, divisor):
                return self._division("//", "/", inner, divisor)
            case FloorMod(inner, divisor):
                return self._division("%", "%", inner, divisor)
            case Opaque(value, _, _):
                return f"(int64_t){self.expr(value)}"
            case _:
                assert_never(atom)

    def _division(self, op: str, sign: str, inner: Affine, divisor: int) -> str:
        if interval(inner, self.env)[0] >= 0:
            return f"({self.index(inner)} {sign} {divisor})"
        function = Inline(self.module, "i64", 1).division(op)
        return f"{function}({self.bare_index(inner)}, {divisor})"

    def conditions(self, conditions: Iterable[Affine]) -> str | bool:
        """A C condition that all of these are at least 0, or the outcome if it is known."""
        settled = tuple(substitute(a, {}, self.env) for a in conditions)
        left = undecided(settled, self.env)
        if left is None:
            return False
        return " && ".join(f"{self.bare_index(a)} >= 0" for a in left) or True

    # ---- memory

    def pointer(self, buffer: Buffer, index: Affine) -> str:
        """The address of an element."""
        return f"({self.names[buffer.name]} + {self.bare_index(index)})"

    def any_address(self, buffer: Buffer, index: Affine) -> str:
        """The address of an element that may lie outside of its buffer; integers may wrap."""
        offset = f"{buffer.dtype.itemsize} * (uintptr_t){self.index(index)}"
        return f"(const void *)((uintptr_t){self.names[buffer.name]} + {offset})"

    def element(self, buffer: Buffer, index: Affine) -> str:
        """An element."""
        return f"{self.names[buffer.name]}[{self.bare_index(index)}]"

    def slot(self, buffer: Buffer, index: Affine, lanes: int) -> str | None:
        """The variable, or the lane of one, that holds these elements; None for an array."""
        slots = self.slots.get(buffer.name)
        if slots is None:
            return None
        offset = substitute(index, {}, self.env).const
        slot = slots[offset]
        return slot.name if slot.lanes == lanes else f"{slot.name}[{offset - slot.offset}]"

    def load(self, e: Load) -> str:
        """The value of elements of a buffer."""
        m, dtype = self.module, e.buffer.dtype
        in_slot = self.slot(e.buffer, e.index, e.lanes)
        if in_slot is not None:
            if e.dead:
                of = m.type(memory_element(dtype), e.lanes)
                in_slot = self.live_lanes(in_slot, f"({of}){{0}}", dtype, e.lanes, e.dead)
            return from_memory(m, in_slot, dtype, e.lanes)
        if e.lanes == 1:
            return from_memory(m, self.element(e.buffer, e.index), dtype, 1)
        pointer = self.pointer(e.buffer, e.index)
        whole = Inline(m, memory_element(dtype), e.lanes)
        if e.dead:
            text = f"{whole.load_live()}({pointer}, {e.lanes - e.dead})"
            return from_memory(m, text, dtype, e.lanes)
        text = f"{whole.gather()}({pointer}, {e.stride})"
        if e.stride == 1:
            text = f"((const {memory_type(m, dtype, e.lanes)} *){pointer})[0]"
        return from_memory(m, f"({whole.type}){text}", dtype, e.lanes)

    def store(self, s: Store) -> str:
        """The statement that writes a value to a buffer.

        Raises:
            CodegenError: as `expr` does.
        """
        buffer, index, lanes = s.buffer, s.index, lanes_of(s.value)
        m, dtype = self.module, buffer.dtype
        text = to_memory(m, self.expr(s.value), dtype, lanes)
        in_slot = self.slot(buffer, index, lanes)
        if in_slot is not None:
            if s.dead:
                text = self.live_lanes(text, in_slot, dtype, lanes, s.dead)
            return f"{in_slot} = {text};"
        if lanes == 1:
            return f"{self.element(buffer, index)} = {text};"
        pointer = self.pointer(buffer, index)
        whole = Inline(m, memory_element(dtype), lanes)
        if s.dead:
            return f"{whole.store_live()}({pointer}, {lanes - s.dead}, {text});"
        if s.stride == 1:
            return f"*({memory_type(m, dtype, lanes)} *){pointer} = {text};"
        return f"{whole.scatter()}({pointer}, {s.stride}, {text});"

    def live_lanes(self, x: str, others: str, dtype: DType, lanes: int, dead: int) -> str:
        """A vector in memory form that has `others` in its dead lanes."""
        m = self.module
        live = ", ".join(["-1"] * (lanes - dead) + ["0"] * dead)
        mask = f"({m.type('i32', lanes)}){{{live}}}"
        return f"{Inline(m, memory_element(dtype), lanes).select()}({mask}, {x}, {others})"

    # ---- values

    def expr(self, e: Expr) -> str:
        """A value as a C expression that can be an operand.

        Raises:
            CodegenError: if an operation is not defined on its type, or was not lowered.
        """
        match e:
            case Const():
                return const_literal(e) if e.value >= 0 else f"({const_literal(e)})"
            case Var(name):
                return self.names[name]
            case Load():
                return self.load(e)
            case Index():
                return self._index_value(e)
            case Cast(value, dtype):
                source = dtype_of(value)
                return f"({cast(self.module, self.expr(value), source, dtype, lanes_of(value))})"
            case Broadcast(value, lanes):
                return self._splat(self.expr(value), dtype_of(value), lanes)
            case Select() | Where():
                return self._choice(e)
            case BinaryOp() | Call():
                return self._operation(e)
            case Read(op):
                raise CodegenError(f"Expected loop IR, got a read of operation '{op}'.")
            case _:
                assert_never(e)

    def _operation(self, e: BinaryOp | Call) -> str:
        m, lanes = self.module, lanes_of(e)
        match e:
            case BinaryOp(op, a, b):
                return (
                    f"({operators.binary(m, op, dtype_of(a), lanes, self.expr(a), self.expr(b))})"
                )
            case Call(function, args):
                values = [self.expr(arg) for arg in args]
                return f"({operators.call(m, function, dtype_of(args[0]), lanes, values)})"
            case _:
                assert_never(e)

    def _index_value(self, e: Index) -> str:
        element = register_element(e.dtype)
        first = f"({SCALARS[element]}){self.index(e.affine)}"
        if e.lanes == 1:
            return f"({first})"
        whole = Inline(self.module, element, e.lanes)
        # Unsigned: a sum that wraps is no error then.
        wide = Inline(self.module, f"u{e.dtype.bits}", e.lanes)
        sum_ = f"({wide.type}){whole.splat()}({first}) + ({wide.type}){whole.ramp(e.stride)}"
        return f"(({whole.type})({sum_}))"

    def _splat(self, x: str, dtype: DType, lanes: int) -> str:
        splat = Inline(self.module, register_element(dtype), lanes).splat()
        return f"{splat}({f'-({x})' if dtype == BOOL else x})"

    def _choice(self, e: Select | Where) -> str:
        match e:
            case Select(conditions, a, b):
                test = self.conditions(conditions)
                if isinstance(test, bool):
                    return self.expr(a if test else b)
                return f"({test} ? {self.expr(a)} : {self.expr(b)})"
            case Where(condition, a, b) if lanes_of(condition) == 1:
                return f"({self.expr(condition)} ? {self.expr(a)} : {self.expr(b)})"
            case Where():
                return self._vector_where(e)
            case _:
                assert_never(e)

    def _vector_where(self, e: Where) -> str:
        m, lanes = self.module, lanes_of(e)
        inline, mask = Inline(m, register_element(dtype_of(e)), lanes), Inline(m, "i32", lanes)
        sides = []
        for side, wanted in ((e.a, "tc_m"), (e.b, "~tc_m")):
            text = self.expr(side)
            if has_opaque_load(side):
                # Nobody may look where an index that was not asked for points.
                text = f"({mask.any()}({wanted}) ? {text} : ({inline.type}){{0}})"
            sides.append(text)
        chosen = f"{inline.select()}(tc_m, {sides[0]}, {sides[1]})"
        return f"({{ const {mask.type} tc_m = {self.expr(e.condition)}; {chosen}; }})"
