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
