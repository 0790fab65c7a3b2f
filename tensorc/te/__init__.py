"""The language of tensor programs, in the dialect of TVM's `te`.

>>> from tensorc import te
>>> A = te.placeholder((4, 8), name="A")
>>> k = te.reduce_axis((0, 8), name="k")
>>> B = te.compute((4,), lambda i: te.sum(A[i, k], axis=k), name="B")
>>> print(te.ComputeDAG.from_tensors([A, B]))
A = PLACEHOLDER [4, 8]
B(i) += A[i, k]

Decision: the user's expressions are trees of their own, turned into canonical operations when a
`ComputeDAG` is built. Why: users write conditions, types and indices freely, while schedules,
bounds and backends rely on affine indices and unique names. Refused: symbolic shapes, reductions
inside expressions, scans, and calls of foreign code.
"""

from tensorc.te import operators
from tensorc.te.dag import ComputeDAG
from tensorc.te.expr import Expr, IterVar
from tensorc.te.operators import *  # noqa: F403 (they have a list of their own)
from tensorc.te.reduce import (
    CommReducer,
    all,
    any,
    argmax,
    argmin,
    comm_reducer,
    max,
    min,
    prod,
    reduce_axis,
    sum,
)
from tensorc.te.tensor import Tensor, compute, placeholder

Select = operators.select
pow = operators.power
size_var = operators.var

__all__ = [
    "CommReducer",
    "ComputeDAG",
    "Expr",
    "IterVar",
    "Select",
    "Tensor",
    "all",
    "any",
    "argmax",
    "argmin",
    "comm_reducer",
    "compute",
    "max",
    "min",
    "placeholder",
    "pow",
    "prod",
    "reduce_axis",
    "size_var",
    "sum",
]
__all__ += operators.__all__
