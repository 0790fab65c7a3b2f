"""Cases beside the suite: products of odd, flat and tall matrices, and operators bound by memory.

They are what networks spend their time in and the suite leaves out: fully connected layers whose
weights are constants, a product with a single row, layer normalisation, biased activations, sums
and transpositions. Cases are of the same kind as those of `kernels_ref.suite`; a batch multiplies
the rows.
"""

from math import prod

from kernels_ref.suite import Argument, Problem, Shape, Workload, cases

__all__ = ["CODES", "WORKLOADS", "cases"]


def _argument(name: str, *shape: int) -> Argument:
    return Argument(name, shape, prod(shape))


def _matmul(batch: int, shape: Shape) -> Problem:
    rows, columns, depth = shape
    return Problem(
        arguments=(_argument("a", batch * rows, depth), _argument("b", depth, columns)),
        output_shape=(batch * rows, columns),
        flops=2 * batch * rows * columns * depth,
    )


def _layer_norm(batch: int, shape: Shape) -> Problem:
    """Sum, centre, square, sum, scale, multiply by gamma, add beta: seven for each element."""
    rows, columns = shape
    return Problem(
        arguments=(
            _argument("data", batch * rows, columns),
            _argument("gamma", columns),
            _argument("beta", columns),
        ),
        output_shape=(batch * rows, columns),
        flops=7 * batch * rows * columns,
    )


def _bias_gelu(batch: int, shape: Shape) -> Problem:
    """Bias, scale, erf (counted as one), plus one, two products: six for each element."""
    rows, columns = shape
    return Problem(
        arguments=(_argument("data", batch * rows, columns), _argument("bias", columns)),
        output_shape=(batch * rows, columns),
        flops=6 * batch * rows * columns,
    )


def _sum(batch: int, shape: Shape) -> Problem:
    rows, columns, axis = shape
    kept = (columns,) if axis == 0 else (batch * rows,)
    return Problem(
        arguments=(_argument("data", batch * rows, columns),),
        output_shape=kept,
        flops=batch * rows * columns,
        options=(("axis", axis),),
    )


def _transpose(batch: int, shape: Shape) -> Problem:
    """The first two axes change places; vectors of `inner` elements stay whole."""
    rows, columns, inner = shape
    source = (batch * rows, columns, inner) if inner > 1 else (batch * rows, columns)
    target = (columns, batch * rows, inner) if inner > 1 else (columns, batch * rows)
    return Problem(
        arguments=(_argument("data", *source),),
        output_shape=target,
        flops=0,
        options=(("axes", (1, 0, 2)[: len(source)]),),
    )


WORKLOADS: tuple[Workload, ...] = (
    Workload(
        code="MAT",
        title="matrix product of any two operands",
        function="matmul",
        sizes=("N", "M", "K"),
        shapes=((1000, 1000, 1000), (127, 129, 131), (1024, 64, 1024), (64, 64, 4096)),
        problem=_matmul,
    ),
    Workload(
        code="LIN",
        title="matrix product with a constant weight",
        function="matmul",
        sizes=("N", "M", "K"),
        shapes=((128, 768, 3072), (128, 3072, 768), (197, 768, 768), (16, 1024, 1024)),
        problem=_matmul,
        weights=("b",),
    ),
    Workload(
        code="GMV",
        title="product of a row with a constant matrix",
        function="matmul",
        sizes=("N", "M", "K"),
        shapes=((1, 1000, 2048), (1, 768, 768), (1, 4096, 1024), (1, 256, 256)),
        problem=_matmul,
        weights=("b",),
    ),
    Workload(
        code="LNM",
        title="layer normalisation of rows",
        function="layer_norm",
        sizes=("M", "N"),
        shapes=((128, 768), (197, 768), (512, 1024), (4096, 1024)),
        problem=_layer_norm,
        weights=("gamma", "beta"),
    ),
    Workload(
        code="BGE",
        title="bias and gelu",
        function="bias_gelu",
        sizes=("M", "N"),
        shapes=((128, 3072), (197, 3072), (512, 4096), (2048, 4096)),
        problem=_bias_gelu,
        weights=("bias",),
    ),
    Workload(
        code="SUM",
        title="sums of rows (axis 1) or columns (axis 0)",
        function="sum",
        sizes=("M", "N", "axis"),
        shapes=((4096, 1024, 1), (4096, 1024, 0), (512, 512, 1), (512, 512, 0)),
        problem=_sum,
    ),
    Workload(
        code="TRN",
        title="transposition of the first two axes",
        function="transpose",
        sizes=("rows", "columns", "inner"),
        shapes=((1024, 1024, 1), (128, 12, 64), (512, 512, 1), (3000, 1000, 1)),
        problem=_transpose,
    ),
)

CODES: tuple[str, ...] = tuple(workload.code for workload in WORKLOADS)
