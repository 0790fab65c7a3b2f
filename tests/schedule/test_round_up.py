"""Axes computed past their end, where packed copies are padded far enough."""

from __future__ import annotations

import pytest

from tensorc import te
from tensorc.schedule import Schedule
from tensorc.schedule.round_up import packed_tile, round_up
from tests.schedule.programs import matmul


def tiled(columns: int, lengths: list[int], tile: int) -> Schedule:
    """A register tile of the last length, from panels of B packed by `tile`."""
    s = Schedule(matmul(13, columns, 5))
    local = s.cache_write("C", "local")
    s.split("C", "i", [4])
    parts = s.split("C", "j", lengths)
    s.reorder("C", *parts[:-1], "i.0", "i.1", parts[-1])
    s.compute_at(local, "C", "i.0")
    s.cache_read("B", "global", [local], (1, tile, (1, 0, 2)))
    s.compute_at("B.global", "C", parts[-2])
    return s


@pytest.mark.parametrize(("lengths", "tile"), [([8], 8), ([8], 16), ([4], 8), ([3, 8], 8)])
def test_a_tile_that_stays_within_the_padding_is_computed_whole(
    lengths: list[int], tile: int
) -> None:
    state = round_up(tiled(22, lengths, tile).state)
    assert state["C.local"].round_up == ("j",)
    assert state["C"].round_up == state["B.global"].round_up == ()


@pytest.mark.parametrize(
    ("lengths", "tile", "why"),
    [
        ([16], 8, "a tile reaches past the padding"),
        ([6], 8, "tiles straddle those of the packed copy"),
        ([2, 8], 8, "the last panel holds tiles past the end"),
    ],
)
def test_other_tiles_are_clipped(lengths: list[int], tile: int, why: str) -> None:
    assert round_up(tiled(19, lengths, tile).state)["C.local"].round_up == (), why


def test_rows_read_an_operand_that_is_not_padded() -> None:
    assert "i" not in round_up(tiled(22, [8], 8).state)["C.local"].round_up


def test_a_reader_computed_in_parts_begins_anywhere() -> None:
    """It was taken to begin at 0: a copy was read behind its end (random program 852)."""
    a = te.placeholder((7,), name="A")
    x = te.compute((7,), lambda j: a[j] * 2.0, name="X")
    c = te.compute((15,), lambda j: te.select(j < 7, x[j], 0.0), name="C")
    s = Schedule(te.ComputeDAG.from_tensors([a, te.compute((15,), lambda j: c[j] + 1.0, name="D")]))
    s.compute_at("C", "D", "j")
    s.compute_at("X", "C", "j")
    s.cache_read("A", "local", ["X"], (0, 2, (1, 0)))
    assert round_up(s.state)["X"].round_up == ()


def test_without_packed_copies_nothing_changes() -> None:
    s = Schedule(matmul())
    assert round_up(s.state) is s.state


def test_a_packed_copy_is_known_by_its_body() -> None:
    ops = tiled(22, [8], 16).state.dag.by_name
    assert packed_tile(ops["B.global"]) == (0, 2, 16)
    assert packed_tile(ops["C"]) is None
    assert packed_tile(ops["A"]) is None
