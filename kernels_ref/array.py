"""What every kernel does to its arrays: widen before computing, narrow afterwards."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
"""An array of any shape and element type."""

Axes: TypeAlias = int | tuple[int, ...] | None
"""One axis, several, or all of them; negative numbers count from the last axis."""


def widen(data: Array) -> Array:
    """`data` as float64, or as int64 if its elements are integers or truth values."""
    # By what is whole, since types of other libraries, such as bfloat16, are of no kind of NumPy's.
    whole = np.issubdtype(data.dtype, np.integer) or data.dtype == np.bool_
    return data.astype(np.int64 if whole else np.float64)


@np.errstate(all="ignore")
def narrow(result: ArrayLike, dtype: np.dtype[Any] | str) -> Array:
    """A fresh array in C order with the elements of `result` converted to `dtype`."""
    return np.array(result, dtype=dtype, order="C")
