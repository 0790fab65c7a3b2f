from __future__ import annotations

import numpy as np
import pytest

from tensorc.measure.isolate import GuardedBuffer
from tensorc.support.errors import MeasureError


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 4096, 5000, 1 << 20])
def test_a_buffer_starts_at_a_cache_line_and_holds_what_is_written(nbytes: int) -> None:
    buffer = GuardedBuffer(nbytes, 0)
    array = buffer.array((nbytes,), np.dtype(np.uint8))
    array[...] = 7
    assert nbytes == 0 or array.ctypes.data % 64 == 0
    assert (array == 7).all()
    assert buffer.damage() is None
    buffer.release()


@pytest.mark.parametrize(("offset", "nbytes"), [(-1, 100), (-30, 100), (100, 100), (127, 100)])
def test_a_write_just_outside_is_found(offset: int, nbytes: int) -> None:
    buffer = GuardedBuffer(nbytes, 0)
    start = buffer.array((nbytes,), np.dtype(np.uint8)).ctypes.data
    _poke(start + offset)
    damage = buffer.damage()
    assert damage is not None
    assert (damage.nbytes, damage.offset) == (1, offset)
    buffer.release()


def test_arrays_of_any_shape_and_dtype_lie_in_a_buffer() -> None:
    buffer = GuardedBuffer(24, 0)
    array = buffer.array((2, 3), np.dtype(np.float32))
    assert array.shape == (2, 3)
    assert array.flags.carray
    assert GuardedBuffer(4, 1).array((), np.dtype(np.int32)).shape == ()
    assert GuardedBuffer(0, 1).array((0, 3), np.dtype(np.int32)).shape == (0, 3)


def test_too_much_memory_is_an_error() -> None:
    with pytest.raises(MeasureError, match="no 4611686018427387904 bytes"):
        GuardedBuffer(1 << 62, 0)


def _poke(address: int) -> None:
    np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * 1).from_address(address))[0] = 1
