"""Is a result the reference's?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernels_ref.array import Array
from tensorc.measure.compare import Reference
from tensorc.measure.reference import params_of_dag, tolerances_of
from tensorc.te.dag import ComputeDAG


def mismatches(
    dag: ComputeDAG, results: dict[str, Array], expected: Array, allowed: float = 0.0
) -> dict[str, str]:
    """Return what is wrong, by name, with results that differ by more than rounding explains.

    Args:
        dag: The computation.
        results: The results.
        expected: The right one.
        allowed: The difference allowed in any case, relative to the largest expected value.
    """
    rounding = tolerances_of(dag, params_of_dag(dag))[-1]
    loose = rounding if rounding.is_exact else replace(rounding, of_largest=allowed)
    reference = Reference(expected, loose)
    found = {name: reference.compare(result) for name, result in results.items()}
    return {name: str(mismatch) for name, mismatch in found.items() if mismatch is not None}


def difference(result: Array, expected: Array) -> float:
    """Return the largest difference, relative to the largest expected value."""
    if expected.size == 0:
        return 0.0
    largest = float(np.max(np.abs(expected))) or 1.0
    return float(np.max(np.abs(result.astype(np.float64) - expected))) / largest
