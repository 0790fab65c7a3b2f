from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tensorc import Target
from tensorc.support.errors import OptionError, TargetError
from tensorc.target import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_text_and_json_give_the_same_target_back(kind: str) -> None:
    target = Target(kind, num_cores=3, cpu="znver3")
    assert Target.parse(str(target)) == target
    assert Target.from_json(json.loads(json.dumps(target.to_json()))) == target


def test_text_names_only_what_differs_from_the_host() -> None:
    assert Target.parse("llvm -num-cores=4") == Target("llvm", num_cores=4)


def test_of_takes_text_or_a_target() -> None:
    target = Target("c", num_cores=1)
    assert Target.of(target) is target
    assert Target.of("c -num-cores=1") == target


@pytest.mark.parametrize(
    ("features", "vector_bytes", "registers"),
    [((), 16, 16), (("fma", "avx2"), 32, 16), (("avx2", "avx512f"), 64, 32), (("neon",), 16, 32)],
)
def test_features_decide_on_vectors(features, vector_bytes, registers) -> None:
    target = Target("llvm", features=features)
    assert (target.vector_bytes, target.vector_registers) == (vector_bytes, registers)
    assert set(target.features) >= set(features)


def test_features_bring_those_they_build_upon() -> None:
    below = ("avx", "avx2", "f16c", "fma", "sse4.1", "sse4.2")
    assert Target("llvm", features=("avx512vl",)).features == tuple(
        sorted((*below, "avx512f", "avx512vl"))
    )
    assert Target("c", features=("fma",)) == Target("c", features=("avx", "fma", "sse4.2"))


def test_lanes_are_values_in_a_vector() -> None:
    target = Target("llvm", vector_bytes=32)
    assert [target.lanes(bits) for bits in (8, 16, 32, 64, 512)] == [32, 16, 8, 4, 1]


def test_threads_of_the_environment_decide_on_cores(monkeypatch) -> None:
    monkeypatch.setenv("TENSORC_NUM_THREADS", "7")
    assert Target("llvm").num_cores == 7
    assert Target("llvm", num_cores=2).num_cores == 2
    monkeypatch.setenv("TENSORC_NUM_THREADS", "many")
    with pytest.raises(OptionError, match=r"expected a number .* got 'many'"):
        Target("llvm")


def test_targets_compare_and_hash_by_their_fields() -> None:
    target = Target("llvm", num_cores=2)
    assert {target, Target("llvm", num_cores=2), replace(target, num_cores=4)} == {
        target,
        Target("llvm", num_cores=4),
    }


def test_gpu_kinds_have_blocks_and_cpu_kinds_none() -> None:
    assert Target("cuda").is_gpu
    assert Target("cuda").max_threads_per_block == 1024
    assert not Target("llvm").is_gpu
    assert Target("llvm").max_threads_per_block == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Unknown target ''"),
        (
            "metal",
            "Unknown target 'metal': expected one of 'llvm', 'c', 'python', 'cuda'",
        ),
        ("llvm -num-core=4", "expected fields out of .* got 'num_core'"),
        ("llvm -num-cores=four", "expected 'num_cores' to be a number, got 'four'"),
        ("llvm -num-cores=0", "expected 'num_cores' to be a number of at least 1, got '0'"),
        ("llvm num-cores=4", "expected a kind, then '-field=value', got 'num-cores=4'"),
        ("llvm -vector-bytes=48", "expected 'vector_bytes' to be a power of two, got '48'"),
        ("llvm -features=a;b", "names without spaces or commas"),
    ],
)
def test_bad_text_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        Target.parse(text)


def test_json_that_lacks_a_field_is_refused() -> None:
    data = Target("llvm").to_json()
    del data["l1_bytes"]
    with pytest.raises(TargetError, match="lacks 'l1_bytes'"):
        Target.from_json(data)
