"""How fast no program can be: what the search is held against to know when it is done.

Only what is certain counts. A sum of products needs its multiply-adds, at the measured peak; but
where there are conditions, programs leave multiplications by zero out, and other algorithms need
fewer. Bandwidth is no such limit: part of the data mostly stays in a nearer cache between calls,
and kernels have beaten what was measured by a third.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from tensorc.ir.expr import BinaryOp, Read, Select, Where, expr_variables
from tensorc.ir.visit import walk_expr
from tensorc.runtime.machine import fma_peak
from tensorc.space.constants import constant_ops
from tensorc.space.task import SearchTask
from tensorc.te.op import Op

_SECONDS = 0.02
_READINGS = 3


@dataclass(slots=True)
class ComputeLimit:
    """The seconds of a number of multiply-adds at the peak of the machine.

    Attributes:
        operations: Floating-point operations, two for each multiply-add.
        threads: How many threads share them.
        dtype: Of the operands.
    """

    operations: float
    threads: int
    dtype: Literal["float32", "float64"] = "float32"
    _peak: float = 0.0

    def __call__(self) -> float:
        """Measure the peak again and return the seconds; the best reading so far counts.

        Other programs can only lower a reading.

        Raises:
            MeasureError: The system gives no such number of threads.
        """
        for _ in range(_READINGS):
            self._peak = max(self._peak, fma_peak(self.threads, self.dtype, seconds=_SECONDS))
        return self.operations / self._peak


def compute_limit(task: SearchTask) -> ComputeLimit | None:
    """Return the limit of a computation; None where nothing certain is known.

    The program must run on this machine.
    """
    ops = [op for op in task.dag.ops if not op.is_placeholder]
    bodies = [node for op in ops for body in op.body for node in walk_expr(body)]
    dtypes = {dtype.name for op in task.dag.ops for dtype in op.dtypes}
    if task.target.is_gpu or dtypes not in ({"float32"}, {"float64"}):
        return None
    if any(isinstance(node, Select | Where) for node in bodies):
        return None
    free = constant_ops(task, task.dag)
    sums = [op for op in ops if op.name not in free and _is_sum_of_products(op)]
    operations = sum(2.0 * prod(map(int, op.extents().values())) for op in sums)
    if not operations:
        return None
    dtype: Literal["float32", "float64"] = "float64" if "float64" in dtypes else "float32"
    return ComputeLimit(operations, task.target.num_cores, dtype)


def _is_sum_of_products(op: Op) -> bool:
    """Whether it adds products of two elements, another pair in each iteration."""
    if op.reducer is None or op.reducer.name != "sum" or len(op.body) != 1:
        return False
    body = op.body[0]
    if not (isinstance(body, BinaryOp) and body.op == "*"):
        return False
    if not (isinstance(body.a, Read) and isinstance(body.b, Read)):
        return False
    axes = {name for name, extent in op.extents().items() if extent > 1}
    return axes <= set(expr_variables(body))
