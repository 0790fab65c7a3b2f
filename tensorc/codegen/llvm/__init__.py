"""LLVM IR text of a function, and checks of what LLVM made of it."""

from tensorc.codegen.llvm.checks import count_spills, surviving_locals
from tensorc.codegen.llvm.emit import emit_llvm

__all__ = ["count_spills", "emit_llvm", "surviving_locals"]
