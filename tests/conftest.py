"""What all tests share: options of the command line, markers, the settings of hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tensorc.support import host, options
from tests.golden_text import GoldenFile

# The same examples in each run: a red test is red for everybody. Fuzzing has its own command.
settings.register_profile(
    "tensorc", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tensorc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected texts")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    slow = config.getoption("--slow")
    here = set(host.instruction_sets())
    for item in items:
        if "slow" in item.keywords and not slow:
            item.add_marker(pytest.mark.skip(reason="slow: give --slow"))
        needed = {name for mark in item.iter_markers("isa") for name in mark.args}
        if needed - here:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(sorted(needed - here))}"))


@pytest.fixture(autouse=True)
def no_options(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the caller's TENSORC_ variables; cache in a directory of the run."""
    for option in options.OPTIONS:
        monkeypatch.delenv(option.name, raising=False)
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv(options.CACHE_DIR.name, str(cache))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Iterator[GoldenFile]:
    """The expected texts beside the test module: `test_unroll.py` has `test_unroll.golden`."""
    path = Path(request.path).with_suffix(".golden")
    file = GoldenFile(path, update=request.config.getoption("--update-golden"))
    yield file
    file.save()
