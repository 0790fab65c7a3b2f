"""Public names say what they mean, and which errors they raise."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import TypeAlias

import pytest

import tensorc
from tensorc import schedule, te, topi

ROOT = Path(tensorc.__file__).parents[1]
MODULES = sorted(
    path for top in ("bench", "kernels_ref", "tensorc") for path in ROOT.glob(f"{top}/**/*.py")
)
CONSTRUCTORS = ("__init__", "__post_init__")

Definition: TypeAlias = ast.FunctionDef | ast.ClassDef
# The functions, classes and methods of a module, by qualified name.
Definitions: TypeAlias = Mapping[str, Definition]


def public_functions() -> Iterator[tuple[str, FunctionType]]:
    """The functions, and the methods of the classes, that the packages for users list."""
    for package in (tensorc, te, schedule, topi):
        for name in package.__all__:
            item = getattr(package, name)
            members = vars(item).items() if inspect.isclass(item) else [(None, item)]
            for method, member in members:
                function = inspect.unwrap(getattr(member, "fget", None) or member)
                function = getattr(function, "__func__", function)
                if isinstance(function, FunctionType) and not str(method).startswith("_"):
                    yield f"{package.__name__}.{name}{f'.{method}' if method else ''}", function


FUNCTIONS = dict(public_functions())


def definitions(text: str) -> Definitions:
    """What a module defines, apart from what is defined inside functions."""
    found: dict[str, Definition] = {}
    for node in ast.parse(text).body:
        if isinstance(node, Definition):
            found[node.name] = node
        if isinstance(node, ast.ClassDef):
            methods = (item for item in node.body if isinstance(item, ast.FunctionDef))
            found |= {f"{node.name}.{method.name}": method for method in methods}
    return found


def errors_raised(name: str, known: Definitions, around: frozenset[str] = frozenset()) -> set[str]:
    """The errors that a function raises, itself or by way of private ones beside it."""
    raised: set[str] = set()
    caught: set[str] = set()
    for node in ast.walk(known[name]):
        match node:
            case ast.Raise(ast.Call(ast.Name(error))) if is_error(error):
                raised.add(error)
            case ast.ExceptHandler(ast.expr() as types):
                caught |= {n.id for n in ast.walk(types) if isinstance(n, ast.Name)}
            case ast.Call(function):
                callee = private_callee(function, name)
                if callee in known and callee not in around:
                    raised |= errors_raised(callee, known, around | {name})
    return raised - caught


def is_error(name: str) -> bool:
    """Whether users may meet it: a broken invariant is no error of theirs."""
    return name.endswith("Error") and not name.startswith("_") and name != "AssertionError"


def private_callee(function: ast.expr, caller: str) -> str:
    """What a call calls, if that is a private function of the module or the class; else empty."""
    match function:
        case ast.Name(name) if name.startswith("_"):
            return name
        case ast.Attribute(ast.Name("self" | "cls"), name) if name.startswith("_"):
            return f"{caller.partition('.')[0]}.{name}"
        case _:
            return ""


def silent(text: str) -> Iterator[str]:
    """The public functions of a module that raise errors which they do not name, and these.

    What a constructor raises its class may name.
    """
    known = definitions(text)
    for name, node in known.items():
        *classes, own = name.split(".")
        makes = own in CONSTRUCTORS
        is_private = any(part.startswith("_") for part in (*classes, "" if makes else own))
        if isinstance(node, ast.ClassDef) or is_private:
            continue
        speaking = (node, *(known[c] for c in classes if makes))
        sections = [(ast.get_docstring(n) or "").partition("Raises:")[2] for n in speaking]
        named = " ".join(sections).replace(":", " ").split()
        for error in sorted(errors_raised(name, known) - set(named)):
            yield f"{name}: {error}"


def test_there_are_public_functions_of_all_packages():
    assert len(FUNCTIONS) > 150
    assert len(MODULES) > 300


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_say_what_they_do(name: str) -> None:
    assert FUNCTIONS[name].__doc__


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_say_which_errors_they_raise(path: Path) -> None:
    assert not list(silent(path.read_text(encoding="utf-8")))


def test_functions_answer_for_private_ones_and_not_for_what_they_catch() -> None:
    text = """
def _helper(): raise TEError("")
def raises(): _helper()
def says():
    'Raises: TEError: always.'
    _helper()
def catches():
    try: _helper()
    except TEError: pass
class Made:
    'Raises: TEError: always.'
    def __init__(self): _helper()
    def method(self): self._own()
    def _own(self): raise RecordError("")
"""
    assert list(silent(text)) == ["raises: TEError", "Made.method: RecordError"]
