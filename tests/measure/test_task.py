from __future__ import annotations

import os

import ml_dtypes
import numpy as np
import pytest

from tensorc.ir.dtype import BFLOAT16, BOOL
from tensorc.measure.compare import Tolerance
from tensorc.measure.task import MeasureTask, read_arrays, write_arrays
from tensorc.support.errors import MeasureError
from tensorc.target import Target
from tests.runtime.handmade import output, param


def test_arrays_in_a_file_come_back_and_cannot_be_changed() -> None:
    params = (
        param("A", 3, 5),
        param("B", 0, 3),
        param("C"),
        param("D", 7, dtype=BFLOAT16),
        param("E", 4097, dtype=BOOL),
    )
    arrays = (
        np.arange(15, dtype=np.float32).reshape(3, 5),
        np.zeros((0, 3), np.float32),
        np.array(2.5, np.float32),
        np.arange(7).astype(ml_dtypes.bfloat16),
        np.arange(4097) % 2 == 0,
    )
    file = write_arrays(arrays)
    for got, expected in zip(read_arrays(file, params), arrays, strict=True):
        assert got.dtype == expected.dtype
        assert np.array_equal(got, expected)
        assert not got.flags.writeable
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(file, b"x", 0)
    os.close(file)


def test_no_arrays_at_all_make_a_file_too() -> None:
    file = write_arrays(())
    assert read_arrays(file, ()) == ()
    os.close(file)


@pytest.mark.parametrize(
    "array", [np.zeros(3, np.float32), np.zeros(4), np.zeros(8, np.float32)[::2]]
)
def test_arrays_that_do_not_fit_are_refused(array: np.ndarray) -> None:
    with pytest.raises(MeasureError, match="'C' of task 'key'"):
        MeasureTask("key", (output("C", 4),), (array,), (Tolerance(0),), Target("llvm"), 1.0)
