"""The pretrained estimate: what it is made of, when it is refused, what is left without it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tensorc.runtime.core import CoreFigures, keep
from tensorc.search import pretrained
from tensorc.search.cost_model import Scores
from tensorc.search.pretrained import (
    INPUTS,
    Pretrained,
    Rows,
    estimates,
    fingerprint,
    pack,
    shipped_model,
    unpack,
)
from tensorc.search.prior import Costs, Prior
from tensorc.space.features.names import FEATURE_NAMES
from tensorc.support.errors import MissingDependencyError, RecordError
from tensorc.target import Target

PRIOR = Prior(16, 32)
X86 = Target(
    "llvm", num_cores=1, vector_bytes=64, vector_registers=32, features=("avx2", "avx512f", "fma")
)


def candidates(count: int = 5, statements: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (8.0 * rng.random((count, statements, len(FEATURE_NAMES)))).astype(np.float32)


class Said:
    """Members that say the same of every row."""

    def __init__(self, *factors: float) -> None:
        self._factors = factors

    def predict(self, rows: np.ndarray) -> Scores:
        return np.repeat(np.array(self._factors)[:, None], len(rows), axis=1)


def about(**changes: object) -> dict[str, object]:
    known = {"format": 1, "fingerprint": fingerprint(PRIOR), "members": 0, "caution": 1.0}
    return known | changes


def test_members_without_an_opinion_leave_the_prior_as_it_is() -> None:
    known = Pretrained(PRIOR, Said(0.0, 0.0), 1.0)  # type: ignore[arg-type]
    np.testing.assert_allclose(known(candidates()), PRIOR(candidates()))


def test_a_factor_for_each_statement_is_one_for_the_program() -> None:
    slower = Pretrained(PRIOR, Said(np.log(2.0)), 1.0)  # type: ignore[arg-type]
    np.testing.assert_allclose(slower(candidates()), PRIOR(candidates()) - np.log(2.0))


def test_disagreement_lowers_the_score() -> None:
    agreed = Pretrained(PRIOR, Said(0.5, 0.5), 1.0)  # type: ignore[arg-type]
    disputed = Pretrained(PRIOR, Said(0.0, 1.0), 1.0)  # type: ignore[arg-type]
    assert (disputed(candidates()) < agreed(candidates())).all()


def test_statements_that_fill_up_are_no_rows() -> None:
    rows = candidates()
    filled = np.concatenate([rows, np.zeros_like(rows[:, :2])], axis=1)
    found, more = Rows.of(PRIOR, rows), Rows.of(PRIOR, filled)
    assert found.values.shape == (15, len(INPUTS))
    np.testing.assert_array_equal(found.values, more.values)


def test_the_rows_of_a_candidate_do_not_depend_on_others() -> None:
    rows = candidates()
    together, alone = Rows.of(PRIOR, rows), Rows.of(PRIOR, rows[2:3])
    np.testing.assert_array_equal(together.values[together.candidate == 2], alone.values)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no archive", "expected an archive"),
        (pack([], {"format": 1}), "expected an archive"),
        (pack([], about(format=9)), "expected format 1, got 9"),
        (pack([], about(fingerprint="0")), "expected one of the features"),
        (pack([], about(members=1)), "expected an archive"),
    ],
)
def test_what_is_no_model_of_these_features_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        unpack(data, PRIOR)


def test_another_prior_has_another_fingerprint() -> None:
    assert fingerprint(PRIOR) == fingerprint(replace(PRIOR, lanes=8))
    assert fingerprint(PRIOR) != fingerprint(Prior(16, 32, Costs(latency=4.0)))


def test_features_that_mean_something_else_have_another_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint(PRIOR)
    monkeypatch.setattr(pretrained, "VERSION", pretrained.VERSION + 1)
    assert fingerprint(PRIOR) != before


def test_a_model_that_is_refused_leaves_the_prior_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretrained._loaded.cache_clear()
    stale = pack([], about(fingerprint="0"))
    monkeypatch.setattr(pretrained, "shipped_model", lambda: stale)
    with caplog.at_level(logging.WARNING):
        found = [estimates(X86) for _ in range(2)]
    pretrained._loaded.cache_clear()
    assert found == [(Prior.of(X86),)] * 2
    assert [record.message for record in caplog.records] == [
        f"The pretrained model is not used: Bad model: expected one of the features "
        f"'{fingerprint(PRIOR)}', got '0'."
    ]


def test_without_a_model_or_xgboost_the_prior_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(data: bytes, prior: Prior) -> None:
        raise MissingDependencyError("'xgboost' is needed.", name="xgboost")

    for name, value in (("shipped_model", lambda: None), ("unpack", missing)):
        pretrained._loaded.cache_clear()
        monkeypatch.setattr(pretrained, name, value)
        assert estimates(X86) == (Prior.of(X86),)
        monkeypatch.undo()
    pretrained._loaded.cache_clear()


def test_nothing_is_known_of_gpus_and_only_the_prior_of_other_processors() -> None:
    assert estimates(Target("cuda")) == ()
    arm = replace(X86, features=("avx2",), vector_bytes=32, vector_registers=16)
    assert estimates(arm) == (Prior.of(arm),)


def test_what_the_doctor_measured_of_this_processor_is_part_of_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(pretrained, "shipped_model", lambda: None)
    pretrained._loaded.cache_clear()
    core = CoreFigures(8.0, 1.0, (48.0, 24.0, 6.5))
    assert estimates(X86) == (Prior.of(X86),)
    keep(core, X86.vector_bytes)
    assert estimates(X86) == (Prior.of(X86, core),)
    assert estimates(X86) != (Prior.of(X86),)
    for other in (replace(X86, cpu="znver4"), replace(X86, vector_bytes=32)):
        assert estimates(other) == (Prior.of(other),)
    pretrained._loaded.cache_clear()


def test_on_another_core_trees_see_the_same_and_correct_its_cycles() -> None:
    core = CoreFigures(16.0, 4.0, (4.0, 2.0, 1.0))
    there = replace(PRIOR, core=core)
    here, moved = Rows.of(PRIOR, candidates()), Rows.of(there, candidates())
    np.testing.assert_array_equal(moved.values, here.values)
    np.testing.assert_allclose(moved.cycles, there.cycles(candidates()).reshape(-1))
    assert (moved.cycles > here.cycles).any()
    assert fingerprint(there) == fingerprint(PRIOR)


def test_the_same_model_is_the_same_bytes() -> None:
    assert pack([b"a"], about(members=1)) == pack([b"a"], about(members=1))


@pytest.mark.skipif(shipped_model() is None, reason="the package comes without a model")
def test_the_shipped_model_is_of_these_features_and_small() -> None:
    data = shipped_model()
    assert data is not None
    assert len(data) < 700_000
    known, said = unpack(data, PRIOR)
    assert np.isfinite(known(candidates())).all()
    assert {"parameters", "rounds", "trained_on", "probes", "xgboost"} <= set(said)
    assert {"records", "tasks", "machine", "commit"} <= set(said["trained_on"])
    json.dumps(said)
    assert isinstance(estimates(X86)[0], Pretrained)
