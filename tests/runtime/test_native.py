from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorc.runtime.native import load_sources
from tensorc.support import options
from tensorc.support.errors import BuildError


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "f.c").write_text('#include "f.h"\nint f(int x) { return x + 1; }\n')
    (tmp_path / "f.h").write_text("int f(int x);\n")
    return tmp_path / "f.c", tmp_path / "f.h"


def test_code_is_compiled_once_and_again_when_it_changes(
    sources: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(options.CACHE_DIR.name, str(tmp_path / "cache"))
    source, header = sources
    first = load_sources("f", [source], header)
    assert first.lib.f(1) == 2
    assert first.address("f") != 0
    made = first.path.stat().st_mtime_ns
    assert load_sources("f", [source], header).path.stat().st_mtime_ns == made
    source.write_text(source.read_text().replace("x + 1", "x + 2"))
    assert load_sources("f", [source], header).lib.f(1) == 3
    assert sorted(p.suffix for p in (tmp_path / "cache").iterdir()) == [".so", ".so"]


def test_several_processes_may_compile_at_once(tmp_path: Path) -> None:
    code = "from tensorc.runtime.pool import pool_library; print(pool_library().path)"
    environment = {**os.environ, options.CACHE_DIR.name: str(tmp_path / "cache")}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    paths = {process.communicate()[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(paths) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cache_directory_that_cannot_be_written_is_named(
    sources: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(options.CACHE_DIR.name, str(tmp_path / "file" / "cache"))
    with pytest.raises(BuildError, match=r"cache directory '.*file/cache'.*TENSORC_CACHE_DIR"):
        load_sources("f", sources[:1], sources[1])


def test_what_the_compiler_says_is_passed_on(sources: tuple[Path, Path]) -> None:
    sources[0].write_text("int f(int x) { return y; }")
    with pytest.raises(BuildError, match=r"(?s)refused the code.*'y' undeclared"):
        load_sources("f", sources[:1], sources[1])
