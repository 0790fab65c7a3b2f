"""A slice of the fuzzing of backends; the whole is `python -m bench.fuzz`."""

from __future__ import annotations

import numpy as np
import pytest

from bench import fuzz
from bench.fuzz import DisagreementError, Fenced, check

# The compiler of C takes most of the time, so it sees fewer of them.
SEEDS = range(100_000, 100_040)
C_SEEDS = range(100_040, 100_050)


@pytest.mark.parametrize("seed", SEEDS)
def test_llvm_and_the_oracle_agree_with_numpy(seed: int) -> None:
    check(seed, ("python", "llvm"))


@pytest.mark.parametrize("seed", C_SEEDS)
def test_c_agrees_with_numpy(seed: int) -> None:
    check(seed, ("c",))


@pytest.mark.parametrize("place", [-1, 4])
def test_a_write_outside_is_seen(place: int) -> None:
    fenced = Fenced.around(np.zeros(4, np.float32))
    assert fenced.intact
    floats = fenced.block.view(np.float32)
    floats[fuzz.FENCE // 4 + place] = 1.0
    assert not fenced.intact


def test_a_wrong_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    run = fuzz.run
    monkeypatch.setattr(fuzz, "run", lambda *given: [array * 0 - 5 for array in run(*given)])
    with pytest.raises(DisagreementError, match="^python"):
        check(SEEDS[0], ("python",))
