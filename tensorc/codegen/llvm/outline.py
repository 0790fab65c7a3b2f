"""The functions that a parallel loop becomes: its body and the task the thread pool runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorc.codegen.llvm.writer import Module
from tensorc.ir.affine import affine_variables
from tensorc.ir.expr import Load, Var
from tensorc.ir.stmt import Prefetch, Stmt, Store
from tensorc.ir.visit import expr_affines, stmt_affines, stmt_exprs, walk_stmt


@dataclass(frozen=True, slots=True)
class LiveIn:
    """A value that the body of a loop uses from outside: its type and its name there."""

    of: str
    value: str


@dataclass(frozen=True, slots=True)
class UsedNames:
    """Names that occur in a statement, in order of appearance, bound in it or not."""

    buffers: tuple[str, ...]
    indices: tuple[str, ...]
    data: tuple[Var, ...]


def used_names(s: Stmt) -> UsedNames:
    """What a statement mentions."""
    buffers: dict[str, None] = {}
    indices: dict[str, None] = {}
    data: dict[Var, None] = {}
    for part in walk_stmt(s):
        affines = list(stmt_affines(part))
        if isinstance(part, Store | Prefetch):
            buffers[part.buffer.name] = None
        for e in stmt_exprs(part):
            affines.extend(expr_affines(e))
            if isinstance(e, Load):
                buffers[e.buffer.name] = None
            elif isinstance(e, Var):
                data[e] = None
        for a in affines:
            indices.update(dict.fromkeys(affine_variables(a)))
    return UsedNames(tuple(buffers), tuple(indices), tuple(data))


def struct_of(live: Sequence[LiveIn]) -> str:
    """The type of the context that carries live-ins."""
    return f"{{ {', '.join(x.of for x in live)} }}"


def body_header(name: str, live: Sequence[LiveIn]) -> str:
    """The head of the body: a range of iterations, the live-ins, the thread's workspace.

    The first live-in, where the workspaces of all threads start, is for the task only.
    """
    params = [f"{_param(x)} %in{i}" for i, x in enumerate(live[1:])]
    listed = ", ".join(["i64 %begin", "i64 %end", *params, "ptr noalias %workspace"])
    return f"define internal void {name}({listed}) #0"


def _param(x: LiveIn) -> str:
    return "ptr noalias" if x.of == "ptr" else x.of


def task(module: Module, number: int, body: str, live: Sequence[LiveIn]) -> str:
    """The function the pool calls with the context, a range of iterations and a thread number."""
    struct = struct_of(live)
    name = f'@"{module.name}.task{number}"'
    lines = [
        f"define internal void {name}(ptr %context, i64 %begin, i64 %end, i32 %thread) #0 {{",
        "entry:",
        "  %some = icmp slt i64 %begin, %end",
        "  br i1 %some, label %run, label %done",
        "run:",
    ]
    for i, x in enumerate(live):
        lines.append(f"  %p{i} = getelementptr {struct}, ptr %context, i64 0, i32 {i}")
        lines.append(f"  %x{i} = load {x.of}, ptr %p{i}")
    passed = [f"{x.of} %x{i}" for i, x in enumerate(live)]
    args = ", ".join(["i64 %begin", "i64 %end", *passed[1:], "ptr %workspace"])
    lines += [
        "  %number = sext i32 %thread to i64",
        f"  %offset = mul i64 %number, {module.thread_bytes}",
        "  %workspace = getelementptr i8, ptr %x0, i64 %offset",
        f"  call void {body}({args})",
        "  br label %done",
        "done:",
        "  ret void",
        "}",
        "",
    ]
    return "\n".join(lines)
