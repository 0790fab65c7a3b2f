"""A kernel as a Python function of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorc.runtime.arguments import (
    Slot,
    check_input,
    check_outputs,
    quoted,
    refuse_count,
    slots_of,
)
from tensorc.runtime.arrays import Array, address_of, empty, kernel_ffi, overlap
from tensorc.runtime.artifact import ALIGNMENT, Artifact
from tensorc.runtime.library import Kernel, PythonKernel, load
from tensorc.runtime.pool import num_threads
from tensorc.support.errors import RuntimeCallError


@dataclass(frozen=True, slots=True)
class Frame:
    """What one call has for itself: the pointers, the workspace, and what they point into."""

    pointers: Any
    workspace: Any
    keep: tuple[object, ...] = ()


class CompiledFunction:
    """A compiled kernel; call it with NumPy arrays.

    `f(a, b)` takes the inputs in order and returns the output, or a tuple of the outputs, newly
    allocated. `f(a, b, out=c)` writes into arrays given (a tuple for several outputs), and so does
    `f(a, b, c)` with all parameters in call order. Inputs may have any strides; they are copied
    where they are not contiguous. May be called from several threads at once.

    Attributes:
        name: Name of the kernel.
        artifact: What was built.
        kernel: What was loaded.
        threads: How many threads its parallel loops use at most.
    """

    __slots__ = (
        "_call", "_constants", "_extra", "_frames", "_free", "_from_buffer", "_inputs", "_ir",
        "_outputs", "_schedule", "artifact", "kernel", "name", "threads",
    )  # fmt: skip

    def __init__(
        self,
        artifact: Artifact,
        *,
        constants: Mapping[str, Array] | None = None,
        threads: int | None = None,
        ir: str | Callable[[], str] = "",
        schedule: str | Callable[[], str] = "",
    ) -> None:
        """Load a kernel.

        Args:
            artifact: What `build` gave.
            constants: Inputs that are the same in every call, by name; calls leave them out.
            threads: Threads for parallel loops; `TENSORC_NUM_THREADS` or the usable cores if None.
            ir: The loop IR, or a function that prints it.
            schedule: The schedule, likewise.

        Raises:
            BuildError: The kernel cannot be loaded.
            RuntimeCallError: A constant does not fit its parameter.
        """
        self.artifact = artifact
        self.name = artifact.entry
        self.threads = threads or num_threads()
        self.kernel: Kernel = load(artifact)
        slots = slots_of(artifact)
        self._constants = _bind_constants(self.name, slots, constants or {})
        self._free = tuple(slot for slot in slots if slot.param.name not in self._constants)
        self._inputs = tuple(slot for slot in self._free if not slot.param.is_output)
        self._outputs = tuple(slot for slot in self._free if slot.param.is_output)
        self._frames: list[Frame] = []
        self._from_buffer = kernel_ffi().from_buffer
        # A kernel without parallel loops is called directly, without the pool in between.
        self._extra = (self.threads,) if artifact.is_parallel else ()
        self._call: Callable[..., Any] = self.kernel.call
        self._ir = ir
        self._schedule = schedule

    def __call__(self, *arrays: Array, out: Array | Sequence[Array] | None = None) -> Any:
        """Run the kernel.

        Raises:
            RuntimeCallError: An array does not fit its parameter in number, shape or dtype.
        """
        if len(arrays) != len(self._inputs):
            if out is not None or len(arrays) != len(self._free):
                refuse_count(self.name, self._inputs, len(arrays))
            arrays, out = _separate(self._free, arrays)
        if out is not None or isinstance(self.kernel, PythonKernel):
            return self._run_into(arrays, out)
        return self._run(arrays)

    def source(self) -> str:
        """Return the text the code was compiled from."""
        return self.artifact.source

    def ir(self) -> str:
        """Return the loop IR."""
        return self._ir if isinstance(self._ir, str) else self._ir()

    def schedule(self) -> str:
        """Return the schedule as Python code."""
        return self._schedule if isinstance(self._schedule, str) else self._schedule()

    def bind(self, *arrays: Array) -> Frame:
        """Return all that C code needs to call the kernel again and again on these inputs.

        Raises:
            RuntimeCallError: An array does not fit its parameter in number, shape or dtype.
        """
        if len(arrays) != len(self._inputs):
            refuse_count(self.name, self._inputs, len(arrays))
        frame = self._new_frame()
        keep = [
            check_input(self.name, slot, array)
            for slot, array in zip(self._inputs, arrays, strict=True)
        ]
        keep += [empty(slot.shape, slot.dtype, slot.param.nbytes) for slot in self._outputs]
        for slot, array in zip((*self._inputs, *self._outputs), keep, strict=True):
            frame.pointers[slot.place] = self._from_buffer(array)
        return Frame(frame.pointers, frame.workspace, (frame, *keep))

    def __repr__(self) -> str:
        params = ", ".join(f"{s.param.name}: {s.dtype}{list(s.shape)}" for s in self._free)
        return f"<CompiledFunction {self.name}({params})>"

    def _run(self, arrays: Sequence[Array]) -> Any:
        """The quick way: new outputs, and mostly nothing to copy. Every line counts here."""
        from_buffer = self._from_buffer
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        pointers = frame.pointers
        copies = []
        results = []
        try:
            for (index, shape, dtype, param), array in zip(self._inputs, arrays):  # noqa: B905
                if (
                    type(array) is not np.ndarray
                    or array.shape != shape
                    or array.dtype != dtype
                    or not array.flags.carray
                ):
                    array = check_input(self.name, Slot(index, shape, dtype, param), array)
                    copies.append(array)
                pointers[index] = from_buffer(array)
            for index, shape, dtype, param in self._outputs:
                array = empty(shape, dtype, param.nbytes)
                pointers[index] = from_buffer(array)
                results.append(array)
            status = self._call(pointers, frame.workspace, *self._extra)
        finally:
            self._frames.append(frame)
        if status:
            self._refuse_status(status)
        return results[0] if len(results) == 1 else tuple(results)

    def _run_into(self, arrays: Sequence[Array], out: object) -> Any:
        """The careful way: outputs may be given, strided, or overlap the inputs."""
        inputs = [
            check_input(self.name, slot, array)
            for slot, array in zip(self._inputs, arrays, strict=True)
        ]
        if out is None:
            given = [empty(slot.shape, slot.dtype, slot.param.nbytes) for slot in self._outputs]
        else:
            given = check_outputs(self.name, self._outputs, out)
        taken = [*self._constants.values(), *inputs]
        for slot, array in zip(self._outputs, given, strict=True):
            usable = array.flags.carray and not overlap(array, taken)
            taken.append(array if usable else empty(slot.shape, slot.dtype, slot.param.nbytes))
        outputs = taken[len(self._constants) + len(inputs) :]
        self._run_on({s.place: a for s, a in zip(self._inputs, inputs, strict=True)}, outputs)
        for array, output in zip(given, outputs, strict=True):
            if output is not array:
                array[...] = output
        return given[0] if len(given) == 1 else tuple(given)

    def _run_on(self, inputs: Mapping[int, Array], outputs: Sequence[Array]) -> None:
        """Run on contiguous arrays that fit, by their places."""
        placed = dict(inputs)
        placed.update((s.place, a) for s, a in zip(self._outputs, outputs, strict=True))
        if isinstance(self.kernel, PythonKernel):
            for index, param in enumerate(self.artifact.params):
                if param.name in self._constants:
                    placed[index] = self._constants[param.name]
            self.kernel.call([placed[index] for index in range(len(placed))])
            return
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        try:
            for index, array in placed.items():
                frame.pointers[index] = self._from_buffer(array)
            status = self._call(frame.pointers, frame.workspace, *self._extra)
        finally:
            self._frames.append(frame)
        if status:
            self._refuse_status(status)

    def _new_frame(self) -> Frame:
        """A frame with the constants in place."""
        ffi = kernel_ffi()
        pointers = ffi.new("void *[]", max(1, len(self.artifact.params)))
        for index, param in enumerate(self.artifact.params):
            if param.name in self._constants:
                pointers[index] = self._from_buffer(self._constants[param.name])
        size = self.artifact.workspace_size(self.threads)
        if not size:
            return Frame(pointers, ffi.NULL)
        block = np.empty(size + ALIGNMENT, np.uint8)
        start = address_of(block)
        return Frame(pointers, ffi.cast("void *", start + -start % ALIGNMENT), (block,))

    def _refuse_status(self, status: int) -> None:
        raise RuntimeCallError(f"Kernel '{self.name}' failed: expected status 0, got {status}.")


def _separate(
    slots: Sequence[Slot], arrays: Sequence[Array]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Inputs and outputs of a call that gave all parameters in order."""
    pairs = list(zip(slots, arrays, strict=True))
    return (
        tuple(array for slot, array in pairs if not slot.param.is_output),
        tuple(array for slot, array in pairs if slot.param.is_output),
    )


def _bind_constants(
    kernel: str, slots: Sequence[Slot], constants: Mapping[str, Array]
) -> dict[str, Array]:
    inputs = {slot.param.name: slot for slot in slots if not slot.param.is_output}
    for name in constants:
        if name not in inputs:
            raise RuntimeCallError(
                f"Cannot bind the constant '{name}' of kernel '{kernel}': "
                f"expected one of the inputs {quoted(list(inputs))}."
            )
    return {name: check_input(kernel, inputs[name], array) for name, array in constants.items()}
