"""The workloads of the suite at small random sizes, of random types, as programs to fuzz."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from kernels_ref.suite import WORKLOADS, Case, Shape, Workload
from tensorc import te, topi
from tensorc.te import Tensor

_TYPES = ("float32", "float32", "float32", "float16", "bfloat16", "float64")


def suite_case(r: Random) -> tuple[list[Tensor], str, dict[str, int]]:
    """Tensors of one of the workloads, the name of its kernel, and the options of that."""
    workload = r.choice(WORKLOADS)
    case = Case(replace(workload, shapes=(_shape(workload, r),)), 1, r.choice((1, 1, 2)))
    dtype = r.choice(_TYPES)
    inputs = [te.placeholder(a.shape, dtype, name=a.name) for a in case.arguments]
    output = getattr(topi, case.function)(*inputs, **case.kwargs)
    return [*inputs, output], case.function, case.kwargs


def _shape(workload: Workload, r: Random) -> Shape:
    sizes = dict.fromkeys(workload.sizes, 0)
    rank = sum(size in ("D", "H", "W", "L") for size in sizes)
    groups = r.choice((1, 2, 4)) if "groups" in sizes else 1
    kernel = r.choice((1, 2, 3, 3))
    for size in sizes:
        match size:
            case "D" | "H" | "W" | "L":
                sizes[size] = r.randint(3, 20 // rank)
            case "CI" | "CO" | "C":
                sizes[size] = groups * r.randint(1, 4)
            case "kernel":
                sizes[size] = kernel
            case "stride" | "dilation":
                sizes[size] = r.choice((1, 1, 2))
            case "padding":
                sizes[size] = r.randint(0, kernel - 1)
            case "groups":
                sizes[size] = groups
            case "heads" | "dim":
                sizes[size] = r.randint(1, 4)
            case _:  # rows and columns of matrices
                sizes[size] = r.randint(1, 18)
    if "dilation" in sizes:  # a window has to fit
        sizes["padding"] = kernel - 1
    if workload.code == "CAP":  # 4 x 4 x 4 products for each of a convolution
        sizes |= {"H": 3, "W": 3, "CI": r.randint(1, 2), "CO": r.randint(1, 2)}
    return tuple(sizes.values())
