"""Matrix products, scheduled by hand, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.codegen.python import execute
from tensorc.ir.verify import verify
from tensorc.lower import lower
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    ComputeAtStep,
    ReorderStep,
    SplitStep,
    Step,
)
from tensorc.target import Target

TARGET = Target("llvm", vector_bytes=32)

TILED: tuple[Step, ...] = (
    CacheReadStep("B", "global", ("C",)),
    SplitStep("C", "i", (6,)),
    SplitStep("C", "j", (16,)),
    ReorderStep("C", ("j.0", "i.0", "k", "i.1", "j.1")),
    AnnotationStep("C", "i.1", Annotation.UNROLL),
    AnnotationStep("C", "j.1", Annotation.VECTORIZE),
    ComputeAtStep("B.global", "C", "j.0"),
    AnnotationStep("B.global", "ax1", Annotation.VECTORIZE),
)


@pytest.mark.parametrize("steps", [(), TILED], ids=["unscheduled", "tiled"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (12, 32, 5), (13, 35, 9), (5, 3, 0)])
def test_a_product_equals_numpys(steps: tuple[Step, ...], shape: tuple[int, int, int]) -> None:
    M, N, K = shape
    A = te.placeholder((M, K), name="A")
    B = te.placeholder((K, N), name="B")
    k = te.reduce_axis((0, K), name="k")
    C = te.compute((M, N), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    func = lower(replay(te.ComputeDAG.from_tensors([A, B, C]), steps), TARGET)
    verify(func)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s, dtype=np.float32) for s in ((M, K), (K, N)))
    c = np.full((M, N), np.nan, np.float32)
    execute(func, [a, b, c])
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-6)
