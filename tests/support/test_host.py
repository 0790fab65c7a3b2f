from __future__ import annotations

from pathlib import Path

import pytest

from tensorc.support import host


@pytest.fixture
def four_processors(monkeypatch) -> None:
    monkeypatch.setattr(host.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.usefixtures("four_processors")
def test_hyperthreads_of_a_core_count_once(tmp_path) -> None:
    lists = ["0,2", "1,3", "0,2", "1,3"]
    name = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    write(tmp_path, {name.format(p): text for p, text in enumerate(lists)})
    assert host.usable_cores(tmp_path) == 2


@pytest.mark.usefixtures("four_processors")
def test_without_topology_each_processor_is_a_core(tmp_path) -> None:
    assert host.usable_cores(tmp_path) == 4


@pytest.mark.usefixtures("four_processors")
@pytest.mark.parametrize(
    ("limit", "cores"), [("250000 100000", 2), ("50000 100000", 1), ("max 100000", 4)]
)
def test_quota_of_a_control_group_limits_cores(tmp_path, limit: str, cores: int) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": limit})
    assert host.usable_cores(tmp_path) == cores


@pytest.mark.usefixtures("four_processors")
def test_quota_of_a_version_1_group_limits_cores(tmp_path) -> None:
    group = "sys/fs/cgroup/cpu,cpuacct/job"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/job\n2:memory:/other",
            f"{group}/cpu.cfs_quota_us": "300000",
            f"{group}/cpu.cfs_period_us": "100000",
        },
    )
    assert host.usable_cores(tmp_path) == 3


def test_instruction_sets_are_named_as_llvm_names_them(tmp_path) -> None:
    write(
        tmp_path,
        {"proc/cpuinfo": "model name : X 1\nflags : fpu avx512_vnni fma avx2\n\nflags : f16c"},
    )
    assert host.instruction_sets(tmp_path) == ("avx2", "avx512vnni", "fma")
    assert host.cpu_model(tmp_path) == "X 1"


def test_instruction_caches_do_not_count(tmp_path) -> None:
    index = "sys/devices/system/cpu/cpu0/cache/index"
    levels = [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2M")]
    for n, (level, kind, size) in enumerate(levels):
        fields = {"level": level, "type": kind, "size": size, "coherency_line_size": "64"}
        write(tmp_path, {f"{index}{n}/{name}": text for name, text in fields.items()})
    assert host.caches(tmp_path) == host.Caches(line=64, l1=48 << 10, l2=2 << 20, l3=0)


def test_a_machine_without_files_gets_a_modest_guess(tmp_path) -> None:
    assert host.caches(tmp_path) == host.Caches()
    assert host.instruction_sets(tmp_path) == ()
    assert host.cpu_model(tmp_path) == "unknown"
