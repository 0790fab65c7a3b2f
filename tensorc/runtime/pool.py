"""The threads that parallel loops run on."""

from __future__ import annotations

from tensorc.runtime.native import NativeLibrary, runtime_library
from tensorc.support import host, options


def num_threads() -> int:
    """Return the threads of a parallel kernel: `TENSORC_NUM_THREADS`, else the usable cores.

    Raises:
        OptionError: `TENSORC_NUM_THREADS` is no number of threads.
    """
    return options.NUM_THREADS.get() or host.usable_cores()


def pool_library() -> NativeLibrary:
    """Return the library with `tensorc_parallel_for` and `tensorc_call`, ready for kernels.

    Raises:
        BuildError: The C compiler fails, or the cache directory cannot be written.
        MissingDependencyError: There is no C compiler.
        OptionError: `TENSORC_NUM_THREADS` is no number of threads.
    """
    library = runtime_library()
    library.lib.tensorc_pool_set_default(num_threads())
    return library
