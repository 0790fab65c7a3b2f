"""What reads do along an axis."""

from __future__ import annotations

from tensorc import te
from tensorc.schedule.replay import initial_state
from tensorc.space.strides import group_size, read_strides
from tensorc.te import ComputeDAG


def test_neighbours_that_read_the_same_group_are_counted() -> None:
    A, B = te.placeholder((6, 8), name="A"), te.placeholder((68,), name="B")
    C = te.compute((4, 68), lambda i, j: A[i // 2, j // 34] * B[j], name="C")
    state = initial_state(ComputeDAG.from_tensors([A, B, C]))
    assert group_size(state, "C", "j") == 34
    assert group_size(state, "C", "i") == 2
    assert read_strides(state, "C", "j") == [None, 1]


def test_axes_that_are_not_divided_have_no_groups() -> None:
    A = te.placeholder((8, 8), name="A")
    C = te.compute((4, 8), lambda i, j: A[(i + j) // 3, j], name="C")
    state = initial_state(ComputeDAG.from_tensors([A, C]))
    assert group_size(state, "C", "i") is None
    assert group_size(state, "C", "j") is None
