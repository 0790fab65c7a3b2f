"""The package as a whole: what it imports and exports."""

import ast
import inspect
import sys
from pathlib import Path

import ml_dtypes
import numpy as np

import kernels_ref

SOURCES = sorted(Path(kernels_ref.__file__).parent.glob("*.py"))


def test_imports_numpy_and_the_standard_library_only() -> None:
    imported: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(str(node.module).split(".")[0])
    assert imported <= {"kernels_ref", "numpy", *sys.stdlib_module_names}


def test_every_kernel_is_exported_under_a_name_of_its_own() -> None:
    kernels = [
        node.name
        for source in SOURCES
        if source.stem not in {"__init__", "array", "extra", "suite", "windows"}
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    assert sorted([*kernels, "Array"]) == sorted(kernels_ref.__all__)


def test_out_dtype_is_float32_unless_it_is_an_index() -> None:
    kernels = {name: getattr(kernels_ref, name) for name in kernels_ref.__all__ if name != "Array"}
    parameters = {name: inspect.signature(kernel).parameters for name, kernel in kernels.items()}
    defaults = {n: p["out_dtype"].default for n, p in parameters.items() if "out_dtype" in p}
    assert len(defaults) > 10
    assert defaults == {n: "int32" if n.startswith("arg") else "float32" for n in defaults}


def test_types_of_other_libraries_are_computed_as_floats() -> None:
    data = np.array([[0.5, 1.25], [-0.75, 2.0]], ml_dtypes.bfloat16)
    expected = kernels_ref.softmax(data.astype(np.float32))
    result = kernels_ref.softmax(data)
    assert result.dtype == data.dtype
    np.testing.assert_allclose(result.astype(np.float32), expected, rtol=1e-2)
