"""Convolution by Winograd's algorithm: fewer multiplications, as products of small tiles.

A tile of `m x m` outputs is `A^T [(G g G^T) * (B^T d B)] A`, from a tile `d` of
`(m + r - 1)^2` inputs and the `r x r` taps `g` (Lavin and Gray, arXiv 1509.09308).
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from typing import TypeAlias

from tensorc import te
from tensorc.support.errors import TEError
from tensorc.te import Expr, Tensor
from tensorc.te.dag import CONST_TENSOR_INDICES
from tensorc.topi.array import accumulator, narrow
from tensorc.topi.transform import pad
from tensorc.topi.windows import PerAxis, per_axis

Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]

# Points that keep the numbers small (Barabasz et al., arXiv 1803.10986).
_POINTS = tuple(
    Fraction(n, d)
    for n, d in ((0, 1), (1, 1), (-1, 1), (1, 2), (-2, 1), (-1, 2), (2, 1), (1, 4), (-4, 1))
)


def transform_matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """The matrices A `[m + r - 1, m]`, B `[m + r - 1, m + r - 1]` and G `[m + r - 1, r]`.

    Toom and Cook's construction at `m + r - 2` points and infinity.

    >>> transform_matrices(2, 3)[0]
    ((Fraction(1, 1), Fraction(0, 1)), (Fraction(1, 1), Fraction(1, 1)),
     (Fraction(1, 1), Fraction(-1, 1)), (Fraction(0, 1), Fraction(1, 1)))

    Raises:
        TEError: tile and kernel need too many points.
    """
    points = _POINTS[: m + r - 2]
    if len(points) < m + r - 2:
        raise TEError(f"Expected a tile and a kernel of at most 11 together, got {m} and {r}.")

    def powers(n: int) -> Matrix:
        at_infinity = (Fraction(0),) * (n - 1) + (Fraction(1),)
        return (*(tuple(p**j for j in range(n)) for p in points), at_infinity)

    columns: list[tuple[Fraction, ...]] = []
    scales: list[Fraction] = []
    for i, p in enumerate(points):
        others = points[:i] + points[i + 1 :]
        columns.append((*_polynomial(others), Fraction(0)))
        scales.append(reduce(lambda x, y: x * y, (p - q for q in others), Fraction(1)))
    columns.append(_polynomial(points))
    kernel = tuple(
        tuple(x / s for x in row) for row, s in zip(powers(r), (*scales, Fraction(1)), strict=True)
    )
    return powers(m), tuple(zip(*columns, strict=True)), kernel


def _polynomial(roots: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """Coefficients, lowest first, of the product of `x - root`."""
    result: tuple[Fraction, ...] = (Fraction(1),)
    for root in roots:
        shifted, scaled = (Fraction(0), *result), (*(x * -root for x in result), Fraction(0))
        result = tuple(a + b for a, b in zip(shifted, scaled, strict=True))
    return result


def const_matrix(matrix: Matrix, name: str, dtype: str = "float32") -> Tensor:
    """A matrix of literals, as a chain of conditions that unrolling decides."""
    rows, columns = len(matrix), len(matrix[0])

    def element(i: Expr, j: Expr) -> Expr:
        result: Expr = te.const(0, dtype)
        for row in range(rows):
            for column in range(columns):
                here = te.all(
                    te.indexmod(i, rows).equal(row), te.indexmod(j, columns).equal(column)
                )
                result = te.select(here, te.const(float(matrix[row][column]), dtype), result)
        return result

    return te.compute((rows, columns), element, name_hint=name)


def conv2d_winograd_nhwc(
    data: Tensor,
    weight: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    out_dtype: str = "float32",
    tile_size: int = 4,
    pre_computed: bool = False,
) -> Tensor:
    """The same as `conv2d_nhwc`, for square kernels without stride and dilation.

    Data `[N, H, W, CI]`, weight `[k, k, CI, CO]` -> `[N, OH, OW, CO]`; with `pre_computed` the
    weight is transformed already, `[tile_size + 2, tile_size + 2, CI, CO]` for a kernel of 3.

    Raises:
        TEError: the kernel is not square or has one tap, or stride or dilation is not 1.
    """
    taps = weight.shape[0] - tile_size + 1 if pre_computed else weight.shape[0]
    if weight.shape[0] != weight.shape[1] or taps < 2:
        raise TEError(f"Expected a square kernel for Winograd, got weights of {weight.shape}.")
    if set(per_axis(stride, 2)) | set(per_axis(dilation, 2)) != {1}:
        came = f"{stride} and {dilation}"
        raise TEError(f"Expected stride and dilation 1 for a Winograd convolution, got {came}.")
    wide = accumulator(out_dtype).name
    a, b, g = transform_matrices(tile_size, taps)
    output_matrix, data_matrix = const_matrix(a, "A", wide), const_matrix(b, "B", wide)
    kernel = weight if pre_computed else _packed_kernel(weight, const_matrix(g, "G", wide), wide)
    borders = per_axis(padding, 2)
    out = tuple(n + 2 * p - taps + 1 for n, p in zip(data.shape[1:3], borders, strict=True))
    tiles = tuple(-(-n // tile_size) for n in out)
    tiled = _input_tiles(data, borders, tiles, tile_size, tile_size + taps - 1)
    products = _tile_products(_packed_data(tiled, data_matrix, wide), kernel, wide)
    result = _output(_inverse(products, output_matrix), (data.shape[0], *out), tiles)
    return narrow(result, out_dtype)


def _packed_kernel(weight: Tensor, matrix: Tensor, wide: str) -> Tensor:
    alpha, taps = matrix.shape
    r_kh = te.reduce_axis((0, taps), name="r_kh")
    r_kw = te.reduce_axis((0, taps), name="r_kw")
    return te.compute(
        (alpha, alpha, *weight.shape[2:]),
        lambda eps, nu, ci, co: te.sum(
            weight[r_kh, r_kw, ci, co].astype(wide) * matrix[eps, r_kh] * matrix[nu, r_kw],
            axis=[r_kh, r_kw],
        ),
        name_hint="kernel_pack",
        attrs={CONST_TENSOR_INDICES: ["eps", "nu", "r_kh", "r_kw"]},
    )


def _input_tiles(
    data: Tensor, borders: tuple[int, ...], tiles: tuple[int, ...], tile: int, alpha: int
) -> Tensor:
    """Overlapping tiles of the padded data: `[alpha, alpha, N * tiles, CI]`."""
    batch, *sizes, ci = data.shape
    # The last tiles may need more than the padded data has.
    after = [
        (count - 1) * tile + alpha - size - p
        for count, size, p in zip(tiles, sizes, borders, strict=True)
    ]
    source = pad(data, (0, *borders, 0), (0, *after, 0))
    rows, columns = tiles
    return te.compute(
        (alpha, alpha, batch * rows * columns, ci),
        lambda eps, nu, p, ci: source[
            te.indexdiv(p, rows * columns),
            te.indexmod(te.indexdiv(p, columns), rows) * tile + eps,
            te.indexmod(p, columns) * tile + nu,
            ci,
        ],
        name_hint="input_tile",
    )


def _packed_data(tiled: Tensor, matrix: Tensor, wide: str) -> Tensor:
    alpha = tiled.shape[0]
    r_a = te.reduce_axis((0, alpha), name="r_a")
    r_b = te.reduce_axis((0, alpha), name="r_b")
    return te.compute(
        tiled.shape,
        lambda eps, nu, p, ci: te.sum(
            tiled[r_a, r_b, p, ci].astype(wide) * matrix[r_a, eps] * matrix[r_b, nu],
            axis=[r_a, r_b],
        ),
        name_hint="data_pack",
        attrs={CONST_TENSOR_INDICES: ["eps", "nu", "r_a", "r_b"]},
    )


def _tile_products(data: Tensor, kernel: Tensor, wide: str) -> Tensor:
    ci = te.reduce_axis((0, data.shape[3]), name="ci")
    return te.compute(
        (*data.shape[:3], kernel.shape[3]),
        lambda eps, nu, p, co: te.sum(
            data[eps, nu, p, ci] * kernel[eps, nu, ci, co].astype(wide), axis=ci
        ),
        name_hint="bgemm",
        attrs={"layout_free_placeholders": [kernel]},
    )


def _inverse(products: Tensor, matrix: Tensor) -> Tensor:
    alpha, tile = matrix.shape
    r_a = te.reduce_axis((0, alpha), name="r_a")
    r_b = te.reduce_axis((0, alpha), name="r_b")
    return te.compute(
        (tile, tile, *products.shape[2:]),
        lambda vh, vw, p, co: te.sum(
            products[r_a, r_b, p, co] * matrix[r_a, vh] * matrix[r_b, vw], axis=[r_a, r_b]
        ),
        name_hint="inverse",
        attrs={CONST_TENSOR_INDICES: ["vh", "vw", "r_a", "r_b"]},
    )


def _output(inverse: Tensor, shape: tuple[int, ...], tiles: tuple[int, ...]) -> Tensor:
    tile, (rows, columns) = inverse.shape[0], tiles
    return te.compute(
        (*shape, inverse.shape[3]),
        lambda n, h, w, co: inverse[
            te.indexmod(h, tile),
            te.indexmod(w, tile),
            n * (rows * columns) + te.indexdiv(h, tile) * columns + te.indexdiv(w, tile),
            co,
        ],
        name_hint="conv2d_winograd_nhwc",
    )
