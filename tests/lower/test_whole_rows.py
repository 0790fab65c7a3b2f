"""Rows of register tiles that hold whole vectors."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tensorc import te
from tensorc.codegen.python import execute
from tensorc.ir.printer import print_func
from tensorc.lower import lower
from tensorc.lower.storage import padded_rows
from tensorc.schedule import Schedule
from tensorc.target import Target

TARGET = Target("llvm", vector_bytes=32)


def product(rows: int, columns: int, terms: int) -> Schedule:
    A = te.placeholder((rows, terms), name="A")
    B = te.placeholder((terms, columns), name="B")
    k = te.reduce_axis((0, terms), name="k")
    return Schedule(
        [A, B, te.compute((rows, columns), lambda i, j: te.sum(A[i, k] * B[k, j], k), name="C")]
    )


def checked(s: Schedule) -> str:
    """The text of the lowered product, which has been run."""
    func = lower(s.state, TARGET)
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(-4, 5, p.shape).astype(np.float32) for p in func.params)
    execute(func, [a, b, c])
    np.testing.assert_array_equal(c, a @ b)
    return print_func(func)


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((3, 15), ((3, 16), (16, 1))),
        ((3, 7, 1), ((3, 8), (8, 1, 1))),
        ((2, 3, 21), ((2, 3, 24), (72, 24, 1))),
        ((11,), ((12,), (1,))),
        ((3, 12), None),
        ((3, 17), None),
        ((3, 1), ((4,), (1, 1))),
        ((), None),
        ((3, 0), None),
    ],
)
def test_rows_end_with_a_whole_vector(
    shape: tuple[int, ...], rows: tuple[tuple[int, ...], tuple[int, ...]] | None
) -> None:
    assert padded_rows(shape, 8) == rows


def test_a_register_tile_has_whole_rows_and_masks_only_at_memory() -> None:
    s = product(6, 15, 5)
    i, j = s["C"].names()[:2]
    outer, inner = s.split("C", i, [3])
    s.reorder("C", outer, "k", inner, j)
    s.unroll("C", inner)
    s.vectorize("C", j)
    text = checked(s)
    assert "C_tile = allocate((3, 16), 'float32', 'local')" in text
    assert not re.search(r"C_tile\[ramp\([^]]*dead", text)
    assert re.search(r"B\[ramp\([^]]*, 8, dead=1\)\]", text)
    assert re.search(r"C\[ramp\([^]]*, 8, dead=1\)\] = C_tile", text)


def test_a_copy_in_registers_has_whole_rows() -> None:
    s = product(6, 15, 5)
    local = s.cache_write("C", "local")
    i, j = s["C"].names()
    s.compute_at(local, "C", i)
    s.vectorize(local, s[local].names()[1])
    s.vectorize("C", j)
    text = checked(s)
    assert "C_local = allocate((1, 16), 'float32', 'local')" in text


def test_rows_that_a_fused_loop_runs_through_stay_dense() -> None:
    A = te.placeholder((4, 15), name="A")
    B = te.compute((4, 15), lambda i, j: A[i, j] + 1.0, name="B")
    C = te.compute((4, 15), lambda i, j: B[i, j] * 2.0, name="C")
    s = Schedule([A, C])
    s.vectorize("B", "j")
    s.vectorize("C", s.fuse("C", "i", "j"))
    text = print_func(lower(s.state, TARGET))
    assert "B = allocate((4, 15)" in text


def test_a_factored_sum_has_one_vector_for_the_terms_left_over() -> None:
    A = te.placeholder((3, 71), name="A")
    k = te.reduce_axis((0, 71), name="k")
    s = Schedule([A, te.compute((3,), lambda i: te.sum(A[i, k], k), name="C")])
    _, inner = s.split("C", "k", [16])
    partial = s.rfactor("C", inner, 1)
    s.compute_at(partial, "C", "i")
    *outer, factor, terms = s[partial].names()
    s.reorder(partial, *outer, terms, factor)
    s.vectorize(partial, factor)
    func = lower(s.state, TARGET)
    a = np.random.default_rng(0).integers(-4, 5, (3, 71)).astype(np.float32)
    c = np.zeros(3, np.float32)
    execute(func, [a, c])
    np.testing.assert_array_equal(c, a.sum(axis=1))
    left = "C_rf_tile[ramp(0, 8, dead=1)] = C_rf_tile[ramp(0, 8)] + A[ramp(71*C_i + 64, 8, dead=1)]"
    assert print_func(func).count(left) == 1
