"""Files, functions and the package itself stay small, documented and quick to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(p for folder in ("tensorc", "kernels_ref") for p in (ROOT / folder).rglob("*.py"))
MAX_FILE_LINES = 600
MAX_BODY_LINES = 60
MAX_IMPORT_SECONDS = 0.5

# Heavy library -> the modules that may ask `optional_import` for it.
LAZY = {
    "llvmlite": ("tensorc.codegen.llvm", "tensorc.runtime"),
    "ml_dtypes": ("tensorc.runtime.arrays",),
    "jax": ("tensorc.cli.peers",),
    "matplotlib": ("tensorc.cli.bench_chart",),
    "onnx": ("tensorc.frontend", "tensorc.cli.peers"),
    "onnxruntime": ("tensorc.cli.peers",),
    "openvino": ("tensorc.cli.peers",),
    "pycuda": ("tensorc.runtime.cuda",),
    "pyopencl": ("tensorc.runtime.opencl",),
    "torch": ("tensorc.cli.peers",),
    "tvm": ("tensorc.cli.peers",),
    "xgboost": ("tensorc.search.cost_model",),
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[Function]:
    yield from (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, Function))


def body_lines(function: Function) -> int:
    """Lines of the body, the docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def undocumented(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    """The public classes, functions and methods of a module that have no docstring."""
    for child in node.body:
        if not isinstance(child, Function | ast.ClassDef) or child.name.startswith("_"):
            continue
        if ast.get_docstring(child) is None and not is_overload(child):
            yield child.name
        if isinstance(child, ast.ClassDef):
            yield from (f"{child.name}.{name}" for name in undocumented(child))


def is_overload(node: Function | ast.ClassDef) -> bool:
    return any(ast.unparse(d) in ("overload", "typing.overload") for d in node.decorator_list)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_function_bodies_are_short(path: Path) -> None:
    assert [f.name for f in functions(path) if body_lines(f) > MAX_BODY_LINES] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_public_names_are_documented(path: Path) -> None:
    module = ast.parse(path.read_text())
    assert ast.get_docstring(module) is not None
    assert list(undocumented(module)) == []


def test_every_folder_is_a_package() -> None:
    """Import-linter does not look into a folder without `__init__.py`."""
    folders = {path.parent for path in SOURCES}
    assert [name_of(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_heavy_libraries_are_asked_for_in_one_place_each() -> None:
    astray = [
        f"{name_of(path)}: {library}"
        for path in SOURCES
        for library in lazy_imports(path)
        if not module_of(path).startswith(LAZY.get(library, ()))
    ]
    assert astray == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def lazy_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(
                func=ast.Name(id="optional_import"), args=[ast.Constant(value=str(module)), *_]
            ):
                yield module.partition(".")[0]


def test_import_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import tensorc; "
        "print(time.perf_counter() - start, *sys.modules)"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(3)]
    seconds = min(float(run.split()[0]) for run in runs)
    assert seconds <= MAX_IMPORT_SECONDS
    assert set(runs[0].split()) & {*LAZY, "cffi", "rich", "scipy", "sqlite3", "torch"} == set()


def test_the_public_names_are_listed() -> None:
    code = "import tensorc; print(*dir(tensorc)); tensorc.no_such_name"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert {"compile", "te", "topi", "tune", "Target", "errors"} <= set(run.stdout.split())
    assert "AttributeError: Module 'tensorc' has no attribute 'no_such_name'" in run.stderr
