"""The system's C compiler: find it, and turn C into a shared library."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tensorc.support.errors import BuildError, MissingDependencyError

# No -ffast-math: kernels say themselves what may be contracted, and NaN keeps its meaning.
# No vectoriser: vectors are in the text, and that of GCC 12 gets masked loads of AVX2 wrong.
FLAGS = (
    "-O2", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-tree-vectorize",
    "-fPIC", "-shared", "-pthread",
)  # fmt: skip
# Left out where the compiler breaks down: GCC 12.2 does in functions of tens of nested loops, once
# it has copied their headers.
_CAREFUL = ("-fno-tree-ch",)
_BROKEN_DOWN = "internal compiler error"
# Tried in turn: not every compiler knows the processor it runs on.
MACHINE_FLAGS = (("-march=native",), ("-mcpu=native",), ())


def find_compiler() -> tuple[str, ...]:
    """Return the command of the C compiler: what `CC` says, else `cc`, `gcc` or `clang`.

    Raises:
        MissingDependencyError: There is none.
    """
    named = shlex.split(os.environ.get("CC", ""))
    if named and shutil.which(named[0]):
        return tuple(named)
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return (path,)
    raise MissingDependencyError(
        "A C compiler is needed for the thread pool, the profiler and the target 'c' and is not "
        "installed: expected 'cc', 'gcc' or 'clang' on the path (try `apt install gcc`)."
    )


def compile_shared(sources: Sequence[Path], output: Path, *, extra: Sequence[str] = ()) -> None:
    """Compile C files into the shared library `output`.

    Raises:
        BuildError: The compiler refuses the code; carries what it said.
        MissingDependencyError: There is no C compiler.
    """
    compiler = find_compiler()
    files = [str(source) for source in sources]
    flags = [*FLAGS, *_machine_flags(compiler), *extra]
    plain = {**os.environ, "LC_ALL": "C"}
    for careful in ((), _CAREFUL):
        command = [*compiler, *flags, *careful, *files, "-o", str(output), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, env=plain, check=False)
        if _BROKEN_DOWN not in done.stderr:
            break
    if done.returncode != 0:
        raise BuildError(f"The C compiler '{compiler[0]}' refused the code: {done.stderr.strip()}")


def compile_text(text: str, *, extra: Sequence[str] = ()) -> bytes:
    """Compile one C source text and return the shared library as bytes.

    Raises:
        BuildError: The compiler refuses the code; carries what it said.
        MissingDependencyError: There is no C compiler.
    """
    with tempfile.TemporaryDirectory(prefix="tensorc-") as folder:
        source, output = Path(folder, "kernel.c"), Path(folder, "kernel.so")
        source.write_text(text)
        compile_shared([source], output, extra=extra)
        return output.read_bytes()


@cache
def _machine_flags(compiler: tuple[str, ...]) -> tuple[str, ...]:
    """The first of `MACHINE_FLAGS` that the compiler takes."""
    for flags in MACHINE_FLAGS:
        command = [*compiler, *flags, "-x", "c", "-E", "-o", os.devnull, os.devnull]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return flags
    return ()
