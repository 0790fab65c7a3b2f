"""The analytic estimate, corrected by trees that were trained on measurements of other tasks.

The trees give each statement a factor for its cycles: the program takes `Σ cycles · exp(trees)`.
They see what does not grow with a shape: counts for each iteration, the register tile, shares. So
they hold for shapes, and sums of statements, that nobody trained them on. Several members, each of
them trained on other tasks, are averaged; where they disagree the estimate is pessimistic, for the
best of thousands of uncertain scores is mostly an error.

Of another core than the one that the prior was fitted on, the cycles are those of that core, as
`tensorc doctor` measured it. The trees see what they saw when they were trained: the same programs
as the fitted core would run them.

A model is a zip archive: `about.json` and the members as XGBoost wrote them. It fits one set of
features and one prior only, and says which.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tensorc.runtime.core import kept
from tensorc.search.cost_model import Estimate, Features, Forest, Scores
from tensorc.search.prior import Prior
from tensorc.space.features.names import BUFFERS, CURVE, FEATURE_NAMES, VERSION
from tensorc.support.errors import RecordError
from tensorc.target import Target

# Of the archive, and of how scores are made from what the trees say.
FORMAT: Final = 1
SHIPPED: Final = "models/x86.zip"
# What the machines have in common whose measurements the shipped model learnt from.
_NEEDED: Final = "avx512f"
_ABOUT: Final = "about.json"
# Nobody is wrong by more than e³ with good reason.
_LIMIT: Final = 3.0

_COLUMNS: Final = {name: number for number, name in enumerate(FEATURE_NAMES)}
_PLAIN: Final = (
    *("accumulators", "registers", "vector_efficiency", "waste", "parallel_balance"),
    *("unrolled_copies", "tile_loads", "tile_lines_per_set", "register_run", "executed_share"),
    *("vectorize_number", "vectorize_inner", "unroll_number", "unroll_product"),
    *("parallel_number", "parallel_product", "loops", "auto_unroll", "iterations_per_task"),
    *("inner_product", "guards_in_lanes", "guards_in_tile", "guards_in_reduction"),
    *(
        f"buffer{number}_{name}"
        for number in range(BUFFERS)
        for name in ("is_read", "is_write", "is_both", "stride", "loop_reuse", "serial_reuse")
    ),
    *(
        f"buffer{number}_{name}"
        for number in range(BUFFERS)
        for name in ("reuse_bytes", "reuse_count")
    ),
    *(f"intensity{k}" for k in range(CURVE)),
)
_FOR_EACH_ITERATION: Final = (
    *("float_fma", "float_addsub", "float_mul", "float_divmod", "float_compare", "float_math"),
    *("float_other", "int_addsub", "int_mul", "int_divmod", "int_compare", "bool_ops", "selects"),
    *("bytes_past_l1", "bytes_past_l2", "bytes_past_l3", "outer_product", "alloc_bytes"),
    *(
        f"buffer{number}_{name}"
        for number in range(BUFFERS)
        for name in ("lines", "unique_lines", "bytes", "unique_bytes", "reuse_iterations")
    ),
)
_CONTEXT: Final = ("cycles_per_iteration", "share_of_cycles", "bytes_of_all", "statements")
INPUTS: Final = (*_PLAIN, *_FOR_EACH_ITERATION, *_CONTEXT)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The statements of candidates that take any time, as the trees see them.

    Attributes:
        values: float32, rows × `INPUTS`.
        cycles: What the prior says of each.
        candidate: The number of the candidate that each is of.
        count: How many candidates there are.
    """

    values: NDArray[np.float32]
    cycles: Scores
    candidate: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, prior: Prior, features: Features) -> Rows:
        """Return the rows of candidates × statements × features."""
        all_cycles = prior.cycles(features)
        usual = all_cycles if prior == prior.usual else prior.usual.cycles(features)
        candidate, statement = np.nonzero(all_cycles > 0.0)
        rows = features[candidate, statement]
        count = len(features)
        cycles = usual[candidate, statement]
        total = np.bincount(candidate, cycles, minlength=count)
        far = np.exp2(rows[:, _COLUMNS["bytes_past_l3"]].astype(np.float64))
        context = (
            np.log2(cycles) - rows[:, _COLUMNS["iterations"]],
            np.log2(cycles / total[candidate]),
            np.log2(np.bincount(candidate, far, minlength=count))[candidate],
            np.bincount(candidate, minlength=count)[candidate],
        )
        plain = rows[:, [_COLUMNS[name] for name in _PLAIN]]
        each = rows[:, [_COLUMNS[name] for name in _FOR_EACH_ITERATION]]
        each = each - rows[:, [_COLUMNS["iterations"]]]
        values = np.concatenate([plain, each, np.stack(context, axis=1)], axis=1)
        return cls(values.astype(np.float32), all_cycles[candidate, statement], candidate, count)

    def log_cycles(self, factors: Scores) -> Scores:
        """The logarithm of each candidate's cycles, given that of a factor for each row."""
        cycles = self.cycles * np.exp(np.clip(factors, -_LIMIT, _LIMIT))
        totals = np.bincount(self.candidate, cycles, minlength=self.count)
        result: Scores = np.log(np.maximum(totals, 1e-3))
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """An estimate that was trained on measurements.

    Attributes:
        prior: The estimate that is corrected.
        members: What corrects it.
        caution: Standard deviations between the members that a score is lowered by.
    """

    prior: Prior
    members: Forest
    caution: float

    def __call__(self, features: Features) -> Scores:
        """Score candidates × statements × features; higher is faster: minus the log of cycles."""
        with np.errstate(over="ignore"):
            rows = Rows.of(self.prior, features)
            factors = self.members.predict(rows.values)
            cycles = np.stack([rows.log_cycles(factor) for factor in factors])
        scores: Scores = -(cycles.mean(axis=0) + self.caution * cycles.std(axis=0))
        return scores


