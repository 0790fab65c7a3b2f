"""Steps of one DAG on another that computes the same under other names."""

from tensorc import te
from tensorc.schedule.rename import rename_steps
from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    ComputeAtStep,
    FuseStep,
    ReorderStep,
    SplitStep,
)
from tensorc.te.dag import ComputeDAG


def matmul(names: str, axes: str) -> ComputeDAG:
    a = te.placeholder((8, 8), name=names[0])
    b = te.placeholder((8, 8), name=names[1])
    k = te.reduce_axis((0, 8), name=axes[2])
    body = {"ijk": lambda i, j: te.sum(a[i, k] * b[k, j], axis=k)}
    body["xyz"] = lambda x, y: te.sum(a[x, k] * b[k, y], axis=k)
    c = te.compute((8, 8), body[axes], name=names[2])
    return ComputeDAG.from_tensors([a, b, c])


FIRST, SECOND = matmul("ABC", "ijk"), matmul("PQR", "xyz")


def test_every_name_of_a_step_is_translated():
    steps = (
        CacheWriteStep("C", "local"),
        SplitStep("C.local", "k", (4,)),
        FuseStep("C", ("i.0", "j.0.1")),
        ReorderStep("C", ("i.0@j.0.1@", "i.1")),
        AnnotationStep("C", "i.0@j.0.1@", Annotation.PARALLEL),
        ComputeAtStep("C.local", "C", "i.0@j.0.1@"),
        CacheReadStep("B", "global", ("C.local",)),
    )
    assert rename_steps(steps, FIRST, SECOND) == (
        CacheWriteStep("R", "local"),
        SplitStep("R.local", "z", (4,)),
        FuseStep("R", ("x.0", "y.0.1")),
        ReorderStep("R", ("x.0@y.0.1@", "x.1")),
        AnnotationStep("R", "x.0@y.0.1@", Annotation.PARALLEL),
        ComputeAtStep("R.local", "R", "x.0@y.0.1@"),
        CacheReadStep("Q", "global", ("R.local",)),
    )


def test_axes_of_caches_keep_their_names():
    steps = (SplitStep("A.global", "ax0", (4,)),)
    assert rename_steps(steps, FIRST, SECOND) == (SplitStep("P.global", "ax0", (4,)),)


def test_renaming_there_and_back_is_the_identity():
    steps = (SplitStep("C", "i", (2, 2)), ReorderStep("C", ("k", "i.0", "i.1", "i.2", "j")))
    assert rename_steps(rename_steps(steps, FIRST, SECOND), SECOND, FIRST) == steps
