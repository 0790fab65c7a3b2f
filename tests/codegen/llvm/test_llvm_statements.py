from __future__ import annotations

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.parser import parse_func
from tensorc.runtime.build import build
from tensorc.support.errors import CodegenError
from tests.codegen.llvm.running import TARGET, check

MATMUL = """
@prim_func(outputs=('C',))
def matmul(A: buffer((17, 24), 'float32'), B: buffer((24, 32), 'float32'), C: buffer((17, 32), 'float32')):
    for jo in serial(0, 2):
        B_p = allocate((24, 16), 'float32', 'stack')
        for k in serial(0, 24):
            for v in unrolled(0, 2):
                B_p[ramp(8*v + 16*k, 8)] = B[ramp(16*jo + 8*v + 32*k, 8)]
        for io in serial(0, 3):
            if 1 - io >= 0:
                C_l = allocate((6, 16), 'float32', 'local')
                for i in unrolled(0, 6):
                    for v in unrolled(0, 2):
                        C_l[ramp(8*v + 16*i, 8)] = broadcast(0.0, 8)
                for k in serial(0, 24):
                    for i in unrolled(0, 6):
                        for v in unrolled(0, 2):
                            C_l[ramp(8*v + 16*i, 8)] = C_l[ramp(8*v + 16*i, 8)] + broadcast(A[k + 144*io + 24*i], 8) * B_p[ramp(8*v + 16*k, 8)]
                for i in unrolled(0, 6):
                    for v in unrolled(0, 2):
                        C[ramp(16*jo + 8*v + 192*io + 32*i, 8)] = C_l[ramp(8*v + 16*i, 8)]
            else:
                C_l = allocate((5, 16), 'float32', 'local')
                for i in unrolled(0, 5):
                    for v in unrolled(0, 2):
                        C_l[ramp(8*v + 16*i, 8)] = broadcast(0.0, 8)
                for k in serial(0, 24):
                    for i in unrolled(0, 5):
                        for v in unrolled(0, 2):
                            C_l[ramp(8*v + 16*i, 8)] = C_l[ramp(8*v + 16*i, 8)] + broadcast(A[k + 24*i + 288], 8) * B_p[ramp(8*v + 16*k, 8)]
                for i in unrolled(0, 5):
                    for v in unrolled(0, 2):
                        C[ramp(16*jo + 8*v + 32*i + 384, 8)] = C_l[ramp(8*v + 16*i, 8)]
"""  # noqa: E501


def test_a_packed_matmul_with_a_tail_of_rows_is_right() -> None:
    check(MATMUL, rtol=1e-5)


def test_a_register_tile_that_is_read_back_by_value_keeps_its_order() -> None:
    check("""
@prim_func(outputs=('B',))
def reverse(A: buffer((4,), 'int32'), B: buffer((4,), 'int32')):
    T = allocate((4,), 'int32', 'local')
    for i in unrolled(0, 4):
        T[i] = A[i]
    for i in unrolled(0, 4):
        B[i] = T[3 - i]
""")


def test_a_value_loaded_before_a_store_is_loaded_again_after_it() -> None:
    check("""
@prim_func(outputs=('B', 'C'))
def stale(A: buffer((8,), 'int32'), B: buffer((8,), 'int32'), C: buffer((8,), 'int32')):
    for i in serial(0, 8):
        B[i] = A[i]
        C[i] = B[i]
        B[i] = B[i] + 1
        C[i] = C[i] * 100 + B[i]
""")


def test_a_store_in_an_inner_loop_is_seen_after_it() -> None:
    check("""
@prim_func(outputs=('B',))
def inner(A: buffer((6,), 'int32'), B: buffer((2,), 'int32')):
    for i in serial(0, 2):
        B[i] = A[i]
        B[i] = B[i] + 1
        for j in serial(0, 3):
            B[i] = B[i] + A[3*i + j]
        B[i] = B[i] * 2
""")


def test_lets_of_a_fused_loop_name_its_parts() -> None:
    check("""
@prim_func(outputs=('B',))
def fused(A: buffer((5, 7), 'int32'), B: buffer((7, 5), 'int32')):
    for f in serial(0, 35):
        i = f // 7
        j = f % 7
        B[5*j + i] = A[7*i + j]
""")


def test_lets_of_an_unrolled_loop_change_with_it() -> None:
    check("""
@prim_func(outputs=('B',))
def fused(A: buffer((3, 8), 'int32'), B: buffer((3, 8), 'int32')):
    for o in serial(0, 4):
        for f in unrolled(0, 6):
            i = f // 2
            j = 2*o + f % 2
            B[8*i + j] = A[8*i + j] + 1
""")


def test_division_of_indices_that_may_be_negative_floors() -> None:
    check("""
@prim_func(outputs=('B',))
def floors(A: buffer((64,), 'int32'), B: buffer((20,), 'int32')):
    for i in serial(0, 20):
        B[i] = A[(i - 13) // 4 + 4 + 16*((i - 13) % 3)] + index((3*i - 31) // 7) * 1000
""")


