"""Statements of the loop IR as lines of C."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from tensorc.arith.affine import interval, substitute
from tensorc.codegen.c.expressions import ExprWriter
from tensorc.codegen.c.local_buffers import Slot, slots_of
from tensorc.codegen.c.types import SCALARS, memory_element, register_element
from tensorc.ir.affine import Affine
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.support.names import fresh

# Words of C, and names that the generated text uses itself.
RESERVED: Final = frozenset(
    (
        "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
        "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
        "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch",
        "typedef", "union", "unsigned", "void", "volatile", "while", "asm", "typeof", "linux",
        "unix", "NULL", "buffers", "workspace", "scratch", "context", "begin", "end", "thread",
        "main", *SCALARS.values(), "ptrdiff_t", "size_t", "intptr_t", "uintptr_t",
        "tensorc_parallel_for",
    )
)  # fmt: skip


@dataclass(slots=True)
class FunctionWriter(ExprWriter):
    """Writes the body of one C function.

    Attributes:
        func: The kernel.
        declared: C names in scope that can be handed to another function, with their types.
        in_parallel: Whether this is the body of a parallel loop.
        lines: What is written.
        depth: How far lines are indented.
    """

    func: PrimFunc
    declared: dict[str, str] = field(default_factory=dict)
    in_parallel: bool = False
    lines: list[str] = field(default_factory=list)
    depth: int = 1

    def line(self, text: str) -> None:
        """Write one line."""
        self.lines.append(f"{'    ' * self.depth}{text}\n")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A block in braces; names declared in it are forgotten after it."""
        env, names, slots, declared = self.env, self.names, self.slots, self.declared
        self.env, self.names, self.slots = dict(env), dict(names), dict(slots)
        self.declared = dict(declared)
        self.line(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")
        self.env, self.names, self.slots, self.declared = env, names, slots, declared

    def declare(self, name: str, of: str) -> str:
        """A C name, of a type that ends in a space or `*`, for something in scope."""
        taken = RESERVED.union(self.names.values(), (self.func.name,))
        safe = f"{name}_" if name.startswith("tc_") else name
        self.names[name] = fresh(safe, taken)
        self.declared[self.names[name]] = of
        return self.names[name]

    # ---- statements

    def statement(self, s: Stmt) -> None:
        """Write a statement.

        Raises:
            CodegenError: as `expr` does.
        """
        match s:
            case Seq(parts):
                for part in parts:
                    self.statement(part)
            case Store():  # C has no word for stores past the caches
                self.line(self.store(s))
            case Prefetch(buffer, index):
                self.line(f"__builtin_prefetch({self.any_address(buffer, index)});")
            case For():
                self.loop(s)
            case IfThenElse():
                self.branch(s)
            case Let(var, value, body):
                with self.block(""):
                    text = self.expr(value)
                    of = self.module.type(register_element(var.dtype), var.lanes)
                    self.line(f"const {of} {self.declare(var.name, f'{of} ')} = {text};")
                    self.statement(body)
            case Allocate(buffer, body):
                with self.block(""):
                    self.allocate(buffer, body)
                    self.statement(body)
            case _:
                assert_never(s)

    def branch(self, s: IfThenElse) -> None:
        """Write the sides of a branch that can be taken."""
        test = self.conditions(s.conditions)
        if isinstance(test, bool):
            taken = s.then if test else s.orelse
            if taken is not None:
                self.statement(taken)
            return
        with self.block(f"if ({test})"):
            self.statement(s.then)
        if s.orelse is not None:
            with self.block("else"):
                self.statement(s.orelse)

    # ---- loops

    def loop(self, s: For) -> None:
        """Write a loop; an unrolled variable, or one of a single value, is a constant."""
        if s.kind is ForKind.PARALLEL and not self.in_parallel:
            self.parallel(s)
        elif s.kind is ForKind.UNROLLED or s.extent == 1:
            outer = self.env
            for value in range(s.start, s.start + s.extent):
                self.env = {**outer, s.var: (value, value)}
                self.iteration(s)
            self.env = outer
        else:
            name = fresh(s.var, RESERVED.union(self.names.values()))
            end = s.start + s.extent
            with self.block(f"for (int64_t {name} = {s.start}; {name} < {end}; ++{name})"):
                self.declare(s.var, "int64_t ")
                self.env[s.var] = (s.start, end - 1)
                self.iteration(s)

    def iteration(self, s: For) -> None:
        """Write the body of a loop, its lets first."""
        if not s.lets:
            self.statement(s.body)
            return
        with self.block(""):
            for name, a in s.lets:
                self.let(name, a)
            self.statement(s.body)

    def let(self, name: str, a: Affine) -> None:
        """Bind an index variable."""
        settled = substitute(a, {}, self.env)
        low, high = interval(settled, self.env)
        if low != high:
            text = self.index(settled)
            self.line(f"const int64_t {self.declare(name, 'int64_t ')} = {text};")
        self.env[name] = (low, high)

    # ---- buffers

    def allocate(self, buffer: Buffer, body: Stmt) -> None:
        """Declare a buffer: variables, an array, or a part of the workspace."""
        if buffer.scope == "workspace":
            self.workspace_buffer(buffer)
            return
        element = memory_element(buffer.dtype)
        slots = None
        if buffer.scope == "local":
            prefix = self.declare(buffer.name, f"{SCALARS[element]} *")
            slots = slots_of(buffer, body, self.env, prefix)
        if slots is None:
            name = self.names.get(buffer.name) if buffer.scope == "local" else None
            name = name or self.declare(buffer.name, f"{SCALARS[element]} *")
            size = max(buffer.size, 1)
            self.line(f"{SCALARS[element]} {name}[{size}] __attribute__((aligned(64)));")
            return
        del self.declared[self.names[buffer.name]]
        slots = tuple(self.named(slot, buffer) for slot in slots)
        self.slots[buffer.name] = _by_element(slots)
        for slot in slots:
            self.line(f"{self.module.type(element, slot.lanes)} {slot.name};")

    def named(self, slot: Slot, buffer: Buffer) -> Slot:
        """The variable under a name of its own, which nothing inside its scope takes either."""
        taken = RESERVED.union(self.names.values(), (self.func.name,))
        name = fresh(slot.name, taken)
        self.names[f"{buffer.name}[{slot.offset}]"] = name  # no buffer is called so
        return replace(slot, name=name)

    def workspace_buffer(self, buffer: Buffer) -> None:
        """Declare a pointer into the thread's part of the workspace, or into the shared part."""
        of = SCALARS[memory_element(buffer.dtype)]
        offset = dict(self.func.offsets)[buffer.name]
        part = "scratch" if self.in_parallel else "workspace"
        name = self.declare(buffer.name, f"{of} *")
        self.line(f"{of} *restrict {name} = ({of} *)((char *){part} + {offset});")

    # ---- parallel loops

    def parallel(self, s: For) -> None:
        """Write the body of a parallel loop as a function of its own, and the call that runs it."""
        number = len(self.module.functions)
        name = f"{self.func.name}_parallel_{number}"
        self.module.has_parallel = True
        body = FunctionWriter(
            self.module, dict(self.env), dict(self.names), dict(self.slots), self.func,
            declared=dict(self.declared), in_parallel=True,
        )  # fmt: skip
        loop_name = body.declare(s.var, "int64_t ")
        head = "for (int64_t tc_i = begin; tc_i < end; ++tc_i)"
        with body.block(head):
            body.line(f"const int64_t {loop_name} = {body_index(s)};")
            body.env[s.var] = (s.start, s.start + s.extent - 1)
            body.iteration(s)
        captured = self.captured("".join(body.lines))
        self.module.functions.append(_outlined(self.func, name, captured, body.lines))
        with self.block(""):
            fields = ", ".join(["workspace", *captured])
            self.line(f"struct {name}_context context = {{{fields}}};")
            run = f"{name}(&context, 0, {s.extent}, 0);"
            with self.block("if (tensorc_parallel_for)"):
                self.line(f"tensorc_parallel_for({name}, &context, {s.extent});")
            with self.block("else"):
                self.line(run)

    def captured(self, text: str) -> dict[str, str]:
        """What a text uses of the names in scope, with their types."""
        used = set(re.findall(r"[A-Za-z_]\w*", text))
        return {name: of for name, of in self.declared.items() if name in used}


def body_index(s: For) -> str:
    """The loop variable of a parallel loop, whose iterations are counted from 0."""
    return f"tc_i + {s.start}" if s.start else "tc_i"


def _by_element(slots: tuple[Slot, ...]) -> dict[int, Slot]:
    return {slot.offset + lane: slot for slot in slots for lane in range(slot.lanes)}


def _outlined(func: PrimFunc, name: str, captured: dict[str, str], lines: list[str]) -> str:
    """The body of a parallel loop as a function of the iterations it shall run."""
    shared, own = (-(-n // 64) * 64 for n in (func.workspace_bytes, func.thread_workspace_bytes))
    fields = "".join(f"    {of}{field};\n" for field, of in captured.items())
    unpacked = "".join(
        f"    {of}{'restrict ' if of.endswith('*') else 'const '}{field} = tc_c->{field};\n"
        for field, of in captured.items()
    )
    return (
        f"struct {name}_context {{\n    void *workspace;\n{fields}}};\n\n"
        f"static void {name}(void *context, int64_t begin, int64_t end, int32_t thread) {{\n"
        f"    const struct {name}_context *tc_c = context;\n"
        f"    char *scratch = (char *)tc_c->workspace + {shared} + (int64_t)thread * {own};\n"
        f"    (void)scratch;\n{unpacked}{''.join(lines)}}}\n"
    )
