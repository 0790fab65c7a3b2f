"""Statements of one function: loops, branches, stores, allocations, and outlined parallel loops.

An unrolled loop is expanded here: its variable is a constant while its body is written. Other
loops are tested at the bottom, so that a loop is one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from tensorc.codegen.llvm.casts import to_memory
from tensorc.codegen.llvm.expressions import ExpressionWriter
from tensorc.codegen.llvm.outline import LiveIn, body_header, struct_of, task, used_names
from tensorc.codegen.llvm.partial import store_live
from tensorc.codegen.llvm.reuse_order import Ordered, reuse_order
from tensorc.codegen.llvm.streaming import (
    are_aligned,
    emit_store,
    fence,
    prefetch,
    streamed,
    without_streams,
)
from tensorc.codegen.llvm.traits import has_opaque
from tensorc.codegen.llvm.transposition import (
    ColumnStore,
    column_store,
    columns_of,
    load_blocks,
    store_blocks,
)
from tensorc.codegen.llvm.types import memory_type, needs_conversion, register_type
from tensorc.codegen.llvm.writer import Lines, Module, flatten
from tensorc.ir.affine import Affine
from tensorc.ir.dtype import FLOAT32, compute_dtype
from tensorc.ir.expr import Cast, Load, dtype_of, lanes_of
from tensorc.ir.func import Buffer
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.support.errors import CodegenError
from tensorc.support.names import identifier


class FunctionWriter(ExpressionWriter):
    """A writer of the statements of one function.

    Attributes:
        workspace: Pointer to the part of the workspace that buffers allocated here live in.
        offsets: Byte offset in it of each workspace buffer.
        allocas: Instructions of the entry block, by buffer name and, for register tiles, number.
        parallel: Whether this function is the body of a parallel loop.
        calls: Places just before the thread pool is called.
    """

    __slots__ = (
        "_columns",
        "_lanes",
        "_ordered",
        "_sides",
        "allocas",
        "calls",
        "offsets",
        "parallel",
        "workspace",
    )

    def __init__(
        self, module: Module, offsets: dict[str, int], workspace: str, *, parallel: bool
    ) -> None:
        super().__init__(module)
        self.workspace = workspace
        self.offsets = offsets
        self.parallel = parallel
        self.allocas: dict[str, tuple[int, str]] = {}
        self.calls: list[Lines] = []
        # By identity, since unrolled code repeats statements.
        self._lanes: dict[int, int] = {}
        self._columns: dict[int, list[Load]] = {}
        self._sides: dict[int, ColumnStore | None] = {}
        self._ordered: dict[int, Ordered | None] = {}

    def whole(self, s: Stmt) -> None:
        """Write the body of a kernel, twice where some of its stores go past the caches."""
        outputs = streamed(s)
        if not outputs:
            self.statement(s)
        elif not self.module.target.has_streaming_stores:
            self.statement(without_streams(s))
        else:
            self._twice(s, outputs)

    def _twice(self, s: Stmt, outputs: tuple[str, ...]) -> None:
        """Write a body for aligned outputs, then another if it stores anything past the caches.

        Whether it does shows once it is written, so what decides between them is written last.
        """
        before, test, n = self.new_list(), self.new_list(), self.number()
        self._side(f"T{n}", f"J{n}", before, s)
        after, self.lines = self.lines, test
        if self.module.streams:
            self.emit(f"br i1 {are_aligned(self, outputs)}, label %T{n}, label %F{n}")
        else:
            self.emit(f"br label %T{n}")
        self.lines = after
        if self.module.streams:
            self._side(f"F{n}", f"J{n}", before, without_streams(s))
        self.label(f"J{n}")

    def statement(self, s: Stmt) -> None:
        """Write a statement.

        Raises:
            CodegenError: as `value` does, and if a buffer of scope 'global' is allocated.
        """
        match s:
            case Store():
                self._store(s)
            case Prefetch():
                prefetch(self, s)
            case For():
                self._for(s)
            case Seq(body):
                for part in body:
                    self.statement(part)
            case IfThenElse(conditions, then, orelse):
                self._if(conditions, then, orelse)
            case Allocate(buffer, body):
                self._allocate(buffer)
                self.statement(body)
            case Let(var, value, body):
                self.data[var.name] = self.value(value, var.lanes)
                self.statement(body)
                del self.data[var.name]
            case _:
                assert_never(s)

    def function(self, header: str) -> str:
        """The text of the function, which returns nothing."""
        for place in (*self.calls, self.lines):
            fence(self, place)
        allocas = [text for _, text in self.allocas.values()]
        lines = flatten(self.scopes[0].lines, [])
        return "\n".join([f"{header} {{", "entry:", *allocas, *lines, "  ret void", "}", ""])

    def _store(self, s: Store) -> None:
        lanes = self._lanes.get(id(s))
        if lanes is None:
            lanes = self._lanes[id(s)] = lanes_of(s.value)
        x = self._stored_value(s, lanes)
        access, const = self.access(s, lanes)
        buffer, stride, of = access.buffer, s.stride, access.of
        if s.dead:
            store_live(self, access, const, x, s.dead)
        elif lanes > 1 and stride not in (1, -1):
            scalar = memory_type(buffer.dtype)
            for lane in range(lanes):
                one = self.op(f"extractelement {of} {x}, i64 {lane}")
                self.emit(f"store {scalar} {one}, {self.place(access, const + lane * stride)}")
        else:
            if lanes > 1 and stride == -1:
                const -= lanes - 1
                x = self.reverse(x, of, lanes)
            emit_store(self, s, access, const, lanes, x)
        self._forget(buffer)

    def _forget(self, buffer: Buffer) -> None:
        """Forget what was loaded from a buffer that has just been written."""
        if buffer.scope != "local":
            for scope in self.scopes:
                if scope.loads:
                    scope.loads.pop(buffer.name, None)

    def _stored_value(self, s: Store, lanes: int) -> str:
        """The value to store, in memory form."""
        dtype, value = s.buffer.dtype, s.value
        if not needs_conversion(dtype):
            return self.value(value, lanes)
        if isinstance(value, Cast) and value.dtype == dtype and dtype.is_float:
            # Storing rounds, so a cast of a float32 to the type of the buffer need not.
            value = value.value if compute_dtype(dtype_of(value.value)) == FLOAT32 else value
        return to_memory(self, self.value(value, lanes), dtype, lanes)

    def _for(self, s: For) -> None:
        if s.kind is ForKind.PARALLEL and not self.parallel:
            self._parallel(s)
        elif s.kind is ForKind.UNROLLED or s.extent <= 1:
            self._unroll(s)
        else:
            self.loop(s, str(s.start), str(s.start + s.extent))

    def _unroll(self, s: For) -> None:
        blocks = self._columns.get(id(s))
        if blocks is None:
            blocks = self._columns[id(s)] = columns_of(s)
            self._sides[id(s)] = column_store(s)
            registers = self.module.target.vector_registers
            self._ordered[id(s)] = None if blocks else reuse_order(s, registers)
        ordered = self._ordered[id(s)]
        if ordered is not None:
            self._steps(ordered)
            return
        side = self._sides[id(s)]
        if side is not None and not blocks:
            store_blocks(self, side, self._stored_value)
            self._forget(side.store.buffer)
            return
        if blocks:
            load_blocks(self, s, blocks)
        for number in range(s.start, s.start + s.extent):
            self.index[s.var] = number
            self._bind_lets(s)
            self.statement(s.body)
        self._unbind(s)

    def _steps(self, nest: Ordered) -> None:
        """An unrolled nest, step by step."""
        for values in nest.steps:
            self.index.update(zip(nest.variables, values, strict=True))
            self.statement(nest.store)
        for variable in nest.variables:
            del self.index[variable]

    def loop(self, s: For, first: str, end: str) -> None:
        """A loop from `first` up to, not including, `end`, both `i64`; at least one iteration."""
        before = self.new_list()
        n = self.number()
        self.emit(f"br label %L{n}")
        entered = self.block
        self.label(f"L{n}")
        phi = len(self.lines)
        self.lines.append("")
        outer = self.lines
        self.open_scope(before)
        level = len(self.scopes) - 1
        self.index[s.var] = self.bind(f"%i{n}", level, s.start, s.start + s.extent - 1)
        self._bind_lets(s)
        self.statement(s.body)
        self._unbind(s)
        self.close_scope()
        outer[phi] = f"  %i{n} = phi i64 [ {first}, %{entered} ], [ %n{n}, %{self.block} ]"
        self.emit(f"%n{n} = add nsw i64 %i{n}, 1")
        self.emit(f"%c{n} = icmp slt i64 %n{n}, {end}")
        self.emit(f"br i1 %c{n}, label %L{n}, label %X{n}")
        self.label(f"X{n}")

    def _bind_lets(self, s: For) -> None:
        if s.lets:
            self.scopes[-1].accesses.clear()  # what is open may be another thing now
        for name, affine in s.lets:
            const, terms = self.settle(affine)
            if not terms:
                self.index[name] = const
                continue
            level = self.level[terms[-1][0]]
            low, high = self.interval(const, terms)
            self.index[name] = self.bind(self.integer(const, terms), level, low, high)

    def _unbind(self, s: For) -> None:
        for name in (s.var, *(name for name, _ in s.lets)):
            self.index.pop(name, None)

    def _if(self, conditions: Sequence[Affine], then: Stmt, orelse: Stmt | None) -> None:
        plain = tuple(c for c in conditions if not has_opaque(c))
        test = self.condition(plain)
        if test is True and len(plain) < len(conditions):
            plain = tuple(conditions)
            test = self.condition(plain)
        if isinstance(test, bool):
            taken = then if test else orelse
            if taken is not None:
                self.statement(taken)
            return
        if len(plain) < len(conditions):
            # Data-dependent conditions may read out of bounds unless the others hold.
            then = IfThenElse(tuple(c for c in conditions if has_opaque(c)), then, orelse)
        self._branch(test, then, orelse)

    def _branch(self, test: str, then: Stmt, orelse: Stmt | None) -> None:
        before = self.new_list()
        n = self.number()
        self.emit(f"br i1 {test}, label %T{n}, label %{'J' if orelse is None else 'F'}{n}")
        self._side(f"T{n}", f"J{n}", before, then)
        if orelse is not None:
            self._side(f"F{n}", f"J{n}", before, orelse)
        self.label(f"J{n}")

    def _side(self, label: str, joined: str, before: Lines, s: Stmt) -> None:
        """One side of a branch, as a block of its own."""
        self.label(label)
        self.open_scope(before)
        self.statement(s)
        self.close_scope()
        self.emit(f"br label %{joined}")

    def _allocate(self, buffer: Buffer) -> None:
        """Give a buffer its address; what was known of one of the same name is forgotten."""
        self.scopes[-1].accesses.clear()
        for scope in self.scopes:
            scope.loads.pop(buffer.name, None)
        name = identifier(buffer.name)
        match buffer.scope:
            case "local":
                # One alloca each: tiles that share one overlap, and then stay in memory.
                pointer = f"%local.{name}.{self.number()}"
                text = (
                    f"  {pointer} = alloca [{buffer.size} x {memory_type(buffer.dtype)}], align 64"
                )
                self.allocas[pointer] = (buffer.nbytes, text)
            case "stack":
                pointer = f"%stack.{name}"
                nbytes = max(buffer.nbytes, self.allocas.get(pointer, (0, ""))[0])
                text = f"  {pointer} = alloca [{nbytes} x i8], align 64"
                self.allocas[pointer] = (nbytes, text)
            case "workspace":
                offset = self.offsets[buffer.name]
                pointer = self.op_at(0, f"getelementptr i8, ptr {self.workspace}, i64 {offset}")
            case "global":
                raise CodegenError(f"Cannot allocate '{buffer.name}': its scope is 'global'.")
            case _:
                assert_never(buffer.scope)
        self.base[buffer.name] = pointer

    def _parallel(self, s: For) -> None:
        """Run the iterations through the thread pool; a single one here, as thread 0.

        The body becomes a function of its live-ins, whose pointers do not alias; the pool calls a
        task that takes them out of a context in this function's frame.
        """
        if s.extent <= 1:
            shared, self.workspace = self.workspace, "%scratch"
            self._unroll(s)
            self.workspace = shared
            return
        module = self.module
        module.outlined += 1
        number = module.outlined
        child = FunctionWriter(module, self.offsets, "%workspace", parallel=True)
        live = [LiveIn("ptr", "%scratch"), *self._live_ins(s, child)]
        first, end = "%begin", "%end"
        if s.start:
            first, end = (child.op(f"add nsw i64 {x}, {s.start}") for x in (first, end))
        child.loop(s, first, end)
        body = f'@"{module.name}.body{number}"'
        module.functions.append(child.function(body_header(body, live)))
        module.functions.append(task(module, number, body, live))
        context = f"%context{number}"
        struct = struct_of(live)
        self.allocas[context] = (0, f"  {context} = alloca {struct}, align 64")
        for field, x in enumerate(live):
            at = self.op(f"getelementptr {struct}, ptr {context}, i64 0, i32 {field}")
            self.emit(f"store {x.of} {x.value}, ptr {at}")
        module.declarations.add("declare void @tensorc_parallel_for(ptr, ptr, i64)")
        self.calls.append(self.new_list())
        task_name = f'@"{module.name}.task{number}"'
        self.emit(
            f"call void @tensorc_parallel_for(ptr {task_name}, ptr {context}, i64 {s.extent})"
        )
        for scope in self.scopes:
            scope.loads.clear()

    def _live_ins(self, s: For, child: FunctionWriter) -> list[LiveIn]:
        """What the body uses from here; `child` learns the names it has there."""
        used = used_names(s)
        live: list[LiveIn] = []
        for name in used.buffers:
            if name in self.base:
                child.base[name] = f"%in{len(live)}"
                live.append(LiveIn("ptr", self.base[name]))
        for name in used.indices:
            value = self.index.get(name)
            if isinstance(value, int):
                child.index[name] = value
            elif value is not None:
                child.index[name] = child.bind(f"%in{len(live)}", 0, *self.ranges[value])
                live.append(LiveIn("i64", value))
        for var in used.data:
            if var.name in self.data:
                child.data[var.name] = f"%in{len(live)}"
                live.append(LiveIn(register_type(var.dtype, var.lanes), self.data[var.name]))
        return live
