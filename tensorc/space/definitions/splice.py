"""Put other operations in the place of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tensorc.support.names import fresh
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import Op
from tensorc.te.rename import renamed
from tensorc.te.tensor import Tensor


def splice(
    dag: ComputeDAG, stage: str, operands: Mapping[Tensor, str], result: Tensor
) -> ComputeDAG:
    """Return the program with `result` in the place of an operation.

    Args:
        dag: The program.
        stage: The operation that goes; `result` takes its name, so that its readers stay.
        operands: Placeholders that `result` is computed from, and which operation each stands for.
        result: What is computed instead, of the same shape and type.
    """
    part = ComputeDAG.from_tensors([*operands, result])
    spelled = part.names_of([*operands, result])
    names = {spelled[tensor.op]: name for tensor, name in operands.items()}
    names[spelled[result.op]] = stage
    taken = set(dag.by_name)
    for op in part.ops:
        if op.name not in names:
            names[op.name] = fresh(op.name, taken)
            taken.add(names[op.name])
    new = [_called(op, names) for op in part.ops if not op.is_placeholder]
    ops = [x for op in dag.ops for x in (new if op.name == stage else [op])]
    return dag.with_ops(used(dag.with_ops(ops)))


def _called(op: Op, names: Mapping[str, str]) -> Op:
    """The operation under other names; its axes, and the operands of its reducer, keep theirs."""
    new = renamed(op, names, {axis: axis for axis in op.extents()})
    return replace(new, reducer=op.reducer)


def used(dag: ComputeDAG) -> list[Op]:
    """The operations that a parameter depends on, and all inputs."""
    wanted = {name for name, _ in dag.params}
    for op in reversed(dag.ops):
        if op.name in wanted:
            wanted |= set(dag.reads[op.name])
    return [op for op in dag.ops if op.name in wanted]
