from __future__ import annotations

import math
import re
import sys

import pytest

from tensorc.support.errors import MissingDependencyError
from tensorc.support.optional import is_installed, optional_import


def test_an_installed_module_is_returned() -> None:
    assert optional_import("math", purpose="sums") is math
    assert is_installed("math")


def test_a_missing_extra_says_how_to_install_it() -> None:
    message = "for speed and is not installed: try `pip install 'tensorc[cuda]'`."
    with pytest.raises(MissingDependencyError, match=re.escape(message)):
        optional_import("no_cuda.driver", extra="cuda", purpose="speed")
    assert not is_installed("no_cuda.driver")


def test_a_missing_dependency_is_named_as_it_is_installed(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingDependencyError, match="`pip install xgboost-cpu`"):
        optional_import("xgboost", purpose="the learned cost model")


def test_a_broken_library_says_why(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_lib.py").write_text("import no_such_part\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"cannot be loaded .*no_such_part"):
        optional_import("broken_lib", purpose="a test")


def test_it_can_be_caught_as_an_import_error() -> None:
    with pytest.raises(ImportError) as caught:
        optional_import("no_cuda", purpose="speed")
    assert caught.value.name == "no_cuda"
