"""Run programs in two ways that share nothing below the canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorc.codegen.python import execute
from tensorc.lower import lower
from tensorc.schedule.replay import initial_state
from tensorc.target import Target
from tensorc.te import ComputeDAG, Tensor
from tensorc.te.tensor import ComputeOp
from tests.lower.reference import evaluate
from tests.te.interpreter import numpy_dtype

Array = NDArray[Any]


def by_canonical_form(tensors: Sequence[Tensor], inputs: Sequence[Array]) -> list[Array]:
    """The computed tensors, from the canonical operations with NumPy."""
    dag = ComputeDAG.from_tensors(tensors)
    pairs = list(zip(dag.params, tensors, strict=True))
    names = [name for (name, _), t in pairs if not isinstance(t.op, ComputeOp)]
    known = evaluate(dag, dict(zip(names, inputs, strict=True)))
    return [known[param] for param, t in pairs if isinstance(t.op, ComputeOp)]


def by_loops(tensors: Sequence[Tensor], inputs: Sequence[Array]) -> list[Array]:
    """The computed tensors, from plain loops run as Python."""
    func = lower(initial_state(ComputeDAG.from_tensors(tensors)), Target("llvm"))
    given = iter(inputs)
    arrays = [
        np.zeros(t.shape, numpy_dtype(t.element_type))
        if isinstance(t.op, ComputeOp)
        else next(given)
        for t in tensors
    ]
    execute(func, arrays)
    return [a for a, t in zip(arrays, tensors, strict=True) if isinstance(t.op, ComputeOp)]
