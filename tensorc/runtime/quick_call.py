"""Calls of a kernel on arrays that fit as they are, without Python in between."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from tensorc.runtime.arguments import Slot, refuse_status, slots_of
from tensorc.runtime.arrays import Array
from tensorc.runtime.call import Call, GeneralCall
from tensorc.runtime.library import NativeKernel
from tensorc.runtime.native import call_module
from tensorc.runtime.pool import pool_library

_INPUT, _OUTPUT, _CONSTANT = range(3)


def quick_call(general: GeneralCall) -> Call:
    """Return what calls the kernel quickly, and leaves to `general` what is not simple.

    That is `general` itself where the quick way cannot be had: for the oracle, and without a C
    compiler or the headers of Python.
    """
    kernel = general.kernel
    if not isinstance(kernel, NativeKernel) or (module := call_module()) is None:
        return general
    artifact = kernel.artifact
    found: Call = module.prepare(
        kernel.address,
        pool_library().address("tensorc_call") if artifact.is_parallel else 0,
        general.threads,
        artifact.workspace_size(general.threads),
        general,
        partial(refuse_status, artifact.entry),
        tuple(_role(slot, general.constants) for slot in slots_of(artifact)),
    )
    return found


def _role(slot: Slot, constants: Mapping[str, Array]) -> tuple[int, Array]:
    """What a parameter is, and an array like those it takes."""
    if slot.param.name in constants:
        return _CONSTANT, constants[slot.param.name]
    like = np.broadcast_to(np.empty((), slot.dtype), slot.shape)
    return _OUTPUT if slot.param.is_output else _INPUT, like
