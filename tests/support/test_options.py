from __future__ import annotations

from pathlib import Path

import pytest

from tensorc.support import options
from tensorc.support.errors import OptionError


def test_unset_and_empty_give_the_default(monkeypatch) -> None:
    assert options.DEBUG.get() == 0
    monkeypatch.setenv("TENSORC_DEBUG", " ")
    assert options.DEBUG.get() == 0
    assert options.DUMP_IR.get() is None


def test_a_change_of_the_environment_is_seen(monkeypatch) -> None:
    for text, value in (("1", True), ("0", False)):
        monkeypatch.setenv("TENSORC_VERIFY", text)
        assert options.VERIFY.get() is value


def test_directories_expand_the_home(monkeypatch) -> None:
    monkeypatch.setenv("TENSORC_DUMP_IR", "~/ir")
    assert options.DUMP_IR.get() == Path.home() / "ir"


def test_the_cache_follows_xdg(monkeypatch) -> None:
    monkeypatch.delenv("TENSORC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert options.CACHE_DIR.get() == Path("/somewhere/tensorc")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("TENSORC_DEBUG", "4", "a number from 0 to 3"),
        ("TENSORC_DEBUG", "loud", "a number from 0 to 3"),
        ("TENSORC_VERIFY", "yes", "'0' or '1'"),
        ("TENSORC_NUM_THREADS", "0", "a number from 1 to 4096"),
    ],
)
def test_a_bad_value_is_refused(monkeypatch, name: str, text: str, expected: str) -> None:
    monkeypatch.setenv(name, text)
    option = next(o for o in options.OPTIONS if o.name == name)
    with pytest.raises(OptionError, match=f"'{name}': expected {expected}, got '{text}'"):
        option.get()


def test_every_option_is_in_the_table() -> None:
    named = {value for value in vars(options).values() if isinstance(value, options.Option)}
    assert named == set(options.OPTIONS)
