"""The order of steps of unrolled sums: what is loaded is used up before the next is loaded."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.codegen.llvm.reuse_order import reuse_order
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.ir.stmt import For, ForKind
from tensorc.ir.visit import walk_stmt
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.target import Target
from tests.codegen.llvm.running import inputs_of

WINDOW = """
@prim_func(outputs=('C',))
def window(A: buffer((640,), 'float32'), B: buffer((9, 8), 'float32'),
           C: buffer((6, 8, 8), 'float32')):
    for t in serial(0, 3):
        T = allocate((2, 8, 8), 'float32', 'local')
        for h in unrolled(0, 2):
            for w in unrolled(0, 8):
                T[ramp(64*h + 8*w, 8)] = broadcast(0.0, 8)
        for p in unrolled(0, 3):
            for r in unrolled(0, 3):
                for h in unrolled(0, 2):
                    for w in unrolled(0, 8):
                        T[ramp(64*h + 8*w, 8)] = {sum}
        for h in unrolled(0, 2):
            for w in unrolled(0, 8):
                C[ramp(128*t + 64*h + 8*w, 8)] = T[ramp(64*h + 8*w, 8)]
"""
OWN = "T[ramp(64*h + 8*w, 8)]"
TERM = "A[ramp({place}, 8)] * B[ramp(24*p + 8*r, 8)]"
UPWARDS = "8*t + 80*h + 80*p + 8*w + 8*r"
DOWNWARDS = "8*t + 80*h - 80*p + 8*w - 8*r + 176"


def window(place: str, own: str = OWN) -> str:
    return WINDOW.format(sum=f"{own} + {TERM.format(place=place)}")


def nest(text: str) -> For:
    """The unrolled loops around the sum."""
    func = parse_func(text)
    return next(s for s in walk_stmt(func.body) if isinstance(s, For) and s.var == "p")


@pytest.mark.parametrize(("place", "sign"), [(UPWARDS, 1), (DOWNWARDS, -1)])
def test_steps_that_read_the_same_follow_each_other(place: str, sign: int) -> None:
    found = reuse_order(nest(window(place)), registers=32)
    assert found is not None
    assert found.variables == ("p", "r", "h", "w")
    read = [80 * h + 8 * w + sign * (80 * p + 8 * r) for p, r, h, w in found.steps]
    assert read == sorted(read, reverse=sign < 0)
    assert len(set(found.steps)) == 3 * 3 * 2 * 8


def test_each_sum_has_its_terms_in_the_order_it_had() -> None:
    found = reuse_order(nest(window(UPWARDS)), registers=32)
    assert found is not None
    for h in range(2):
        for w in range(8):
            taps = [(p, r) for p, r, *tile in found.steps if tile == [h, w]]
            assert taps == [(p, r) for p in range(3) for r in range(3)]


def test_where_all_values_fit_registers_the_order_of_loops_stays() -> None:
    assert reuse_order(nest(window(UPWARDS)), registers=64) is None


def test_buffers_that_are_walked_alike_count_each() -> None:
    size = "A: buffer((640,), 'float32')"
    text = window(UPWARDS).replace(size, f"{size}, D: {size[3:]}")
    both = text.replace("* B[", f"* D[ramp({UPWARDS}, 8)] * B[")
    assert both != text
    assert reuse_order(nest(text), registers=48) is None
    assert reuse_order(nest(both), registers=48) is not None


@pytest.mark.parametrize(("distance", "counts"), [(8, False), (320, True)])
def test_places_of_a_buffer_count_once_where_they_are_the_same(distance: int, counts: bool) -> None:
    text = window(UPWARDS)
    both = text.replace("* B[", f"* A[ramp({UPWARDS} + {distance}, 8)] * B[")
    assert both != text
    assert (reuse_order(nest(both), registers=48) is not None) is counts


def test_where_nothing_is_read_twice_the_order_of_loops_stays() -> None:
    assert reuse_order(nest(window("8*h + 16*w + 128*p + 384*r")), registers=8) is None


def test_a_sum_that_reads_other_sums_stays_as_it_is() -> None:
    other = "T[ramp(64*h + 8*w + 8*p, 8)]"
    assert reuse_order(nest(window(UPWARDS, other)), registers=8) is None


def test_serial_loops_inside_stay_as_they_are() -> None:
    text = window(UPWARDS).replace("h in unrolled", "h in serial")
    assert reuse_order(nest(text), registers=8) is None
    assert nest(text).kind is ForKind.UNROLLED


@pytest.mark.parametrize("place", [UPWARDS, DOWNWARDS])
@pytest.mark.parametrize("registers", [8, 16, 32])
def test_results_are_the_same_to_the_last_bit(place: str, registers: int) -> None:
    text = window(place)
    func = parse_func(text)
    expected, got = (output(func, Target("llvm", vector_registers=n)) for n in (64, registers))
    np.testing.assert_array_equal(expected, got)


def output(func: PrimFunc, target: Target) -> np.ndarray:
    inputs = inputs_of(func)[:-1]
    return np.asarray(CompiledFunction(build(func, target))(*inputs))


def test_loads_come_in_the_order_of_their_places() -> None:
    text = emit_llvm(parse_func(window(UPWARDS)), Target("llvm", vector_registers=32))
    body = text[text.index(".body") :]
    data = re.search(r"getelementptr float, ptr %p0, i64 %v\d+", body)
    assert data is not None
    name = body[body.rindex("%", 0, data.start() - 2) : data.start() - 3]
    places = re.findall(rf"getelementptr float, ptr {name}, i64 (\d+)", body)
    assert [int(p) for p in places] == sorted(map(int, places))
    assert len(places) == 4 * 10 - 1  # four rows of ten vectors, the first without an offset
