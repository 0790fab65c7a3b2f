"""tensorc's own C, compiled on first use and loaded once per process."""

from __future__ import annotations

import hashlib
import os
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import cffi
import numpy as np

from tensorc.runtime.compiler import FLAGS, compile_shared, find_compiler
from tensorc.support import host, options
from tensorc.support.errors import BuildError, MissingDependencyError

_HERE = Path(__file__).parent
_SOURCES = ("pool.c", "profiler.c", "machine.c")


@dataclass(frozen=True, slots=True)
class NativeLibrary:
    """A loaded library of tensorc's own C: `ffi` makes C data, `lib` holds the functions."""

    ffi: Any
    lib: Any
    path: Path

    def address(self, name: str) -> int:
        """Return the address of a function."""
        pointer = self.ffi.addressof(self.lib, name)
        return int(self.ffi.cast("uintptr_t", pointer))


@cache
def runtime_library() -> NativeLibrary:
    """Return the thread pool, profiler and machine kernels, compiled if need be.

    The library is loaded so that kernels loaded later find the pool in it.

    Raises:
        BuildError: The C compiler fails, or the cache directory cannot be written.
        MissingDependencyError: There is no C compiler.
    """
    sources = [path for name in _SOURCES if (path := _HERE / name).exists()]
    return load_sources("runtime", sources, _HERE / "runtime.h")


def load_sources(name: str, sources: Sequence[Path], header: Path) -> NativeLibrary:
    """Compile C files, unless the cache directory has the result, and load them.

    Args:
        name: What the library is called in the cache directory.
        sources: The C files.
        header: Declarations only, without preprocessor lines, so that cffi can read it too.

    Raises:
        BuildError: The C compiler fails, or the cache directory cannot be written.
        MissingDependencyError: There is no C compiler.
    """
    path = _compiled(name, sources, header)
    ffi = cffi.FFI()
    ffi.cdef(header.read_text())
    try:
        lib = ffi.dlopen(str(path), ffi.RTLD_NOW | ffi.RTLD_GLOBAL)
    except OSError as error:
        raise BuildError(f"Cannot load the compiled library '{path}': {error}.") from error
    return NativeLibrary(ffi, lib, path)


@cache
def call_module() -> ModuleType | None:
    """Return the extension module that calls kernels, compiled if need be.

    None where it cannot be had: without a C compiler, the headers of Python, or a directory to
    write to. Nothing but speed depends on it.
    """
    try:
        return _load_extension("call", _HERE / "call.c", _HERE / "runtime.h")
    except (BuildError, MissingDependencyError):
        return None


def _load_extension(name: str, source: Path, header: Path) -> ModuleType:
    """Compile a C file that includes the headers of Python and NumPy, and import it."""
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        raise MissingDependencyError(
            f"Cannot compile '{source.name}': expected '{include}/Python.h'."
        )
    # The module is for this version of both, whose headers are taken.
    versions = (str(sysconfig.get_config_var("EXT_SUFFIX")), np.__version__)
    path = _compiled(name, [source], header, (f"-I{include}", f"-I{np.get_include()}"), versions)
    loader = ExtensionFileLoader(f"tensorc.runtime.{name}", str(path))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    try:
        module = module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise BuildError(f"Cannot load the compiled library '{path}': {error}.") from error
    return module


def _compiled(
    name: str,
    sources: Sequence[Path],
    header: Path,
    extra: Sequence[str] = (),
    versions: Sequence[str] = (),
) -> Path:
    """The compiled file in the cache directory, made if it is not there."""
    key = _key((*sources, header), (*extra, *versions))
    path = options.CACHE_DIR.get() / f"{name}-{key}.so"
    if not path.exists():
        _compile_into(path, sources, extra)
    return path


def _key(files: Sequence[Path], extra: Sequence[str]) -> str:
    """What the result depends on: the code, the flags, and the processor (home may be shared)."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    machine = (*FLAGS, *host.instruction_sets(), host.cpu_model(), os.uname().machine, *extra)
    digest.update("\n".join(machine).encode())
    return digest.hexdigest()[:16]


def _compile_into(path: Path, sources: Sequence[Path], extra: Sequence[str]) -> None:
    """Compile to a file of its own, then rename: several processes may do this at once."""
    find_compiler()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise BuildError(
            f"Cannot write to the cache directory '{path.parent}' ({error}): "
            f"set 'TENSORC_CACHE_DIR' to a directory that can be written."
        ) from error
    try:
        compile_shared(sources, Path(name), extra=extra)
        os.chmod(name, 0o755)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
