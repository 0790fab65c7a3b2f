"""Whether an operator of topi computes what the reference kernel of the same name computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kernels_ref
from tensorc import te, topi
from tensorc.te import ComputeDAG
from tensorc.te.check import check_formulas
from tests.te.running import by_canonical_form

Array = NDArray[Any]


def random_array(shape: Sequence[int], dtype: str = "float32", seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith(("int", "uint")):
        return rng.integers(-9 if dtype.startswith("int") else 0, 10, shape, dtype)
    return rng.standard_normal(shape).astype(dtype)


def computed(
    name: str,
    arrays: Sequence[Any],
    run: Callable[..., list[Array]] = by_canonical_form,
    **options: Any,
) -> Array:
    """What `topi` makes of arrays."""
    inputs = [te.placeholder(a.shape, a.dtype.name) for a in arrays]
    out = getattr(topi, name)(*inputs, **options)
    for op in ComputeDAG.from_tensors([*inputs, out]).ops:
        check_formulas(op)
    return run([*inputs, out], list(arrays))[0]


def assert_agree(
    name: str,
    *arrays: Array,
    run: Callable[..., list[Array]] = by_canonical_form,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    **options: Any,
) -> None:
    got = computed(name, arrays, run, **options)
    expected = getattr(kernels_ref, name)(*arrays, **options)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(
        got.astype(np.float64), expected.astype(np.float64), rtol=rtol, atol=atol
    )
