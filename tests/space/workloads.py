"""Workloads of Ansor's own tests, written in te."""

from tensorc import te


def matmul(n, m, k):
    A = te.placeholder((n, k), name="A")
    B = te.placeholder((k, m), name="B")
    r = te.reduce_axis((0, k), name="k")
    return A, B, te.compute((n, m), lambda i, j: te.sum(A[i, r] * B[r, j], axis=r), name="C")


def double_matmul(n):
    A, B, C = (te.placeholder((n, n), name=x) for x in "ABC")
    k, m = te.reduce_axis((0, n), name="k"), te.reduce_axis((0, n), name="k")
    D = te.compute((n, n), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="D")
    E = te.compute((n, n), lambda i, j: te.sum(D[i, m] * C[m, j], axis=m), name="E")
    return A, B, C, E


def pad_nchw(X, p, name="pad_temp"):
    n, c, h, w = X.shape
    return te.compute(
        (n, c, h + 2 * p, w + 2 * p),
        lambda i0, i1, i2, i3: te.if_then_else(
            te.all(i2 >= p, i2 < h + p, i3 >= p, i3 < w + p), X[i0, i1, i2 - p, i3 - p], 0.0
        ),
        name=name,
    )


def conv2d_nchw_bn_relu(n, h, w, ci, co, size, stride, padding):
    data = te.placeholder((n, ci, h, w), name="Data")
    kernel = te.placeholder((co, ci, size, size), name="Kernel")
    bias, scale, offset = (
        te.placeholder((co, 1, 1), name=x) for x in ("Bias", "Bn_scale", "Bn_offset")
    )
    padded = pad_nchw(data, padding)
    oh, ow = (h + 2 * padding - size) // stride + 1, (w + 2 * padding - size) // stride + 1
    rc, ry, rx = (
        te.reduce_axis((0, e), name=x) for e, x in ((ci, "rc"), (size, "ry"), (size, "rx"))
    )
    conv = te.compute(
        (n, co, oh, ow),
        lambda nn, ff, yy, xx: te.sum(
            padded[nn, rc, yy * stride + ry, xx * stride + rx] * kernel[ff, rc, ry, rx],
            axis=[rc, ry, rx],
        ),
        name="conv",
    )
    shape = (n, co, oh, ow)
    added = te.compute(shape, lambda n, c, y, x: conv[n, c, y, x] + bias[c, 0, 0], name="Bias_add")
    scaled = te.compute(shape, lambda n, c, y, x: added[n, c, y, x] * scale[c, 0, 0], name="Bn_mul")
    moved = te.compute(
        shape, lambda n, c, y, x: scaled[n, c, y, x] + offset[c, 0, 0], name="Bn_add"
    )
    relu = te.compute(
        shape, lambda *i: te.maximum(moved(*i), te.const(0.0, "float32")), name="relu"
    )
    return data, kernel, bias, offset, scale, relu


def conv2d_nhwc(n, h, w, ci, co, size, stride, padding):
    data = te.placeholder((n, h, w, ci), name="Data")
    kernel = te.placeholder((size, size, ci, co), name="Kernel")
    p = padding
    padded = te.compute(
        (n, h + 2 * p, w + 2 * p, ci),
        lambda i0, i1, i2, i3: te.if_then_else(
            te.all(i1 >= p, i1 < h + p, i2 >= p, i2 < w + p), data[i0, i1 - p, i2 - p, i3], 0.0
        ),
        name="pad_temp",
    )
    oh, ow = (h + 2 * p - size) // stride + 1, (w + 2 * p - size) // stride + 1
    ry, rx, rc = (
        te.reduce_axis((0, e), name=x) for e, x in ((size, "ry"), (size, "rx"), (ci, "rc"))
    )
    conv = te.compute(
        (n, oh, ow, co),
        lambda nn, yy, xx, ff: te.sum(
            padded[nn, yy * stride + ry, xx * stride + rx, rc] * kernel[ry, rx, rc, ff],
            axis=[ry, rx, rc],
        ),
        name="conv",
    )
    return data, kernel, conv


def depthwise_nchw(n, h, w, c, size, stride, padding):
    data = te.placeholder((n, c, h, w), name="Data")
    kernel = te.placeholder((c, size, size), name="Kernel")
    padded = pad_nchw(data, padding)
    oh = (h + 2 * padding - size) // stride + 1
    ry, rx = te.reduce_axis((0, size), name="ry"), te.reduce_axis((0, size), name="rx")
    out = te.compute(
        (n, c, oh, oh),
        lambda nn, cc, yy, xx: te.sum(
            padded[nn, cc, yy * stride + ry, xx * stride + rx] * kernel[cc, ry, rx], axis=[ry, rx]
        ),
        name="dw",
    )
    return data, kernel, out


