"""What repeated measurements say together, and how far they can be trusted."""

import numpy as np
import pytest

from tensorc.measure.noise import noise, steady


def test_slow_figures_say_little():
    assert steady([1.0, 1.02, 1.0, 9.0, 7.0, 8.0]) == pytest.approx(1.0)


def test_one_lucky_figure_among_many_is_not_believed():
    assert steady([0.5] + [1.0] * 8) > 0.75


def test_a_single_figure_is_what_it_is():
    assert steady([3.0]) == pytest.approx(3.0)
    assert steady([0.0]) == 0.0


@pytest.mark.parametrize("programs", [1, 2, 3, 4, 5])
def test_noise_is_the_deviation_of_a_figure(programs):
    rng = np.random.default_rng(0)
    figures = np.exp(rng.normal(0.0, 0.02, (programs, 400))).tolist()
    assert noise(figures) == pytest.approx(0.02, rel=0.15)


def test_a_drift_of_the_machine_is_no_noise_between_programs():
    rng = np.random.default_rng(0)
    drift = np.cumsum(rng.normal(0.0, 0.05, 200))
    figures = np.exp(drift + rng.normal(0.0, 0.01, (3, 200))).tolist()
    assert noise(figures) < 0.02


def test_bursts_hardly_count():
    rng = np.random.default_rng(0)
    figures = 1.0 + rng.normal(0.0, 0.01, (4, 100)) + 0.5 * (rng.random((4, 100)) < 0.1)
    assert noise(figures.tolist()) < 0.02


def test_without_repetitions_nothing_is_known():
    assert noise([[1.0], [2.0]]) is None
    assert noise([]) is None
