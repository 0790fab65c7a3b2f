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
    if r.random() < 0.1:
        return _winograd(r)
    workload = r.choice(WORKLOADS)
    case = Case(replace(workload, shapes=(_shape(workload, r),)), 1, r.choice((1, 1, 2)))
    dtype = r.choice(_TYPES)
    inputs = [te.placeholder(a.shape, dtype, name=a.name) for a in case.arguments]
    output = getattr(topi, case.function)(*inputs, **case.kwargs)
    return [*inputs, output], case.function, case.kwargs


def _winograd(r: Random) -> tuple[list[Tensor], str, dict[str, int]]:
    """A convolution by constant matrices, which computes what a plain one does."""
    size, kernel, channels, filters = r.randint(4, 9), r.choice((2, 3)), r.randint(1, 3), 4
    options = {"stride": 1, "padding": r.randint(0, 1)}
    data = te.placeholder((1, size, size, channels), name="data")
    weight = te.placeholder((kernel, kernel, channels, filters), name="weight")
    tile = r.choice((2, 4))
    output = topi.conv2d_winograd_nhwc(data, weight, **options, tile_size=tile)
    return [data, weight, output], "conv2d_nhwc", options


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
                sizes[size] = r.choice((r.randint(1, 18), r.randint(19, 48)))
    if "dilation" in sizes:  # a window has to fit
        sizes["padding"] = kernel - 1
    if workload.code == "CAP":  # 4 x 4 x 4 products for each of a convolution
        sizes |= {"H": 3, "W": 3, "CI": r.randint(1, 2), "CO": r.randint(1, 2)}
    return tuple(sizes.values())
