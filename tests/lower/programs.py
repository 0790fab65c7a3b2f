"""Small programs of every kind that lowering has to deal with, sizes drawn at random."""

from __future__ import annotations

from random import Random

from tensorc import te, topi
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


def mixed_types(r: Random) -> Program:
    """Conversions between types of different widths."""
    names = (
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
    )
    a, b, c = (r.choice(names) for _ in range(3))
    M, N = r.randint(1, 5), r.randint(1, 40)
    A, B = te.placeholder((M, N), dtype=a, name="A"), te.placeholder((N,), dtype=b, name="B")
    C = te.compute((M, N), lambda i, j: (A[i, j].astype("int32") & 15).astype(c), name="C")
    D = te.compute(
        (M, N), lambda i, j: C[i, j].astype("float32") + B[j].astype("float32"), name="D"
    )
    E = te.compute((M, N), lambda i, j: te.select(D[i, j] > 1.0, 1, 0).astype("int8"), name="E")
    return [A, B, C, D, E] if r.random() < 0.5 else [A, B, E]


def wide(r: Random) -> Program:
    """Long rows, so that there are many vectors."""
    M, N = r.randint(1, 3), r.randint(60, 200)
    A = te.placeholder((M, N), name="A")
    B = te.compute((M, N), lambda i, j: A[i, N - 1 - j] + j.astype("float32"), name="B")
    k = te.reduce_axis((0, M), name="k")
    C = te.compute((N,), lambda j: te.sum(B[k, j], axis=k), name="C")
    return [A, C]


def any_all(r: Random) -> Program:
    M, N = r.randint(1, 9), r.randint(0, 12)
    A = te.placeholder((M, N), name="A")
    k, q = te.reduce_axis((0, N), name="k"), te.reduce_axis((0, N), name="q")
    B = te.compute((M,), lambda i: te.any(A[i, k] > 1.0, axis=k), name="B")
    C = te.compute((M,), lambda i: te.all(A[i, q] > -1.0, axis=q), name="C")
    D = te.compute((M,), lambda i: te.select(te.all(B[i], C[i]), 1.0, 2.0), name="D")
    return [A, D]


def user_reducer(r: Random) -> Program:
    """Sum and sum of squares at once; the values depend on two axes."""
    M, N, L = r.randint(1, 8), r.randint(1, 7), r.randint(1, 5)
    A = te.placeholder((N, M, L), name="A")
    moments = te.comm_reducer(
        lambda x, y: (x[0] + y[0], x[1] + y[1]),
        lambda t0, t1: (te.const(0, t0), te.const(0, t1)),
        name="moments",
    )
    k, q = te.reduce_axis((0, N), name="k"), te.reduce_axis((0, L), name="q")
    first, second = te.compute(
        (M,), lambda i: moments((A[k, i, q], A[k, i, q] * A[k, i, q]), axis=[k, q]), name="S"
    )
    D = te.compute((M,), lambda i: second[i] - first[i] * first[i], name="D")
    return [A, first, D]


def transposed_conv(r: Random) -> Program:
    """Zeros between elements: a condition with `%`, an index with `//`."""
    N, S, F, C = r.randint(1, 8), r.choice((1, 2, 3)), r.choice((1, 2, 3)), r.randint(1, 9)
    A, W = te.placeholder((N, C), name="A"), te.placeholder((F, C), name="W")
    L = (N - 1) * S + 1
    spread = te.compute(
        (L + 2 * F - 2, C),
        lambda i, c: te.if_then_else(
            te.all(i >= F - 1, i < L + F - 1, te.indexmod(i - F + 1, S) == 0),
            A[te.indexdiv(i - F + 1, S), c],
            0.0,
        ),
        name="spread",
    )
    k = te.reduce_axis((0, F), name="k")
    B = te.compute(
        (L + F - 1, C), lambda i, c: te.sum(spread[i + k, c] * W[F - 1 - k, c], axis=k), name="B"
    )
    return [A, W, B]


