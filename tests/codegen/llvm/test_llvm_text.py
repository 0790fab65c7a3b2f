from __future__ import annotations

import re
import time

import pytest
from llvmlite import binding

from tensorc.codegen.llvm import count_spills, emit_llvm, surviving_locals
from tensorc.codegen.llvm.types import constant, float_bits
from tensorc.ir.affine import ZERO
from tensorc.ir.dtype import BFLOAT16, FLOAT32, FLOAT64, INT8, UINT8
from tensorc.ir.expr import BinaryOp, Const, Read
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_func
from tensorc.ir.stmt import Store
from tensorc.support.errors import CodegenError
from tensorc.target import Target
from tests.codegen.llvm.test_llvm_statements import MATMUL
from tests.golden_text import GoldenFile

AVX2 = Target("llvm", num_cores=2, vector_bytes=32, features=("avx", "avx2", "f16c", "fma"))

DOT = """
@prim_func(outputs=('C',))
def dot(A: buffer((4, 64), 'float32'), B: buffer((64, 8), 'float32'), C: buffer((4, 8), 'float32')):
    for i in serial(0, 2):
        T = allocate((2, 8), 'float32', 'local')
        for r in unrolled(0, 2):
            T[ramp(8*r, 8)] = broadcast(0.0, 8)
        for k in serial(0, 64):
            for r in unrolled(0, 2):
                T[ramp(8*r, 8)] = T[ramp(8*r, 8)] + broadcast(A[128*i + 64*r + k], 8) * B[ramp(8*k, 8)]
        for r in unrolled(0, 2):
            C[ramp(16*i + 8*r, 8)] = T[ramp(8*r, 8)]
"""  # noqa: E501
PARALLEL = """
@prim_func(outputs=('B',), thread_workspace_bytes=64, offsets=(('P', 0),))
def scale(A: buffer((4, 4), 'float16'), B: buffer((4, 4), 'float16')):
    for o in serial(0, 2):
        for i in parallel(0, 2):
            P = allocate((4,), 'float32', 'workspace')
            P[ramp(0, 4)] = float32(A[ramp(8*o + 4*i, 4)])
            B[ramp(8*o + 4*i, 4)] = float16(P[ramp(0, 4)])
"""


@pytest.mark.parametrize("text", [DOT, PARALLEL], ids=["dot", "parallel"])
def test_text_of_a_small_kernel(text: str, golden: GoldenFile) -> None:
    func = parse_func(text)
    golden.check(func.name, print_func(func), emit_llvm(func, AVX2))


def test_equal_loads_and_splats_are_written_once() -> None:
    text = emit_llvm(parse_func(DOT), AVX2)
    inner = text[text.index("%i4 = phi") : text.index("X4:")]
    assert inner.count("load <8 x float>, ptr %v13") == 1
    assert inner.count("load float") == 2


def test_what_varies_with_an_outer_loop_only_is_written_outside_the_inner() -> None:
    text = emit_llvm(parse_func(DOT), AVX2)
    inner = text[text.index("%i4 = phi") :]
    assert "mul nsw i64 %i1, 128" in text
    assert "mul nsw i64 %i1, 128" not in inner


def test_writing_the_text_of_a_register_tiled_matmul_takes_a_millisecond() -> None:
    func = parse_func(MATMUL)

    def seconds() -> float:
        start = time.perf_counter()
        emit_llvm(func, AVX2)
        return time.perf_counter() - start

    # 0.6 to 0.9 ms for two tiles on an idle machine; the bound is for a busy one.
    assert min(seconds() for _ in range(30)) < 3e-3


def test_a_baseline_target_gets_no_fused_multiply_add_in_recipes() -> None:
    func = parse_func("""
@prim_func(outputs=('B',))
def exponential(A: buffer((8,), 'float32'), B: buffer((8,), 'float32')):
    B[ramp(0, 8)] = exp(A[ramp(0, 8)])
""")
    assert "llvm.fma" in emit_llvm(func, AVX2)
    assert "llvm.fma" not in emit_llvm(func, Target("llvm", features=("sse4.1",)))


def test_surviving_locals_names_tiles_still_in_memory() -> None:
    module = """
  %local.C_l.12.sroa.3 = alloca <8 x float>, align 32
  %local.C_l.12 = alloca [8 x float], align 64
  %stack.B_p = alloca [64 x i8], align 64
  %local.D.2 = alloca [4 x float], align 64
  %x = load float, ptr %local.E.1
"""
    assert surviving_locals(module) == ("C_l", "D")
    assert surviving_locals("") == ()


def test_count_spills_counts_vector_traffic_with_the_stack_frame() -> None:
    assembly = """
	vmovups	%ymm3, 96(%rsp)                 # 32-byte Spill
	vfmadd231ps	64(%rsp), %ymm1, %ymm2  # 32-byte Folded Reload
	vmovups	(%rdi), %ymm0
	movq	%rax, 8(%rsp)
	vmovaps	-32(%rsp,%rax), %zmm17
"""
    assert count_spills(assembly) == 2


def test_literals_round_to_their_type_and_wrap() -> None:
    assert constant(300, UINT8) == "44"
    assert constant(200, INT8) == "-56"
    assert float_bits(0.1, 32) == "0x3FB99999A0000000"
    assert constant(1e300, FLOAT32) == float_bits(float("inf"), 64)
    assert constant(0.1, FLOAT64, 2) == "splat (double 0x3FB999999999999A)"


def store_of(value: object) -> PrimFunc:
    buffer = Buffer("B", (1,), FLOAT32, "global")
    return PrimFunc("f", (buffer,), ("B",), Store(buffer, ZERO, value))  # type: ignore[arg-type]


def test_a_read_that_was_not_lowered_is_refused() -> None:
    with pytest.raises(CodegenError, match=r"'A'.*not lowered"):
        emit_llvm(store_of(Read("A", (), FLOAT32)), AVX2)


def test_an_operator_that_a_type_does_not_have_is_refused() -> None:
    one = Const(1.0, FLOAT32)
    with pytest.raises(CodegenError, match=r"'<<'.*'float32'"):
        emit_llvm(store_of(BinaryOp("<<", one, one)), AVX2)
    half = Const(1.0, BFLOAT16)
    with pytest.raises(CodegenError, match=r"'&'.*'bfloat16'"):
        emit_llvm(store_of(BinaryOp("&", half, half)), AVX2)


def test_text_for_another_architecture_compiles_there() -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple("aarch64-linux-gnu").create_target_machine()
    func = parse_func("""
@prim_func(outputs=('B',))
def exponential(A: buffer((8,), 'float16'), B: buffer((8,), 'float16')):
    B[ramp(0, 8)] = exp(A[ramp(0, 8)])
""")
    neon = Target("llvm", vector_bytes=16, features=("neon",))
    assembly = machine.emit_assembly(binding.parse_assembly(emit_llvm(func, neon)))
    assert "fmla" in assembly
    assert re.findall(r"^\tbl\t(.*)$", assembly, re.MULTILINE) == ["exponential.body"]
