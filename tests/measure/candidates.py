"""Right and wrong candidates for one small task, `C = A + B`, written by hand in C."""

from __future__ import annotations

import numpy as np

from tensorc.measure.compare import Tolerance
from tensorc.measure.task import MeasureTask
from tensorc.runtime.artifact import Artifact
from tensorc.target import Target
from tests.runtime.handmade import c_artifact, output, param

SIZE = 1000
PARAMS = (param("A", SIZE), param("B", SIZE), output("C", SIZE))
_SUM = "for (int i = 0; i < 1000; i++) c[i] = a[i] + b[i];"


def add_task(key: str = "add", naive_seconds: float = 0.01, threads: int = 1) -> MeasureTask:
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-1, 1, SIZE).astype(np.float32) for _ in range(2))
    return MeasureTask(
        key,
        PARAMS,
        (a, b, a + b),
        (Tolerance(1e-5),) * 3,
        Target("llvm", num_cores=threads),
        naive_seconds,
    )


def candidate(code: str = _SUM, **workspace: int) -> Artifact:
    """A kernel with `a`, `b`, `c` and the workspace `w`."""
    return c_artifact(
        "#include <stdlib.h>\n#include <unistd.h>\n"
        "int32_t kernel(void *const *buffers, void *w) {\n"
        "  float *a = buffers[0], *b = buffers[1], *c = buffers[2];\n"
        f"  {code}\n  return 0;\n}}",
        "kernel",
        PARAMS,
        **workspace,
    )


def right() -> Artifact:
    return candidate()


def wrong() -> Artifact:
    return candidate(_SUM + " c[123] += 0.5f;")


def segfaulting() -> Artifact:
    return candidate("*(volatile int *)8 = 1;")


def looping() -> Artifact:
    return candidate("for (;;) *(volatile float *)c = 1;")


def writing_just_outside() -> Artifact:
    return candidate(_SUM + " c[1001] = 1;")


def writing_far_outside() -> Artifact:
    return candidate(_SUM + " *(volatile float *)(c + 5000) = 1;")


def writing_to_an_input() -> Artifact:
    return candidate(_SUM + " *(volatile float *)(a + 5) = 1;")


def reading_outside() -> Artifact:
    return candidate(_SUM + " c[0] += *(volatile float *)(b + 3000);")


def aborting() -> Artifact:
    return candidate("abort();")


def leaving() -> Artifact:
    return candidate("exit(3);")
