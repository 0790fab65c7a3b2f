from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tensorc.measure.compare import Reference, Tolerance, tolerance_for

F32 = np.dtype(np.float32)
LOOSE = Tolerance(1e-4)
VALUES = np.linspace(-2, 2, 9, dtype=np.float32)


def test_rounding_is_forgiven() -> None:
    reference = Reference(VALUES, LOOSE)
    assert reference.compare(VALUES) is None
    assert reference.compare(VALUES * np.float32(1 + 1e-5)) is None


def test_a_share_of_the_largest_may_be_allowed_everywhere() -> None:
    allowing = Reference(VALUES, Tolerance(1e-6, of_largest=1e-2))
    assert allowing.compare(VALUES + np.float32(0.019)) is None
    assert allowing.compare(VALUES + np.float32(0.021)) is not None
    assert Reference(VALUES, Tolerance(1e-6)).compare(VALUES + np.float32(0.019)) is not None


def test_the_worst_element_is_named() -> None:
    got = VALUES.copy().reshape(3, 3)
    got[1, 2] += 0.01
    got[2, 0] += 0.5
    mismatch = Reference(VALUES.reshape(3, 3), LOOSE).compare(got)
    assert mismatch is not None
    assert (mismatch.count, mismatch.size, mismatch.index) == (2, 9, (2, 0))
    assert str(mismatch) == (
        "2 of 9 elements are wrong, the worst at [2, 0]: expected 1.0, got 1.5"
    )


def test_nan_agrees_with_nan_only() -> None:
    expected = VALUES.copy()
    expected[[0, 5]] = np.nan
    reference = Reference(expected, LOOSE)
    assert reference.compare(expected.copy()) is None
    assert reference.compare(VALUES) is not None
    got = expected.copy()
    got[3] = np.nan
    mismatch = reference.compare(got)
    assert mismatch is not None
    assert (mismatch.index, mismatch.got) == ((3,), "nan")


def test_infinity_agrees_with_the_same_infinity_only() -> None:
    expected = VALUES.copy()
    expected[1] = np.inf
    reference = Reference(expected, LOOSE)
    assert reference.compare(expected.copy()) is None
    got = expected.copy()
    got[1] = -np.inf
    assert reference.compare(got) is not None
    got[1] = np.float32(3e38)
    assert reference.compare(got) is not None


def test_small_values_are_held_against_the_typical_size() -> None:
    """What is nearly zero is a difference of larger numbers, and as uncertain as they are."""
    expected = np.array([1e-9, 1.0, -1.0], np.float32)
    assert Reference(expected, LOOSE).compare(expected + np.float32(1e-6)) is None


@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.uint8, np.bool_])
def test_integers_agree_exactly(dtype: type) -> None:
    expected = np.array([1, 0, 1], dtype)
    reference = Reference(expected, LOOSE)
    assert reference.compare(expected.copy()) is None
    mismatch = reference.compare(np.array([1, 1, 1], dtype))
    assert mismatch is not None
    assert mismatch.index == (1,)


def test_16_bit_floats_are_compared_in_float32() -> None:
    for dtype in (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)):
        expected = np.array([1, 2, 3], dtype)
        reference = Reference(expected, tolerance_for([dtype, dtype], 10))
        assert reference.compare(expected.copy()) is None
        assert reference.compare(np.array([1, 2, 4], dtype)) is not None


def test_empty_and_zero_dimensional_outputs_are_compared() -> None:
    assert Reference(np.zeros((0, 3), F32), LOOSE).compare(np.zeros((0, 3), F32)) is None
    assert Reference(np.array(2.0, F32), LOOSE).compare(np.array(2.0, F32)) is None
    assert Reference(np.array(2.0, F32), LOOSE).compare(np.array(3.0, F32)) is not None


def test_longer_sums_and_coarser_types_are_held_to_less() -> None:
    f16, f64, i32 = np.dtype(np.float16), np.dtype(np.float64), np.dtype(np.int32)
    assert tolerance_for([F32, F32], 4096).relative > tolerance_for([F32, F32], 1).relative
    assert tolerance_for([F32, f16], 1).relative > tolerance_for([F32, F32], 1).relative
    assert tolerance_for([f64, f64], 1).relative < tolerance_for([F32, F32], 1).relative
    assert tolerance_for([i32, F32], 9).is_exact


def test_a_missing_term_of_a_long_sum_is_not_within_the_tolerance() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-1, 1, (64, 4608)).astype(np.float32) for _ in range(2))
    reference = Reference(a @ b.T, tolerance_for([F32, F32], 4608))
    in_order = np.cumsum(a[:, None, :] * b[None, :, :], axis=2, dtype=np.float32)[:, :, -1]
    assert reference.compare(in_order) is None
    assert reference.compare(a[:, :-1] @ b[:, :-1].T) is not None


def test_the_tolerance_of_sums_stops_growing_and_sums_in_16_bits_have_their_own() -> None:
    f16 = np.dtype(np.float16)
    assert tolerance_for([F32, F32], 2**24) == tolerance_for([F32, F32], 2**20)
    wide, coarse = (tolerance_for([f16, f16, F32], 4096, n).relative for n in (1, 4096))
    assert 8 * wide < coarse < 10 * wide
