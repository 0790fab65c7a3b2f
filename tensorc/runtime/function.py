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
from tensorc.runtime.library import Kernel, NativeKernel, PythonKernel, load
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
        "_call", "_constants", "_extra", "_frames", "_free", "_from_buffer", "_held", "_inputs",
        "_ir", "_is_simple", "_outputs", "_schedule", "artifact", "kernel", "name", "threads",
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
            constants: Inputs that are the same in every call, by name; calls leave them out. What
                only the prologue reads is not kept. They must not change afterwards.
            threads: Threads for parallel loops; `TENSORC_NUM_THREADS` or the usable cores if None.
            ir: The loop IR, or a function that prints it.
            schedule: The schedule, likewise.

        Raises:
            BuildError: The kernel cannot be loaded.
            RuntimeCallError: A constant does not fit its parameter, or one that the prologue needs
                is not given.
        """
        self.artifact = artifact
        self.name = artifact.entry
        self.threads = threads or num_threads()
        self.kernel: Kernel = load(artifact)
        slots = slots_of(artifact)
        self._constants = _bind_constants(artifact, constants or {}, self.threads)
        self._free = tuple(slot for slot in slots if slot.param.name not in self._constants)
        self._inputs = tuple(slot for slot in self._free if not slot.param.is_output)
        self._outputs = tuple(slot for slot in self._free if slot.param.is_output)
        self._frames: list[Frame] = []
        self._from_buffer = kernel_ffi().from_buffer
        self._held = [(self._from_buffer(c), c.nbytes) for c in self._constants.values()]
        self._is_simple = isinstance(self.kernel, NativeKernel) and len(self._outputs) == 1
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
        elif self._is_simple and (result := self._run_simple(arrays, out)) is not None:
            return result
        if out is None:
            given = [empty(shape, dtype, nbytes) for _, shape, dtype, nbytes, _ in self._outputs]
        else:
            given = check_outputs(self.name, self._outputs, out)
        if not isinstance(self.kernel, NativeKernel) or (
            out is not None and self._meet(given, arrays)
        ):
            self._run_apart(arrays, given)
        else:
            self._run(arrays, given)
        return given[0] if len(given) == 1 else tuple(given)

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
        keep += [empty(slot.shape, slot.dtype, slot.nbytes) for slot in self._outputs]
        for slot, array in zip((*self._inputs, *self._outputs), keep, strict=True):
            frame.pointers[slot.place] = self._from_buffer(array)
        return Frame(frame.pointers, frame.workspace, (frame, *keep))

    def __repr__(self) -> str:
        params = ", ".join(f"{s.param.name}: {s.dtype}{list(s.shape)}" for s in self._free)
        return f"<CompiledFunction {self.name}({params})>"

    def _meet(self, outputs: Sequence[Array], inputs: Sequence[object]) -> bool:
        """Whether outputs that were given cannot be written while the kernel reads its inputs."""
        others = [array for array in inputs if isinstance(array, np.ndarray)]
        if not all(array.flags.carray for array in (*outputs, *others)):
            return True
        others += self._constants.values()
        return any(overlap(array, (*others, *outputs[:i])) for i, array in enumerate(outputs))

    def _run_simple(self, inputs: Sequence[Array], out: object) -> Array | None:
        """Run on arrays that fit as they are, with one output; None, nothing done, if they do not.

        The same as the general way, which knows why something does not fit. Every line counts.
        """
        ndarray, from_buffer = np.ndarray, self._from_buffer
        ((place, shape, dtype, nbytes, _),) = self._outputs
        if out is None:
            result = empty(shape, dtype, nbytes)
        elif (
            type(out) is ndarray and out.shape == shape and out.dtype == dtype and out.flags.carray
        ):
            result = out
        else:
            return None
        start = from_buffer(result)
        end = start + nbytes
        if out is not None:
            for data, size in self._held:
                if start < data + size and data < end:
                    return None
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        try:
            pointers = frame.pointers
            pointers[place] = start
            for (place, shape, dtype, nbytes, _), array in zip(self._inputs, inputs):  # noqa: B905
                if (
                    type(array) is not ndarray
                    or array.shape != shape
                    or array.dtype != dtype
                    or not array.flags.carray
                ):
                    return None
                pointers[place] = data = from_buffer(array)
                if out is not None and start < data + nbytes and data < end:
                    return None
            status = self._call(pointers, frame.workspace, *self._extra)
        finally:
            self._frames.append(frame)
        if status:
            raise RuntimeCallError(f"Kernel '{self.name}' failed: expected status 0, got {status}.")
        return result

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
            for slot, array in zip(self._inputs, inputs):  # noqa: B905
                place, shape, dtype, _, _ = slot
                if (
                    type(array) is not np.ndarray
                    or array.shape != shape
                    or array.dtype != dtype
                    or not array.flags.carray
                ):
                    array = check_input(self.name, slot, array)
                    copies.append(array)
                pointers[place] = from_buffer(array)
            for slot, array in zip(self._outputs, outputs):  # noqa: B905
                pointers[slot[0]] = from_buffer(array)
            status = self._call(pointers, frame.workspace, *self._extra)
        finally:
            self._frames.append(frame)
        if status:
            raise RuntimeCallError(f"Kernel '{self.name}' failed: expected status 0, got {status}.")

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
            placed[slot.place] = check_input(self.name, slot, array)
        for place, param in enumerate(self.artifact.params):
            if param.name in self._constants:
                placed[place] = self._constants[param.name]
        return [placed[place] for place in range(len(placed))]

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
    artifact: Artifact, constants: Mapping[str, Array], threads: int
) -> dict[str, Array]:
    """The constants that a kernel reads, and what its prologue makes of constants, by name."""
    prologue, results = artifact.prologue, artifact.results
    early = [] if prologue is None else slots_of(prologue)
    made = {param.name for param in results}
    inputs = {
        slot.param.name: slot
        for slot in (*early, *slots_of(artifact))
        if not slot.param.is_output and slot.param.name not in made
    }
    for name in constants:
        if name not in inputs:
            raise RuntimeCallError(
                f"Cannot bind the constant '{name}' of kernel '{artifact.entry}': "
                f"expected one of the inputs {quoted(list(inputs))}."
            )
    bound = {n: check_input(artifact.entry, inputs[n], array) for n, array in constants.items()}
    if prologue is None:
        return bound
    needed = [slot.param.name for slot in early if not slot.param.is_output]
    for name in needed:
        if name not in bound:
            raise RuntimeCallError(
                f"Cannot load the kernel '{artifact.entry}': "
                f"expected the constant '{name}', which it was built for."
            )
    done = CompiledFunction(prologue, threads=threads)(*(bound[name] for name in needed))
    values = done if isinstance(done, tuple) else (done,)
    everything = bound | {p.name: value for p, value in zip(results, values, strict=True)}
    return {p.name: everything[p.name] for p in artifact.params if p.name in everything}
