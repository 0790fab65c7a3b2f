"""What the command line can name: a case of the suite, or a function in a user's file.

`GMM.3` is shape 3 of GMM, `GMM.3.b16` the same at batch 16. `kernels.py:matmul` is the function
`matmul` of the file `kernels.py`; it returns the tensors in call order, as `tensorc.compile` takes
them, and arguments that follow are passed to it: `kernels.py:matmul 512 512 dtype=float16`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Final

import click

from kernels_ref import extra, suite
from kernels_ref.suite import CODES, Case, cases
from tensorc import topi
from tensorc.cli import figures
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor, placeholder

_CASE: Final = re.compile(r"([A-Za-z0-9]+)\.(\d+)(?:\.b(\d+))?")
_EXPECTED: Final = "a case such as 'GMM.3' or a function such as 'kernels.py:matmul'"


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A computation with a name.

    Attributes:
        name: What it is called in tables and in records.
        tensors: Inputs and outputs in call order.
        dag: The computation.
        flops: Useful floating-point operations of one run.
        case: The case of the suite it is; None for a user's function.
    """

    name: str
    tensors: tuple[Tensor, ...]
    dag: ComputeDAG
    flops: float
    case: Case | None = None


def of_case(case: Case) -> Workload:
    """Build a case of the suite in tensor expressions."""
    inputs = tuple(placeholder(a.shape, name=a.name) for a in case.arguments)
    operator: Callable[..., Tensor] = getattr(topi, case.function)
    tensors = (*inputs, operator(*inputs, **case.kwargs))
    name = f"{case.name}({figures.shape(case.shape)})"
    return Workload(name, tensors, ComputeDAG.from_tensors(tensors), float(case.flops), case)


def parse(spec: str, arguments: Sequence[str] = ()) -> Workload:
    """Return the workload that a command line names.

    Raises:
        click.UsageError: There is no such case, file or function, or it returns something else
            than tensors.
    """
    if ":" in spec:
        return _of_function(spec, arguments)
    if arguments:
        raise click.UsageError(f"'{spec}' takes no arguments, got '{' '.join(arguments)}'.")
    return of_case(parse_case(spec))


def parse_case(spec: str) -> Case:
    """Return the case that is called `spec`.

    Raises:
        click.UsageError: There is none.
    """
    match = _CASE.fullmatch(spec)
    if match is None:
        raise click.UsageError(
            f"Expected {_EXPECTED}, got '{spec}'; the suite has {', '.join(CODES)}."
        )
    code, index, batch = match.groups()
    try:
        workloads = (*suite.WORKLOADS, *extra.WORKLOADS)
        return cases(code.upper(), int(index), (int(batch or 1),), workloads)[0]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _of_function(spec: str, arguments: Sequence[str]) -> Workload:
    place, _, name = spec.rpartition(":")
    function = getattr(_module(place), name, None)
    if not callable(function):
        raise click.UsageError(f"There is no function '{name}' in '{place}'.")
    positional, named = _values(arguments)
    try:
        signature(function).bind(*positional, **named)
    except TypeError as error:
        raise click.UsageError(f"Cannot call '{spec}': {error}.") from error
    made = function(*positional, **named)
    tensors = tuple(made) if isinstance(made, list | tuple) else (made,)
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise click.UsageError(
            f"Expected '{spec}' to return its tensors, inputs and outputs in call order, "
            f"got '{type(made).__name__}'."
        )
    dag = ComputeDAG.from_tensors(tensors)
    title = f"{name}({','.join(arguments)})"
    return Workload(title, tensors, dag, dag.flops())


def _module(place: str) -> ModuleType:
    """The module in a file, or of a dotted name."""
    path = Path(place)
    if path.suffix != ".py":
        try:
            return import_module(place)
        except ModuleNotFoundError as error:
            raise click.UsageError(f"There is no module '{error.name}'.") from error
    if not path.is_file():
        raise click.UsageError(f"There is no file '{place}'.")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # The file may import its neighbours, and its dataclasses look their module up.
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _values(arguments: Sequence[str]) -> tuple[list[object], dict[str, object]]:
    """Positional and named arguments as Python values; what is no literal is text."""
    positional: list[object] = []
    named: dict[str, object] = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if equals and name.isidentifier():
            named[name] = _value(text)
        else:
            positional.append(_value(argument))
    return positional, named


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
