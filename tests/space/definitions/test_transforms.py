"""Matrices written out in formulas compute the same as products with them."""

from fractions import Fraction

import numpy as np
import pytest

from tensorc import te
from tensorc.driver.compile import compile_state
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions.transforms import flattened, transformed, transposed
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.topi.winograd import transform_matrices

LLVM = Target("llvm", num_cores=1)


def computed(matrices, function):
    """Matrices along the first axes of an array, and the array."""
    shape = (*(len(m[0]) for m in matrices), 5)
    D = te.placeholder(shape, name="D")
    result = function(matrices, {"p": 5}, lambda places, p: D(*places, p), ("some", "all_of_it"))
    data = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    kernel = compile_state(default_schedule(ComputeDAG.of([D, result]), LLVM), LLVM)
    return kernel(data), data


def whole_numbers(rows):
    return tuple(tuple(Fraction(x) for x in row) for row in rows)


@pytest.mark.parametrize("function", [transformed, flattened])
@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_matrices_go_along_one_axis_each(axes, function):
    sizes = [(2, 3), (4, 3), (2, 2), (2, 2)][:axes]
    matrices = [transposed(transform_matrices(m, r)[1]) for m, r in sizes]
    got, want = computed(matrices, function)
    for axis, matrix in enumerate(matrices):
        want = np.moveaxis(np.tensordot(np.array(matrix, float), want, (1, axis)), 0, axis)
    assert np.abs(got - want.reshape(got.shape)).max() <= 1e-5


@pytest.mark.parametrize(
    "rows",
    [
        # What differs by its sign is part of more in the other row.
        [(1, 1, 1), (0, 1, -1)],
        [(0, 1, -1), (1, 1, 1)],
        [(1, 2, 3), (1, -2, -3), (-1, 2, 3)],
        [(0, 1, 1, 0), (0, 1, -1, 0), (0, 4, 1, 1)],
    ],
)
def test_rows_that_have_something_in_common_keep_the_rest(rows):
    got, data = computed([whole_numbers(rows)], flattened)
    assert np.abs(got - np.array(rows, float) @ data).max() <= 1e-5
