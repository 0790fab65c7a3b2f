"""Cost models learn to rank; the loss is the one of the paper."""

import numpy as np
import pytest

from tensorc.search.cost_model import (
    RandomCostModel,
    Sample,
    XGBCostModel,
    normalised_throughputs,
    pack_sum_squared_error,
    rank_correlation,
)


def samples(count: int, seed: int = 0, statements: int = 2) -> list[Sample]:
    """Latency is a function of the features, spread over the statements."""
    rng = np.random.default_rng(seed)
    values = rng.random((count, statements, 6)).astype(np.float32)
    latency = 1e-3 * (0.2 + values[:, :, 0].sum(1) + 0.5 * (values[:, :, 1] > 0.5).sum(1))
    return [Sample("t", v, float(x)) for v, x in zip(values, latency, strict=True)]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])


def test_xgboost_ranks_unseen_candidates():
    model = XGBCostModel(np.random.default_rng(0))
    model.update(samples(256))
    unseen = samples(512, seed=1)
    scores = model.predict(np.stack([s.features for s in unseen]))
    assert spearman(scores, -np.array([s.latency for s in unseen])) > 0.85


def test_training_error_is_small_on_normalised_throughput():
    model, known = XGBCostModel(np.random.default_rng(0)), samples(50)
    model.update(known)
    scores = model.predict(np.stack([s.features for s in known]))
    assert np.sqrt(np.mean((scores - normalised_throughputs(known)) ** 2)) <= 0.3


def test_the_same_seed_gives_the_same_scores():
    known, unseen = samples(64), np.stack([s.features for s in samples(32, seed=1)])
    models = [XGBCostModel(np.random.default_rng(3)) for _ in range(2)]
    for model in models:
        model.update(known)
    assert np.array_equal(models[0].predict(unseen), models[1].predict(unseen))


def test_an_untrained_model_says_so_and_scores_at_random():
    model = XGBCostModel(np.random.default_rng(0))
    model.update(samples(3))
    assert not model.is_trained
    assert len(set(model.predict(np.zeros((9, 2, 6), np.float32)))) == 9


def test_tasks_of_different_statement_counts_train_together():
    model = XGBCostModel(np.random.default_rng(0))
    other = [Sample("u", s.features, 1e3 * s.latency) for s in samples(40, statements=3)]
    model.update(samples(40) + other)
    assert model.is_trained


def test_throughputs_are_relative_to_the_best_of_their_task():
    row = np.zeros((1, 1), np.float32)
    known = [Sample("a", row, 2.0), Sample("a", row, 1.0), Sample("b", row, 8.0)]
    failed = Sample("a", row, np.inf)
    assert normalised_throughputs([*known, failed]).tolist() == [0.5, 1.0, 1.0, 0.0]


def test_the_gradient_is_that_of_the_packed_sums():
    packs, labels = np.array([0, 0, 1]), np.array([1.0, 0.5])
    gradient, hessian = pack_sum_squared_error(packs, labels)(np.array([0.2, 0.3, 0.9]), None)
    assert gradient == pytest.approx([-0.5, -0.5, 0.2])
    assert hessian.tolist() == [1.0, 1.0, 0.5]


def test_the_promise_is_above_the_score_where_little_is_known():
    model, known = XGBCostModel(np.random.default_rng(0)), samples(64)
    model.update(known)
    near = np.stack([s.features for s in known[:32]])
    far = near.copy()
    far[:, :, 0] += 0.5
    hope = [float((model.promise(f) - model.predict(f)).mean()) for f in (near, far)]
    assert 0 < hope[0] < hope[1]


def test_two_models_of_one_seed_learn_the_same_whatever_one_learnt_before():
    known, twice = samples(64), XGBCostModel(np.random.default_rng(3))
    once = XGBCostModel(np.random.default_rng(3))
    twice.update(known[:24])
    for model in (once, twice):
        model.update(known)
    features = np.stack([s.features for s in known])
    assert (once.promise(features) == twice.promise(features)).all()


def test_the_random_model_never_learns():
    model = RandomCostModel(np.random.default_rng(0))
    model.update(samples(64))
    assert not model.is_trained


def estimate(features: np.ndarray) -> np.ndarray:
    """Right about the first of the two things that cost time, up to a constant."""
    values: np.ndarray = 3.0 - np.log(0.4 + features[:, :, 0].sum(1).astype(np.float64))
    return values


def test_an_estimate_helps_where_little_was_measured():
    unseen = samples(512, seed=1)
    rows, seconds = np.stack([s.features for s in unseen]), np.array([s.latency for s in unseen])
    correlation = []
    for known in ((estimate,), ()):
        model = XGBCostModel(np.random.default_rng(0), estimates=known)
        model.update(samples(16))
        correlation.append(spearman(model.predict(rows), -seconds))
    assert correlation[0] > max(0.75, correlation[1])


def test_an_estimate_that_misleads_is_not_believed():
    unseen = samples(512, seed=1)
    model = XGBCostModel(np.random.default_rng(0), estimates=[lambda features: -estimate(features)])
    model.update(samples(256))
    scores = model.predict(np.stack([s.features for s in unseen]))
    assert spearman(scores, -np.array([s.latency for s in unseen])) > 0.8


def test_of_two_estimates_the_one_that_ranks_the_measured_better_is_kept():
    known, unseen = samples(24), samples(512, seed=1)
    rows, seconds = np.stack([s.features for s in unseen]), np.array([s.latency for s in unseen])

    def misleading(features: np.ndarray) -> np.ndarray:
        return -estimate(features)

    correlation = []
    for estimates in ((misleading,), (misleading, estimate), (estimate,)):
        model = XGBCostModel(np.random.default_rng(0), estimates=estimates)
        model.update(known)
        correlation.append(spearman(model.predict(rows), -seconds))
    assert correlation[1] == correlation[2] > correlation[0]


def test_rank_correlation_knows_ties():
    assert rank_correlation(np.array([1.0, 2.0, 2.0]), np.array([5.0, 9.0, 9.0])) == 1.0
    assert rank_correlation(np.array([1.0, 2.0]), np.array([2.0, 1.0])) == pytest.approx(-1.0)
    assert rank_correlation(np.array([1.0, 1.0]), np.array([2.0, 1.0])) == 0.0
