"""Blocks of columns, and loops that are none."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.codegen.python import execute
from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.passes.block_transpositions import block_transpositions
from tensorc.target import Target
from tests.golden_text import GoldenFile

TARGET = Target("llvm", vector_bytes=32)
HEADER = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((20, 32), 'float32'), C: buffer((32, 20), 'float32')):
"""

BODIES = {
    "columns_of_whole_blocks": """
    for i in serial(0, 32):
        C[ramp(20*i, 8)] = A[ramp(i, 8, 32)]
""",
    "blocks_are_inside_the_loops_over_vectors": """
    for i in serial(0, 32):
        for j in unrolled(0, 2):
            C[ramp(20*i + 8*j, 8)] = A[ramp(256*j + i, 8, 32)] * broadcast(2.0, 8)
        C[ramp(20*i + 16, 4)] = A[ramp(i + 512, 4, 32)]
""",
    "what_is_left_of_a_loop_stays": """
    for i in serial(3, 19):
        C[ramp(20*i, 8)] = A[ramp(i, 8, 32)]
""",
}
OTHERS = {
    "lanes that are near": """
    for i in serial(0, 32):
        C[ramp(20*i, 8)] = A[ramp(i, 8, 4)]
""",
    "a step of more than one element": """
    for i in serial(0, 16):
        C[ramp(20*i, 8)] = A[ramp(2*i, 8, 32)]
""",
    "a loop that is too short": """
    for i in serial(0, 7):
        C[ramp(20*i, 8)] = A[ramp(i, 8, 32)]
""",
    "sums, whose order counts": """
    for i in serial(0, 32):
        C[ramp(20*i, 8)] = C[ramp(20*i, 8)] + A[ramp(i, 8, 32)]
""",
    "the last of all iterations stays": """
    for i in serial(0, 32):
        C[ramp(0, 8)] = A[ramp(i, 8, 32)]
""",
    "what must perhaps not be read": """
    for i in serial(0, 32):
        C[ramp(20*i, 8)] = A[ramp(i, 8, 32)] if i - 4 >= 0 else broadcast(0.0, 8)
""",
    "guarded stores": """
    for i in serial(0, 32):
        if i - 4 >= 0:
            C[ramp(20*i, 8)] = A[ramp(i, 8, 32)]
""",
}


@pytest.mark.parametrize("name", BODIES)
def test_blocks(name: str, golden: GoldenFile) -> None:
    func = parse_func(HEADER + BODIES[name])
    cut = block_transpositions(func, TARGET)
    verify(cut)
    golden.check(name, print_func(func), print_func(cut))
    data = np.random.default_rng(0).standard_normal((20, 32), np.float32)
    results = [np.zeros((32, 20), np.float32) for _ in range(2)]
    for program, result in zip((func, cut), results, strict=True):
        execute(program, [data, result])
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("name", OTHERS)
def test_other_loops_stay(name: str) -> None:
    func = parse_func(HEADER + OTHERS[name])
    assert block_transpositions(func, TARGET) is func


def test_blocks_are_loaded_by_rows() -> None:
    """Eight loads of eight lanes and no insertion of single lanes."""
    text = emit_llvm(
        block_transpositions(parse_func(HEADER + BODIES["columns_of_whole_blocks"]), TARGET), TARGET
    )
    assert text.count("load <8 x float>") == 8
    assert "insertelement" not in text