def concatenate(r: Random) -> Program:
    M, a, b = r.randint(1, 4), r.randint(1, 12), r.randint(1, 12)
    A, B = te.placeholder((M, a), name="A"), te.placeholder((M, b), name="B")
    X = te.compute((M, a), lambda i, j: A[i, j] * 2.0, name="X")
    C = te.compute((M, a + b), lambda i, j: te.if_then_else(j < a, X[i, j], B[i, j - a]), name="C")
    D = te.compute((a + b, M), lambda j, i: C[i, j] + 1.0, name="D")
    return [A, B, D]


def upsample(r: Random) -> Program:
    H, W, C, S = r.randint(1, 5), r.randint(1, 5), r.randint(1, 10), r.choice((1, 2, 3))
    A = te.placeholder((H, W, C), name="A")
    B = te.compute((H, W, C), lambda h, w, c: A[h, w, c] + 1.0, name="B")
    U = te.compute(
        (H * S, W * S, C), lambda h, w, c: B[te.indexdiv(h, S), te.indexdiv(w, S), c], name="U"
    )
    return [A, te.compute(U.shape, lambda h, w, c: U[h, w, c] * 2.0, name="D")]


def layer_norm(r: Random) -> Program:
    M, N = r.randint(1, 6), r.randint(1, 20)
    A, g = te.placeholder((M, N), name="A"), te.placeholder((N,), name="g")
    k, q = te.reduce_axis((0, N), name="k"), te.reduce_axis((0, N), name="q")
    mean = te.compute((M,), lambda i: te.sum(A[i, k] / N, axis=k), name="mean")
    C = te.compute((M, N), lambda i, j: A[i, j] - mean[i], name="centred")
    var = te.compute((M,), lambda i: te.sum(C[i, q] * C[i, q] / N, axis=q), name="var")
    return [
        A,
        g,
        te.compute((M, N), lambda i, j: C[i, j] / te.sqrt(var[i] + 1e-3) * g[j], name="D"),
    ]


def narrow(r: Random) -> Program:
    """Products and convolutions whose last axis is shorter than vectors are, and others are not."""
    long, short, K = r.randint(8, 40), r.choice((1, 2, 3, 3, 5, 6, 7)), r.randint(1, 6)
    kind = r.choice(("product", "turned", "window", "window", "phases", "channels first"))
    if kind in ("product", "turned"):
        A = te.placeholder((long, K) if kind == "product" else (K, long), name="A")
        B, k = te.placeholder((K, short), name="B"), te.reduce_axis((0, K), name="k")
        C = te.compute(
            (long, short),
            lambda i, j: te.sum((A[i, k] if kind == "product" else A[k, i]) * B[k, j], axis=k),
            name="C",
        )
        inputs = [A, B]
    else:
        F, S, P = r.choice((1, 2, 3, 4)), r.choice((1, 2, 2, 3)), r.choice((0, 1))
        weight = te.placeholder((F, F, K, short), name="weight")
        X = te.placeholder((1, max(4, F), long if kind == "phases" else S * long, K), name="X")
        if kind == "phases":
            C = topi.conv2d_transpose_nhwc(X, weight, S, min(P, F - 1))
        elif kind == "window":
            C = topi.conv2d_nhwc(X, weight, S, P)
        else:
            X = te.placeholder((1, K, max(4, F), max(short, F)), name="X")
            weight = te.placeholder((long, K, F, F), name="weight")
            C = topi.conv2d_nchw(X, weight, r.choice((1, 1, 2)), P)
        inputs = [X, weight]
    return [*inputs, topi.relu(C) if r.random() < 0.4 else C]


PROGRAMS = (
    matmul, conv, pool, chain, windows, softmax, argmax, two_outputs, reshape, gather, integers,
    triangle, scalar, double_matmul, mixed_types, wide, any_all, user_reducer, transposed_conv,
    concatenate, upsample, layer_norm, narrow,
)  # fmt: skip
