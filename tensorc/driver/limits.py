"""How fast no program can be: what the search is held against to know when it is done.

Only what is certain counts. A sum of products needs its multiply-adds, at the measured peak, less
those by the zeros of padding, which programs leave out; other algorithms need fewer. Bandwidth is
no such limit: part of the data mostly stays in a nearer cache between calls, and kernels have
beaten what was measured by a third.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tensorc.driver.terms import count_products
from tensorc.runtime.machine import fma_peak
from tensorc.space.constants import constant_ops
from tensorc.space.task import SearchTask

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
    dtypes = {dtype.name for op in task.dag.ops for dtype in op.dtypes}
    if task.target.is_gpu or dtypes not in ({"float32"}, {"float64"}):
        return None
    free = constant_ops(task, task.dag)
    computed = [op.name for op in task.dag.ops if not op.is_placeholder and op.name not in free]
    count = count_products(task.dag, computed)
    if not count:
        return None
    dtype: Literal["float32", "float64"] = "float64" if "float64" in dtypes else "float32"
    return ComputeLimit(2.0 * count, task.target.num_cores, dtype)
