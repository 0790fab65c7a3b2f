"""C text, compiled and compared with the oracle."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, get_args

import numpy as np
import pytest

from tensorc.codegen.c import emit_c
from tensorc.codegen.python import execute
from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.affine import Affine, variable
from tensorc.ir.dtype import FLOAT32, FLOAT64, INT32
from tensorc.ir.expr import BinaryFunction, BinaryOp, Broadcast, Call, Load, UnaryFunction
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.ir.stmt import For, ForKind, Store
from tensorc.runtime.compiler import FLAGS, compile_text
from tensorc.support.errors import CodegenError
from tensorc.target import Target
from tests.random_programs import random_arrays, random_func

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
TARGET = Target("c")
Run = Callable[..., None]


def load(text: str, folder: Path, *flags: str) -> ctypes.CDLL:
    path = folder / f"{abs(hash((text, flags)))}.so"
    path.write_bytes(
        compile_text(text, extra=("-Wall", "-Werror=incompatible-pointer-types", *flags))
    )
    return ctypes.CDLL(str(path))


def call(library: ctypes.CDLL, func: PrimFunc, arrays: list[np.ndarray[Any, Any]]) -> None:
    buffers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
    workspace = np.zeros(func.workspace_bytes + func.thread_workspace_bytes + 256, np.uint8)
    entry = getattr(library, func.name)
    entry.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    assert entry(buffers, -(-workspace.ctypes.data // 64) * 64) == 0


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def build_and_call(func: PrimFunc, arrays: list[np.ndarray[Any, Any]], *flags: str) -> None:
        call(load(emit_c(func, TARGET), tmp_path, *flags), func, arrays)

    return build_and_call


def same(run: Run, func: PrimFunc, arrays: list[np.ndarray[Any, Any]]) -> None:
    """Without contraction every bit must be the oracle's."""
    expected = [a.copy() for a in arrays]
    execute(func, expected)
    run(func, arrays, "-ffp-contract=off")
    for got, want in zip(arrays, expected, strict=True):
        if got.dtype.kind == "V" or got.dtype.kind == "f":
            got, want = got.astype(np.float64), want.astype(np.float64)
        np.testing.assert_array_equal(got, want)


def kernel(body: str, **buffers: str) -> PrimFunc:
    params = ", ".join(f"{name}: buffer({text})" for name, text in buffers.items())
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    outputs = tuple(name for name in buffers if name.islower())
    facts = f"outputs={outputs!r}"
    if "workspace" in body:
        facts += ", workspace_bytes=64, thread_workspace_bytes=64, offsets=(('S', 0), ('T', 0))"
    return parse_func(f"@prim_func({facts})\ndef kernel({params}):\n{lines}")


@pytest.mark.parametrize("seed", range(12))
def test_random_program_computes_what_the_oracle_does(run: Run, seed: int) -> None:
    func = random_func(Random(seed))
    same(run, func, random_arrays(func, Random(seed)))


def test_a_cache_line_is_asked_for_at_an_address_that_may_lie_anywhere(run: Run) -> None:
    body = "for i in serial(0, 4):\n    prefetch(A, 16*i + 1000000)\n    o[i] = A[16*i]"
    func = kernel(body, A="(64,), 'float32'", o="(4,), 'float32'")
    assert re.search(r"__builtin_prefetch\(.*uintptr_t.* \+ 4 \* .*1000000", emit_c(func, TARGET))
    same(run, func, random_arrays(func, Random(0)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1150))
def test_more_random_programs(run: Run, seed: int) -> None:
    test_random_program_computes_what_the_oracle_does(run, seed)


MATHS = [f for f in get_args(UnaryFunction) if f not in ("not", "bitwise_not", "popcount")]


def math_kernel(dtype: str, lanes: int) -> PrimFunc:
    """All functions of one type on the first 64 positive numbers."""
    lines = []
    for row, name in enumerate((*MATHS, *get_args(BinaryFunction))):
        args = (
            "A[ramp(8*i, 8)], B[ramp(8*i, 8)]"
            if name in get_args(BinaryFunction)
            else "A[ramp(8*i, 8)]"
        )
        value = f"{name}({args})"
        if name.startswith("is"):
            value = f"{dtype}({value})"
        if lanes == 1:
            value = value.replace("ramp(8*i, 8)", "i")
            lines.append(f"o[i + {64 * row}] = {value}")
        else:
            lines.append(f"o[ramp(8*i + {64 * row}, 8)] = {value}")
    count = 64 // lanes
    body = f"for i in serial(0, {count}):\n" + "".join(f"    {line}\n" for line in lines)
    shape = f"(64,), '{dtype}'"
    return kernel(body, A=shape, B=shape, o=f"({64 * len(lines)},), '{dtype}'")


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_functions_are_accurate(run: Run, dtype: Any, lanes: int) -> None:
    func = math_kernel(dtype.name, lanes)
    kind = numpy_dtype(dtype)
    a = np.concatenate([np.linspace(0.01, 0.99, 32), np.geomspace(1, 40, 32)]).astype(kind)
    b = np.linspace(-3, 3, 64).astype(kind)
    size = func.params[2].shape
    got, want = np.zeros(size, kind), np.zeros(size, kind)
    execute(func, [a, b, want])
    run(func, [a, b, got])
    tolerance = 1e-6 if dtype == FLOAT32 else 4e-15
    for row, name in enumerate((*MATHS, *get_args(BinaryFunction))):
        part = slice(64 * row, 64 * row + 64)
        np.testing.assert_allclose(
            got[part], want[part], tolerance, 1e-7 if row else 0, err_msg=name
        )


