"""The bandwidth that a case has."""

from __future__ import annotations

from kernels_ref.suite import cases
from tensorc.cli import roofline
from tensorc.support import host

MATMUL, NORM = cases("GMM", 3, (1,))[0], cases("NRM", 1, (1,))[0]


def test_a_case_is_bound_by_memory_if_it_does_little_with_its_data() -> None:
    assert (roofline.is_memory_bound(NORM), roofline.is_memory_bound(MATMUL)) == (True, False)


def test_data_sits_in_the_nearest_cache_that_holds_it() -> None:
    caches = host.caches()
    assert roofline.level(caches.l1, 1) == "L1"
    assert roofline.level(caches.l1 + 1, 1) != "L1"
    assert roofline.level(caches.l1 + 1, 2) == "L1"
    assert roofline.level(1 << 40, 1) == "memory"


def test_the_bandwidth_for_a_case_is_measured() -> None:
    limit = roofline.ceiling(NORM, 1)
    assert limit.level == roofline.level(NORM.bytes, 1)
    assert 1e8 < limit.bandwidth < 1e13
