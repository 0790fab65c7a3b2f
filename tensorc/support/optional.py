"""The one place where heavy or optional libraries are imported, on first use.

xgboost = optional_import("xgboost", purpose="the learned cost model")
cuda = optional_import("pycuda.driver", extra="cuda", purpose="running CUDA kernels")
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from tensorc.support.errors import MissingDependencyError

# Libraries whose name to install is not the name to import.
_PACKAGES = {"xgboost": "xgboost-cpu"}


def optional_import(module: str, *, purpose: str, extra: str | None = None) -> ModuleType:
    """Import `module` and return it.

    Args:
        module: The full name of the module.
        purpose: What it is needed for, as in "'xgboost' is needed for …".
        extra: The extra of tensorc that installs it; `None` for a plain dependency.

    Raises:
        MissingDependencyError: It is not installed, or installed and cannot be loaded.
    """
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == library
        state = "is not installed" if absent else f"cannot be loaded ({error})"
        package = f"'tensorc[{extra}]'" if extra else _PACKAGES.get(library, library)
        raise MissingDependencyError(
            f"'{library}' is needed for {purpose} and {state}: try `pip install {package}`.",
            name=library,
        ) from error


def is_installed(module: str) -> bool:
    """Say whether the library of `module` is there, without loading it."""
    return find_spec(module.partition(".")[0]) is not None
