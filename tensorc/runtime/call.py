"""Calls of a kernel on any arrays, by way of copies where it cannot read or write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tensorc.runtime.arguments import (
    Slot,
    check_input,
    check_outputs,
    refuse_count,
    refuse_status,
    slots_of,
)
from tensorc.runtime.arrays import Array, address_of, empty, kernel_ffi, overlap
from tensorc.runtime.artifact import ALIGNMENT
from tensorc.runtime.library import Kernel, NativeKernel, PythonKernel


class Call(Protocol):
    """What is called with the arrays of a kernel."""

    def __call__(self, *arrays: Array, out: Array | Sequence[Array] | None = None) -> Any:
        """Run the kernel.

        Raises:
            RuntimeCallError: An array does not fit its parameter in number, shape or dtype.
        """


@dataclass(frozen=True, slots=True)
class Frame:
    """What one call has for itself: the pointers, the workspace, and what they point into."""

    pointers: Any
    workspace: Any
    keep: tuple[object, ...] = ()


class GeneralCall:
    """Calls a kernel on whatever arrays a user has; says what does not fit.

    Attributes:
        kernel: What is called.
        slots: The parameters that a call gives, in order.
        constants: Inputs that calls leave out, by name.
        threads: Threads for parallel loops.
    """

    __slots__ = (
        "_call", "_extra", "_frames", "_from_buffer", "_inputs", "_outputs", "constants", "kernel",
        "slots", "threads",
    )  # fmt: skip

    def __init__(self, kernel: Kernel, constants: Mapping[str, Array], threads: int) -> None:
        """Prepare calls of a kernel; `constants` are as it wants them."""
        artifact = kernel.artifact
        self.kernel = kernel
        self.slots = tuple(s for s in slots_of(artifact) if s.param.name not in constants)
        self.constants = constants
        self.threads = threads
        self._inputs = tuple(slot for slot in self.slots if not slot.param.is_output)
        self._outputs = tuple(slot for slot in self.slots if slot.param.is_output)
        self._frames: list[Frame] = []
        self._from_buffer = kernel_ffi().from_buffer
        # A kernel without parallel loops is called directly, without the pool in between.
        self._extra = (threads,) if artifact.is_parallel else ()
        self._call: Callable[..., Any] = kernel.call

    def __call__(self, *arrays: Array, out: Array | Sequence[Array] | None = None) -> Any:
        """Run the kernel.

        Raises:
            RuntimeCallError: An array does not fit its parameter in number, shape or dtype.
        """
        if len(arrays) != len(self._inputs):
            if out is not None or len(arrays) != len(self.slots):
                refuse_count(self._name, self._inputs, len(arrays))
            arrays, out = _separate(self.slots, arrays)
        if out is None:
            given = [empty(shape, dtype, nbytes) for _, shape, dtype, nbytes, _ in self._outputs]
        else:
            given = check_outputs(self._name, self._outputs, out)
        if not isinstance(self.kernel, NativeKernel) or (
            out is not None and self._meet(given, arrays)
        ):
            self._run_apart(arrays, given)
        else:
            self._run(arrays, given)
        return given[0] if len(given) == 1 else tuple(given)

    def bind(self, *arrays: Array) -> Frame:
        """Return all that C code needs to call the kernel again and again on these inputs.

        Raises:
            RuntimeCallError: An array does not fit its parameter in number, shape or dtype.
        """
        if len(arrays) != len(self._inputs):
            refuse_count(self._name, self._inputs, len(arrays))
        frame = self._new_frame()
        keep = [
            check_input(self._name, slot, array)
            for slot, array in zip(self._inputs, arrays, strict=True)
        ]
        keep += [empty(slot.shape, slot.dtype, slot.nbytes) for slot in self._outputs]
        for slot, array in zip((*self._inputs, *self._outputs), keep, strict=True):
            frame.pointers[slot.place] = self._from_buffer(array)
        return Frame(frame.pointers, frame.workspace, (frame, *keep))

    @property
    def _name(self) -> str:
        return self.kernel.artifact.entry

    def _meet(self, outputs: Sequence[Array], inputs: Sequence[object]) -> bool:
        """Whether outputs that were given cannot be written while the kernel reads its inputs."""
        others = [array for array in inputs if isinstance(array, np.ndarray)]
        if not all(array.flags.carray for array in (*outputs, *others)):
            return True
        others += self.constants.values()
        return any(overlap(array, (*others, *outputs[:i])) for i, array in enumerate(outputs))

    def _run(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Run on outputs that can be written directly."""
        from_buffer = self._from_buffer
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        pointers = frame.pointers
        copies = []
        try:
            for slot, array in zip(self._inputs, inputs):  # noqa: B905  # counted already
                place, shape, dtype, _, _ = slot
                if (
                    type(array) is not np.ndarray
                    or array.shape != shape
                    or array.dtype != dtype
                    or not array.flags.carray
                ):
                    array = check_input(self._name, slot, array)
                    copies.append(array)
                pointers[place] = from_buffer(array)
            for slot, array in zip(self._outputs, outputs):  # noqa: B905  # likewise
                pointers[slot[0]] = from_buffer(array)
            status = self._call(pointers, frame.workspace, *self._extra)
        finally:
            self._frames.append(frame)
        if status:
            refuse_status(self._name, status)

    def _run_apart(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Run on new outputs, then copy them to those given: strided, or overlapping the inputs."""
        new = [empty(slot.shape, slot.dtype, slot.nbytes) for slot in self._outputs]
        if isinstance(self.kernel, PythonKernel):
            self.kernel.call(self._in_order(inputs, new))
        else:
            self._run(inputs, new)
        for array, result in zip(outputs, new, strict=True):
            array[...] = result

    def _in_order(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
        """All arrays in call order, contiguous."""
        placed = {s.place: a for s, a in zip(self._outputs, outputs, strict=True)}
        for slot, array in zip(self._inputs, inputs, strict=True):
            placed[slot.place] = check_input(self._name, slot, array)
        for place, param in enumerate(self.kernel.artifact.params):
            if param.name in self.constants:
                placed[place] = self.constants[param.name]
        return [placed[place] for place in range(len(placed))]

    def _new_frame(self) -> Frame:
        """A frame with the constants in place."""
        ffi = kernel_ffi()
        pointers = ffi.new("void *[]", max(1, len(self.kernel.artifact.params)))
        for index, param in enumerate(self.kernel.artifact.params):
            if param.name in self.constants:
                pointers[index] = self._from_buffer(self.constants[param.name])
        size = self.kernel.artifact.workspace_size(self.threads)
        if not size:
            return Frame(pointers, ffi.NULL)
        block = np.empty(size + ALIGNMENT, np.uint8)
        start = address_of(block)
        return Frame(pointers, ffi.cast("void *", start + -start % ALIGNMENT), (block,))


def _separate(
    slots: Sequence[Slot], arrays: Sequence[Array]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Inputs and outputs of a call that gave all parameters in order."""
    pairs = list(zip(slots, arrays, strict=True))
    return (
        tuple(array for slot, array in pairs if not slot.param.is_output),
        tuple(array for slot, array in pairs if slot.param.is_output),
    )
