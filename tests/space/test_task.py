"""A task is a computation on a machine, whatever its tensors are called."""

from __future__ import annotations

from tensorc import te
from tensorc.space.task import SearchTask
from tensorc.te.tensor import Tensor


def doubled(name: str, size: int = 8) -> list[Tensor]:
    A = te.placeholder((size,), name=name)
    return [A, te.compute((size,), lambda i: A[i] * 2.0, name=f"{name}_2")]


def test_names_do_not_make_another_task() -> None:
    a, b = SearchTask.of(doubled("A")), SearchTask.of(doubled("B"))
    assert a == b
    assert len({a, b}) == 1


def test_shape_and_target_make_another_task() -> None:
    a = SearchTask.of(doubled("A"), "llvm -num-cores=4")
    assert a != SearchTask.of(doubled("A", 9), "llvm -num-cores=4")
    assert a != SearchTask.of(doubled("A"), "llvm -num-cores=2")
    assert a != "A"


def test_a_task_is_the_task_of_itself() -> None:
    task = SearchTask.of(doubled("A"))
    assert SearchTask.of(task) is task
    assert SearchTask.of(task.dag, task.target) == task
