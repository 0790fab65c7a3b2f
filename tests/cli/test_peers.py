"""Peers compute what the reference computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels_ref.suite import WORKLOADS, Case
from tensorc.cli.peers.choose import NAMES, installed, load
from tensorc.cli.peers.peer import Peer
from tensorc.cli.peers.with_numpy import limit_blas_threads

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
}


def small_cases() -> list[Case]:
    workloads = [replace(w, shapes=(SMALL[w.code],)) for w in WORKLOADS]
    return [Case(w, 1, batch) for w in workloads for batch in (1, 2)]


@pytest.fixture(scope="module", params=NAMES)
def peer(request: pytest.FixtureRequest) -> Peer:
    if request.param not in installed():
        pytest.skip(f"{request.param} is not installed")
    return load((request.param,), threads=1)[0]


@pytest.mark.parametrize("case", small_cases(), ids=lambda case: case.name)
def test_a_peer_agrees_with_the_reference(peer: Peer, case: Case) -> None:
    inputs = case.inputs(np.random.default_rng(0))
    prepared = peer.prepare(case, inputs)
    prepared.run()
    np.testing.assert_allclose(prepared.result(), case.reference(*inputs), rtol=1e-4, atol=1e-4)


def test_every_workload_has_a_peer_in_numpy() -> None:
    assert {w.code for w in WORKLOADS} == set(SMALL)


def test_a_peer_tells_its_version(peer: Peer) -> None:
    assert peer.version[0].isdigit()


def test_the_blas_of_numpy_listens() -> None:
    assert limit_blas_threads(1)
