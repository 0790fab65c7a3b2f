"""Loops into vectors."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tensorc.codegen.python import execute
from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.passes.vectorize_loops import vectorize_loops
from tensorc.target import Target
from tests.golden_text import GoldenFile

TARGET = Target("llvm", vector_bytes=32)
HEADER = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((160,), 'float32'), C: buffer((160,), 'float32')):
"""

BODIES = {
    "two_vectors_and_tails": """
    for j in vectorized(0, 21):
        C[j] = A[j] + A[3]
""",
    "many_vectors_stay_a_loop": """
    for j in vectorized(0, 150):
        C[j] = A[j] * 2.0
""",
    "short_loop": """
    for j in vectorized(0, 3):
        C[j + 5] = A[j]
""",
    "strided": """
    for j in vectorized(0, 16):
        C[2*j] = A[33 - 2*j]
""",
    "outer_loops_stay": """
    for i in unrolled(0, 2):
        for j in vectorized(0, 8):
            C[8*i + j] = A[j]
""",
    "loop_inside": """
    for j in vectorized(0, 8):
        C[j] = 0.0
        for k in serial(0, 4):
            C[j] = C[j] + A[8*k + j]
""",
    "index_value": """
    for j in vectorized(0, 8):
        C[j] = float32(index(2*j + 3))
""",
    "quotient_constant_in_a_vector": """
    for i in serial(0, 4):
        for j in vectorized(0, 8):
            C[8*i + j] = A[(8*i + j)//16] + A[(8*i + j)%16]
""",
    "quotient_that_changes_is_split_smaller": """
    for i in serial(0, 4):
        for j in vectorized(0, 8):
            C[8*i + j] = A[(8*i + j)//4]
""",
    "fused_loop": """
    for f in vectorized(0, 16):
        i = f//8
        j = f%8
        C[f] = A[i] + A[j]
""",
    "condition_alike_in_all_lanes": """
    for i in serial(0, 4):
        for j in vectorized(0, 8):
            C[8*i + j] = A[8*i + j] if i - 1 >= 0 else 1.0
""",
    "condition_by_lane_with_safe_sides": """
    for i in serial(0, 4):
        for j in vectorized(0, 8):
            C[8*i + j] = A[8*i + j] if j - i >= 0 else 1.0
""",
    "condition_by_lane_that_guards_a_load_stays_scalar": """
    for i in serial(0, 4):
        for j in vectorized(0, 4):
            C[4*i + j] = A[j - i] if j - i >= 0 else 1.0
""",
    "guarded_store_stays_scalar": """
    for i in serial(0, 4):
        for j in vectorized(0, 4):
            if j - i >= 0:
                C[4*i + j] = A[j]
""",
    "same_place_in_all_lanes_stays_scalar": """
    for j in vectorized(0, 4):
        C[0] = A[j]
""",
    "lanes_of_a_sum": """
    for j in vectorized(0, 8):
        C[3] = C[3] + A[j]
""",
    "lanes_of_a_maximum_in_several_vectors_and_a_tail": """
    for j in vectorized(0, 27):
        C[0] = max(C[0], A[2*j] * A[7])
""",
    "lanes_of_a_long_product": """
    for j in vectorized(0, 80):
        C[0] = C[0] * A[j]
""",
    "difference_stays_scalar": """
    for j in vectorized(0, 4):
        C[0] = C[0] - A[j]
""",
    "term_of_the_same_buffer_stays_scalar": """
    for j in vectorized(0, 4):
        C[0] = C[0] + C[j]
""",
    "lanes_of_a_few_terms": """
    for j in vectorized(0, 7):
        C[0] = min(C[0], A[j])
""",
    "lanes_of_two_vectors_and_a_tail_that_is_as_long": """
    for j in vectorized(0, 23):
        C[0] = C[0] + exp(A[j])
""",
    "lanes_of_a_vector_and_one_term": """
    for j in vectorized(0, 9):
        C[0] = C[0] + A[j]
""",
    "strided_tail_in_pieces": """
    for j in vectorized(0, 13):
        C[2*j] = A[j]
""",
    "integer_division_in_pieces": """
    for j in vectorized(0, 7):
        C[j] = float32(int32(A[j]) // int32(A[j + 8] * 9.0))
""",
    "float_division_with_dead_lanes": """
    for j in vectorized(0, 7):
        C[j] = 1.0 / A[j]
""",
    "condition_alike_in_all_live_lanes": """
    for j in vectorized(0, 7):
        C[j] = A[j] if 6 - j >= 0 else 1.0
""",
    "rows_with_room_for_whole_vectors": """
    T = allocate((3, 16), 'float32', 'stack')
    for i in unrolled(0, 3):
        for j in vectorized(0, 15):
            T[16*i + j] = 0.0
    for k in serial(0, 4):
        for i in unrolled(0, 3):
            for j in vectorized(0, 15):
                T[16*i + j] = T[16*i + j] + A[i]*A[15*k + j]
    for i in unrolled(0, 3):
        for j in vectorized(0, 15):
            C[15*i + j] = T[16*i + j]
""",
    "rows_of_which_a_part_is_cut_off": """
    T = allocate((16,), 'float32', 'stack')
    for j in vectorized(0, 16):
        T[j] = 0.0
    for j in vectorized(0, 13):
        T[j] = T[j] + A[j]
    for j in vectorized(0, 16):
        C[j] = T[j]
""",
    "rows_without_room_in_pieces": """
    T = allocate((3, 7), 'float32', 'stack')
    for i in unrolled(0, 3):
        for j in vectorized(0, 7):
            T[7*i + j] = A[7*i + j]
    for i in unrolled(0, 3):
        for j in vectorized(0, 7):
            C[7*i + j] = T[7*i + j]
""",
    "let_of_a_vector": """
    for j in vectorized(0, 8):
        t: float32 = A[j] + 1.0
        C[j] = t * t
""",
    "scratch_inside_stays_scalar": """
    for j in vectorized(0, 4):
        T = allocate((1,), 'float32', 'stack')
        T[0] = A[j]
        C[j] = T[0] * 2.0
""",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_vectorised_loop_becomes(name: str, golden: GoldenFile) -> None:
    func = parse_func(HEADER + BODIES[name])
    result = vectorize_loops(func, TARGET)
    golden.check(name, print_func(func), print_func(result))
    verify(result)
    a = np.random.default_rng(0).standard_normal(160, dtype=np.float32)
    before, after = np.zeros((2, 160), np.float32)
    execute(func, [a, before])
    execute(result, [a, after])
    # Sums come in another order: a few roundings of a value that is a few in size.
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_the_widest_type_decides_the_number_of_lanes() -> None:
    text = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((8,), 'float64'), C: buffer((8,), 'float32')):
    for j in vectorized(0, 8):
        C[j] = float32(A[j])
"""
    assert "ramp(4*j, 4)" in print_func(vectorize_loops(parse_func(text), TARGET))


@pytest.mark.parametrize(("kind", "lanes"), [("llvm", 16), ("c", 8)])
def test_halves_are_counted_in_c_as_what_they_are_computed_with(kind: str, lanes: int) -> None:
    text = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((16,), 'float16'), C: buffer((16,), 'float16')):
    for j in vectorized(0, 16):
        C[j] = A[j] + A[j]
"""
    target = Target(kind, vector_bytes=32)
    found = print_func(vectorize_loops(parse_func(text), target))
    assert re.findall(r"C\[ramp\(.*?, (\d+)\)", found) == [str(lanes)]


def test_a_function_without_vectorised_loops_is_returned_itself() -> None:
    func = parse_func(HEADER + "    C[0] = A[0]\n")
    assert vectorize_loops(func, TARGET) is func
