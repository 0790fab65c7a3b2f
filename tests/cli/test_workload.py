"""What can be named on the command line."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tensorc.cli.workload import parse, parse_case

SOURCE = """
from tensorc import te

def double(n, m=3, dtype="float32"):
    A = te.placeholder((n, m), name="A", dtype=dtype)
    return [A, te.compute((n, m), lambda i, j: A[i, j] + A[i, j], name="B")]

def nothing():
    return 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "user_kernels.py"
    path.write_text(SOURCE)
    return path


def test_a_case_has_a_name_with_its_shape() -> None:
    workload = parse("gmm.1")
    assert workload.name == "GMM.1.b1(128,128,128)"
    assert workload.flops == 2 * 128**3
    assert parse_case("C2D.2.b16").name == "C2D.2.b16"


def test_a_function_takes_arguments(file: Path) -> None:
    workload = parse(f"{file}:double", ["4", "m=5", "dtype=float64"])
    assert workload.name == "double(4,m=5,dtype=float64)"
    assert [(t.shape, t.dtype) for t in workload.tensors] == [((4, 5), "float64")] * 2
    assert workload.case is None
    assert workload.flops == 20


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("GMM", "Expected a case such as 'GMM.3'"),
        ("GMM.7", "shape number 7"),
        ("XYZ.1", "No workload is called 'XYZ'"),
        ("nowhere.py:f", "There is no file 'nowhere.py'"),
        ("no_such_module:f", "There is no module 'no_such_module'"),
    ],
)
def test_what_is_not_there_is_a_usage_error(spec: str, words: str) -> None:
    with pytest.raises(click.UsageError, match=words):
        parse(spec)


def test_a_case_takes_no_arguments() -> None:
    with pytest.raises(click.UsageError, match=r"'GMM\.1' takes no arguments"):
        parse("GMM.1", ["5"])


def test_arguments_have_to_be_those_of_the_function(file: Path) -> None:
    with pytest.raises(click.UsageError, match=r"nothing': got an unexpected keyword argument 'z'"):
        parse(f"{file}:nothing", ["z=1"])


def test_a_function_has_to_return_tensors(file: Path) -> None:
    with pytest.raises(click.UsageError, match="to return its tensors"):
        parse(f"{file}:nothing")
    with pytest.raises(click.UsageError, match="There is no function 'triple'"):
        parse(f"{file}:triple")
