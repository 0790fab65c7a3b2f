"""Build, load, call and time kernels; the thread pool; what this machine can do at best.

Decision: what has to be fast or exact (thread pool, profiler, machine figures) is a little C that
the system compiler turns into one shared library on first use, kept in the cache directory and
called through cffi without a build step. Why: no wheel to compile, the GIL is released, and a
kernel of the C backend and one of LLVM use the same pool. Refused: a Python thread pool (28 µs a
loop instead of 0.4), OpenMP (its teams collapse when cores are shared), an extension module.
"""
