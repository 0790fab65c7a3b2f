"""Training: from records to a model that knows more than the prior; is the shipped one of today?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench import collect, train_model
from bench.random_shapes import drawn
from bench.recorded import Group, groups
from bench.train_model import PROBED, judged, probes, trained
from tensorc.measure.records import Database
from tensorc.runtime.core import CoreFigures, keep
from tensorc.search.pretrained import shipped_model, unpack
from tensorc.search.prior import Prior
from tensorc.space.features.names import FEATURE_NAMES, VERSION
from tensorc.support.errors import MeasureError
from tensorc.target import Target

PRIOR = Prior(16, 32)


def made(seed: int) -> Group:
    """Statements that take twice as long where they are guarded, which the prior ignores."""
    rng = np.random.default_rng(seed)
    features = (6.0 * rng.random((40, 2, len(FEATURE_NAMES)))).astype(np.float32)
    guarded = rng.random((40, 2)) < 0.5
    features[:, :, FEATURE_NAMES.index("guards_in_lanes")] = guarded
    cycles = (PRIOR.cycles(features) * np.where(guarded, 8.0, 1.0)).sum(axis=1)
    return Group(f"GMM.{seed}", 1, features, 1e-9 * cycles * (1.0 + seed))


def test_a_model_learns_what_the_prior_ignores() -> None:
    data = trained(PRIOR, [made(seed) for seed in range(12)], 2)
    known, about = unpack(data, PRIOR)
    unseen = [made(seed) for seed in range(20, 24)]
    before = judged((PRIOR, group) for group in unseen)
    after = judged((known, group) for group in unseen)
    assert before is not None
    assert after is not None
    assert after.correlation > before.correlation + 0.05
    assert about["trained_on"]["records"] == 480
    assert about["trained_on"]["features"] == VERSION
    assert trained(PRIOR, [made(seed) for seed in range(12)], 2) == data


def test_records_of_random_shapes_become_groups_and_a_model(tmp_path: Path) -> None:
    case = next(case for case in drawn(17, 5) if case.workload.code == "NRM")
    path, output = tmp_path / "records.db", tmp_path / "model.zip"
    with Database(path) as database:
        count = collect.measured(case, Target("llvm", num_cores=1), 8, 0, database)
    (group,) = groups([path])
    assert group.operator == "NRM"
    assert 2 <= len(group.seconds) <= count
    assert group.features.shape[2] == len(FEATURE_NAMES)
    arguments = [str(path), "-o", str(output), "--no-evaluate"]
    run = CliRunner().invoke(train_model.main, arguments, catch_exceptions=False)
    assert f"{len(group.seconds)} records of 1 tasks" in run.output
    unpack(output.read_bytes(), PRIOR)


def test_figures_of_a_core_with_other_vectors_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORC_CACHE_DIR", str(tmp_path))
    records, width = tmp_path / "records.db", PROBED.vector_bytes
    Database(records).close()
    core = keep(CoreFigures(4.0, 1.0, (32.0, 27.0, 4.4)), width // 2)
    run = CliRunner().invoke(train_model.main, [str(records), "--core", str(core)])
    assert isinstance(run.exception, MeasureError)
    assert f"'vector_bytes': {width}" in str(run.exception)


@pytest.mark.skipif(shipped_model() is None, reason="the package comes without a model")
def test_the_shipped_model_fits_the_features_of_today() -> None:
    data = shipped_model()
    assert data is not None
    remedy = (
        "Features or the prior have changed since 'tensorc/search/models/x86.zip' was trained: run "
        "`python -m bench.train_model RECORDS… -o tensorc/search/models/x86.zip`, or remove that "
        "file if nothing is there to train it on."
    )
    prior = Prior.of(PROBED)
    assert prior is not None
    try:
        known, about = unpack(data, prior)
    except Exception as error:
        pytest.fail(f"{error} {remedy}")
    assert probes(known) == pytest.approx(about["probes"], abs=2e-3), remedy


@pytest.mark.skipif(shipped_model() is None, reason="the package comes without a model")
def test_a_shipped_model_of_other_features_says_so() -> None:
    data = shipped_model()
    assert data is not None
    _, about = unpack(data, PRIOR)
    trained_on = about["trained_on"]["features"]
    assert trained_on <= VERSION
    assert trained_on == VERSION or f"version {VERSION}" in about["note"]
