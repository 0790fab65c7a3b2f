"""Bilinear algorithms of one axis: every element is the sum that its window says."""

from fractions import Fraction

import pytest

from tensorc.space.definitions.bilinear import bilinear
from tensorc.space.definitions.windows import Window

WINDOWS = [
    Window("h", "r", 8, 2),
    Window("h", "r", 8, 3),
    Window("h", "r", 8, 5),
    Window("h", "r", 8, 3, step=2),
    Window("h", "r", 8, 7, step=2),
    Window("h", "r", 8, 5, step=3),
    Window("h", "r", 8, 4, spread=2),
    Window("h", "r", 8, 4, spread=2, shift=-1),
    Window("h", "r", 8, 5, spread=3, shift=-2),
]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("tile", [1, 2, 3, 4])
def test_each_element_is_the_sum_over_its_window(window, tile):
    how = bilinear(window, tile)
    assert how is not None
    assert how.size == tile * window.spread
    for o in range(how.size):
        for k in range(how.reach):
            for r in range(window.taps):
                factor = sum(
                    (
                        how.outputs[i][o] * how.data[k][i] * how.taps[i][r]
                        for i in range(how.products)
                    ),
                    Fraction(0),
                )
                place = o * window.step + r + window.shift
                assert factor == (place == k * window.spread)


@pytest.mark.parametrize(
    ("window", "tile", "products"),
    [
        (Window("h", "r", 8, 3), 4, 6),
        # Taps 0 and 2 on even positions, F(4, 2), and tap 1 on odd ones.
        (Window("h", "r", 8, 3, step=2), 4, 9),
        # Two phases of two taps each: F(4, 2) twice, for 8 elements.
        (Window("h", "r", 8, 4, spread=2), 4, 10),
    ],
)
def test_products_are_those_of_all_phases(window, tile, products):
    how = bilinear(window, tile)
    assert how is not None
    assert how.products == products


def test_too_many_products_are_refused():
    assert bilinear(Window("h", "r", 8, 6), 4) is None
    assert bilinear(Window("h", "r", 8, 6), 3) is not None


@pytest.mark.parametrize("window", WINDOWS)
def test_tiles_of_one_element_are_direct_sums(window):
    how = bilinear(window, 1)
    assert how is not None
    numbers = {x for matrix in (how.outputs, how.data, how.taps) for row in matrix for x in row}
    assert numbers == {0, 1}
    assert how.enlargement() == 1


def test_rounding_is_enlarged_by_more_with_larger_tiles():
    small, large = (bilinear(Window("h", "r", 8, 3), tile) for tile in (2, 4))
    assert small is not None
    assert large is not None
    assert small.enlargement() ** 2 == pytest.approx(1.667, abs=1e-3)
    assert large.enlargement() ** 2 == pytest.approx(10.4, abs=0.1)
