"""Random programs about where elements lie: transposed operands, and conditions of a stride."""

from __future__ import annotations

from random import Random

from tensorc import te, topi
from tensorc.te import Expr, Tensor


def layouts(r: Random) -> list[Tensor]:
    """One of them."""
    return r.choice((transposed_product, heads, scattered, scattered_images))(r)


def transposed_product(r: Random) -> list[Tensor]:
    """A product whose operands, one of them or both, are copied the other way round before."""
    m, n, k = r.randint(1, 12), r.choice((r.randint(1, 40), 16, 32)), r.randint(1, 12)
    first, second = r.choice(((True, False), (False, True), (True, True)))
    a = te.placeholder((k, m) if first else (m, k), name="a")
    b = te.placeholder((n, k) if second else (k, n), name="b")
    left = te.compute((m, k), lambda i, p: a[p, i], name="left") if first else a
    right = te.compute((k, n), lambda p, j: b[j, p], name="right") if second else b
    p = te.reduce_axis((0, k), name="p")
    c = te.compute((m, n), lambda i, j: te.sum(left[i, p] * right[p, j], axis=p), name="c")
    return [a, b, _followed(r, c)]


def heads(r: Random) -> list[Tensor]:
    """Products of each head, of data that has the heads beside the features."""
    rows, count, inner, width = r.randint(1, 6), r.randint(1, 3), r.randint(1, 9), r.choice((4, 16))
    scores = te.placeholder((count, rows, inner), name="scores")
    values = te.placeholder((inner, count, width), name="values")
    apart = te.compute((count, inner, width), lambda h, s, d: values[s, h, d], name="apart")
    s = te.reduce_axis((0, inner), name="s")
    mixed = te.compute(
        (count, rows, width), lambda h, i, d: te.sum(scores[h, i, s] * apart[h, s, d], axis=s), "m"
    )
    return [scores, values, _followed(r, mixed)]


def scattered(r: Random) -> list[Tensor]:
    """Terms at the multiples of a stride only, as in a transposed convolution of one axis."""
    size, taps, stride = r.randint(2, 9), r.randint(2, 5), r.randint(2, 4)
    ci, co, shift = r.randint(1, 4), r.choice((r.randint(1, 20), 16)), r.randint(0, 2)
    data = te.placeholder((size, ci), name="data")
    weight = te.placeholder((taps, ci, co), name="weight")
    t, c = te.reduce_axis((0, taps), name="t"), te.reduce_axis((0, ci), name="c")

    def term(x: Expr) -> Expr:
        place = x + t - shift
        inside = te.all(te.indexmod(place, stride).equal(0), place >= 0, place < size * stride)
        return te.if_then_else(inside, data[te.indexdiv(place, stride), c], 0.0)

    length = (size - 1) * stride + r.randint(1, stride)
    made = te.compute(
        (length, co), lambda x, o: te.sum(term(x) * weight[t, c, o], axis=[t, c]), name="made"
    )
    return [data, weight, _followed(r, made)]


def scattered_images(r: Random) -> list[Tensor]:
    """A transposed convolution of images."""
    ci, co, stride = r.randint(1, 2), r.choice((r.randint(1, 20), 16)), r.randint(1, 3)
    taps = stride + r.randint(0, 1)
    data = te.placeholder((1, r.randint(2, 4), r.randint(2, 4), ci), name="data")
    weight = te.placeholder((taps, taps, ci, co), name="weight")
    made = topi.conv2d_transpose_nhwc(data, weight, stride=stride, padding=r.randint(0, taps // 2))
    return [data, weight, _followed(r, made)]


def _followed(r: Random, tensor: Tensor) -> Tensor:
    """The tensor, or something of each of its elements."""
    return topi.relu(tensor) if r.random() < 0.3 else tensor
