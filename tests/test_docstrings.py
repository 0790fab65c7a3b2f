"""Names that users import say what they mean, and which errors they raise."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType

import pytest

import tensorc
from tensorc import schedule, te, topi


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


def errors_raised(function: FunctionType) -> set[str]:
    """The classes of errors that its own text raises."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [n.exc.func for n in ast.walk(tree) if isinstance(n, ast.Raise) and is_call(n.exc)]
    return {f.id for f in raised if isinstance(f, ast.Name) and f.id.endswith("Error")}


def is_call(node: object) -> bool:
    return isinstance(node, ast.Call)


def test_there_are_public_functions_of_all_packages():
    assert len(FUNCTIONS) > 150


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_say_what_they_do_and_which_errors_they_raise(name: str) -> None:
    text = FUNCTIONS[name].__doc__
    assert text
    _, _, section = text.partition("Raises:")
    assert errors_raised(FUNCTIONS[name]) <= set(section.replace(":", " ").split())
