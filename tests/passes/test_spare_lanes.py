"""Which ends of rows nobody uses."""

from __future__ import annotations

import pytest

from tensorc.ir.affine import Affine, variable
from tensorc.ir.parser import parse_func
from tensorc.passes.spare_lanes import Row, used_rows


def row_of(shape: str, body: str) -> Row | None:
    """The row of buffer T, if it is not used whole."""
    text = f"""\
@prim_func(outputs=('C',))
def kernel(C: buffer((64,), 'float32')):
    T = allocate({shape}, 'float32', 'stack')
{body}"""
    return next(iter(used_rows(parse_func(text).body, {}).values()), None)


@pytest.mark.parametrize(
    ("index", "used"),
    [("16*i + j", 15), ("16*i + j + 17", 16), ("i + j", 16), ("15*i + j", 16), ("32*i + j//2", 8)],
)
def test_what_is_used_is_the_furthest_place_in_a_row(index: str, used: int) -> None:
    body = f"""\
    for i in serial(0, 2):
        for j in vectorized(0, 15):
            T[{index}] = 0.0
"""
    assert row_of("(4, 16)", body) == (Row(16, used) if used < 16 else None)


def test_places_that_are_only_read_are_used() -> None:
    body = """\
    for j in vectorized(0, 5):
        T[j] = 0.0
    for j in vectorized(0, 7):
        C[j] = T[j]
"""
    assert row_of("(8,)", body) == Row(8, 7)


def test_buffers_that_are_vectors_already_are_used_whole() -> None:
    assert row_of("(8,)", "    C[ramp(0, 4)] = T[ramp(0, 4)]\n") is None


def test_parts_of_fused_loops_are_known() -> None:
    body = """\
    for f in serial(0, 10):
        i = f//5
        j = f%5
        T[8*i + j] = 0.0
"""
    assert row_of("(2, 8)", body) == Row(8, 5)


def test_spare_lanes_are_at_the_end_of_a_row() -> None:
    row = Row(16, 13)
    i = variable("i")
    assert row.is_spare(i * 16 + 8, 5, 8)
    assert not row.is_spare(i * 16 + 8, 4, 8)  # would cover a place that is used
    assert not row.is_spare(i * 16 + 10, 3, 8)  # would reach into the next row
    assert not row.is_spare(i * 8, 13, 16)
    assert row.is_spare(Affine(32), 13, 16)
