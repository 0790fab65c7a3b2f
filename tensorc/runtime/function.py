"""A kernel as a Python function of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tensorc.runtime.arrays import Array, address_of, empty, numpy_dtype, overlap
from tensorc.runtime.artifact import ALIGNMENT, Artifact, Param
from tensorc.runtime.library import NativeKernel, PythonKernel, kernel_ffi, load
from tensorc.runtime.pool import num_threads
from tensorc.support.errors import RuntimeCallError


@dataclass(frozen=True, slots=True)
class _Slot:
    """A parameter as a call needs it: its place in the pointer array, and what fits in."""

    index: int
    param: Param
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What one call in progress has for itself: the pointer array and the workspace."""

    pointers: Any
    workspace: Any
    block: object


class CompiledFunction:
    """A compiled kernel; call it with NumPy arrays.

    `f(a, b)` takes the inputs in order and returns the output, or a tuple of the outputs, newly
    allocated. `f(a, b, out=c)` writes into arrays given (a tuple for several outputs), and so does
    `f(a, b, c)` with all parameters in call order. Inputs may have any strides; they are copied
    where they are not contiguous. May be called from several threads at once.

    Attributes:
        name: Name of the kernel.
        artifact: What was built.
        threads: How many threads its parallel loops use at most.
    """

    __slots__ = (
        "_all", "_call", "_constants", "_describe", "_fixed", "_frames", "_inputs", "_kernel",
        "_outputs", "artifact", "name", "threads",
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
        self._kernel = load(artifact)
        self._describe = (ir, schedule)
        self._frames: list[_Frame] = []
        slots = [_Slot(i, p, numpy_dtype(p.dtype), p.shape) for i, p in enumerate(artifact.params)]
        self._constants = self._bind(slots, constants or {})
        self._outputs = tuple(slot for slot in slots if slot.param.is_output)
        free = [slot for slot in slots if slot.param.name not in self._constants]
        self._inputs = tuple(slot for slot in free if not slot.param.is_output)
        self._all = tuple(free)
        self._fixed = () if _takes_pool(self._kernel) is False else (self.threads,)
        self._call = self._kernel.call

    def __call__(self, *arrays: Array, out: Array | Sequence[Array] | None = None) -> Any:
        """Run the kernel.

        Raises:
            RuntimeCallError: An array does not fit its parameter in number, shape or dtype.
        """
        if len(arrays) != len(self._inputs):
            if out is None and len(arrays) == len(self._all):
                arrays, out = self._separate(arrays)
            else:
                self._refuse_count(arrays)
        if isinstance(self._kernel, PythonKernel) or out is not None:
            return self._run_into(arrays, out)
        return self._run(arrays)

    def source(self) -> str:
        """Return the text the code was compiled from."""
        return self.artifact.source

    def ir(self) -> str:
        """Return the loop IR."""
        return _text(self._describe[0])

    def schedule(self) -> str:
        """Return the schedule as Python code."""
        return _text(self._describe[1])

    def __repr__(self) -> str:
        params = ", ".join(
            f"{slot.param.name}: {slot.param.dtype}{list(slot.shape)}" for slot in self._all
        )
        return f"<CompiledFunction {self.name}({params})>"

    def _run(self, arrays: Sequence[Array]) -> Any:
        """The quick way: new outputs."""
        from_buffer = kernel_ffi().from_buffer
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        pointers = frame.pointers
        keep = None
        results = []
        try:
            for slot, array in zip(self._inputs, arrays, strict=True):
                if (
                    type(array) is not np.ndarray
                    or array.shape != slot.shape
                    or array.dtype != slot.dtype
                    or not array.flags.carray
                ):
                    array = self._input(slot, array)
                    keep = (keep, array)
                pointers[slot.index] = from_buffer(array)
            for slot in self._outputs:
                array = empty(slot.shape, slot.dtype, slot.param.nbytes)
                pointers[slot.index] = from_buffer(array)
                results.append(array)
            status = self._call(pointers, frame.workspace, *self._fixed)
        finally:
            self._frames.append(frame)
        if status:
            self._refuse_status(status)
        return results[0] if len(results) == 1 else tuple(results)

    def _run_into(self, arrays: Sequence[Array], out: Array | Sequence[Array] | None) -> Any:
        """The careful way: outputs may be given, strided, or overlap the inputs."""
        inputs = [
            self._input(slot, array) for slot, array in zip(self._inputs, arrays, strict=True)
        ]
        given = self._check_outputs(out)
        sources = [*inputs, *self._constants.values()]
        targets: list[Array] = []
        for slot, array in zip(self._outputs, given, strict=True):
            direct = array.flags.carray and not any(
                overlap(array, other) for other in (*sources, *targets)
            )
            targets.append(array if direct else empty(slot.shape, slot.dtype, slot.param.nbytes))
        self._run_on(inputs, targets)
        for array, target in zip(given, targets, strict=True):
            if target is not array:
                array[...] = target
        return given[0] if len(given) == 1 else tuple(given)

    def _run_on(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Run on contiguous arrays that fit."""
        placed: dict[int, Array] = {}
        for slots, arrays in ((self._inputs, inputs), (self._outputs, outputs)):
            placed.update((slot.index, array) for slot, array in zip(slots, arrays, strict=True))
        if isinstance(self._kernel, PythonKernel):
            names = [param.name for param in self.artifact.params]
            placed.update((names.index(name), array) for name, array in self._constants.items())
            self._kernel.call([placed[i] for i in range(len(names))])
            return
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._new_frame()
        try:
            for index, array in placed.items():
                frame.pointers[index] = kernel_ffi().from_buffer(array)
            status = self._call(frame.pointers, frame.workspace, *self._fixed)
        finally:
            self._frames.append(frame)
        if status:
            self._refuse_status(status)

    def _new_frame(self) -> _Frame:
        ffi = kernel_ffi()
        pointers = ffi.new("void *[]", max(1, len(self.artifact.params)))
        for index, param in enumerate(self.artifact.params):
            if param.name in self._constants:
                pointers[index] = ffi.from_buffer(self._constants[param.name])
        size = self.artifact.workspace_size(self.threads)
        if not size:
            return _Frame(pointers, ffi.NULL, None)
        block = np.empty(size + ALIGNMENT, np.uint8)
        start = address_of(block)
        return _Frame(pointers, ffi.cast("void *", start + -start % ALIGNMENT), block)

    def _separate(self, arrays: Sequence[Array]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Inputs and outputs of a call that gave all parameters in order."""
        pairs = list(zip(self._all, arrays, strict=True))
        return (
            tuple(array for slot, array in pairs if not slot.param.is_output),
            tuple(array for slot, array in pairs if slot.param.is_output),
        )

    def _bind(self, slots: Sequence[_Slot], constants: Mapping[str, Array]) -> dict[str, Array]:
        inputs = {slot.param.name: slot for slot in slots if not slot.param.is_output}
        for name in constants:
            if name not in inputs:
                raise RuntimeCallError(
                    f"Cannot bind the constant '{name}' of kernel '{self.name}': "
                    f"expected one of the inputs {_quoted(list(inputs))}."
                )
        return {name: self._input(inputs[name], array) for name, array in constants.items()}

    def _input(self, slot: _Slot, value: object) -> Array:
        """Check an input; copy it if its memory is not as the kernel wants it."""
        array = self._check(slot, value)
        return np.require(array, requirements=["C", "A"])

    def _check_outputs(self, out: Array | Sequence[Array] | None) -> list[Array]:
        if out is None:
            return [empty(s.shape, s.dtype, s.param.nbytes) for s in self._outputs]
        given = [out] if isinstance(out, np.ndarray) else list(out)
        if len(given) != len(self._outputs):
            names = _quoted([slot.param.name for slot in self._outputs])
            raise RuntimeCallError(
                f"Bad 'out' of kernel '{self.name}': expected {len(self._outputs)} arrays "
                f"for {names}, got {len(given)}."
            )
        for slot, array in zip(self._outputs, given, strict=True):
            if not isinstance(array, np.ndarray):
                self._refuse(slot, type(array).__name__)
            self._check(slot, array)
            if not array.flags.writeable:
                raise RuntimeCallError(
                    f"Bad output '{slot.param.name}' of kernel '{self.name}': "
                    f"expected an array that can be written, got a read-only one."
                )
        return given

    def _check(self, slot: _Slot, value: object) -> Array:
        if not isinstance(value, np.ndarray):
            if not hasattr(value, "__array__"):
                self._refuse(slot, f"'{type(value).__name__}'")
            value = np.asarray(value)
        if value.shape != slot.shape or value.dtype != slot.dtype:
            order = " (of foreign byte order)" if not value.dtype.isnative else ""
            self._refuse(slot, f"dtype '{value.dtype}'{order} and shape {value.shape}")
        return value

    def _refuse(self, slot: _Slot, came: str) -> NoReturn:
        kind = "output" if slot.param.is_output else "argument"
        raise RuntimeCallError(
            f"Bad {kind} '{slot.param.name}' of kernel '{self.name}': expected an array of "
            f"dtype '{slot.param.dtype}' and shape {slot.shape}, got {came}."
        )

    def _refuse_count(self, arrays: Sequence[Array]) -> NoReturn:
        names = [slot.param.name for slot in self._inputs]
        raise RuntimeCallError(
            f"Bad call of kernel '{self.name}': expected {len(names)} arrays for {_quoted(names)}, "
            f"got {len(arrays)}."
        )

    def _refuse_status(self, status: int) -> NoReturn:
        raise RuntimeCallError(f"Kernel '{self.name}' failed: expected status 0, got {status}.")


def _takes_pool(kernel: NativeKernel | PythonKernel) -> bool:
    return isinstance(kernel, NativeKernel) and kernel.artifact.is_parallel


def _text(value: str | Callable[[], str]) -> str:
    return value if isinstance(value, str) else value()


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"
