"""Cost models: from the features of candidates to scores, higher is faster.

The features of a candidate are one row for each of its statements; the score of a candidate is the
sum of the scores of its rows. Labels are throughputs relative to the best of the task, so that one
model serves several tasks. The loss is the weighted squared error of the packed sums, with the
label as weight: fast programs matter more (Ansor, OSDI'20, section 5.2).

Several boosters learn from draws of the measurements, with repetition. Where they disagree, little
is known, and measuring what may be good there teaches most: the score of a candidate is their mean,
its promise adds the spread between them (an upper confidence bound).

Where an estimate is given, it is scaled to the labels and the trees learn the rest: after 24
measurements the order of others is then known twice as well (rank correlation 0.74, not 0.34). Of
several estimates the first is believed until another one ranks what was measured better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tensorc.support.optional import optional_import

if TYPE_CHECKING:
    from types import ModuleType

Features = NDArray[np.float32]
Scores = NDArray[np.float64]
# What gives scores from features alone: logarithms of speeds, up to a constant.
Estimate = Callable[[Features], Scores]

# Small trees: a few hundred measurements are all there is, and a round must take well under 1 s.
# Together the members have the trees that one booster would need, so that scores cost the same.
_PARAMETERS: Final[dict[str, Any]] = {
    "max_depth": 6,
    "eta": 0.35,
    "gamma": 0.001,
    "min_child_weight": 0,
    "tree_method": "hist",
    "max_bin": 64,
    "verbosity": 0,
    "disable_default_eval_metric": 1,
}
_BOOST_ROUNDS: Final = 20
_MEMBERS: Final = 4
# Standard deviations between the members that a promise is above the score.
_CURIOSITY: Final = 1.0
# Beyond this many samples the oldest of the slow ones add time and no knowledge.
_MAX_SAMPLES: Final = 3000
# A little, so that failures are learnt too.
_LEAST_WEIGHT: Final = 0.02
# Of a sample that a member has not drawn: splits need some weight on either side.
_ABSENT: Final = 1e-6
# With fewer measurements than this a fit is noise.
MIN_SAMPLES: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One measured candidate.

    Attributes:
        task: Which task it belongs to; latencies are compared within a task only.
        features: float32, statements × features.
        latency: Seconds; infinity for a candidate that failed.
    """

    task: str
    features: Features
    latency: float


class CostModel(Protocol):
    """Scores candidates from their features."""

    def predict(self, features: Features) -> Scores:
        """Score candidates × statements × features; higher is faster."""
        ...

    def promise(self, features: Features) -> Scores:
        """Score what candidates may be at best: above the score where little is known."""
        ...

    def update(self, samples: Sequence[Sample]) -> None:
        """Learn from all measurements so far (not only new ones)."""
        ...

    @property
    def is_trained(self) -> bool:
        """Whether scores mean anything yet."""
        ...


