"""Do these arrays fit these parameters? One clear sentence if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tensorc.runtime.arrays import Array, numpy_dtype
from tensorc.runtime.artifact import Artifact, Param
from tensorc.support.errors import RuntimeCallError


class Slot(NamedTuple):
    """A parameter as a call needs it: its place among the pointers, and what fits in.

    A tuple, since it is unpacked for each array of each call.
    """

    place: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int
    param: Param


def slots_of(artifact: Artifact) -> list[Slot]:
    """Return the slots of all parameters in call order."""
    return [
        Slot(i, p.shape, numpy_dtype(p.dtype), p.nbytes, p) for i, p in enumerate(artifact.params)
    ]


def check_input(kernel: str, slot: Slot, value: object) -> Array:
    """Return an input as the kernel wants it: contiguous and aligned, copied if it is not.

    Raises:
        RuntimeCallError: It is no array, or of another dtype or shape.
    """
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__array__"):
            _refuse(kernel, slot, f"'{type(value).__name__}'")
        value = np.asarray(value)
    _check(kernel, slot, value)
    if value.flags.c_contiguous and value.flags.aligned:
        return value
    return np.require(value, requirements=["C", "A"])


def check_outputs(kernel: str, slots: Sequence[Slot], out: object) -> list[Array]:
    """Return the arrays given for the outputs, which may be strided.

    Raises:
        RuntimeCallError: Their number, a dtype, a shape, or that one cannot be written.
    """
    given: list[Any] = list(out) if isinstance(out, tuple | list) else [out]
    if len(given) != len(slots):
        names = quoted([slot.param.name for slot in slots])
        raise RuntimeCallError(
            f"Bad 'out' of kernel '{kernel}': expected {len(slots)} arrays for {names}, "
            f"got {len(given)}."
        )
    for slot, array in zip(slots, given, strict=True):
        if not isinstance(array, np.ndarray):
            _refuse(kernel, slot, f"'{type(array).__name__}'")
        _check(kernel, slot, array)
        if not array.flags.writeable:
            raise RuntimeCallError(
                f"Bad output '{slot.param.name}' of kernel '{kernel}': "
                f"expected an array that can be written, got a read-only one."
            )
    return given


def refuse_count(kernel: str, slots: Sequence[Slot], came: int) -> NoReturn:
    """Say how many arrays a call takes.

    Raises:
        RuntimeCallError: Always.
    """
    names = [slot.param.name for slot in slots]
    raise RuntimeCallError(
        f"Bad call of kernel '{kernel}': expected {len(names)} arrays for {quoted(names)}, "
        f"got {came}."
    )


def refuse_status(kernel: str, status: int) -> NoReturn:
    """Say that a kernel failed.

    Raises:
        RuntimeCallError: Always.
    """
    raise RuntimeCallError(f"Kernel '{kernel}' failed: expected status 0, got {status}.")


def quoted(names: Sequence[str]) -> str:
    """Return names for a message."""
    return ", ".join(f"'{name}'" for name in names) or "nothing"


def _check(kernel: str, slot: Slot, array: Array) -> None:
    if array.shape != slot.shape or array.dtype != slot.dtype:
        order = "" if array.dtype.isnative else " (of foreign byte order)"
        _refuse(kernel, slot, f"dtype '{array.dtype}'{order} and shape {array.shape}")


def _refuse(kernel: str, slot: Slot, came: str) -> NoReturn:
    kind = "output" if slot.param.is_output else "argument"
    raise RuntimeCallError(
        f"Bad {kind} '{slot.param.name}' of kernel '{kernel}': expected an array of "
        f"dtype '{slot.dtype}' and shape {slot.shape}, got {came}."
    )
