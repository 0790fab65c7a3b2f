"""Vectors with dead lanes, on machines with masks and without."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.dtype import ALL_DTYPES, DType
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.runtime.llvm import emit_assembly
from tensorc.target import Target
from tests.codegen.llvm.running import BASELINE, TARGET, check

AVX2 = Target("llvm", features=("avx2", "fma"))
AVX512 = Target(
    "llvm", vector_bytes=64, vector_registers=32, cpu="skylake-avx512",
    features=("avx512bw", "avx512dq", "avx512vl"),
)  # fmt: skip


def copy(dtype: str, lanes: int, dead: int) -> PrimFunc:
    """Copies all but the dead lanes, from and to the ends of two buffers."""
    live = lanes - dead
    return parse_func(f"""\
@prim_func(outputs=('B',))
def kernel(A: buffer(({live + 3},), '{dtype}'), B: buffer(({live + 1},), '{dtype}')):
    B[ramp(1, {lanes}, dead={dead})] = A[ramp(3, {lanes}, dead={dead})]
""")


@pytest.mark.parametrize("target", [BASELINE, AVX2, TARGET], ids=["sse", "avx2", "here"])
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_live_lanes_are_copied_and_no_others(dtype: DType, target: Target) -> None:
    for lanes, dead in ((2, 1), (4, 1), (4, 3), (8, 3), (16, 1), (16, 5), (16, 14)):
        check(copy(dtype.name, lanes, dead), target=target)


@pytest.mark.parametrize("target", [BASELINE, AVX2, TARGET], ids=["sse", "avx2", "here"])
def test_dead_lanes_of_a_register_tile_keep_what_they_held(target: Target) -> None:
    text = """\
@prim_func(outputs=('B',))
def kernel(A: buffer((13,), 'float32'), B: buffer((16,), 'float32')):
    T = allocate((16,), 'float32', 'local')
    T[ramp(0, 16)] = broadcast(7.0, 16)
    T[ramp(0, 16, dead=3)] = T[ramp(0, 16)] + A[ramp(0, 16, dead=3)]
    B[ramp(0, 16)] = T[ramp(0, 16)] + T[ramp(0, 16, dead=15)]
"""
    *_, result = check(text, target=target)
    assert result[13:].tolist() == [7, 7, 7]


def test_masks_are_one_instruction_where_the_machine_has_them() -> None:
    assembly = emit_assembly(emit_llvm(copy("float32", 16, 1), AVX512), AVX512)
    assert assembly.count("{%k1}") == 2
    assert assembly.count("{z}") == 1


def test_avx2_loads_by_mask_and_stores_in_pieces() -> None:
    text = emit_llvm(copy("float32", 8, 1), AVX2)
    assert "llvm.masked.load" in text
    assert "llvm.masked.store" not in text


def test_one_live_lane_that_was_truncated_is_written_alone() -> None:
    text = """\
@prim_func(outputs=('B',))
def kernel(A: buffer((4,), 'int32'), B: buffer((4,), 'int16')):
    B[ramp(1, 4, dead=3)] = int16(A[ramp(0, 4)])
"""
    check(text, arrays=[np.arange(5, 9, dtype=np.int32), np.ones(4, np.int16)])
