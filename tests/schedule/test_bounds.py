"""Bounds against enumeration, and against themselves: a population equals its rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorc import te
from tensorc.schedule import Bounds, Schedule
from tensorc.schedule.bounds import region
from tensorc.te.tensor import Tensor
from tests.schedule.programs import convolution, matmul, softmax
from tests.schedule.touched import elements, needed, read_by_loops


def strided(n: int = 9, m: int = 7) -> list[Tensor]:
    """Strides, offsets, reversal, transposition, several reads of one tensor."""
    A = te.placeholder((2 * n + 3, 3 * m), name="A")
    B = te.compute((2 * n + 3, 3 * m), lambda i, j: A[i, j] + 1.0, name="B")
    C = te.compute((n, m), lambda i, j: B[2 * i, 3 * j] + B[2 * i + 3, 3 * m - 1 - 3 * j], name="C")
    D = te.compute((n, m), lambda i, j: C[n - 1 - i, j] * 2.0, name="D")
    return [A, D]


def pixel_shuffle(n: int = 6) -> list[Tensor]:
    """Indices with quotients and remainders."""
    A = te.placeholder((4, n, n), name="A")
    B = te.compute((4, n, n), lambda c, y, x: A[c, y, x] * 2.0, name="B")
    C = te.compute(
        (2 * n, 2 * n), lambda y, x: B[y % 2 * 2 + x % 2, y // 2, x // 2] + 0.0, name="C"
    )
    return [A, C]


def self_product(n: int = 10) -> list[Tensor]:
    """C = B · Bᵀ: two reads whose distance depends on the loops."""
    A = te.placeholder((n, 4), name="A")
    B = te.compute((n, 4), lambda i, j: A[i, j] + 1.0, name="B")
    k = te.reduce_axis((0, 4), name="k")
    C = te.compute((n, n), lambda i, j: te.sum(B[i, k] * B[j, k], axis=k), name="C")
    return [A, C]


def shifted(n: int = 24) -> list[Tensor]:
    """B is read by D directly, and three elements further on by way of C."""
    A = te.placeholder((n + 8,), name="A")
    B = te.compute((n + 8,), lambda i: A[i] + 1.0, name="B")
    C = te.compute((n + 4,), lambda i: B[i + 3] * 2.0, name="C")
    D = te.compute((n,), lambda i: B[i] + C[i] + C[i + 1], name="D")
    return [A, D]


def mirrored(n: int = 16) -> list[Tensor]:
    """B is read by D directly, and from the other end by way of C."""
    A = te.placeholder((n,), name="A")
    B = te.compute((n,), lambda i: A[i] + 1.0, name="B")
    C = te.compute((n,), lambda i: B[n - 1 - i] * 2.0, name="C")
    D = te.compute((n,), lambda i: B[i] + C[i], name="D")
    return [A, D]


PROGRAMS: dict[str, Callable[[], list[Tensor]]] = {
    "matmul": lambda: matmul(11, 7, 6),
    "convolution": lambda: convolution(6, 2, 3, 3, 1),
    "strided convolution": lambda: convolution(7, 2, 2, 3, 2),
    "softmax": lambda: softmax(5, 9),
    "strided": strided,
    "pixel shuffle": pixel_shuffle,
    "self product": self_product,
}


def split_at_random(s: Schedule, stage: str, data: st.DataObject, nested: bool = True) -> None:
    """Split axes into two or three and shuffle the loops, parts of an axis in order if `nested`."""
    for axis in s[stage].names():
        lengths = data.draw(st.lists(st.integers(1, 6), min_size=0, max_size=2), label=axis)
        if lengths:
            s.split(stage, axis, lengths)
    order = data.draw(st.permutations(s[stage].names()), label="order")
    if nested:
        axes = {n.split(".")[0] for n in order}
        parts = {a: iter([n for n in sorted(order) if n.split(".")[0] == a]) for a in axes}
        order = [next(parts[n.split(".")[0]]) for n in order]
    s.reorder(stage, *order)


def fuse_at_random(s: Schedule, stage: str, data: st.DataObject) -> None:
    """Fuse two neighbours of one kind and of different axes, and split the result."""
    loops = s[stage].iterators
    pairs = [
        (a.name, b.name)
        for a, b in pairwise(loops)
        if a.kind is b.kind and a.name.split(".")[0] != b.name.split(".")[0]
    ]
    if pairs and data.draw(st.booleans(), label="fuse"):
        fused = s.fuse(stage, *data.draw(st.sampled_from(pairs), label="pair"))
        s.split(stage, fused, [data.draw(st.integers(1, 7), label="length")])


def random_position(bounds: Bounds, stage: str, level: int, data: st.DataObject) -> tuple[int, ...]:
    loops = bounds.nests[stage].own[:level]
    return tuple(data.draw(st.integers(0, loop.extent - 1), label=loop.name) for loop in loops)


def size(box: list[tuple[int, int]]) -> list[int]:
    return [high - low + 1 for low, high in box]


@pytest.mark.parametrize("program", PROGRAMS)
@given(data=st.data())
@settings(max_examples=40)
def test_the_region_of_a_root_stage_is_what_its_first_iteration_touches(
    program: str, data: st.DataObject
) -> None:
    s = Schedule(PROGRAMS[program]())
    stage = data.draw(st.sampled_from(list(s.state.stages)), label="stage")
    split_at_random(s, stage, data)
    fuse_at_random(s, stage, data)
    bounds = Bounds(s.state)
    level = data.draw(st.integers(0, len(bounds.nests[stage].own)), label="level")
    for producer, reads in bounds.accesses[stage].items():
        touched = read_by_loops(bounds, stage, producer, (0,) * level)
        assert list(region(reads, bounds.ranges(stage, level))) == size(touched)


@pytest.mark.parametrize("program", PROGRAMS)
@given(data=st.data())
@settings(max_examples=40)
def test_the_region_of_a_root_stage_holds_what_any_iteration_touches(
    program: str, data: st.DataObject
) -> None:
    s = Schedule(PROGRAMS[program]())
    stage = data.draw(st.sampled_from(list(s.state.stages)), label="stage")
    split_at_random(s, stage, data, nested=False)
    bounds = Bounds(s.state)
    level = data.draw(st.integers(0, len(bounds.nests[stage].own)), label="level")
    position = random_position(bounds, stage, level, data)
    if not any(True for _ in elements(bounds, stage, position)):
        return
    ranges = bounds.ranges(stage, level)
    for producer, reads in bounds.accesses[stage].items():
        if len(reads) > 1 or (producer == "B" and program == "pixel shuffle"):
            continue  # pieces that start anywhere: see the stages attached
        touched = read_by_loops(bounds, stage, producer, position)
        sizes = region(reads, ranges)
        assert all(t <= r for t, r in zip(size(touched), sizes, strict=True))


ATTACHED: dict[str, tuple[Callable[[], list[Tensor]], tuple[str, ...]]] = {
    "strided": (strided, ("D", "C", "B")),
    "self product": (self_product, ("C", "B")),
    "shifted": (shifted, ("D", "C", "B")),
    "mirrored": (mirrored, ("D", "C", "B")),
    "softmax": (lambda: softmax(5, 9), ("norm", "total", "exp", "top")),
    "convolution": (lambda: convolution(6, 2, 3, 3, 1), ("relu", "scaled", "conv", "pad")),
    "strided convolution": (
        lambda: convolution(7, 2, 2, 3, 2),
        ("relu", "scaled", "conv", "pad"),
    ),
}


@pytest.mark.parametrize("program", ATTACHED)
@given(data=st.data())
@settings(max_examples=40)
def test_the_region_of_an_attached_stage_holds_what_is_read_of_it(
    program: str, data: st.DataObject
) -> None:
    build, (target, *guests) = ATTACHED[program]
    s = Schedule(build())
    split_at_random(s, target, data)
    depth = len(s[target].names())
    levels = {}
    for guest in guests:
        depth = data.draw(st.integers(0, depth), label=guest)
        if depth == 0:
            break
        levels[guest] = depth
        s.compute_at(guest, target, s[target].names()[depth - 1])
    bounds = Bounds(s.state)
    for guest, level in levels.items():
        position = random_position(bounds, target, level, data)
        if not any(True for _ in elements(bounds, target, position)):
            continue
        box = needed(bounds, guest, target, position)
        op = s.state.dag.by_name[guest]
        held = [bounds.nests[guest].extents[a] for a in op.axes]
        assert all(n <= h for n, h in zip(size(box), held, strict=True)), (box, held)


def gather(n: int = 12) -> list[Tensor]:
    """Rows of B in the order of an input."""
    A = te.placeholder((30, 4), name="A")
    rows = te.placeholder((n,), dtype="int32", name="rows")
    B = te.compute((30, 4), lambda i, j: A[i, j] + 1.0, name="B")
    C = te.compute((n, 4), lambda i, j: B[rows[i], j] * 2.0, name="C")
    return [A, rows, C]


def test_a_row_found_in_data_may_be_any_but_is_one_at_a_time() -> None:
    s = Schedule(gather())
    s.compute_at("B", "C", "i")
    assert s.extents("B") == {"i": 1, "j": 4}
    s.compute_root("B")
    s.split("C", "i", [3])
    s.compute_at("B", "C", "i.0")
    assert s.extents("B") == {"i": 30, "j": 4}


def test_reads_by_several_stages_are_united_where_they_lie() -> None:
    s = Schedule(shifted())
    s.split("D", "i", [8])
    s.compute_at("C", "D", "i.0")
    s.compute_at("B", "D", "i.0")
    assert s.extents("C") == {"i": 9}
    assert s.extents("B") == {"i": 12}


def test_reads_whose_distance_varies_need_all_of_a_stage() -> None:
    s = Schedule(mirrored())
    s.split("D", "i", [4])
    s.compute_at("C", "D", "i.0")
    s.compute_at("B", "D", "i.0")
    assert s.extents("B") == {"i": 16}


def test_a_stage_that_nothing_reads_is_computed_whole() -> None:
    A = te.placeholder((8,), name="A")
    B = te.compute((8,), lambda i: A[i] + 1.0, name="B")
    C = te.compute((8,), lambda i: A[i] * 2.0, name="C")
    assert Schedule([A, B, C]).extents("B") == {"i": 8}
