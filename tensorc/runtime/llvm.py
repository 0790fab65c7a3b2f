"""LLVM text to machine code, and machine code into this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from types import ModuleType
from typing import Any

from tensorc.support import host
from tensorc.support.errors import BuildError
from tensorc.support.optional import optional_import
from tensorc.target import Target

# Passes of the code generator that cost half the compile time and give explicit vector code
# nothing: 0 to 3 % slower in nine kernels. For candidates, not for what a user keeps. With them
# goes strength reduction, which is as often a loss as a gain.
_FAST_OPTIONS = ("-disable-cgp", "-enable-misched=false")
# LLVM's options are those of the process: held from setting one until the code is there.
_OPTIONS = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Linker:
    """LLVM's in-process linker, and numbers for the libraries in it (a name cannot be reused)."""

    jit: Any
    numbers: Iterator[int]


def compile_object(
    text: str,
    target: Target,
    *,
    fast: bool = False,
    strength_reduction: bool = True,
    check: Callable[[str], None] | None = None,
) -> bytes:
    """Compile LLVM text to a relocatable object.

    Only register promotion and clean-up run: vectors, unrolling and addresses are in the text.

    Args:
        text: The module.
        target: Gives processor and instruction sets.
        fast: Halve the compile time. Holds for all later compilations of the process, since these
            are process-wide options of LLVM: for build workers.
        strength_reduction: Replace index arithmetic in loops by addresses that run along, unless
            `fast`. Kernels of many arrays may be faster without, by a tenth and by more.
        check: Is shown the text after register promotion; raises to refuse it.

    Raises:
        BuildError: LLVM refuses the text.
        MissingDependencyError: llvmlite is not installed.
    """
    binding = _binding()
    machine = target_machine(*processor(target))
    try:
        module = binding.parse_assembly(text)
    except RuntimeError as error:
        raise BuildError(f"LLVM refused the text: {str(error).strip()}") from error
    _promote_registers(module, machine)
    if check is not None:
        check(str(module))
    with _options(fast=fast, strength_reduction=strength_reduction and not fast):
        return bytes(machine.emit_object(module))


def emit_assembly(text: str, target: Target) -> str:
    """Return the assembly of LLVM text, for people and for counting spills.

    Raises:
        MissingDependencyError: llvmlite is not installed.
        RuntimeError: LLVM refuses the text.
    """
    machine = target_machine(*processor(target))
    module = _binding().parse_assembly(text)
    _promote_registers(module, machine)
    with _options():
        return str(machine.emit_assembly(module))


def link_object(data: bytes, entry: str, symbols: dict[str, int]) -> tuple[int, Any]:
    """Link an object into this process.

    Args:
        data: The object.
        entry: The function whose address is wanted.
        symbols: Addresses of functions that the object calls.

    Returns:
        The address of `entry`, and what has to live as long as the code is used.

    Raises:
        BuildError: A symbol is missing.
        MissingDependencyError: llvmlite is not installed.
    """
    builder = _binding().JITLibraryBuilder().add_object_img(data).export_symbol(entry)
    builder.add_current_process()
    for name, address in symbols.items():
        builder.import_symbol(name, address)
    linker = _linker()
    try:
        tracker = builder.link(linker.jit, f"tensorc_{next(linker.numbers)}")
    except RuntimeError as error:
        raise BuildError(f"Cannot link the kernel '{entry}': {str(error).strip()}") from error
    return int(tracker[entry]), (tracker, linker)


def warm_up() -> None:
    """Load LLVM and make the linker, so that the first kernel does not wait for it.

    Raises:
        MissingDependencyError: llvmlite is not installed.
    """
    _linker()


def processor(target: Target) -> tuple[str, str]:
    """Return the processor and its features in LLVM's words.

    Instruction sets of this machine that the target leaves out are switched off; a target for
    another processor names its own.

    Raises:
        MissingDependencyError: llvmlite is not installed.
    """
    if target.cpu != "native":
        return target.cpu, ",".join(f"+{feature}" for feature in target.features)
    return _native_processor(target.features)


@cache
def _native_processor(allowed: tuple[str, ...]) -> tuple[str, str]:
    binding = _binding()
    native = dict(binding.get_host_cpu_features())
    for feature in host.instruction_sets():
        if feature not in allowed and feature in native:
            native[feature] = False
    # What is switched off comes last, since a feature switches on those that it needs.
    order = sorted(native.items(), key=lambda item: (not item[1], item[0]))
    features = ",".join(f"{'+' if on else '-'}{name}" for name, on in order)
    return binding.get_host_cpu_name(), features


@cache
def target_machine(cpu: str, features: str) -> Any:
    """Return LLVM's code generator for a processor.

    Raises:
        MissingDependencyError: llvmlite is not installed.
    """
    triple = _binding().Target.from_default_triple()
    return triple.create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default"
    )


@cache
def _binding() -> ModuleType:
    binding = optional_import("llvmlite.binding", purpose="the target 'llvm'")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@cache
def _linker() -> _Linker:
    machine = target_machine(*processor(Target("llvm")))
    return _Linker(_binding().create_lljit_compiler(machine), count())


@cache
def _set_fast_options() -> None:
    for option in _FAST_OPTIONS:
        _binding().set_option("tensorc", option)


@contextmanager
def _options(*, fast: bool = False, strength_reduction: bool = True) -> Iterator[None]:
    """Generate code by these options inside, while no other thread does by others."""
    with _OPTIONS:
        if fast:
            _set_fast_options()
        if strength_reduction:
            yield
            return
        # Read anew for each module, and set back: others generate code in this process, too.
        _binding().set_option("tensorc", "-disable-lsr=true")
        try:
            yield
        finally:
            _binding().set_option("tensorc", "-disable-lsr=false")


def _promote_registers(module: Any, machine: Any) -> None:
    binding = _binding()
    tuning = binding.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = False
    tuning.slp_vectorization = False
    builder = binding.create_pass_builder(machine, tuning)
    passes = binding.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