@pytest.mark.parametrize("lanes", [1, 8])
def test_functions_at_the_edges(run: Run, lanes: int) -> None:
    func = math_kernel("float32", lanes)
    edges = [0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38, -3e38, 1e-38, 88.8, -104, 1, -1]
    a = np.resize(np.array(edges, np.float32), 64)
    b = np.repeat(np.array([0, 1, 2, np.inf], np.float32), 16)
    got, want = (np.zeros(func.params[2].shape, np.float32) for _ in range(2))
    execute(func, [a, b, want])
    run(func, [a, b, got])
    for row, name in enumerate((*MATHS, *get_args(BinaryFunction))):
        if name in ("sin", "cos", "tan"):
            continue  # of numbers so large that float32 has no fraction, or infinite
        part = slice(64 * row, 64 * row + 64)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(got[part], want[part], 2e-6, 1e-44, err_msg=name)


def matmul(rows: int, depth: int) -> PrimFunc:
    """A tile of 16 columns, the last three of which are copied out one by one or twice."""
    body = f"""
T = allocate(({rows}, 16), 'float32', 'local')
for i in unrolled(0, {rows}):
    for v in unrolled(0, 2):
        T[ramp(16*i + 8*v, 8)] = broadcast(0.0, 8)
for k in serial(0, {depth}):
    for i in unrolled(0, {rows}):
        for v in unrolled(0, 2):
            t: float32[8] = broadcast(A[{depth}*i + k], 8) * B[ramp(16*k + 8*v, 8)]
            T[ramp(16*i + 8*v, 8)] = T[ramp(16*i + 8*v, 8)] + t
for i in unrolled(0, {rows}):
    c[ramp(16*i, 8)] = T[ramp(16*i, 8)]
    for j in unrolled(0, 5):
        c[16*i + 8 + j] = T[16*i + 8 + j]
    c[ramp(16*i + 13, 2)] = broadcast(T[16*i + 13], 2)
    c[16*i + 15] = T[16*i + 15]
"""
    shapes = {"A": (rows, depth), "B": (depth, 16), "c": (rows, 16)}
    return kernel(body.strip(), **{name: f"{shape}, 'float32'" for name, shape in shapes.items()})


@pytest.mark.isa("avx2", "fma")
def test_register_tile_stays_in_registers(tmp_path: Path) -> None:
    func = matmul(6, 128)
    text = emit_c(func, TARGET)
    assert "tc_f32x8 T_0;" in text
    assert "T_8[1]" in text  # a scalar of a vector: the clipped copy-out
    source = tmp_path / "kernel.c"
    source.write_text(text)
    flags = [f for f in FLAGS if f not in ("-shared",)]
    command = ["gcc", *flags, "-mavx2", "-mfma", "-S", str(source), "-o", "-"]
    assembly = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert assembly.count("vfmadd") == 12
    assert "(%rsp)" not in assembly


def test_tile_computes_the_product(run: Run) -> None:
    func = matmul(5, 32)
    numbers = np.random.default_rng(0)
    a, b = (numbers.integers(-4, 5, p.shape).astype(np.float32) for p in func.params[:2])
    c = np.zeros((5, 16), np.float32)
    run(func, [a, b, c])
    expected = a @ b
    expected[:, 14] = expected[:, 13]
    np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize(
    "body",
    [
        "T[ramp(4, 8)] = T[ramp(0, 8)]\no[0] = T[5]",  # overlapping vectors
        "for j in serial(0, 4):\n    T[j] = 2.0 * T[3 - j]\no[0] = T[0]",  # index not constant
        "T[ramp(0, 4, 2)] = broadcast(5.0, 4)\no[0] = T[2]",  # strided
    ],
)
def test_irregular_local_buffer_becomes_an_array(run: Run, body: str) -> None:
    tile = "T = allocate((16,), 'float32', 'local')\n"
    fill = "for i in unrolled(0, 16):\n    T[i] = float32(index(i))\n"
    func = kernel(tile + fill + body, o="(1,), 'float32'")
    assert "float T[16]" in emit_c(func, TARGET)
    same(run, func, [np.zeros(1, np.float32)])


