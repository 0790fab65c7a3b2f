"""Which operations a list of tensors needs, and in which order Ansor visits them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

from tensorc.te.expr import (
    Binary,
    Conditional,
    Conversion,
    Element,
    Expr,
    MathCall,
    Reduction,
)
from tensorc.te.tensor import ComputeOp, Operation, PlaceholderOp, Tensor


def operands(e: Expr) -> tuple[Expr, ...]:
    """The direct operands of an expression."""
    match e:
        case Conversion(value, _):
            return (value,)
        case Binary(_, a, b):
            return (a, b)
        case MathCall(_, args):
            return args
        case Conditional(condition, a, b):
            return (condition, a, b)
        case Element(_, indices):
            return indices
        case Reduction(_, sources, _, condition, _):
            return (*sources, condition)
        case _:
            return ()


def elements(roots: Sequence[Expr]) -> Iterator[Element]:
    """Every element read, operands first; shared expressions once."""
    seen: set[int] = set()
    pending: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while pending:
        e, visited = pending.pop()
        if visited:
            if isinstance(e, Element):
                yield e
        elif id(e) not in seen:
            seen.add(id(e))
            pending.append((e, True))
            pending += [(operand, False) for operand in reversed(operands(e))]


def inputs(op: Operation) -> tuple[Operation, ...]:
    """The operation behind each tensor read, in the order of reading."""
    if isinstance(op, PlaceholderOp):
        return ()
    found = {(id(e.tensor.op), e.tensor.value_index): e.tensor.op for e in elements(op.body)}
    return tuple(found.values())


def sorted_operations(tensors: Sequence[Tensor]) -> tuple[Operation, ...]:
    """All operations behind `tensors`, producers first.

    Of those that are ready the one found last by a depth-first walk from the tensors comes first;
    this is Ansor's order (`TopoSortOps`), on which stage numbers depend.
    """
    priority: dict[Operation, int] = {}
    readers: dict[Operation, list[Operation]] = {}
    pending: list[Operation] = [t.op for t in tensors]
    while pending:
        op = pending.pop()
        if op in priority:
            continue
        priority[op] = len(priority)
        for source in inputs(op):
            readers.setdefault(source, []).append(op)
            pending.append(source)
    missing = Counter(reader for group in readers.values() for reader in group)
    by_priority = list(priority)
    ready = [-p for op, p in priority.items() if not missing[op]]
    heapq.heapify(ready)
    result: list[Operation] = []
    while ready:
        op = by_priority[-heapq.heappop(ready)]
        result.append(op)
        for reader in readers.get(op, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, -priority[reader])
    return tuple(result)


def placeholders_read(tensors: Sequence[Tensor]) -> tuple[PlaceholderOp, ...]:
    """The inputs that `tensors` depend on, in order of first use."""
    ops = sorted_operations([t for t in tensors if isinstance(t.op, ComputeOp)])
    return tuple(op for op in ops if isinstance(op, PlaceholderOp))
