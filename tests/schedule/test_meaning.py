"""Steps do not change what a program computes: lowered and run by the oracle, before and after."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tensorc.codegen.python import execute
from tensorc.lower.pipeline import lower
from tensorc.schedule import Schedule, State, initial_state
from tensorc.target import Target
from tests.schedule.programs import argmax, chain, convolution, matmul, softmax, two_outputs


def run(state: State) -> list[np.ndarray]:
    """The outputs for random inputs, always the same ones."""
    func = lower(state, Target("python"))
    rng = np.random.default_rng(0)
    arrays = {
        p.name: np.full(p.shape, 7, p.dtype.name)
        if p.name in func.outputs
        else rng.standard_normal(p.shape).astype(p.dtype.name)
        for p in func.params
    }
    execute(func, list(arrays.values()))
    return [arrays[name] for name in func.outputs]


def same(s: Schedule) -> None:
    pairs = zip(run(s.state), run(initial_state(s.dag)), strict=True)
    for came, expected in pairs:
        np.testing.assert_allclose(came, expected, rtol=1e-4, atol=1e-5)


def small() -> Schedule:
    return Schedule(matmul(13, 11, 10))


@pytest.mark.parametrize("part", ["k.0", "k.1"])
@pytest.mark.parametrize("length", [4, 5, 16])
def test_rfactor_by_any_length(part: str, length: int) -> None:
    s = small()
    s.split("C", "k", [length])
    s.rfactor("C", part, 1)
    same(s)


def test_rfactor_of_nested_splits() -> None:
    s = small()
    s.split("C", "k", [4])
    s.split("C", "k.1", [3])
    s.rfactor("C", "k.1.0", 2)
    same(s)


@pytest.mark.parametrize("length", [4, 6, 7])
def test_rfactor_of_fused_reductions(length: int) -> None:
    s = Schedule(convolution(6, 2, 2, 3, 1))
    fused = s.fuse("conv", "rc", "ry", "rx")
    s.split("conv", fused, [length])
    s.rfactor("conv", f"{fused}.1", 4)
    s.compute_inline("pad")
    same(s)


@pytest.mark.parametrize("length", [6, 7])
def test_rfactor_of_argmax(length: int) -> None:
    s = Schedule(argmax(5, 18))
    s.split("C", "k", [length])
    s.rfactor("C", "k.1", 1)
    same(s)


@pytest.mark.parametrize(
    ("dim", "factor", "order"), [(1, 4, (1, 0, 2)), (0, 4, (0, 2, 1)), (1, 3, (2, 1, 0))]
)
def test_packed_copies(dim: int, factor: int, order: tuple[int, ...]) -> None:
    s = small()
    s.cache_read("B", "local", ["C"], (dim, factor, order))
    same(s)


@pytest.mark.parametrize("tile", [4, 8])
def test_packed_panels_of_tiles(tile: int) -> None:
    s = small()
    local = s.cache_write("C", "local")
    s.tile("C", "i", "j", 6, tile)
    s.compute_at(local, "C", "j.0")
    s.cache_read("B", "global", [local], (1, 8, (1, 0, 2)))
    s.compute_at("B.global", "C", "j.0")
    same(s)


def cached_twice(s: Schedule) -> None:
    s.cache_read("split", "local", ["B"])
    s.split("B", "i", [3])
    s.compute_at("split.local", "B", "i.0")
    s.compute_at("split", "B", "i.0")


def written_through(s: Schedule) -> None:
    cache = s.cache_write("split", "global")
    s.split("split", "i", [3])
    s.compute_at(cache, "split", "i.0")


@pytest.mark.parametrize("build", [cached_twice, written_through])
def test_caches_of_several_outputs(build: Callable[[Schedule], None]) -> None:
    s = Schedule(two_outputs(7))
    build(s)
    same(s)


def test_a_stage_with_two_readers_in_one_loop() -> None:
    s = Schedule(softmax(8, 9))
    s.split("norm", "i", [3])
    s.compute_at("total", "norm", "i.1")
    s.compute_at("exp", "norm", "i.0")
    s.compute_at("top", "norm", "i.0")
    same(s)


def test_fused_and_split_loops() -> None:
    s = Schedule(chain(7, 5))
    s.compute_inline("B")
    fused = s.fuse("D", "i", "j")
    s.split("D", fused, [4])
    s.compute_at("C", "D", f"{fused}.0")
    s.reorder("C", "j", "i")
    same(s)