def test_accesses_on_sides_that_are_not_taken_are_none_of_a_local_buffer(run: Run) -> None:
    body = """T = allocate((8,), 'float32', 'local')
for i in unrolled(0, 8):
    T[i] = A[i]
for i in unrolled(0, 4):
    if i - 1 >= 0:
        if 2 - i >= 0:
            o[2*i] = T[3*i - 2]
        else:
            o[2*i] = T[7]
    else:
        o[2*i] = 5.0
"""
    func = kernel(body, A="(8,), 'float32'", o="(8,), 'float32'")
    assert "float T[8]" not in emit_c(func, TARGET)
    same(run, func, [np.arange(8, dtype=np.float32), np.zeros(8, np.float32)])


def test_a_local_buffer_with_an_access_outside_that_is_not_reached_is_an_array(run: Run) -> None:
    body = """T = allocate((8,), 'float32', 'local')
for i in unrolled(0, 8):
    T[i] = A[i]
for j in serial(0, 2):
    for i in unrolled(0, 4):
        if j - 1 >= 0 and 0 - j >= 0:
            o[i] = T[i - 8]
    o[j] = T[7]
"""
    func = kernel(body, A="(8,), 'float32'", o="(8,), 'float32'")
    same(run, func, [np.arange(8, dtype=np.float32), np.zeros(8, np.float32)])


def test_variables_of_a_local_buffer_take_names_that_are_free(run: Run) -> None:
    """`o` became `o_0` and `o_1`, which hid a parameter (random program 60)."""
    body = """o = allocate((2,), 'float32', 'local')
for i in unrolled(0, 2):
    o[i] = A[i]
with scope():
    o_0 = allocate((2,), 'float32', 'stack')
    o_0[0] = 5.0
    o_1[0] = o[0] + o_0[0]
o_1[1] = o[1]
"""
    func = kernel(body, A="(2,), 'float32'", o_1="(2,), 'float32'")
    same(run, func, [np.arange(2, dtype=np.float32), np.zeros(2, np.float32)])


def test_what_a_vector_is_loaded_through_has_no_place_in_a_buffer(run: Run) -> None:
    """GCC's bugs 90348 and 113372: `T` and the variable of `tc_load_live` shared their places."""
    body = """for j in serial(0, 2):
    T = allocate((32,), 'float32', 'stack')
    if -j >= 0:
        for h in serial(0, 8):
            T[ramp(4*h, 4)] = A[ramp(3*h, 4, dead=1)]
    else:
        for h in serial(0, 8):
            T[ramp(4*h, 4)] = A[ramp(3*h + 6, 4, dead=1)]
    o[ramp(4*j, 4)] = T[ramp(0, 4)] + T[ramp(8, 4)] + T[ramp(16, 4)] + T[ramp(24, 4)]
"""
    func = kernel(body, A="(60,), 'float32'", o="(8,), 'float32'")
    same(run, func, [np.arange(60, dtype=np.float32), np.zeros(8, np.float32)])


def test_loops_of_guarded_tiles_are_compiled_right(run: Run) -> None:
    """GCC 12 got one wrong as long as variables shared their place on the stack (program 468)."""
    func = parse_func((Path(__file__).parent / "guarded_tiles.ir").read_text())
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(-4, 5, buffer.shape).astype(np.float32)
        if buffer.name not in func.outputs
        else np.zeros(buffer.shape, np.float32)
        for buffer in func.params
    ]
    expected = [a.copy() for a in arrays]
    execute(func, expected)
    run(func, arrays)
    np.testing.assert_allclose(arrays[-1], expected[-1], atol=1e-3)


PARALLEL = """S = allocate((16,), 'float32', 'workspace')
for k in serial(0, 8):
    S[k] = 3.0 * A[k]
scale: float32 = A[1]
for i in parallel(2, 6):
    fo = i//2
    T = allocate((8,), 'float32', 'workspace')
    T[ramp(0, 8)] = S[ramp(0, 8)] * broadcast(scale, 8)
    o[ramp(8*i - 16, 8)] = T[ramp(0, 8)] + broadcast(float32(index(fo)), 8)
"""


def test_parallel_loop_runs_without_a_thread_pool(run: Run) -> None:
    func = kernel(PARALLEL, A="(8,), 'float32'", o="(32,), 'float32'")
    same(run, func, [np.arange(8, dtype=np.float32), np.zeros(32, np.float32)])