def test_conditions_of_unrolled_variables_leave_no_branch() -> None:
    func = parse_func("""
@prim_func(outputs=('B',))
def decided(A: buffer((4,), 'int32'), B: buffer((4,), 'int32')):
    for i in unrolled(0, 4):
        if i - 2 >= 0:
            B[i] = A[i]
        else:
            B[i] = 0
""")
    check(func)
    assert "br i1" not in emit_llvm(func, TARGET)


def test_branches_take_the_side_of_every_iteration() -> None:
    check("""
@prim_func(outputs=('B',))
def sides(A: buffer((6, 6), 'int32'), B: buffer((6, 6), 'int32')):
    for i in serial(0, 6):
        for j in serial(0, 6):
            if i - j >= 0 and 4 - i >= 0:
                B[6*i + j] = A[6*i + j]
            else:
                if 3 - j >= 0:
                    B[6*i + j] = 7
""")


def test_a_condition_on_data_is_asked_only_where_the_others_hold() -> None:
    check("""
@prim_func(outputs=('B',))
def ragged(N: buffer((3,), 'int32'), B: buffer((5, 4), 'int32')):
    for i in serial(0, 5):
        for j in serial(0, 4):
            if 2 - i >= 0 and opaque(N[i], 0, 4) - 1 - j >= 0:
                B[4*i + j] = 1
            else:
                B[4*i + j] = 2
""", arrays=[np.array([1, 4, 0], np.int32), np.zeros((5, 4), np.int32)])  # fmt: skip


def test_parallel_loops_see_what_is_around_them() -> None:
    check("""
@prim_func(outputs=('B',))
def rows(A: buffer((6, 8), 'float32'), B: buffer((6, 8), 'float32')):
    S = allocate((8,), 'float32', 'stack')
    for j in serial(0, 8):
        S[j] = A[j]
    for b in serial(0, 2):
        t: float32 = A[b] * 2.0
        for i in parallel(0, 3):
            for j in serial(0, 8):
                B[24*b + 8*i + j] = A[24*b + 8*i + j] + S[j] + t
""")


def test_a_parallel_loop_may_start_anywhere_and_contain_another() -> None:
    check("""
@prim_func(outputs=('B',))
def nested(A: buffer((8, 4), 'int64'), B: buffer((8, 4), 'int64')):
    for i in parallel(2, 5):
        for j in parallel(0, 4):
            B[4*i + j] = A[4*i + j] + index(i, 'int64')
    for i in parallel(0, 1):
        B[i] = A[i]
""")


def test_workspaces_are_shared_outside_parallel_loops_and_private_inside() -> None:
    check("""
@prim_func(outputs=('B',), workspace_bytes=256, thread_workspace_bytes=128, offsets=(('S', 64), ('P', 64)))
def spaces(A: buffer((40, 16), 'float32'), B: buffer((40, 16), 'float32')):
    S = allocate((16,), 'float32', 'workspace')
    for j in serial(0, 16):
        S[j] = A[j] + 1.0
    for i in parallel(0, 40):
        P = allocate((16,), 'float32', 'workspace')
        for j in serial(0, 16):
            P[j] = A[16*i + j] * S[j]
        for j in serial(0, 16):
            B[16*i + j] = P[15 - j]
""")  # noqa: E501


def test_a_parallel_loop_of_one_iteration_uses_the_workspace_of_a_thread() -> None:
    check("""
@prim_func(outputs=('B',), workspace_bytes=64, thread_workspace_bytes=64, offsets=(('S', 0), ('P', 0)))
def single(A: buffer((16,), 'float32'), B: buffer((16,), 'float32')):
    S = allocate((16,), 'float32', 'workspace')
    for j in serial(0, 16):
        S[j] = A[j]
    for i in parallel(0, 1):
        P = allocate((16,), 'float32', 'workspace')
        for j in serial(0, 16):
            P[j] = 2.0
        for j in serial(0, 16):
            B[j] = P[j] * S[j]
""")  # noqa: E501


def test_sibling_allocations_of_one_name_are_different_buffers() -> None:
    check("""
@prim_func(outputs=('B',))
def siblings(A: buffer((8,), 'int32'), B: buffer((16,), 'int32')):
    with scope():
        T = allocate((8,), 'int32', 'stack')
        for i in serial(0, 8):
            T[i] = A[i]
        for i in serial(0, 8):
            B[i] = T[7 - i]
    with scope():
        T = allocate((2,), 'int32', 'stack')
        T[0] = A[0]
        T[1] = A[1]
        B[8] = T[1]
        B[9] = T[0]
""")


def test_a_tile_with_a_changing_index_is_refused() -> None:
    func = parse_func("""
@prim_func(outputs=('B',))
def moving(A: buffer((8,), 'float32'), B: buffer((8,), 'float32')):
    T = allocate((8,), 'float32', 'local')
    for i in serial(0, 8):
        T[i] = A[i]
    for i in serial(0, 8):
        B[i] = T[7 - i]
""")
    with pytest.raises(CodegenError, match="'T'"):
        build(func, TARGET)


def test_loops_without_iterations_do_nothing() -> None:
    check("""
@prim_func(outputs=('B',))
def empty(A: buffer((4,), 'int32'), B: buffer((4,), 'int32')):
    for i in serial(0, 0):
        B[i] = A[i]
    for i in serial(2, 1):
        B[i] = A[i]
""")
