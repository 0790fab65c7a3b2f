"""Elements of a vector."""

from __future__ import annotations

import pytest

from tensorc import te
from tensorc.lower.lanes import lanes_of
from tensorc.target import Target


@pytest.mark.parametrize(("dtype", "lanes"), [("int8", 64), ("float16", 32), ("float64", 8)])
def test_lanes_are_those_of_the_stored_type(dtype: str, lanes: int) -> None:
    A = te.placeholder((64,), dtype, name="A")
    B = te.compute((64,), lambda i: A[i] + A[i], name="B")
    op = te.ComputeDAG.from_tensors([A, B]).by_name["B"]
    assert lanes_of(op, Target("llvm", vector_bytes=64)) == lanes
