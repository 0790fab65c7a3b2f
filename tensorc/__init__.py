"""A compiler and auto-scheduler for tensor programs: `te.compute` in, a tuned kernel out.

The public names load on first use, so that `import tensorc` stays quick and needs none of the
heavy libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tensorc.support import errors

if TYPE_CHECKING:
    from tensorc import te as te
    from tensorc import topi as topi
    from tensorc.driver.compile import compile as compile
    from tensorc.driver.tune import tune as tune
    from tensorc.schedule.schedule import Schedule as Schedule
    from tensorc.space.definitions.definition import Definition as Definition
    from tensorc.space.definitions.definition import DefinitionRule as DefinitionRule
    from tensorc.space.draft import Condition as Condition
    from tensorc.space.draft import SketchRule as SketchRule
    from tensorc.space.sketch import generate_sketches as generate_sketches
    from tensorc.target import Target as Target
    from tensorc.te import tir as tir
    from tensorc.te.dag import ComputeDAG as ComputeDAG

# Public name -> "module", or "module:attribute" where the name is part of a module.
_PUBLIC = {
    "Condition": "tensorc.space.draft:Condition",
    "ComputeDAG": "tensorc.te.dag:ComputeDAG",
    "Definition": "tensorc.space.definitions.definition:Definition",
    "DefinitionRule": "tensorc.space.definitions.definition:DefinitionRule",
    "Schedule": "tensorc.schedule.schedule:Schedule",
    "SketchRule": "tensorc.space.draft:SketchRule",
    "Target": "tensorc.target:Target",
    "compile": "tensorc.driver.compile:compile",
    "generate_sketches": "tensorc.space.sketch:generate_sketches",
    "te": "tensorc.te",
    "tir": "tensorc.te.tir",
    "topi": "tensorc.topi",
    "tune": "tensorc.driver.tune:tune",
}

__all__ = [*sorted(_PUBLIC), "errors"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"Module 'tensorc' has no attribute '{name}'.")
    module, _, attribute = _PUBLIC[name].partition(":")
    value: object = import_module(module)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