def max_pool2d(n, h, w, c, padding):
    data = te.placeholder((n, c, h, w), name="Data")
    source = pad_nchw(data, padding) if padding else data
    ry, rx = te.reduce_axis((0, 2), name="rv0"), te.reduce_axis((0, 2), name="rv1")
    pool = te.compute(
        (n, c, h + 2 * padding - 1, w + 2 * padding - 1),
        lambda i, j, y, x: te.max(source[i, j, y + ry, x + rx], axis=[ry, rx]),
        name="pool",
    )
    return data, pool


def min_nm(n, m):
    A = te.placeholder((n, m), name="A")
    k = te.reduce_axis((0, m), name="k")
    return A, te.compute((n,), lambda i: te.min(A[i, k], axis=k), name="B")


def softmax(*shape):
    A = te.placeholder(shape, name="A")
    k1, k2 = te.reduce_axis((0, shape[-1]), name="k"), te.reduce_axis((0, shape[-1]), name="k")
    lead = shape[:-1]
    top = te.compute(lead, lambda *i: te.max(A[(*i, k1)], axis=k1), name="maxelem")
    exp = te.compute(shape, lambda *i: te.exp(A[i] - top[i[:-1]]), name="exp")
    total = te.compute(lead, lambda *i: te.sum(exp[(*i, k2)], axis=k2), name="expsum")
    return A, te.compute(shape, lambda *i: exp[i] / total[i[:-1]], name="norm")


def norm(b, n, m):
    A = te.placeholder((b, n, m), name="A")
    i, j = te.reduce_axis((0, n), name="i"), te.reduce_axis((0, m), name="j")
    C = te.compute((b,), lambda x: te.sum(A[x, i, j] * A[x, i, j], axis=[i, j]), name="C")
    return A, te.compute((b,), lambda x: te.sqrt(C[x]), name="D")


def zero_rank_reduce(n):
    A = te.placeholder((n,), name="A")
    k = te.reduce_axis((0, n), name="k")
    return A, te.compute((), lambda: te.sum(A[k], axis=k), name="B")


def winograd_nhwc(n, h, w, ci, co, size, padding):
    tile, alpha = 4, 6
    data = te.placeholder((n, h, w, ci), name="inputs")
    weight = te.placeholder((alpha, alpha, co, ci), name="weight")
    p = padding
    padded = te.compute(
        (n, h + 2 * p, w + 2 * p, ci),
        lambda b, y, x, c: te.if_then_else(
            te.all(y >= p, y < h + p, x >= p, x < w + p), data[b, y - p, x - p, c], 0.0
        ),
        name="data_pad",
    )
    oh = h + 2 * p - size + 1
    count = (oh + tile - 1) // tile
    total = n * count * count
    ra, rb = te.reduce_axis((0, alpha), name="r_a"), te.reduce_axis((0, alpha), name="r_b")
    idxdiv, idxmod = te.indexdiv, te.indexmod
    tiles = te.compute(
        (alpha, alpha, total, ci),
        lambda eps, nu, q, c: padded[
            idxdiv(q, count * count),
            idxmod(idxdiv(q, count), count) * tile + eps,
            idxmod(q, count) * tile + nu,
            c,
        ],
        name="input_tile",
    )

    def matrix(rows, columns, name):
        return te.compute(
            (rows, columns),
            lambda i, j: te.select(
                i == 0, te.const(1.0, "float32"), te.select(j == 1, te.const(0.5, "float32"), 0.25)
            ),
            name=name,
        )

    Bm = matrix(alpha, alpha, "B")
    packed = te.compute(
        (alpha, alpha, total, ci),
        lambda eps, nu, q, c: te.sum(tiles[ra, rb, q, c] * Bm[ra, eps] * Bm[rb, nu], axis=[ra, rb]),
        name="data_pack",
        attrs={"auto_scheduler_simplify_const_tensor_indices": ["eps", "nu", "r_a", "r_b"]},
    )
    k = te.reduce_axis((0, ci), name="ci")
    gemm = te.compute(
        (alpha, alpha, total, co),
        lambda eps, nu, q, o: te.sum(packed[eps, nu, q, k] * weight[eps, nu, o, k], axis=[k]),
        name="bgemm",
    )
    Am = matrix(alpha, tile, "A")
    sa, sb = te.reduce_axis((0, alpha), name="r_a"), te.reduce_axis((0, alpha), name="r_b")
    inverse = te.compute(
        (tile, tile, total, co),
        lambda vh, vw, q, o: te.sum(gemm[sa, sb, q, o] * Am[sa, vh] * Am[sb, vw], axis=[sa, sb]),
        name="inverse",
        attrs={"auto_scheduler_simplify_const_tensor_indices": ["vh", "vw", "r_a", "r_b"]},
    )
    out = te.compute(
        (n, oh, oh, co),
        lambda b, y, x, o: inverse[
            idxmod(y, tile),
            idxmod(x, tile),
            b * count * count + idxdiv(y, tile) * count + idxdiv(x, tile),
            o,
        ],
        name="conv2d_winograd",
    )
    return data, weight, out
