"""A kernel as a Python function of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorc.runtime.arguments import check_input, quoted, slots_of
from tensorc.runtime.arrays import Array
from tensorc.runtime.artifact import Artifact
from tensorc.runtime.call import Call, Frame, GeneralCall
from tensorc.runtime.library import Kernel, load
from tensorc.runtime.pool import num_threads
from tensorc.runtime.quick_call import quick_call
from tensorc.support.errors import RuntimeCallError


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

    # The call is a slot: native code where there is some, with no frame of Python before it.
    __slots__ = (
        "__call__", "_general", "_ir", "_schedule", "artifact", "kernel", "name", "threads",
    )  # fmt: skip
    __call__: Call

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
        bound = _bind_constants(artifact, constants or {}, self.threads)
        self._general = GeneralCall(self.kernel, bound, self.threads)
        self.__call__ = quick_call(self._general)
        self._ir = ir
        self._schedule = schedule

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
        return self._general.bind(*arrays)

    def __repr__(self) -> str:
        params = ", ".join(f"{s.param.name}: {s.dtype}{list(s.shape)}" for s in self._general.slots)
        return f"<CompiledFunction {self.name}({params})>"


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
