"""A whole C file: inline functions, the kernel with typed parameters, and the ABI's entry."""

from __future__ import annotations

from tensorc.codegen.c.module import Module
from tensorc.codegen.c.statements import FunctionWriter
from tensorc.codegen.c.types import SCALARS, memory_element
from tensorc.ir.func import PrimFunc
from tensorc.target import Target


def emit_c(func: PrimFunc, target: Target, prologue: PrimFunc | None = None) -> str:
    """The C11 text, with GCC's vector extensions, of a kernel.

    It stands alone: `NAME_typed` takes typed pointers and can be called from any C program, which
    must give a workspace as large as the comment at it says; `NAME` is the entry of the kernel ABI.
    Parallel loops run on `tensorc_parallel_for` where the program has it, else serially. Compile
    with `-O2 -march=native -ffp-contract=fast -fno-math-errno -fno-tree-vectorize` and link with
    `-lm`.

    A prologue is a kernel of its own, in front of the other.

    Raises:
        CodegenError: if an operation is not defined on its type, or the lanes of a vector are no
            power of two.
    """
    module = Module(target.vector_bytes)
    for kernel in (func,) if prologue is None else (prologue, func):
        _write(module, kernel, target)
    return module.text()


def _write(module: Module, func: PrimFunc, target: Target) -> None:
    """Add a kernel: the functions with typed parameters and with those of the ABI."""
    writer = FunctionWriter(module, {}, {}, {}, func)
    params = []
    for p in func.params:
        const = "" if p.name in func.outputs else "const "
        of = f"{const}{SCALARS[memory_element(p.dtype)]} *"
        params.append(f"{of}restrict {writer.declare(p.name, of)}")
    writer.statement(func.body)
    signature = ", ".join([*params, "void *workspace"])
    module.functions.append(
        f"{_comment(func, target)}\n"
        f"void {func.name}_typed({signature}) {{\n    (void)workspace;\n{''.join(writer.lines)}}}\n"
    )
    module.functions.append(_entry(func))


def _comment(func: PrimFunc, target: Target) -> str:
    shapes = ", ".join(f"{p.name}: {p.dtype}{list(p.shape)}" for p in func.params)
    shared, own = (-(-n // 64) * 64 for n in (func.workspace_bytes, func.thread_workspace_bytes))
    need = f"{shared} bytes" + (f" and {own} for each thread" if own else "")
    return f"/* {shapes}.\n   Workspace: {need}, aligned to 64. Written for '{target.kind}'. */"


def _entry(func: PrimFunc) -> str:
    args = ", ".join([*(f"buffers[{i}]" for i in range(len(func.params))), "workspace"])
    return (
        f"int32_t {func.name}(void *const *buffers, void *workspace) {{\n"
        f"    {func.name}_typed({args});\n    return 0;\n}}\n"
    )
