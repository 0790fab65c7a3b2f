"""A slice of the fuzzing of backends; the whole is `python -m bench.fuzz`."""

from __future__ import annotations

import mmap
import signal
import subprocess
import sys

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


def test_arrays_lie_where_they_should() -> None:
    for skew, end in ((0, 40), (3, 64), (None, mmap.PAGESIZE)):
        fenced = Fenced.around(np.arange(5.0), skew)
        assert (fenced.array.ctypes.data + 40) % mmap.PAGESIZE == end % mmap.PAGESIZE
        assert fenced.array.tolist() == [0, 1, 2, 3, 4]


def test_nobody_reads_past_the_pages_of_an_array() -> None:
    code = (
        "import ctypes, numpy\nfrom bench.fuzz import Fenced\n"
        "a = Fenced.around(numpy.zeros(4, numpy.int8), None).array\n"
        "print(ctypes.string_at(a.ctypes.data, 4))\nctypes.string_at(a.ctypes.data, 5)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"\\x00" in done.stdout
    assert done.returncode == -signal.SIGSEGV


def test_a_wrong_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    run = fuzz.run
    monkeypatch.setattr(fuzz, "run", lambda *given: [array * 0 - 5 for array in run(*given)])
    with pytest.raises(DisagreementError, match="python, output 0"):
        check(FIRST, ("python",))
