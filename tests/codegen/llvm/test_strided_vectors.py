"""Vectors whose lanes are apart: picked out of whole vectors, or transposed by blocks."""

from __future__ import annotations

import re

import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.parser import parse_func
from tests.codegen.llvm.running import TARGET, check

PICK = """
@prim_func(outputs=('B',))
def pick(A: buffer(({size},), '{dtype}'), B: buffer(({lanes},), '{dtype}')):
    B[ramp(0, {lanes})] = A[ramp(1, {lanes}, {stride})] + A[ramp(0, {lanes}, {stride})]
"""

TRANSPOSE = """
@prim_func(outputs=('B',))
def transpose(A: buffer((40, 24), '{dtype}'), B: buffer((24, 40), '{dtype}')):
    for i in serial(0, 2):
        for j in serial(0, {blocks}):
            for v in unrolled(0, {rows}):
                B[ramp(480*i + {lanes}*j + 40*v, {lanes})] = {value}
"""
COLUMN = "A[ramp(12*i + {step}*j + v, {lanes}, 24)]"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8"])
@pytest.mark.parametrize("stride", [2, 3, 4, 5])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16])
def test_every_so_many_elements_are_read_and_none_behind(
    dtype: str, stride: int, lanes: int
) -> None:
    size = stride * (lanes - 1) + 2
    text = PICK.format(dtype=dtype, stride=stride, lanes=lanes, size=size)
    check(text)
    assert last_read(emit_llvm(parse_func(text), TARGET)) == size


def last_read(text: str) -> int:
    """The number of elements of the first parameter up to the last that is read."""
    body = text[text.index(".body") :]
    places = {"%p0": 0}
    for name, start in re.findall(r"(%\w+) = getelementptr \w+, ptr %p0, i64 (\d+)", body):
        places[name] = int(start)
    loads = re.findall(r"load (?:<(\d+) x )?\w+>?, ptr (%\w+)", body)
    return max(places[pointer] + int(lanes or 1) for lanes, pointer in loads if pointer in places)


def transposition(lanes: int, rows: int, dtype: str = "float32", value: str = COLUMN) -> str:
    column = value.format(step=24 * lanes, lanes=lanes)
    return TRANSPOSE.format(dtype=dtype, lanes=lanes, rows=rows, blocks=40 // lanes, value=column)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8"])
@pytest.mark.parametrize(("lanes", "rows"), [(4, 4), (4, 12), (8, 8), (8, 11), (8, 3)])
def test_columns_of_unrolled_iterations_are_right(dtype: str, lanes: int, rows: int) -> None:
    check(transposition(lanes, rows, dtype))


def test_a_block_is_loaded_by_rows() -> None:
    text = emit_llvm(parse_func(transposition(8, 8)), TARGET)
    assert text.count("load <8 x float>") == 8
    assert text.count("shufflevector") == 24
    assert "insertelement" not in text


def test_columns_beside_a_block_are_read_lane_by_lane() -> None:
    text = emit_llvm(parse_func(transposition(8, 11)), TARGET)
    assert text.count("load <8 x float>") == 8
    assert text.count("insertelement") == 24


def test_columns_that_may_not_be_read_are_not() -> None:
    """Only rows on one side of the condition lie within the tensor."""
    value = "A[ramp(12*i + {step}*j + v + 64, {lanes}, 24)] if 3 - i - 4*j >= 0 else 0.0"
    text = transposition(8, 8, value=value)
    check(text)
    assert "load <8 x float>" not in emit_llvm(parse_func(text), TARGET)


def test_columns_of_what_the_loop_writes_are_read_in_turn() -> None:
    check("""
@prim_func(outputs=('B',))
def shift(A: buffer((8, 8), 'float32'), B: buffer((8, 8), 'float32')):
    for i in serial(0, 8):
        B[ramp(8*i, 8)] = A[ramp(8*i, 8)]
    for v in unrolled(0, 4):
        B[ramp(8*v + 8, 4)] = B[ramp(v, 4, 8)] + broadcast(1.0, 4)
""")


STORE = """
@prim_func(outputs=('B',))
def spread(A: buffer((2, {rows}, 2, {lanes}), '{dtype}'), B: buffer((2, {size}), '{dtype}')):
    for i in serial(0, 2):
        for v in unrolled(0, {rows}):
            for w in unrolled(0, 2):
                B[ramp({size}*i + {piece}*w + v + 1, {lanes}, {stride})] = {value}
"""
LOADED = "A[ramp({row}*i + {pair}*v + {lanes}*w, {lanes})]"


def spread(lanes: int, rows: int, stride: int, dtype: str = "float32", value: str = LOADED) -> str:
    piece = lanes * stride
    filled = value.format(row=2 * rows * lanes, pair=2 * lanes, lanes=lanes)
    return STORE.format(
        lanes=lanes, rows=rows, stride=stride, piece=piece, size=2 * piece + rows, dtype=dtype,
        value=filled,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8"])
@pytest.mark.parametrize(
    ("lanes", "rows", "stride"),
    [(4, 3, 6), (4, 9, 9), (8, 2, 2), (8, 3, 3), (8, 5, 7), (8, 8, 40), (8, 11, 12), (2, 2, 4)],
)
def test_columns_side_by_side_are_stored_right(
    dtype: str, lanes: int, rows: int, stride: int
) -> None:
    check(spread(lanes, rows, stride, dtype))


def test_rows_of_columns_side_by_side_are_stored_whole() -> None:
    text = emit_llvm(parse_func(spread(8, 3, 6)), TARGET)
    assert text.count("store <3 x float>") == 16
    assert "extractelement" not in text
    text = emit_llvm(parse_func(spread(8, 8, 8)), TARGET)
    assert text.count("store <8 x float>") == 16
    assert text.count("shufflevector") == 48


def test_columns_that_overlap_are_stored_in_turn() -> None:
    text = spread(8, 5, 3)
    check(text)
    assert "extractelement" in emit_llvm(parse_func(text), TARGET)


def test_columns_that_depend_on_those_before_are_stored_in_turn() -> None:
    check("""
@prim_func(outputs=('B',))
def follow(A: buffer((8,), 'float32'), B: buffer((8, 4), 'float32')):
    B[ramp(0, 8, 4)] = A[ramp(0, 8)]
    for v in unrolled(0, 3):
        B[ramp(v + 1, 8, 4)] = B[ramp(v, 8, 4)] + broadcast(1.0, 8)
""")
