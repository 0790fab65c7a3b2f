"""Matrices of constants along axes, one after the other, as stages that unrolling makes simple."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Final

from tensorc import te
from tensorc.space.blocks import MOST_IN_BLOCK
from tensorc.space.definitions.tiles import unflat
from tensorc.te import Expr, Tensor
from tensorc.te.dag import CONST_TENSOR_INDICES
from tensorc.topi.winograd import Matrix

# More copies of a formula than this are code rather than speed, where another loop can do.
_MOST_UNROLLED: Final = MOST_IN_BLOCK


def transposed(matrix: Matrix) -> Matrix:
    """Rows for columns."""
    return tuple(zip(*matrix, strict=True))


def transformed(
    matrices: Sequence[Matrix],
    rest: Mapping[str, int],
    element: Callable[..., Expr],
    names: tuple[str, str],
) -> Tensor:
    """Return matrices times what they are given, along an axis each, first axis first.

    Args:
        matrices: What the elements along each axis are multiplied by.
        rest: The axes behind these: names and extents.
        element: What is given: places along the axes, in a list, and along the others.
        names: What stages are called: all but the last begin so, the last is called so.
    """
    rows, last = [len(matrix) for matrix in matrices], len(matrices) - 1
    labels = [f"e{n}" for n in range(len(rows))]
    result = _all_along(matrices, rest, element, names[0])
    return te.compute(
        (*rows, *rest.values()),
        lambda *axes: result(axes[: last + 1], axes[last + 1 :]),
        name_hint=names[1],
        attrs={CONST_TENSOR_INDICES: _unrolled(labels, rows, last)},
        varargs_names=(*labels, *rest),
    )


def flattened(
    matrices: Sequence[Matrix],
    rest: Mapping[str, int],
    element: Callable[..., Expr],
    names: tuple[str, str],
) -> Tensor:
    """Return the same as `transformed`, with one axis for all those of the matrices.

    Its elements are a batch of matrices, with one axis for schedules to tile. That is unrolled as a
    whole, however long: only then is known which row of the last matrix a place belongs to.
    """
    rows = [len(matrix) for matrix in matrices]
    result = _all_along(matrices, rest, element, names[0])
    return te.compute(
        (math.prod(rows), *rest.values()),
        lambda *axes: result(unflat(axes[0], rows), axes[1:]),
        name_hint=names[1],
        attrs={CONST_TENSOR_INDICES: ["x"]},
        varargs_names=("x", *rest),
    )


def _all_along(
    matrices: Sequence[Matrix], rest: Mapping[str, int], element: Callable[..., Expr], name: str
) -> Callable[[Sequence[Expr], Sequence[Expr]], Expr]:
    """The formula of the last matrix, behind stages for the others."""
    rows, sources = [len(matrix) for matrix in matrices], [len(m[0]) for m in matrices]
    *others, last = matrices
    value = element
    for n, matrix in enumerate(others):
        value = _along(n, matrix, [*rows[: n + 1], *sources[n + 1 :]], rest, value, name)
    return lambda places, behind: _chosen(
        places[-1], last, lambda k: value([*places[:-1], k], *behind)
    )


def _along(
    axis: int,
    matrix: Matrix,
    extents: Sequence[int],
    rest: Mapping[str, int],
    value: Callable[..., Expr],
    name: str,
) -> Callable[..., Expr]:
    """A stage for the matrix along one axis, to be read like `value`."""
    count, labels = len(extents), [f"e{n}" for n in range(len(extents))]

    def element(*axes: Expr) -> Expr:
        places, others = axes[:count], axes[count:]
        return _chosen(
            places[axis], matrix, lambda k: value([*places[:axis], k, *places[axis + 1 :]], *others)
        )

    stage = te.compute(
        (*extents, *rest.values()),
        element,
        name_hint=f"{name}_{axis}",
        attrs={CONST_TENSOR_INDICES: _unrolled(labels, extents, axis)},
        varargs_names=(*labels, *rest),
    )
    return lambda places, *others: stage(*places, *others)


def _unrolled(labels: Sequence[str], extents: Sequence[int], axis: int) -> list[str]:
    return list(labels) if math.prod(extents) <= _MOST_UNROLLED else [labels[axis]]


def _chosen(axis: Expr, matrix: Matrix, term: Callable[[int], Expr]) -> Expr:
    """Row number `axis` of a matrix times a vector: a choice that unrolling decides."""
    *first, last = _rows(matrix, term)
    return reduce(
        lambda rest, k: te.select(axis.equal(k), first[k], rest),
        reversed(range(len(first))),
        last,
    )


def _rows(matrix: Matrix, term: Callable[[int], Expr]) -> list[Expr]:
    """A matrix times a vector; of two rows that differ by signs only, both parts are shared."""
    results = [_sum(row, term) for row in matrix]
    for n, row in enumerate(matrix):
        for k, other in enumerate(matrix[:n]):
            same = [x if x == y else Fraction(0) for x, y in zip(row, other, strict=True)]
            rest = [x - y for x, y in zip(row, same, strict=True)]
            turned = [x - y for x, y in zip(same, rest, strict=True)]
            if any(same) and any(rest) and turned == list(other):
                results[k] = _sum(same, term) - _sum(rest, term)
                results[n] = _sum(same, term) + _sum(rest, term)
    return results


def _sum(row: Sequence[Fraction], term: Callable[[int], Expr]) -> Expr:
    """The terms of a row that are not zero."""
    terms = [(x, term(k)) for k, x in enumerate(row) if x]
    (first, value), *others = terms
    result = value if first == 1 else value * float(first)
    for factor, value in others:
        match factor:
            case 1:
                result = result + value
            case -1:
                result = result - value
            case _:
                result = result + value * float(factor)
    return result