class RandomCostModel:
    """Random scores from a given generator: the model of a search without knowledge."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def predict(self, features: Features) -> Scores:
        """Draw a score for each candidate."""
        return self._rng.random(len(features))

    def promise(self, features: Features) -> Scores:
        """Draw a score for each candidate."""
        return self.predict(features)

    def update(self, samples: Sequence[Sample]) -> None:
        """Learn nothing."""

    @property
    def is_trained(self) -> bool:
        """Never."""
        return False


class XGBCostModel:
    """Gradient-boosted trees on statement rows, with the pack-sum loss.

    Args:
        rng: For what is random.
        threads: Threads that trees are made with.
        estimates: What is known without measurements, the best first.

    Raises:
        MissingDependencyError: xgboost is not installed; use `best_available` to fall back.
    """

    def __init__(
        self, rng: np.random.Generator, threads: int = 1, estimates: Sequence[Estimate] = ()
    ) -> None:
        self._xgb: ModuleType = optional_import("xgboost", purpose="the learned cost model")
        self._rng = rng
        self._base = _Base(estimates)
        self._parameters = _PARAMETERS | {"nthread": threads, "base_score": 0.0}
        self._seed = int(rng.integers(1 << 31))
        self._members: list[Any] = []

    @property
    def is_trained(self) -> bool:
        """Whether a fit has been made."""
        return bool(self._members)

    def predict(self, features: Features) -> Scores:
        """Sum the scores of each candidate's rows; random before the first fit."""
        if not self._members:
            return self._rng.random(len(features))
        scores: Scores = self._opinions(features).mean(axis=0)
        return scores + self._base.predict(features)

    def promise(self, features: Features) -> Scores:
        """Add to the score what the members disagree by; random before the first fit."""
        if not self._members:
            return self._rng.random(len(features))
        opinions = self._opinions(features)
        scores: Scores = opinions.mean(axis=0) + _CURIOSITY * opinions.std(axis=0)
        return scores + self._base.predict(features)

    def _opinions(self, features: Features) -> Scores:
        """What each member says of each candidate: members × candidates."""
        count, statements, width = features.shape
        rows = features.reshape(count * statements, width)
        said = [member.inplace_predict(rows) for member in self._members]
        flat = np.asarray(said, np.float64)
        opinions: Scores = flat.reshape(len(said), count, statements).sum(axis=2)
        return opinions

    def update(self, samples: Sequence[Sample]) -> None:
        """Fit from nothing on all samples; nothing happens below `MIN_SAMPLES`.

        Scores are then good for the task of the last sample.
        """
        kept = _most_useful(samples)
        if len(kept) < MIN_SAMPLES:
            return
        labels = normalised_throughputs(kept)
        left = labels - self._base.fit(kept, labels)
        rows = np.concatenate([s.features for s in kept])
        packs = np.repeat(np.arange(len(kept)), [len(s.features) for s in kept])
        matrix = self._xgb.DMatrix(rows, label=left[packs])
        weights = np.maximum(labels, _LEAST_WEIGHT)
        # By the samples alone: a run that goes on from its records draws the same.
        rng = np.random.default_rng([self._seed, len(samples)])
        self._members = []
        for _ in range(_MEMBERS):
            # How often each is drawn, about (Oza and Russell 2001, online bagging).
            drawn = rng.poisson(1.0, len(kept))
            objective = pack_sum_squared_error(packs, left, np.maximum(weights * drawn, _ABSENT))
            self._members.append(
                self._xgb.train(self._parameters, matrix, _BOOST_ROUNDS, obj=objective)
            )


class Forest:
    """Trees that were trained earlier; several members with an opinion each.

    Args:
        members: Models as `Booster.save_raw` wrote them.

    Raises:
        MissingDependencyError: xgboost is not installed.
    """

    def __init__(self, members: Sequence[bytes]) -> None:
        xgb = optional_import("xgboost", purpose="the learned cost model")
        self._members = [xgb.Booster(model_file=bytearray(member)) for member in members]
        for member in self._members:
            member.set_param({"nthread": 1})

    def predict(self, rows: NDArray[np.float32]) -> Scores:
        """What each member says of each row: members × rows."""
        said = [member.inplace_predict(rows) for member in self._members]
        result: Scores = np.asarray(said, np.float64).reshape(len(said), len(rows))
        return result


