"""The values that tile lengths may take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tensorc.arith.sizes import ceildiv
from tensorc.schedule.stage import IterKind
from tensorc.space.columns import inner_choices, tile_columns
from tensorc.space.decisions import (
    Tile,
    divisors,
    factorizations,
    inner_lengths,
    tile_table,
    vector_lengths,
)


@pytest.mark.parametrize("n", [1, 2, 12, 97, 512])
def test_divisors_are_all_of_them(n: int) -> None:
    assert divisors(n) == tuple(k for k in range(1, n + 1) if n % k == 0)


def test_factorizations_divide() -> None:
    assert factorizations(4, 2) == ((1, 1), (2, 1), (4, 1), (1, 2), (2, 2), (1, 4))
    assert factorizations(4, 0) == ((),)


def test_perfect_tiles_of_512_are_as_many_as_in_ansor() -> None:
    assert len(tile_table(512, 3, inner_lengths(512, 64, 0.0))) == 210


def test_imperfect_lengths_waste_little() -> None:
    lengths = inner_lengths(197, 64, 0.125)
    assert 6 in lengths
    assert all(ceildiv(197, n) * n <= 197 * 1.125 for n in lengths)


def test_outer_lengths_divide_what_remains() -> None:
    for a, b, inner in tile_table(197, 3, inner_lengths(197, 64, 0.125)):
        assert ceildiv(197, inner) % (a * b) == 0


def test_vector_lengths_fill_vectors() -> None:
    assert vector_lengths(512, 64, 0.0, 8) == (8, 16, 32, 64)
    assert 24 in vector_lengths(512, 64, 0.2, 8)
    assert vector_lengths(14, 64, 0.2, 8) == (8, 14)
    assert vector_lengths(3, 64, 0.2, 8) == (3,)
    assert vector_lengths(97, 64, 0.0, 8) == (1,)


def test_a_table_knows_its_rows() -> None:
    tile = Tile("C", "i", IterKind.SPATIAL, 60, 0, 3)
    columns = tile_columns(tile, inner_choices(tile, 8, 64, is_vector=False, is_gpu=False))
    assert columns.contains(columns.table).all()
    assert not columns.contains(columns.table + np.array([60, 0, 0])).any()
    drawn = columns.draw(np.full(200, 7), np.random.default_rng(0))
    assert columns.contains(drawn).all()
    assert drawn[:, -1].max() <= 7


def test_vectors_stay_within_a_group() -> None:
    tile = Tile("C", "co", IterKind.SPATIAL, 68, 0, 3)

    def lengths(group: int | None) -> tuple[int, ...]:
        return inner_choices(tile, 16, 64, is_vector=True, is_gpu=False, group=group)

    assert lengths(None) == (16,)
    assert lengths(34) == (34,)
    assert lengths(4) == (4,)
    assert inner_choices(
        replace(tile, extent=256), 16, 64, is_vector=True, is_gpu=False, group=64
    ) == (16, 32, 64)


@pytest.mark.parametrize(
    ("extent", "gpu", "lengths"),
    [
        (1000, False, (8, 40, 200)),
        (1159, False, (8, 16, 24, 32, 40, 48, 56, 64)),  # 19 and 61 divide it
        (1160, False, (8, 40, 232)),
        (8 * 73, False, (8, 16, 24, 32, 40, 48, 56, 64)),  # 8 and 584 divide it
        (13, False, (13,)),
        (1159, True, (1, 19, 61)),
    ],
)
def test_factors_of_a_reduction_are_several_vectors_that_divide_it_or_any(
    extent: int, gpu: bool, lengths: tuple[int, ...]
) -> None:
    tile = Tile("C", "k", IterKind.REDUCE, extent, 0, 1, "factor")
    assert inner_choices(tile, 8, 64, is_vector=False, is_gpu=gpu) == lengths
