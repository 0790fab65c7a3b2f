"""Peers compute what the reference computes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernels_ref import extra, suite
from kernels_ref.suite import Case
from tensorc.cli.peers.choose import NAMES, installed, load
from tensorc.cli.peers.peer import Peer, Prepared, quickest
from tensorc.cli.peers.with_metaschedule import search
from tensorc.cli.peers.with_numpy import limit_blas_threads
from tensorc.cli.workload import parse_case
from tests.cli import orphan

# One shape of each workload, cut down to a few thousand operations.
SMALL = {
    "C1D": (16, 8, 12, 3, 2, 1),
    "C2D": (9, 8, 4, 6, 3, 2, 1),
    "C3D": (5, 6, 7, 3, 4, 3, 2, 1),
    "GMM": (12, 10, 8),
    "GRP": (9, 8, 8, 12, 3, 2, 1, 1, 4),
    "DIL": (9, 8, 4, 6, 3, 1, 1, 2),
    "DEP": (9, 8, 6, 3, 2, 1),
    "T2D": (4, 5, 6, 3, 4, 2, 1),
    "CAP": (5, 4, 3, 2, 3, 2, 1),
    "NRM": (8, 9),
    "SFM": (6, 11),
    "CBR": (9, 8, 4, 6, 3, 2, 1),
    "TBG": (6, 3, 5),
    "MAT": (12, 10, 8),
    "LIN": (9, 8, 7),
    "GMV": (1, 8, 7),
    "LNM": (6, 11),
    "BGE": (6, 11),
    "SUM": (6, 11, 0),
    "TRN": (6, 5, 3),
}
WORKLOADS = (*suite.WORKLOADS, *extra.WORKLOADS)


def small_cases() -> list[Case]:
    workloads = [replace(w, shapes=(SMALL[w.code],)) for w in WORKLOADS]
    return [Case(w, 1, batch) for w in workloads for batch in (1, 2)]


@pytest.fixture(scope="module", params=[n for n in NAMES if n not in ("inductor", "metaschedule")])
def peer(request: pytest.FixtureRequest) -> Peer:
    if request.param not in installed():
        pytest.skip(f"{request.param} is not installed, or slow")
    return load((request.param,), threads=1)[0]


@pytest.mark.parametrize("constant", [False, True], ids=["given", "constant"])
@pytest.mark.parametrize("case", small_cases(), ids=lambda case: case.name)
def test_a_peer_agrees_with_the_reference(peer: Peer, case: Case, constant: bool) -> None:
    inputs = case.inputs(np.random.default_rng(0))
    prepared = peer.prepare(case, inputs, frozenset(case.weights if constant else ()))
    if prepared is None:
        assert (peer.name, case.function) == ("numpy", "bias_gelu")
        return
    prepared.run()
    np.testing.assert_allclose(prepared.result(), case.reference(*inputs), rtol=1e-4, atol=1e-4)


def test_every_workload_has_a_small_case() -> None:
    assert {w.code for w in WORKLOADS} == set(SMALL)


def test_a_peer_tells_its_version(peer: Peer) -> None:
    assert peer.version[0].isdigit()


def test_the_blas_of_numpy_listens() -> None:
    assert limit_blas_threads(1)


def test_slow_peers_take_part_when_asked_for_only() -> None:
    assert not {"inductor", "metaschedule"} & set(installed())
    assert set(installed()) <= set(installed(slow=True)) <= set(NAMES)


def test_a_search_of_metaschedule_ends_with_the_bench_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TVM that kills the bench while it is imported."""
    alive = tmp_path / "alive"
    (tmp_path / "tvm.py").write_text(
        f"from tests.cli import orphan\norphan.outlive({str(alive)!r})"
    )
    monkeypatch.setenv("TENSORC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    context = multiprocessing.get_context("spawn")
    bench = context.Process(target=search, args=(parse_case("GMM.1"), 1, 1, False))
    bench.start()
    bench.join()
    assert bench.exitcode == -signal.SIGKILL
    assert orphan.ended(alive)


def test_the_fastest_of_several_ways_is_found() -> None:
    def spin(count: int) -> Prepared:
        return Prepared(lambda: sum(range(count)), lambda: np.zeros(1), str(count))

    assert quickest([spin(20000), spin(10), spin(5000)]).variant == "10"
