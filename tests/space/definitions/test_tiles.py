"""Tiles cover all elements, each once, and know the positions that these are computed from."""

import numpy as np
import pytest

from tensorc import te, topi
from tensorc.space.definitions.bilinear import bilinear
from tensorc.space.definitions.tiles import Cut, flat, tiles_of, unflat
from tensorc.space.definitions.windows import Window, window_sum
from tensorc.te.dag import ComputeDAG
from tests.te.interpreter import interpret

WINDOWS = [
    Window("h0", "r0", 8, 3),
    Window("h0", "r0", 7, 3),
    Window("h0", "r0", 9, 5, step=2),
    Window("h0", "r0", 11, 3, gap=2),
    Window("h0", "r0", 13, 4, gap=3),
    Window("h0", "r0", 13, 4, step=2, gap=3),
    Window("h0", "r0", 17, 4, step=3, gap=2),
    Window("h0", "r0", 9, 4, spread=2),
    Window("h0", "r0", 10, 5, spread=3, shift=-2),
]
SIZES = [1, 2, 3, 4]


def values(formula, *extents):
    """An index for all values of its axes."""
    (found,) = interpret([te.compute(extents, formula, name="index")], [])
    return found


def cut_of(window, size):
    how = bilinear(window, size)
    assert how is not None
    return Cut(window, how)


def places(cut):
    """The tile of each element, and its number there."""
    extent = cut.window.extent
    return values(lambda e: cut.place(e)[0], extent), values(lambda e: cut.place(e)[1], extent)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_every_element_has_a_place_of_its_own(window, size):
    cut = cut_of(window, size)
    tiles, numbers = places(cut)
    assert len(set(zip(tiles, numbers, strict=True))) == window.extent
    assert (tiles.min(), numbers.min()) == (0, 0)
    assert tiles.max() < cut.count
    assert numbers.max() < cut.how.size


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_tiles_reach_the_positions_of_their_elements(window, size):
    cut = cut_of(window, size)
    positions = values(cut.position, cut.count, cut.how.reach)
    tiles, numbers = places(cut)
    outputs, data, taps = (
        np.array(m, float) for m in (cut.how.outputs, cut.how.data, cut.how.taps)
    )
    factors = np.einsum("pe,kp,pr->ekr", outputs, data, taps).round(6)
    for element in range(window.extent):
        read = {
            (int(positions[tiles[element], k]), int(r))
            for k, r in zip(*np.nonzero(factors[numbers[element]]), strict=True)
        }
        first = window.step * element + window.shift
        wanted = ((first + window.gap * r, r) for r in range(window.taps))
        assert read == {(p // window.spread, r) for p, r in wanted if p % window.spread == 0}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_as_wide_as_the_last_position_of_one(window, size):
    cut = cut_of(window, size)
    positions = values(cut.position, cut.count, cut.how.reach)
    assert positions.min() == 0
    assert positions.max() == cut.wide - 1
    assert cut.wide >= window.positions


def tiles(data, weight, sizes, **options):
    """The tiles of a convolution with channels last."""
    D, W = te.placeholder(data, name="D"), te.placeholder(weight, name="W")
    dag = ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W, **options)])
    found = window_sum(dag, dag.outputs[0])
    assert found is not None
    result = tiles_of(found, sizes)
    assert result is not None
    return result


def test_only_tiles_that_overhang_are_limited():
    # 5 elements are two tiles of 3, and 8 elements two of 4.
    found = tiles((1, 7, 10, 8), (3, 3, 8, 8), (4, 4))
    assert [cut.how.size for cut in found.cuts] == [3, 4]
    assert found.extents == (2, 2)
    assert found.wide == (8, 10)
    assert found.limits() == {"h0": 7}


def test_tiles_within_each_other_overhang_by_what_is_between_them():
    # 9 elements: two tiles of 3 that are 2 apart within each other, and two more behind them.
    found = tiles((1, 13, 13, 8), (3, 3, 8, 8), (4, 4), dilation=2)
    assert [(cut.inside, cut.count) for cut in found.cuts] == [(2, 4), (2, 4)]
    assert found.limits() == {"h0": 13, "h1": 13}


def test_less_work_is_what_is_gained():
    found = tiles((1, 10, 10, 16), (3, 3, 16, 32), (4, 4))
    assert found.gain() == pytest.approx(4 / (1 + 16 / 16 + 16 / 32))


def unflattened(n, extents):
    """Part number n of what is in one index."""
    return values(lambda *i: unflat(flat(i, extents), extents)[n], *extents)


def test_several_indices_in_one_come_back():
    extents = (2, 3, 4)
    assert values(lambda *i: flat(i, extents), *extents).ravel().tolist() == list(range(24))
    for n, axis in enumerate(np.indices(extents)):
        assert (unflattened(n, extents) == axis).all()
