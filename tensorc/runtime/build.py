"""Turn a target-ready function into code."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial

from tensorc.codegen import c, python
from tensorc.codegen import llvm as llvm_text
from tensorc.ir.func import PrimFunc
from tensorc.ir.printer import print_func
from tensorc.runtime import llvm
from tensorc.runtime.artifact import Artifact, ArtifactKind, params_of
from tensorc.runtime.compiler import compile_text
from tensorc.support import host, options
from tensorc.support.errors import CodegenError
from tensorc.target import Target


def build(
    func: PrimFunc,
    target: Target,
    *,
    fast: bool = False,
    prologue: PrimFunc | None = None,
    strength_reduction: bool = True,
) -> Artifact:
    """Generate and compile code.

    Args:
        func: A function lowered for the target.
        target: What to generate: 'llvm', 'c' or 'python'.
        fast: Compile in half the time with a code generator that does less; holds for the rest of
            the process, so it is for build workers.
        prologue: What runs once before the first call, with constants, to fill the last parameters.
        strength_reduction: Whether LLVM may reduce the strength of index arithmetic in loops.

    Raises:
        BuildError: The generated code does not compile.
        CodegenError: The backend cannot express the function.
        MissingDependencyError: The target needs a library or compiler that is not installed.
    """
    kind: ArtifactKind
    match target.kind:
        case "llvm":
            kind, source = "object", llvm_text.emit_llvm(func, target, prologue)
            check = partial(_check_registers, func.name)
            data = llvm.compile_object(
                source, target, fast=fast, strength_reduction=strength_reduction, check=check
            )
        case "c":
            kind, source = "shared", c.emit_c(func, target, prologue)
            data = compile_text(source, extra=_left_out(target))
        case "python":
            kind, source = "python", python.emit_python(func, prologue)
            kernels = (func,) if prologue is None else (prologue, func)
            data = "\n".join(map(print_func, kernels)).encode()
        case _:
            raise CodegenError(
                f"Cannot build for the target '{target.kind}': expected 'llvm', 'c' or 'python'."
            )
    _report(func, target, source)
    artifact = _artifact(kind, data, func)
    early = None if prologue is None else _artifact(kind, data, prologue)
    return replace(artifact, source=source, prologue=early)


def _artifact(kind: ArtifactKind, data: bytes, func: PrimFunc) -> Artifact:
    return Artifact(
        kind,
        data,
        func.name,
        params_of(func),
        func.workspace_bytes,
        func.thread_workspace_bytes,
    )


def _report(func: PrimFunc, target: Target, source: str) -> None:
    """Say what `TENSORC_DEBUG` asks for."""
    level = options.DEBUG.get()
    if level >= 1:
        lines = source.count("\n")
        print(f"Built '{func.name}' for '{target.kind}': {lines} lines.", file=sys.stderr)
    if level >= 2:
        print(print_func(func), file=sys.stderr)
    if level >= 3:
        print(source, file=sys.stderr)


def _check_registers(name: str, module: str) -> None:
    """Refuse a register tile that is still in memory: it would be right, and many times slower."""
    if left := llvm_text.surviving_locals(module):
        raise CodegenError(
            f"Cannot keep the buffer '{left[0]}' of '{name}' in registers: "
            f"expected constant indices once its loops are unrolled."
        )


def _left_out(target: Target) -> tuple[str, ...]:
    """Flags of the C compiler against what this machine has and the target must not use."""
    if os.uname().machine != "x86_64":
        return ()
    return tuple(f"-mno-{f}" for f in host.instruction_sets() if f not in target.features)