def fingerprint(prior: Prior) -> str:
    """What a model depends on, as a short text: the features, the prior's figures."""
    text = json.dumps([FORMAT, VERSION, FEATURE_NAMES, INPUTS, asdict(prior.costs)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pack(members: Iterable[bytes], about: Mapping[str, Any]) -> bytes:
    """Return the archive of a model."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        _write(archive, _ABOUT, json.dumps(about, indent=1).encode() + b"\n")
        for number, member in enumerate(members):
            _write(archive, f"{number}.ubj", member)
    return file.getvalue()


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Write a file without the time: the same model is the same bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def unpack(data: bytes, prior: Prior) -> tuple[Pretrained, dict[str, Any]]:
    """Return the estimate of an archive, and what the archive says about it.

    Raises:
        RecordError: It is no such archive, of another format, or of other features.
        MissingDependencyError: xgboost is not installed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            about: dict[str, Any] = json.loads(archive.read(_ABOUT))
            members = [archive.read(f"{n}.ubj") for n in range(int(about["members"]))]
            caution = float(about["caution"])
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"Bad model: expected an archive with '{_ABOUT}', {error!r}.") from error
    if about.get("format") != FORMAT:
        raise RecordError(f"Bad model: expected format {FORMAT}, got {about.get('format')}.")
    known = fingerprint(prior)
    if about.get("fingerprint") != known:
        raise RecordError(
            f"Bad model: expected one of the features '{known}', got '{about.get('fingerprint')}'."
        )
    return Pretrained(prior, Forest(members), caution), about


def shipped_model() -> bytes | None:
    """The archive that comes with the package; None if there is none."""
    file = resources.files("tensorc.search").joinpath(SHIPPED)
    return file.read_bytes() if file.is_file() else None


def estimates(target: Target) -> Sequence[Estimate]:
    """What is known of a target without measurements, the best first; nothing of GPUs.

    Of this machine's processor it is what `tensorc doctor` measured, if it did.
    """
    prior = Prior.of(target, kept(target.vector_bytes) if target.cpu == "native" else None)
    if prior is None:
        return ()
    if _NEEDED not in target.features:
        return (prior,)
    trained = _loaded(prior)
    return (prior,) if trained is None else (trained, prior)


@cache
def _loaded(prior: Prior) -> Pretrained | None:
    """The model that comes with the package; why it is not used is said once."""
    data = shipped_model()
    if data is None:
        return None
    try:
        return unpack(data, prior)[0]
    except (RecordError, ImportError) as error:
        _log.warning("The pretrained model is not used: %s", error)
        return None
