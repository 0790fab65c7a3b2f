"""A slice of the fuzzing of backends; the whole is `python -m bench.fuzz`."""

from __future__ import annotations

import numpy as np
import pytest

from bench import fuzz
from bench.fuzz import DisagreementError, Fenced, check
from tensorc.support.options import VERIFY

BLOCKS = 10
BLOCK = 15
FIRST = 100_000


@pytest.mark.parametrize("block", range(BLOCKS))
def test_all_backends_compute_what_programs_mean(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VERIFY.name, "1")
    start = FIRST + block * BLOCK
    found = {seed: text for seed in range(start, start + BLOCK) if (text := failure(seed))}
    assert not found


def failure(seed: int) -> str:
    """What goes wrong with a seed, '' if nothing does."""
    try:
        check(seed)
    except Exception as error:  # whatever it is, it is a finding
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("place", [-1, 4])
def test_a_write_outside_is_seen(place: int) -> None:
    fenced = Fenced.around(np.zeros(4, np.float32), skew=1)
    assert fenced.intact
    fenced.block[fenced.start + 4 * place] = 1
    assert not fenced.intact


def test_arrays_lie_as_far_from_a_cache_line_as_is_asked() -> None:
    for skew in (0, 3):
        address = Fenced.around(np.zeros(5), skew).array.ctypes.data
        assert address % 64 == 8 * skew


def test_a_wrong_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    run = fuzz.run
    monkeypatch.setattr(fuzz, "run", lambda *given: [array * 0 - 5 for array in run(*given)])
    with pytest.raises(DisagreementError, match="python, output 0"):
        check(FIRST, ("python",))
