"""Kernels written by hand, for tests of what loads, calls and times kernels."""

from __future__ import annotations

from collections.abc import Sequence

from tensorc.ir.dtype import FLOAT32, DType
from tensorc.runtime import llvm
from tensorc.runtime.artifact import Artifact, Param
from tensorc.runtime.compiler import compile_text
from tensorc.target import Target

# C = A + B on eight floats.
ADD = """
define internal void @body(ptr noalias %a, ptr noalias %b, ptr noalias %c) {
  %x = load <8 x float>, ptr %a, align 4
  %y = load <8 x float>, ptr %b, align 4
  %s = fadd <8 x float> %x, %y
  store <8 x float> %s, ptr %c, align 4
  ret void
}
define i32 @add(ptr %buffers, ptr %workspace) {
  %a = load ptr, ptr %buffers
  %pb = getelementptr ptr, ptr %buffers, i64 1
  %b = load ptr, ptr %pb
  %pc = getelementptr ptr, ptr %buffers, i64 2
  %c = load ptr, ptr %pc
  call void @body(ptr %a, ptr %b, ptr %c)
  ret i32 0
}
"""

C_PRELUDE = """
#include <stdint.h>
#include <stddef.h>
typedef void (*body_t)(void *, int64_t, int64_t, int32_t);
__attribute__((weak)) void tensorc_parallel_for(body_t body, void *context, int64_t count);
static void parallel(body_t body, void *context, int64_t count) {
    if (tensorc_parallel_for) tensorc_parallel_for(body, context, count);
    else body(context, 0, count, 0);
}
"""


def param(name: str, *shape: int, dtype: DType = FLOAT32, is_output: bool = False) -> Param:
    return Param(name, shape, dtype, is_output)


def output(name: str, *shape: int, dtype: DType = FLOAT32) -> Param:
    return Param(name, shape, dtype, is_output=True)


def object_artifact(text: str, entry: str, params: Sequence[Param], **workspace: int) -> Artifact:
    data = llvm.compile_object(text, Target("llvm"))
    return Artifact("object", data, entry, tuple(params), source=text, **workspace)


def c_artifact(text: str, entry: str, params: Sequence[Param], **workspace: int) -> Artifact:
    data = compile_text(C_PRELUDE + text)
    return Artifact("shared", data, entry, tuple(params), source=text, **workspace)


def add_artifact() -> Artifact:
    return object_artifact(ADD, "add", [param("A", 8), param("B", 8), output("C", 8)])


def elementwise(expression: str, *params: Param) -> Artifact:
    """A C kernel `out[i] = expression` in a parallel loop over the first parameter's elements."""
    names = [p.name for p in params]
    pointers = "".join(
        f"    {_C_TYPES[p.dtype.name]} *{p.name} = ((void *const *)x)[{i}];\n"
        for i, p in enumerate(params)
    )
    count = params[0].nbytes // params[0].dtype.itemsize
    return c_artifact(
        f"static void body(void *x, int64_t begin, int64_t end, int32_t thread) {{\n{pointers}"
        f"    for (int64_t i = begin; i < end; i++) {names[-1]}[i] = {expression};\n}}\n"
        f"int32_t kernel(void *const *buffers, void *w) {{\n"
        f"    parallel(body, (void *)buffers, {count});\n    return 0;\n}}\n",
        "kernel",
        params,
    )


_C_TYPES = {
    "float32": "float", "float64": "double", "int32": "int32_t", "int64": "int64_t",
    "uint8": "uint8_t", "int8": "int8_t", "bool": "uint8_t", "bfloat16": "uint16_t",
    "float16": "uint16_t",
}  # fmt: skip
