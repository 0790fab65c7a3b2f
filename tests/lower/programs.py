"""Small programs of every kind that lowering has to deal with, sizes drawn at random."""

from __future__ import annotations

from random import Random

from tensorc import te
from tensorc.te import Tensor

Program = list[Tensor]


def matmul(r: Random) -> Program:
    M, N, K = r.randint(1, 14), r.randint(1, 30), r.randint(1, 9)
    A, B = te.placeholder((M, K), name="A"), te.placeholder((K, N), name="B")
    k = te.reduce_axis((0, K), name="k")
    C = te.compute((M, N), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    if r.random() < 0.4:
        bias = te.placeholder((N,), name="bias")
        D = te.compute((M, N), lambda i, j: C[i, j] + bias[j], name="D")
        return [A, B, bias, D]
    return [A, B, C]


def conv(r: Random) -> Program:
    H, W, CI, CO = r.randint(3, 6), r.randint(3, 7), r.randint(1, 3), r.randint(1, 10)
    S, P, F = r.choice((1, 1, 2)), r.choice((0, 1, 1, 2)), r.choice((1, 3, 3, 2))
    H, W = max(H, F), max(W, F)
    OH, OW = (H + 2 * P - F) // S + 1, (W + 2 * P - F) // S + 1
    X, weight = te.placeholder((H, W, CI), name="X"), te.placeholder((F, F, CI, CO), name="W")
    pad = te.compute(
        (H + 2 * P, W + 2 * P, CI),
        lambda h, w, c: te.if_then_else(
            te.all(h >= P, h < H + P, w >= P, w < W + P), X[h - P, w - P, c], 0.0
        ),
        name="pad",
    )
    y, x, c = (te.reduce_axis((0, n), name=a) for n, a in ((F, "y"), (F, "x"), (CI, "c")))
    C = te.compute(
        (OH, OW, CO),
        lambda h, w, o: te.sum(pad[h * S + y, w * S + x, c] * weight[y, x, c, o], axis=[y, x, c]),
        name="C",
    )
    if r.random() < 0.5:
        bias = te.placeholder((CO,), name="bias")
        D = te.compute(C.shape, lambda h, w, o: te.maximum(C[h, w, o] + bias[o], 0.0), name="D")
        return [X, weight, bias, D]
    return [X, weight, C]


def pool(r: Random) -> Program:
    H, W = r.randint(2, 9), r.randint(2, 20)
    X = te.placeholder((H, W), name="X")
    pad = te.compute(
        (H + 2, W + 2),
        lambda h, w: te.if_then_else(
            te.all(h >= 1, h < H + 1, w >= 1, w < W + 1), X[h - 1, w - 1], te.min_value("float32")
        ),
        name="pad",
    )
    y, x = te.reduce_axis((0, 2), name="y"), te.reduce_axis((0, 2), name="x")
    C = te.compute((H + 1, W + 1), lambda h, w: te.max(pad[h + y, w + x], axis=[y, x]), name="C")
    return [X, C]


def chain(r: Random) -> Program:
    shape = tuple(r.randint(1, 9) for _ in range(r.randint(1, 3)))
    A = te.placeholder(shape, name="A")
    B = te.compute(shape, lambda *i: te.exp(A(*i) * 0.5), name="B")
    C = te.compute(shape, lambda *i: B(*i) + A(*i), name="C")
    D = te.compute(tuple(reversed(shape)), lambda *i: C(*reversed(i)) * 2.0, name="D")
    return [A, D] if r.random() < 0.5 else [A, C, D]


def windows(r: Random) -> Program:
    """Shifted readers of one producer, at different strides."""
    n, s = r.randint(4, 30), r.choice((1, 2, 3))
    A = te.placeholder((s * n + 4,), name="A")
    B = te.compute((s * n + 4,), lambda i: A[i] + 1.0, name="B")
    C = te.compute((n,), lambda i: B[s * i] + B[s * i + 3] * B[i + 1], name="C")
    return [A, C]


def softmax(r: Random) -> Program:
    M, N = r.randint(1, 7), r.randint(1, 20)
    A = te.placeholder((M, N), name="A")
    k, q = te.reduce_axis((0, N), name="k"), te.reduce_axis((0, N), name="q")
    top = te.compute((M,), lambda i: te.max(A[i, k], axis=k), name="top")
    E = te.compute((M, N), lambda i, j: te.exp(A[i, j] - top[i]), name="E")
    total = te.compute((M,), lambda i: te.sum(E[i, q], axis=q), name="total")
    return [A, te.compute((M, N), lambda i, j: E[i, j] / total[i], name="out")]


def argmax(r: Random) -> Program:
    M, N = r.randint(1, 9), r.randint(1, 25)
    A = te.placeholder((M, N), name="A")
    k = te.reduce_axis((0, N), name="k")
    found, value = te.compute(
        (M,), lambda i: te.argmax((k.astype("int32"), A[i, k]), axis=k), name="C"
    )
    D = te.compute((M,), lambda i: value[i] + found[i].astype("float32"), name="D")
    return [A, found, D] if r.random() < 0.5 else [A, D]


def two_outputs(r: Random) -> Program:
    M, N = r.randint(1, 9), r.randint(1, 20)
    A = te.placeholder((M, N), name="A")
    low, high = te.compute((M, N), lambda i, j: (A[i, j] + 1.0, A[i, j] * 2.0), name="split")
    B = te.compute((M, N), lambda i, j: low[i, N - 1 - j] + high[i, j], name="B")
    return [A, B]


def reshape(r: Random) -> Program:
    a, b, c = r.randint(1, 6), r.randint(1, 6), r.randint(1, 6)
    A = te.placeholder((a * b * c,), name="A")
    B = te.compute((a * b, c), lambda i, j: A[i * c + j] + 1.0, name="B")
    C = te.compute(
        (a, b * c), lambda i, j: B[i * b + te.indexdiv(j, c), te.indexmod(j, c)], name="C"
    )
    D = te.compute(
        (a * b * c,), lambda i: C[te.indexdiv(i, b * c), te.indexmod(i, b * c)] * 3.0, name="D"
    )
    return [A, D]


def gather(r: Random) -> Program:
    V, D, N = r.randint(1, 9), r.randint(1, 20), r.randint(1, 9)
    table, which = te.placeholder((V, D), name="T"), te.placeholder((N,), dtype="int32", name="I")
    S = te.compute((V, D), lambda v, d: table[v, d] * 2.0, name="S")
    G = te.compute((N, D), lambda n, d: S[te.clip(which[n], 0, V - 1), d] + 1.0, name="G")
    return [table, which, G]


def integers(r: Random) -> Program:
    M, N, K = r.randint(1, 9), r.randint(1, 20), r.randint(1, 9)
    A = te.placeholder((M, K), dtype="int8", name="A")
    B = te.placeholder((K, N), dtype="int8", name="B")
    k = te.reduce_axis((0, K), name="k")
    C = te.compute(
        (M, N),
        lambda i, j: te.sum(A[i, k].astype("int32") * B[k, j].astype("int32"), axis=k),
        name="C",
    )
    D = te.compute((M, N), lambda i, j: (C[i, j] >> 2).astype("int8"), name="D")
    return [A, B, D]


def triangle(r: Random) -> Program:
    """Conditions on indices, both sides of which do something."""
    N, K = r.randint(2, 20), r.randint(1, 9)
    A = te.placeholder((N, N), name="A")
    T = te.compute((N, N), lambda i, j: te.if_then_else(i >= j, A[i, j], A[j, i] * 2.0), name="T")
    k = te.reduce_axis((0, N), name="k")
    S = te.compute((N,), lambda i: te.sum(te.if_then_else(k <= i, T[i, k], 0.0), axis=k), name="S")
    C = te.compute(
        (N + K,), lambda i: te.if_then_else(i < N, S[te.minimum(i, N - 1)], 1.0), name="C"
    )
    return [A, C]


def scalar(r: Random) -> Program:
    N = r.randint(0, 20)
    A = te.placeholder((N,), name="A")
    k = te.reduce_axis((0, N), name="k")
    S = te.compute((), lambda: te.sum(A[k], axis=k), name="S")
    return [A, te.compute((3,), lambda i: S() + 1.0, name="B")]


def double_matmul(r: Random) -> Program:
    M, N, K, L = (r.randint(1, 8) for _ in range(4))
    A, B = te.placeholder((M, K), name="A"), te.placeholder((K, N), name="B")
    C = te.placeholder((N, L), name="C")
    k, q = te.reduce_axis((0, K), name="k"), te.reduce_axis((0, N), name="q")
    D = te.compute((M, N), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="D")
    E = te.compute((M, L), lambda i, j: te.sum(D[i, q] * C[q, j], axis=q), name="E")
    return [A, B, C, E]


PROGRAMS = (
    matmul, conv, pool, chain, windows, softmax, argmax, two_outputs, reshape, gather, integers,
    triangle, scalar, double_matmul,
)  # fmt: skip
