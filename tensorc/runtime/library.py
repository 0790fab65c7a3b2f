"""Load a built kernel into this process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, assert_never

import cffi

from tensorc.codegen.python import execute
from tensorc.ir.parser import parse_module
from tensorc.runtime import llvm
from tensorc.runtime.arrays import Array, kernel_ffi
from tensorc.runtime.artifact import Artifact
from tensorc.runtime.pool import pool_library
from tensorc.support.errors import BuildError


@dataclass(frozen=True, slots=True)
class NativeKernel:
    """Machine code that can be called; the code is unloaded with the object.

    Attributes:
        artifact: What was loaded.
        address: Where the function is.
        call: `call(buffers, workspace)`, or with a number of threads as third argument if the
            artifact is parallel; C values. Returns 0; releases the GIL.
        keep: What owns the code.
    """

    artifact: Artifact
    address: int
    call: Callable[..., int]
    keep: object


@dataclass(frozen=True, slots=True)
class PythonKernel:
    """The oracle: loop IR executed by Python, `call(arrays)` with all parameters in order."""

    artifact: Artifact
    call: Callable[[Sequence[Array]], None]


Kernel: TypeAlias = NativeKernel | PythonKernel


def load(artifact: Artifact) -> Kernel:
    """Load a kernel.

    Raises:
        BuildError: It does not link: a symbol is missing, or the file is for another machine.
        MissingDependencyError: It is parallel, and the pool cannot be built without a C compiler.
    """
    match artifact.kind:
        case "object":
            return _load_object(artifact)
        case "shared":
            return _load_shared(artifact)
        case "python":
            func = parse_module(artifact.data.decode())[artifact.entry]
            return PythonKernel(artifact, partial(execute, func))
        case _:
            assert_never(artifact.kind)


def _load_object(artifact: Artifact) -> NativeKernel:
    symbols = {}
    if artifact.is_parallel:
        symbols["tensorc_parallel_for"] = pool_library().address("tensorc_parallel_for")
    address, keep = llvm.link_object(artifact.data, artifact.entry, symbols)
    return _kernel(artifact, address, keep)


def _load_shared(artifact: Artifact) -> NativeKernel:
    """Load a shared library from a file that is gone again at once."""
    if artifact.is_parallel:
        pool_library()
    ffi = cffi.FFI()
    ffi.cdef(f"int32_t {artifact.entry}(void *const *, void *);")
    handle, name = tempfile.mkstemp(prefix="tensorc-", suffix=".so")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(artifact.data)
        library = ffi.dlopen(name, ffi.RTLD_NOW)
        address = int(ffi.cast("uintptr_t", ffi.addressof(library, artifact.entry)))
    except (OSError, AttributeError) as error:
        raise BuildError(f"Cannot load the kernel '{artifact.entry}': {error}.") from error
    finally:
        Path(name).unlink(missing_ok=True)
    return _kernel(artifact, address, library)


def _kernel(artifact: Artifact, address: int, keep: object) -> NativeKernel:
    """A kernel that is called through the pool only if it needs it."""
    if artifact.is_parallel:
        pool = pool_library()
        call = partial(pool.lib.tensorc_call, pool.ffi.cast("tensorc_kernel", address))
    else:
        call = kernel_ffi().cast("int32_t (*)(void *const *, void *)", address)
    return NativeKernel(artifact, address, call, keep)
