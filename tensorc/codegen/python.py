"""The oracle: loop IR run as the Python that its text is, on NumPy arrays.

It is slow and means to be obviously right. Every other backend is compared with it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tensorc.codegen.python_namespace import NAMESPACE, flat_array, numpy_dtype
from tensorc.ir.expr import Const
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.printer import RESERVED, Printer, print_func
from tensorc.support.errors import RuntimeCallError
from tensorc.support.names import fresh

_HEADER: Final = """\
from tensorc.codegen.python_namespace import NAMESPACE
globals().update(NAMESPACE)
"""
# CPython refuses more nested blocks than 20 within one function.
_DEEPEST: Final = 15


def emit_python(func: PrimFunc, prologue: PrimFunc | None = None) -> str:
    """A module that defines the function, of flat arrays `FlatArray`, under its own name.

    It is the printed text after its literals, each of which becomes one NumPy scalar. A prologue
    is another function, in front of it.
    """
    parts, before = [_HEADER], ""
    for kernel in (func,) if prologue is None else (prologue, func):
        literals, text = _hoisted_literals(kernel, before)
        parts.append(literals + _outlined(text))
        before = literals
    return "".join(parts)


def execute(func: PrimFunc, arrays: Sequence[NDArray[Any]]) -> None:
    """Run a function on C-contiguous arrays, one for each parameter; outputs are written in place.

    Raises:
        RuntimeCallError: if an array does not fit its parameter.
        IndexError: if the function touches a position outside a buffer.
    """
    if len(arrays) != len(func.params):
        raise RuntimeCallError(
            f"Expected {len(func.params)} arrays for '{func.name}', got {len(arrays)}."
        )
    pairs = zip(func.params, arrays, strict=True)
    flat = [flat_array(p.name, p.dtype, _flat(p, array)) for p, array in pairs]
    literals, text = _hoisted_literals(func)
    namespace = dict(NAMESPACE)
    exec(compile(literals + _outlined(text), f"<{func.name}>", "exec"), namespace)
    with np.errstate(all="ignore"):
        namespace[func.name](*flat)  # type: ignore[operator]  # the function just defined


def _flat(p: Buffer, array: NDArray[Any]) -> NDArray[Any]:
    if array.shape != p.shape or array.dtype != numpy_dtype(p.dtype):
        raise RuntimeCallError(
            f"Expected '{p.name}' of shape {p.shape} and dtype '{p.dtype}', "
            f"got {array.shape} and '{array.dtype}'."
        )
    if not array.flags.c_contiguous:
        raise RuntimeCallError(f"Expected '{p.name}' as a C-contiguous array, got strides.")
    return array.reshape(-1)


def _hoisted_literals(func: PrimFunc, before: str = "") -> tuple[str, str]:
    """Lines that define every literal once, and the function that uses them.

    A literal in the text would be a Python number: `1.0 / 3.0` would be a float64. No name is one
    of the text before.
    """
    taken = RESERVED.union(re.findall(r"\w+", before + print_func(func)))
    names = (name for n in count() if (name := fresh(f"c{n}", taken)) == f"c{n}")
    spelled: dict[str, str] = {}

    def spell(e: Const) -> str:
        text = f"{e.dtype}({e.value!r})"
        if text not in spelled:
            spelled[text] = next(names)
        return spelled[text]

    text = Printer(const=spell).func(func)
    return "".join(f"{name} = {value}\n" for value, name in spelled.items()), text


def _outlined(text: str) -> str:
    """The same text, with what is nested too deep for CPython in functions of its own."""
    deep = " " * 4 * _DEEPEST
    if not any(line.startswith(deep) for line in text.splitlines()):
        return text
    tree = ast.parse(text)
    for definition in tree.body:
        if isinstance(definition, ast.FunctionDef):
            _outline(definition.body, 0)
    return ast.unparse(ast.fix_missing_locations(tree))


def _outline(body: list[ast.stmt], depth: int) -> None:
    if depth == _DEEPEST:
        inner = ast.parse("def deeper(): pass\ndeeper()").body
        definition = inner[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.body = list(body)
        body[:] = inner
        return _outline(definition.body, 0)
    for block in _blocks(body):
        _outline(block, depth + 1)
    return None


def _blocks(body: list[ast.stmt]) -> Iterable[list[ast.stmt]]:
    for node in body:
        if isinstance(node, (ast.For, ast.If, ast.With)):
            yield node.body
        if isinstance(node, ast.If) and node.orelse:
            yield node.orelse
