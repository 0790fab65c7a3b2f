"""The workloads of Ansor's unit tests, in te: each function gives the parameters of a program."""

from __future__ import annotations

from tensorc import te
from tensorc.te import Tensor
from tensorc.topi.winograd import Matrix, transform_matrices


def matmul(N: int, M: int, K: int) -> list[Tensor]:
    A = te.placeholder((N, K), name="A")
    B = te.placeholder((K, M), name="B")
    k = te.reduce_axis((0, K), name="k")
    C = te.compute(
        (N, M),
        lambda i, j: te.sum(A[i][k] * B[k][j], axis=[k]),
        name="C",
        attrs={"layout_free_placeholders": [B]},
    )
    return [A, B, C]


def double_matmul(N: int) -> list[Tensor]:
    A = te.placeholder((N, N), name="A")
    B = te.placeholder((N, N), name="B")
    C = te.placeholder((N, N), name="C")
    k = te.reduce_axis((0, N), name="k")
    D = te.compute((N, N), lambda i, j: te.sum(A[i][k] * B[k][j], axis=[k]), name="D")
    k = te.reduce_axis((0, N), name="k")
    E = te.compute((N, N), lambda i, j: te.sum(D[i][k] * C[k][j], axis=[k]), name="E")
    return [A, B, C, E]


def parallel_matmul(N: int) -> list[Tensor]:
    A = te.placeholder((N, N), name="A")
    B = te.placeholder((N, N), name="B")
    C = te.placeholder((N, N), name="C")
    k = te.reduce_axis((0, N), name="k")
    D = te.compute((N, N), lambda i, j: te.sum(A[i][k] * B[k][j], axis=[k]), name="D")
    k = te.reduce_axis((0, N), name="k")
    E = te.compute((N, N), lambda i, j: te.sum(A[i][k] * C[k][j], axis=[k]), name="E")
    return [A, B, C, D, E]


def pad_nchw(data: Tensor, padding: int, value: float = 0.0) -> Tensor:
    N, C, H, W = data.shape
    if padding == 0:
        return data
    p = padding
    return te.compute(
        (N, C, H + 2 * p, W + 2 * p),
        lambda *i: te.if_then_else(
            te.all(i[2] >= p, i[2] < H + p, i[3] >= p, i[3] < W + p),
            data[i[0], i[1], i[2] - p, i[3] - p],
            value,
        ),
        name="pad_temp",
    )