def test_parallel_loop_uses_the_thread_pool_of_the_program(tmp_path: Path) -> None:
    func = kernel(PARALLEL, A="(8,), 'float32'", o="(32,), 'float32'")
    pool = """
int64_t tc_calls = 0;
void tensorc_parallel_for(void (*body)(void *, int64_t, int64_t, int32_t), void *context,
                          int64_t n) {
    tc_calls += n;
    body(context, n / 2, n, 0);
    body(context, 0, n / 2, 0);
}
"""
    # Not the pool that another test may have loaded for all libraries.
    library = load(emit_c(func, TARGET) + pool, tmp_path, "-Wl,-Bsymbolic")
    a, got, want = (
        np.arange(8, dtype=np.float32),
        np.zeros(32, np.float32),
        np.zeros(32, np.float32),
    )
    execute(func, [a, want])
    call(library, func, [a, got])
    np.testing.assert_array_equal(got, want)
    assert ctypes.c_int64.in_dll(library, "tc_calls").value == 4


def test_serial_kernel_names_no_thread_pool() -> None:
    assert "parallel_for" not in emit_c(kernel("o[0] = 1.0", o="(1,), 'float32'"), TARGET)


def test_c_program_calls_the_typed_function(tmp_path: Path) -> None:
    func = kernel("o[0] = A[0] + 1.0", A="(1,), 'float32'", o="(1,), 'float32'")
    main = """
#include <stdio.h>
int main(void) {
    float a = 2, o = 0;
    kernel_typed(&a, &o, NULL);
    return o == 3 ? 0 : 1;
}
"""
    source, program = tmp_path / "main.c", tmp_path / "main"
    source.write_text(emit_c(func, TARGET) + main)
    subprocess.run(
        ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(program)],
        check=True,
    )
    subprocess.run([str(program)], check=True)


def test_gather_outside_is_not_touched_unless_chosen(run: Run) -> None:
    side = "lambda: broadcast(A[opaque(I[0], 0, 3)], 4)"
    body = f"o[ramp(0, 4)] = where(I[ramp(0, 4)] >= broadcast(0, 4), {side}, broadcast(-1.0, 4))"
    func = kernel(body, A="(4,), 'float32'", I="(4,), 'int32'", o="(4,), 'float32'")
    out = np.zeros(4, np.float32)
    run(func, [np.ones(4, np.float32), np.full(4, -(2**31), np.int32), out])
    np.testing.assert_array_equal(out, -1)


def test_names_of_c_may_be_names_of_buffers(run: Run) -> None:
    body = "double = allocate((1,), 'float32', 'stack')\ndouble[0] = int[0]\nwhile_[0] = double[0]"
    func = kernel(body, int="(1,), 'float32'", while_="(1,), 'float32'")
    func = PrimFunc("kernel", func.params, ("while_",), func.body)
    same(run, func, [np.ones(1, np.float32), np.zeros(1, np.float32)])


def test_literals_have_the_width_of_their_type(run: Run) -> None:
    func = kernel("o[0] = bitwise_not(uint64(7)) >> uint64(7)", o="(1,), 'uint64'")
    same(run, func, [np.zeros(1, np.uint64)])


def test_integer_division_by_nothing_does_not_trap(run: Run) -> None:
    operators = ("A[0] // A[1]", "A[0] % A[1]", "truncdiv(A[2], A[3])", "A[2] // A[3]")
    body = "".join(f"o[{i}] = {text}\n" for i, text in enumerate(operators))
    func = kernel(body, A="(4,), 'int32'", o="(4,), 'int32'")
    out = np.zeros(4, np.int32)
    run(func, [np.array([5, 0, -(2**31), -1], np.int32), out])
    np.testing.assert_array_equal(out[2:], -(2**31))


def test_what_c_cannot_say_is_refused() -> None:
    a = Buffer("A", (8,), FLOAT32, "global")
    odd = Store(a, Affine(0), BinaryOp("+", Load(a, Affine(0), 3), Load(a, Affine(0), 3)))
    with pytest.raises(CodegenError, match="power of two of lanes, got 3"):
        emit_c(PrimFunc("f", (a,), ("A",), odd), TARGET)
    i = Buffer("I", (8,), INT32, "global")
    exp = Store(i, Affine(0), Call("exp", (Load(i, Affine(0)),)))
    with pytest.raises(CodegenError, match=r"'exp'.*'int32'"):
        emit_c(PrimFunc("f", (i,), ("I",), exp), TARGET)


def test_single_iteration_is_no_loop() -> None:
    a = Buffer("A", (8,), FLOAT32, "global")
    value = Broadcast(Load(a, variable("i")), 4)
    func = PrimFunc(
        "f", (a,), ("A",), For("i", 3, 1, ForKind.SERIAL, Store(a, variable("i"), value))
    )
    assert "for (" not in emit_c(func, TARGET).partition("f_typed")[2]
