"""Offsets in the workspace."""

from __future__ import annotations

from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.passes.plan_workspace import plan_workspace
from tensorc.target import Target

HEADER = "@prim_func(outputs=('C',))\ndef kernel(C: buffer((64,), 'float32')):\n"


def planned(body: str) -> PrimFunc:
    return plan_workspace(parse_func(HEADER + body), Target("llvm"))


def allocations(*names: str) -> str:
    return "".join(f"    {n} = allocate((16,), 'float32', 'workspace')\n" for n in names)


def test_buffers_alive_together_lie_side_by_side() -> None:
    func = planned(allocations("S", "T") + "    S[0] = 1.0\n    T[0] = S[0]\n    C[0] = T[0]\n")
    assert dict(func.offsets) == {"S": 64, "T": 0} or dict(func.offsets) == {"S": 0, "T": 64}
    assert func.workspace_bytes == 128


def test_buffers_that_are_never_alive_together_share() -> None:
    body = allocations("S", "T", "U")
    body += "    S[0] = 1.0\n    T[0] = S[0]\n    U[0] = T[0]\n    C[0] = U[0]\n"
    func = planned(body)
    offsets = dict(func.offsets)
    assert func.workspace_bytes == 128
    assert offsets["S"] == offsets["U"] != offsets["T"]


def test_what_outlives_an_iteration_is_alive_in_the_whole_loop() -> None:
    body = allocations("S", "T")
    body += """\
    S[0] = 1.0
    for i in serial(0, 4):
        C[i] = S[0]
        T[i] = C[i]
        C[i] = T[i]
"""
    assert planned(body).workspace_bytes == 128


def test_buffers_inside_a_parallel_loop_are_each_threads_own() -> None:
    func = planned(
        allocations("S")
        + """\
    S[0] = 1.0
    for i in parallel(0, 4):
        T = allocate((20,), 'float32', 'workspace')
        T[0] = S[0]
        C[i] = T[0]
"""
    )
    assert (func.workspace_bytes, func.thread_workspace_bytes) == (64, 128)
    assert dict(func.offsets) == {"S": 0, "T": 0}


def test_copies_of_a_nest_allocate_at_one_place() -> None:
    func = planned(
        """\
    for i in serial(0, 4):
        if 2 - i >= 0:
            T = allocate((16,), 'float32', 'workspace')
            T[0] = 1.0
            C[i] = T[0]
        else:
            T = allocate((16,), 'float32', 'workspace')
            T[0] = 2.0
            C[i] = T[0]
"""
    )
    assert func.offsets == (("T", 0),)


def test_without_such_buffers_nothing_changes() -> None:
    func = parse_func(HEADER + "    C[0] = 1.0\n")
    assert plan_workspace(func, Target("llvm")) is func