class _Base:
    """The part of the scores that an estimate explains; nothing without one."""

    def __init__(self, estimates: Sequence[Estimate]) -> None:
        self._estimates = tuple(estimates)
        self._estimate = next(iter(self._estimates), None)
        self._best = 0.0  # the estimate of the task's most promising measured candidate
        self._scale, self._offset = 0.0, 0.0

    def predict(self, features: Features) -> Scores:
        """The labels that the estimate leads one to expect."""
        if self._estimate is None:
            return np.zeros(len(features))
        return self._expected(self._estimate(features) - self._best)

    def fit(self, samples: Sequence[Sample], labels: Scores) -> Scores:
        """Choose an estimate and scale it to the labels; return what it makes of the samples."""
        if self._estimate is None:
            return np.zeros(len(samples))
        task = samples[-1].task
        mine = np.array([s.task == task for s in samples])
        scored = [_of_each(estimate, samples) for estimate in self._estimates]
        ranked = [rank_correlation(raw[mine], labels[mine]) for raw in scored]
        chosen = int(np.argmax(ranked))  # the first of equals
        self._estimate, raw = self._estimates[chosen], scored[chosen]
        best: dict[str, float] = {}
        for sample, value in zip(samples, raw, strict=True):
            best[sample.task] = max(best.get(sample.task, -np.inf), value)
        self._best = best[task]
        ahead = raw - np.array([best[s.task] for s in samples])
        weight = np.sqrt(np.maximum(labels, _LEAST_WEIGHT))
        columns = np.stack([np.exp(ahead), np.ones(len(samples))], axis=1) * weight[:, None]
        scale, offset = np.linalg.lstsq(columns, labels * weight, rcond=None)[0]
        if scale <= 0.0:  # it misleads
            scale, offset = 0.0, float(labels.mean())
        self._scale, self._offset = float(scale), float(offset)
        return self._expected(ahead)

    def _expected(self, ahead: Scores) -> Scores:
        expected: Scores = self._scale * np.exp(np.minimum(ahead, 1.0)) + self._offset
        return expected


def _of_each(estimate: Estimate, samples: Sequence[Sample]) -> Scores:
    """The estimates of samples; those of one shape are made together."""
    scores = np.empty(len(samples))
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, sample in enumerate(samples):
        by_shape.setdefault(sample.features.shape, []).append(number)
    for numbers in by_shape.values():
        scores[numbers] = estimate(np.stack([samples[number].features for number in numbers]))
    return scores


def rank_correlation(a: Scores, b: Scores) -> float:
    """Spearman's: 1 if two score alike, -1 if they are opposed; 0 where nothing differs."""
    if len(a) < 2 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return 0.0
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Scores) -> Scores:
    """Ranks; equal values share theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Scores = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def best_available(
    rng: np.random.Generator, threads: int = 1, estimates: Sequence[Estimate] = ()
) -> CostModel:
    """Return the XGBoost model, or the random one where xgboost is missing."""
    try:
        return XGBCostModel(rng, threads, estimates)
    except ImportError:
        return RandomCostModel(rng)


def normalised_throughputs(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """Label each sample: best latency of its task over its latency, in [0, 1]; 0 if it failed."""
    best: dict[str, float] = {}
    for sample in samples:
        best[sample.task] = min(best.get(sample.task, np.inf), sample.latency)
    return np.array(
        [best[s.task] / s.latency if np.isfinite(s.latency) else 0.0 for s in samples], np.float64
    )


def pack_sum_squared_error(
    packs: NDArray[np.int64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> Callable[[NDArray[np.float32], Any], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the objective whose loss is `Σ weight · (Σ of a pack's rows − label)²`.

    Args:
        packs: For each row, the candidate that it belongs to.
        labels: One for each candidate.
        weights: One for each candidate; the labels, and a little for failures, if left out.
    """
    weight = (np.maximum(labels, _LEAST_WEIGHT) if weights is None else weights)[packs]

    def objective(
        predictions: NDArray[np.float32], _: Any
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        sums = np.bincount(packs, weights=predictions.reshape(-1), minlength=len(labels))
        return (sums - labels)[packs] * weight, weight

    return objective


def _most_useful(samples: Sequence[Sample]) -> list[Sample]:
    """All samples, or, of too many, the fastest half of the limit and the newest others."""
    if len(samples) <= _MAX_SAMPLES:
        return list(samples)
    labels = normalised_throughputs(samples)
    fast = set(np.argsort(-labels, kind="stable")[: _MAX_SAMPLES // 2].tolist())
    newest = [i for i in range(len(samples) - 1, -1, -1) if i not in fast]
    chosen = sorted(fast | set(newest[: _MAX_SAMPLES - len(fast)]))
    return [samples[i] for i in chosen]
