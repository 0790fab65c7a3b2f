"""Ansor's tests of loop states (LS01 to LS05), with the extents they list."""

from __future__ import annotations

import pytest

from tensorc.schedule import Schedule
from tensorc.schedule.bounds import extents
from tensorc.schedule.stage import Annotation, At, Inlined, Root
from tests.schedule.programs import cached_kernel, conv_bn_relu, matmul


def loops(s: Schedule, stage: str) -> list[object]:
    return list(s.extents(stage).values())


def test_ls01_split_fuse_reorder() -> None:
    s = Schedule(matmul())
    i0, i1 = s.split("C", "i", [16])
    j0, j1 = s.split("C", "j", [8])
    assert loops(s, "C") == [32, 16, 64, 8, 512]
    s.reorder("C", i0, j0, "k", j1, i1)
    assert s["C"].names() == (i0, j0, "k", j1, i1)
    fused = s.fuse("C", i0, j0)
    assert fused == "i.0@j.0@"
    assert s.extents("C")[fused] == 2048


def test_ls01_split_from_the_outside() -> None:
    s = Schedule(matmul())
    s.split("C", "i", [32, 8], inner_to_outer=False)
    assert loops(s, "C")[:3] == [32, 8, 2]


def test_ls01_annotations_are_kept_by_the_iterator() -> None:
    s = Schedule(matmul())
    a, b = s.split("C", "i", [16])
    c, d = s.split("C", "j", [8])
    e, f = s.split("C", "k", [4])
    s.parallel("C", a)
    s.bind("C", b, "threadIdx.x")
    s.bind("C", c, "vthread")
    s.vectorize("C", d)
    s.unroll("C", e)
    s.unroll("C", f)
    s.serial("C", f)
    words = [i.annotation.value for i in s["C"].iterators]
    assert words == ["parallel", "threadIdx.x", "vthread", "vectorize", "unroll", ""]


def test_ls02_compute_at_root_inline() -> None:
    s = Schedule(conv_bn_relu())
    for name in ("bn_add", "bn_mul", "bias_add"):
        s.compute_inline(name)
        assert s[name].location == Inlined()
    assert loops(s, "conv") == [1, 64, 112, 112, 3, 7, 7]
    s.compute_at("conv", "relu", s["relu"].iterators[2])
    assert s["conv"].location == At("relu", "k")
    assert loops(s, "conv") == [1, 1, 1, 112, 3, 7, 7]
    s.compute_root("conv")
    s.compute_root("bias_add")
    assert s["conv"].location == s["bias_add"].location == Root()
    assert loops(s, "conv") == [1, 64, 112, 112, 3, 7, 7]


def ls03() -> Schedule:
    s = Schedule(cached_kernel())
    its = s.split("Add", "i", [2])
    s.reorder("Add", its[0], "j", its[1], "y", "x")
    s.compute_inline("relu")
    assert s.cache_write("conv", "global") == "conv.global"
    s.compute_at("conv.global", "conv", s["conv"].iterators[3])
    assert s.cache_read("Kernel", "global", ["conv.global"]) == "Kernel.global"
    s.compute_at("Kernel.global", "conv.global", s["conv.global"].iterators[4])
    return s


def test_ls03_cache_write_and_cache_read_with_compute_at() -> None:
    s = ls03()
    assert loops(s, "conv") == [4, 512, 7, 7]
    assert loops(s, "Kernel.global") == [1, 1, 3, 3]
    assert loops(s, "conv.global") == [1, 1, 1, 1, 512, 3, 3]
    assert s["conv.global"].cache_of == "conv"
    assert s["Kernel.global"].cache_of == "Kernel"


def test_ls03_two_levels_of_cache_read() -> None:
    s = ls03()
    near = s.cache_read("pad_temp", "global", ["conv.global"])
    shared = s.cache_read(near, "shared", ["conv.global"])
    assert (near, shared) == ("pad_temp.global", "pad_temp.global.shared")
    s.compute_at(shared, "conv.global", s["conv.global"].iterators[4])
    s.compute_at(near, "conv.global", s["conv.global"].iterators[2])
    assert loops(s, near) == [1, 512, 3, 3]
    assert loops(s, shared) == [1, 1, 3, 3]


def test_ls03_cache_read_of_several_readers() -> None:
    s = ls03()
    near = s.cache_read("Data", "global", ["pad_temp", "Add"])
    assert s.state.dag.read_by["Data"] == (near,)
    assert set(s.state.dag.read_by[near]) == {"pad_temp", "Add"}
    assert loops(s, near) == [4, 512, 7, 7]


def test_ls03_cache_write_of_two_outputs() -> None:
    s = ls03()
    cache = s.cache_write("Kernel_split", "global")
    assert s.extents(cache) == s.extents("Kernel_split")
    assert s.state.dag.read_by[cache] == ("Kernel_split",)
    assert len(s.state.dag.by_name["Kernel_split"].body) == 2


def tiled() -> Schedule:
    s = Schedule(matmul())
    s.cache_write("C", "global")
    s.split("C.global", "i", [4, 2, 8, 4])
    return s


@pytest.mark.parametrize("level", range(1, 6))
def test_ls04_follow_split(level: int) -> None:
    s = tiled()
    s.follow_split("C", "i", 1, level)
    assert loops(s, "C.global")[:level] == loops(s, "C")[:level]


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("factor", [False, True])
def test_ls04_follow_fused_split(level: int, factor: bool) -> None:
    s = tiled()
    s.split("C.global", "j", [2, 4, 2, 4])
    order = [f"{axis}.{k}" for k in range(5) for axis in "ij"]
    s.reorder("C.global", *order, "k")
    for k in range(5):
        s.fuse("C.global", f"i.{k}", f"j.{k}")
    s.follow_fused_split("C", "i", [1, 2], level, factor)
    assert loops(s, "C.global")[level + 1] == loops(s, "C")[1 if factor else 0]


@pytest.mark.parametrize(
    ("factored", "partial", "final"),
    [("k.0", [8, 8, 32, 16], [8, 8, 32]), ("k.1", [8, 8, 16, 32], [8, 8, 16])],
)
def test_ls05_rfactor(factored: str, partial: list[int], final: list[int]) -> None:
    s = Schedule(matmul(8, 8, 512))
    s.split("C", "k", [16])
    assert loops(s, "C") == [8, 8, 32, 16]
    assert s.rfactor("C", factored, 2) == "C.rf"
    assert (loops(s, "C.rf"), loops(s, "C")) == (partial, final)


def test_extents_round_up_and_stay_within_what_is_left() -> None:
    s = Schedule(matmul(500, 6, 8))
    s.split("C", "i", [3, 16])
    s.split("C", "j", [4, 8])
    assert loops(s, "C") == [11, 3, 16, 1, 1, 6, 8]
    assert extents(s["C"].relations, {"i": 500, "j": 6, "k": 8})["j.2"] == 6
    assert Annotation.NONE is s["C"].iterators[0].annotation
