"""What is the same in every call: computed once, when the constants are bound, and never timed."""

from __future__ import annotations

from tensorc.space.task import SearchTask
from tensorc.te.dag import ComputeDAG


def constant_ops(task: SearchTask, dag: ComputeDAG) -> frozenset[str]:
    """The inputs of a task that are constant, and the operations that read nothing else.

    Outputs are computed in every call, and so is what reads no input at all: it is written into its
    readers.

    Args:
        task: The task.
        dag: Its computation, or one that a sketch has made of it.
    """
    found = {name for name in task.constants if name in dag.by_name}
    free: set[str] = set()
    if not found:
        return frozenset()
    for op in dag.ops:
        if op.is_placeholder or dag.is_output(op.name):
            continue
        sources = set(dag.reads[op.name])
        if sources <= free:
            free.add(op.name)
        elif sources <= found | free:
            found.add(op.name)
    return frozenset(found)