def conv2d_nchw(data: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    N, CI, H, W = data.shape
    CO, _, KH, KW = kernel.shape
    padded = pad_nchw(data, padding)
    OH, OW = (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1
    rc = te.reduce_axis((0, CI), name="rc")
    ry = te.reduce_axis((0, KH), name="ry")
    rx = te.reduce_axis((0, KW), name="rx")
    return te.compute(
        (N, CO, OH, OW),
        lambda nn, ff, yy, xx: te.sum(
            padded[nn, rc, yy * stride + ry, xx * stride + rx] * kernel[ff, rc, ry, rx],
            axis=[rc, ry, rx],
        ),
        name="conv",
    )


def conv2d_nchw_bn_relu(
    N: int, H: int, W: int, CI: int, CO: int, kernel: int, stride: int, padding: int
) -> list[Tensor]:
    data = te.placeholder((N, CI, H, W), name="Data")
    weight = te.placeholder((CO, CI, kernel, kernel), name="Kernel")
    bias = te.placeholder((CO, 1, 1), name="Bias")
    bn_scale = te.placeholder((CO, 1, 1), name="Bn_scale")
    bn_offset = te.placeholder((CO, 1, 1), name="Bn_offset")
    conv = conv2d_nchw(data, weight, stride, padding)
    shape = conv.shape
    biased = te.compute(shape, lambda i, j, k, m: conv[i, j, k, m] + bias[j, 0, 0], name="Bias_add")
    scaled = te.compute(
        shape, lambda i, j, k, m: biased[i, j, k, m] * bn_scale[j, 0, 0], name="Bn_mul"
    )
    shifted = te.compute(
        shape, lambda i, j, k, m: scaled[i, j, k, m] + bn_offset[j, 0, 0], name="Bn_add"
    )
    out = te.compute(shape, lambda *i: te.max(shifted(*i), 0.0), name="relu")
    return [data, weight, bias, bn_offset, bn_scale, out]


def max_pool2d(N: int, H: int, W: int, CI: int, padding: int) -> list[Tensor]:
    data = te.placeholder((N, CI, H, W), name="Data")
    padded = pad_nchw(data, padding, te.min_value("float32"))
    rv0 = te.reduce_axis((0, 2), name="rv0")
    rv1 = te.reduce_axis((0, 2), name="rv1")
    out = te.compute(
        (N, CI, H + 2 * padding - 1, W + 2 * padding - 1),
        lambda n, c, h, w: te.max(padded[n, c, h + rv0, w + rv1], axis=[rv0, rv1]),
        name="pool_max",
    )
    return [data, out]


def min_nm(N: int, M: int) -> list[Tensor]:
    A = te.placeholder((N, M), name="A")
    k = te.reduce_axis((0, M), name="k")
    B = te.compute((N,), lambda i: te.min(A[i][k], axis=k), name="B")
    return [A, B]


def _softmax(A: Tensor) -> list[Tensor]:
    """Softmax over the last axis, as topi writes it."""
    *lead, M = A.shape
    k1 = te.reduce_axis((0, M), name="k1")
    k2 = te.reduce_axis((0, M), name="k2")
    largest = te.compute(lead, lambda *i: te.max(A[(*i, k1)], axis=k1), name="T_softmax_maxelem")
    powers = te.compute(A.shape, lambda *i: te.exp(A(*i) - largest(*i[:-1])), name="T_softmax_exp")
    total = te.compute(lead, lambda *i: te.sum(powers[(*i, k2)], axis=k2), name="T_softmax_expsum")
    out = te.compute(A.shape, lambda *i: powers(*i) / total(*i[:-1]), name="T_softmax_norm")
    return [A, out]


def softmax_nm(N: int, M: int) -> list[Tensor]:
    return _softmax(te.placeholder((N, M), name="A"))


def softmax_abcd(a: int, b: int, c: int, d: int) -> list[Tensor]:
    return _softmax(te.placeholder((a, b, c, d), name="A"))


def zero_rank_reduce(N: int) -> list[Tensor]:
    A = te.placeholder((N,), name="A")
    k = te.reduce_axis((0, N), name="k")
    B = te.compute((), lambda: te.sum(A[k], axis=k), name="B")
    return [A, B]


def zero_rank_compute(N: int) -> list[Tensor]:
    A = te.placeholder((N,), name="A")
    B = te.compute((N,), lambda i: A[i], name="B")
    return [A, B]


def const_matrix(matrix: Matrix, name: str) -> Tensor:
    """A matrix of literals, as topi writes it: nested selects."""
    rows, columns = len(matrix), len(matrix[0])

    def element(i: te.Expr, j: te.Expr) -> te.Expr:
        now = te.const(0.0, "float32")
        for ii in range(rows):
            for jj in range(columns):
                now = te.select(
                    te.all(
                        te.indexmod(i, rows).equal(ii),
                        te.indexmod(j, columns).equal(jj),
                    ),
                    te.const(float(matrix[ii][jj]), "float32"),
                    now,
                )
        return now

    return te.compute(
        (rows, columns), element, name=name, attrs={"const_matrix": True, "schedule_rule": "None"}
    )


def conv2d_winograd_nhwc(
    N: int,
    H: int,
    W: int,
    CI: int,
    CO: int,
    kernel_size: int = 3,
    stride: int = 1,
    padding: int = 0,
) -> list[Tensor]:
    """`topi.nn.conv2d_winograd_nhwc` with pre-transformed weights; the tile size is 4."""
    assert (kernel_size, stride) == (3, 1)
    m, r = 4, kernel_size
    alpha = m + r - 1
    matrix_a, matrix_b, _ = transform_matrices(m, r)
    data = te.placeholder((N, H, W, CI), name="inputs")
    weight = te.placeholder((alpha, alpha, CI, CO), name="weight")
    OH, OW = H + 2 * padding - r + 1, W + 2 * padding - r + 1
    nH, nW = (OH + m - 1) // m, (OW + m - 1) // m
    P = N * nH * nW
    # What the last tiles need beyond the padded image.
    extra_h, extra_w = nH * m + r - 1 - (H + 2 * padding), nW * m + r - 1 - (W + 2 * padding)
    data_pad = te.compute(
        (N, H + 2 * padding + extra_h, W + 2 * padding + extra_w, CI),
        lambda n, h, w, c: te.if_then_else(
            te.all(h >= padding, h < H + padding, w >= padding, w < W + padding),
            data[n, h - padding, w - padding, c],
            0.0,
        ),
        name="data_pad",
    )
    idxd, idxm = te.indexdiv, te.indexmod
    input_tile = te.compute(
        (alpha, alpha, P, CI),
        lambda eps, nu, p, ci: data_pad[
            idxd(p, nH * nW), idxm(idxd(p, nW), nH) * m + eps, idxm(p, nW) * m + nu, ci
        ],
        name="input_tile",
    )
    B = const_matrix(matrix_b, "B")
    r_a = te.reduce_axis((0, alpha), "r_a")
    r_b = te.reduce_axis((0, alpha), "r_b")
    data_pack = te.compute(
        (alpha, alpha, P, CI),
        lambda eps, nu, p, ci: te.sum(
            input_tile[r_a, r_b, p, ci] * B[r_a, eps] * B[r_b, nu], axis=[r_a, r_b]
        ),
        name="data_pack",
        attrs={"auto_scheduler_simplify_const_tensor_indices": ["eps", "nu", "r_a", "r_b"]},
    )
    ci = te.reduce_axis((0, CI), name="ci")
    bgemm = te.compute(
        (alpha, alpha, P, CO),
        lambda eps, nu, p, co: te.sum(
            data_pack[eps, nu, p, ci] * weight[eps, nu, ci, co], axis=[ci]
        ),
        name="bgemm",
        attrs={"layout_free_placeholders": [weight]},
    )
    A = const_matrix(matrix_a, "A")
    r_c = te.reduce_axis((0, alpha), "r_a")
    r_d = te.reduce_axis((0, alpha), "r_b")
    inverse = te.compute(
        (m, m, P, CO),
        lambda vh, vw, p, co: te.sum(
            bgemm[r_c, r_d, p, co] * A[r_c, vh] * A[r_d, vw], axis=[r_c, r_d]
        ),
        name="inverse",
        attrs={"auto_scheduler_simplify_const_tensor_indices": ["vh", "vw", "r_a", "r_b"]},
    )
    output = te.compute(
        (N, OH, OW, CO),
        lambda n, h, w, co: inverse[
            idxm(h, m), idxm(w, m), n * nH * nW + idxd(h, m) * nW + idxd(w, m), co
        ],
        name="conv2d_winograd",
    )
    return [data, weight, output]


def invalid_compute_definition() -> list[Tensor]:
    A = te.placeholder((10, 10), name="A")
    # The names of these two axes are the same.
    r1 = te.reduce_axis((0, 2), name="r1")
    r2 = te.reduce_axis((0, 2), name="r1")
    B = te.compute((10,), lambda i: te.sum(A[i][r1 + r2], axis=[r1, r2]), name="B")
    return [A, B]
