"""Matrix products. Sums are formed in float64 and converted to `out_dtype`."""

import numpy as np

from kernels_ref.array import Array, narrow, widen


def matmul(a: Array, b: Array, out_dtype: str = "float32") -> Array:
    """Matrix product: a `[N, K]`, b `[K, M]` -> `[N, M]`."""
    return narrow(widen(a) @ widen(b), out_dtype)


def batch_matmul(a: Array, b: Array, out_dtype: str = "float32") -> Array:
    """Matrix product for each of B: a `[B, N, K]`, b `[B, K, M]` -> `[B, N, M]`."""
    return narrow(widen(a) @ widen(b), out_dtype)


def dense(
    data: Array, weight: Array, bias: Array | None = None, out_dtype: str = "float32"
) -> Array:
    """Fully connected layer, `data @ weight.T + bias`.

    Data `[N, K]`, weight `[M, K]`, bias `[M]` -> `[N, M]`.
    """
    product = widen(data) @ widen(weight).T
    return narrow(product if bias is None else product + widen(bias), out_dtype)


def transpose_batch_matmul(query: Array, value: Array, out_dtype: str = "float32") -> Array:
    """Scores of an attention layer before scaling.

    Query and value `[batch, seq, heads, dim]`, transposed to `[batch, heads, seq, dim]` and
    `[batch, heads, dim, seq]` and multiplied -> `[batch, heads, seq, seq]`.
    """
    rows = np.transpose(widen(query), (0, 2, 1, 3))
    columns = np.transpose(widen(value), (0, 2, 3, 1))
    return narrow(rows @ columns, out_dtype)
