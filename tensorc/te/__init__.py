"""The language of tensor programs, in the dialect of TVM's `te`.

>>> from tensorc import te
>>> A = te.placeholder((4, 8), name="A")
>>> k = te.reduce_axis((0, 8), name="k")
>>> B = te.compute((4,), lambda i: te.sum(A[i, k], axis=k), name="B")
>>> print(te.ComputeDAG.from_tensors([A, B]))
A = PLACEHOLDER [4, 8]
B(i) += A[i, k]
"""

from tensorc.te.dag import ComputeDAG
from tensorc.te.expr import Expr, IterVar
from tensorc.te.operators import (
    atan2,
    cast,
    ceildiv,
    clip,
    const,
    copysign,
    div,
    floordiv,
    floormod,
    fmod,
    if_then_else,
    indexdiv,
    indexmod,
    infinity,
    logical_and,
    logical_not,
    logical_or,
    max_value,
    maximum,
    min_value,
    minimum,
    power,
    select,
    truncdiv,
    truncmod,
    var,
)
from tensorc.te.operators import (
    abs,
    atan,
    ceil,
    cos,
    cosh,
    erf,
    exp,
    exp2,
    expm1,
    floor,
    isfinite,
    isinf,
    isnan,
    log,
    log1p,
    log2,
    log10,
    nearbyint,
    popcount,
    round,
    rsqrt,
    sigmoid,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
    trunc,
)
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

pow = power
size_var = var
