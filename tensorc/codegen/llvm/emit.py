"""A whole module: the entry of the kernel ABI, the body, and the bodies of parallel loops."""

from __future__ import annotations

from tensorc.codegen.llvm.statements import FunctionWriter
from tensorc.codegen.llvm.writer import Module
from tensorc.ir.func import PrimFunc
from tensorc.target import Target


def emit_llvm(func: PrimFunc, target: Target, prologue: PrimFunc | None = None) -> str:
    """The LLVM IR text of a kernel: a function `int32 NAME(ptr buffers, ptr workspace)`.

    `buffers` points to the addresses of the parameters; `workspace` to the shared part followed by
    one part for each thread. The module has no triple, data layout or target attributes; they are
    those of the target machine that compiles it. Parallel loops call `tensorc_parallel_for`; some
    functions of float64, and `fmod`, call the C library. A prologue is a kernel of its own in the
    same module.

    Raises:
        CodegenError: if an operation is not defined on its type.
    """
    functions: list[str] = []
    declarations: set[str] = set()
    for kernel in (func,) if prologue is None else (prologue, func):
        functions += _functions(kernel, target, declarations)
    return "\n".join([*functions, *sorted(declarations), _attributes(target), ""])


def _functions(func: PrimFunc, target: Target, declarations: set[str]) -> list[str]:
    """The text of a kernel's functions; what they call is added to the declarations."""
    module = Module(func.name, target, round_to_line(func.thread_workspace_bytes))
    writer = FunctionWriter(module, dict(func.offsets), "%workspace", parallel=False)
    params = [f"%p{i}" for i in range(len(func.params))]
    for buffer, name in zip(func.params, params, strict=True):
        writer.base[buffer.name] = name
    writer.whole(func.body)
    signature = ", ".join(f"ptr noalias {name}" for name in (*params, "%workspace", "%scratch"))
    body = writer.function(f'define internal void @"{func.name}.body"({signature}) #0')
    declarations |= module.declarations
    return [_entry(func, params), body, *module.functions]


def _entry(func: PrimFunc, params: list[str]) -> str:
    """The function that callers see; it only takes the arguments apart."""
    lines = [f'define i32 @"{func.name}"(ptr %buffers, ptr %workspace) #0 {{', "entry:"]
    for i, name in enumerate(params):
        lines.append(f"  %a{i} = getelementptr ptr, ptr %buffers, i64 {i}")
        lines.append(f"  {name} = load ptr, ptr %a{i}")
    shared = round_to_line(func.workspace_bytes)
    lines.append(f"  %scratch = getelementptr i8, ptr %workspace, i64 {shared}")
    args = ", ".join(f"ptr {name}" for name in (*params, "%workspace", "%scratch"))
    lines.append(f'  call void @"{func.name}.body"({args})')
    return "\n".join([*lines, "  ret i32 0", "}", ""])


def round_to_line(size: int) -> int:
    """A size rounded up to a multiple of 64 bytes."""
    return -(-size // 64) * 64


def _attributes(target: Target) -> str:
    width = target.vector_bytes * 8
    return (
        'attributes #0 = { nounwind "no-trapping-math"="true" '
        f'"prefer-vector-width"="{width}" "min-legal-vector-width"="{width}" }}'
    )
