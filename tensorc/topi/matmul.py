"""Matrix products. Elements are converted to `out_dtype` (16-bit floats: float32) and summed so."""

from __future__ import annotations

from tensorc import te
from tensorc.support.errors import TEError
from tensorc.te import Tensor
from tensorc.topi.array import accumulator, narrow


def matmul(a: Tensor, b: Tensor, out_dtype: str = "float32") -> Tensor:
    """Matrix product: a `[N, K]`, b `[K, M]` -> `[N, M]`.

    Raises:
        TEError: the shapes do not fit.
    """
    _check(a, b, a.shape[1:] == b.shape[:1] and a.ndim == b.ndim == 2)
    wide = accumulator(out_dtype)
    k = te.reduce_axis((0, a.shape[1]), name="k")
    product = te.compute(
        (a.shape[0], b.shape[1]),
        lambda i, j: te.sum(a[i, k].astype(wide) * b[k, j].astype(wide), axis=k),
        name_hint="T_matmul",
        attrs={"layout_free_placeholders": [b]},
    )
    return narrow(product, out_dtype)


def batch_matmul(a: Tensor, b: Tensor, out_dtype: str = "float32") -> Tensor:
    """Matrix product for each of B: a `[B, N, K]`, b `[B, K, M]` -> `[B, N, M]`.

    Raises:
        TEError: the shapes do not fit.
    """
    _check(a, b, a.ndim == b.ndim == 3 and a.shape[0] == b.shape[0] and a.shape[2] == b.shape[1])
    wide = accumulator(out_dtype)
    k = te.reduce_axis((0, a.shape[2]), name="k")
    product = te.compute(
        (a.shape[0], a.shape[1], b.shape[2]),
        lambda n, i, j: te.sum(a[n, i, k].astype(wide) * b[n, k, j].astype(wide), axis=k),
        name_hint="T_batch_matmul",
        attrs={"layout_free_placeholders": [b]},
    )
    return narrow(product, out_dtype)


def dense(
    data: Tensor, weight: Tensor, bias: Tensor | None = None, out_dtype: str = "float32"
) -> Tensor:
    """Fully connected layer, `data @ weight.T + bias`.

    Data `[N, K]`, weight `[M, K]`, bias `[M]` -> `[N, M]`.

    Raises:
        TEError: the shapes do not fit.
    """
    _check(data, weight, data.ndim == weight.ndim == 2 and data.shape[1] == weight.shape[1])
    wide = accumulator(out_dtype)
    k = te.reduce_axis((0, data.shape[1]), name="k")
    product = te.compute(
        (data.shape[0], weight.shape[0]),
        lambda i, j: te.sum(data[i, k].astype(wide) * weight[j, k].astype(wide), axis=k),
        name_hint="T_dense",
        attrs={"layout_free_placeholders": [weight]},
    )
    if bias is None:
        return narrow(product, out_dtype)
    return te.compute(
        product.shape,
        lambda i, j: te.cast(out_dtype, product[i, j] + bias[j].astype(wide)),
        name_hint="T_bias_add",
    )


def transpose_batch_matmul(query: Tensor, value: Tensor, out_dtype: str = "float32") -> Tensor:
    """Scores of an attention layer before scaling.

    Query and value `[batch, seq, heads, dim]`, transposed to `[batch, heads, seq, dim]` and
    `[batch, heads, dim, seq]` and multiplied -> `[batch, heads, seq, seq]`.

    Raises:
        TEError: the shapes do not fit.
    """
    _check(query, value, query.ndim == 4 and query.shape == value.shape)
    batch, seq, heads, dim = query.shape
    wide = accumulator(out_dtype)
    query_t = te.compute(
        (batch, heads, seq, dim), lambda b, h, s, d: query[b, s, h, d], name_hint="query_T"
    )
    value_t = te.compute(
        (batch, heads, dim, seq), lambda b, h, d, s: value[b, s, h, d], name_hint="value_T"
    )
    k = te.reduce_axis((0, dim), name="k")
    scores = te.compute(
        (batch, heads, seq, seq),
        lambda b, h, i, j: te.sum(
            query_t[b, h, i, k].astype(wide) * value_t[b, h, k, j].astype(wide), axis=k
        ),
        name_hint="T_scores",
    )
    return narrow(scores, out_dtype)


def _check(a: Tensor, b: Tensor, fits: bool) -> None:
    if not fits:
        raise TEError(
            f"Cannot multiply '{a.name}' of shape {a.shape} and '{b.name}' of shape {b.shape}."
        )
