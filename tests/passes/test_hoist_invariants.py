"""Dear values that are the same in all iterations of a loop."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc.codegen.python import execute
from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.passes.hoist_invariants import hoist_invariants
from tensorc.target import Target
from tests.golden_text import GoldenFile

TARGET = Target("llvm", vector_bytes=32)
HEADER = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((160,), 'float32'), C: buffer((160,), 'float32')):
"""

BODIES = {
    "a_division_leaves_the_loops_that_it_does_not_depend_on": """
    for i in serial(0, 4):
        for j in serial(0, 8):
            for k in unrolled(0, 2):
                C[16*i + 2*j + k] = A[j] * (1.0 / A[i])
""",
    "a_function_of_a_quotient_is_one_value": """
    for i in serial(0, 4):
        for j in serial(0, 2):
            C[ramp(16*i + 8*j, 8)] = A[ramp(8*j, 8)] * broadcast(rsqrt(A[i] * A[i] / 9.0), 8)
""",
    "what_occurs_twice_is_computed_once": """
    for i in serial(0, 4):
        C[i] = A[i] * exp(A[7]) + exp(A[7])
""",
    "not_out_of_a_parallel_loop": """
    for i in parallel(0, 4):
        C[i] = A[i] / A[9]
        for j in serial(0, 2):
            C[4*i + j + 4] = exp(A[8])
""",
    "not_what_the_loop_writes": """
    for i in serial(0, 4):
        C[i + 1] = exp(C[0]) + A[i]
""",
    "not_what_is_computed_under_a_condition": """
    for i in serial(0, 4):
        C[i] = exp(A[3]) if i - 2 >= 0 else 1.0
        if i - 1 >= 0:
            C[i + 8] = exp(A[3])
""",
    "cheap_values_stay": """
    for i in serial(0, 4):
        C[i] = A[i] * (A[9] + 1.0) + exp(A[i])
""",
}


@pytest.mark.parametrize("name", BODIES)
def test_hoisting_gives(name: str, golden: GoldenFile) -> None:
    func = parse_func(HEADER + BODIES[name])
    result = hoist_invariants(func, TARGET)
    golden.check(name, print_func(func), print_func(result))
    verify(result)
    a = np.random.default_rng(0).standard_normal(160, dtype=np.float32)
    before, after = np.zeros((2, 160), np.float32)
    execute(func, [a, before])
    execute(result, [a, after])
    np.testing.assert_array_equal(after, before)


def test_a_function_without_dear_operations_is_returned_itself() -> None:
    func = parse_func(HEADER + "    C[0] = A[0] + 1.0\n")
    assert hoist_invariants(func, TARGET) is func
