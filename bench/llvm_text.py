"""What the LLVM backend gives apart from any search: `python -m bench.llvm_text`.

Matrix products 512³ written by hand as loop IR, with a register tile and a packed panel, as shares
of the multiply-add peak measured in between; the time that writing their text takes; and
nanoseconds per element of the mathematical functions in vectors, over 16 thousand elements.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from bench.report import Figure, publish
from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.dtype import FLOAT32
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.machine import fma_peak
from tensorc.runtime.profiler import profile
from tensorc.target import Target

SIZE = 512
ROUNDS = 30
COUNT = 1 << 14
FUNCTIONS = (
    "exp", "exp2", "expm1", "log", "log2", "log1p", "tanh", "sigmoid", "erf", "sin", "tan",
    "atan", "sinh", "rsqrt",
)  # fmt: skip

TILE = """
@prim_func(outputs=('C',))
def matmul(A: buffer(({n}, {n}), 'float32'), B: buffer(({n}, {n}), 'float32'), C: buffer(({n}, {n}), 'float32')):
    for jo in serial(0, {columns}):
        P = allocate(({n}, {width}), 'float32', 'stack')
        for k in serial(0, {n}):
            for v in unrolled(0, {vectors}):
                P[ramp({lanes}*v + {width}*k, {lanes})] = B[ramp({width}*jo + {lanes}*v + {n}*k, {lanes})]
        for io in serial(0, {blocks}):
            T = allocate(({rows}, {width}), 'float32', 'local')
            for i in unrolled(0, {rows}):
                for v in unrolled(0, {vectors}):
                    T[ramp({width}*i + {lanes}*v, {lanes})] = broadcast(0.0, {lanes})
            for k in serial(0, {n}):
                for i in unrolled(0, {rows}):
                    for v in unrolled(0, {vectors}):
                        T[ramp({width}*i + {lanes}*v, {lanes})] = T[ramp({width}*i + {lanes}*v, {lanes})] + broadcast(A[{block}*io + {n}*i + k], {lanes}) * P[ramp({width}*k + {lanes}*v, {lanes})]
            for i in unrolled(0, {rows}):
                for v in unrolled(0, {vectors}):
                    C[ramp({block}*io + {n}*i + {width}*jo + {lanes}*v, {lanes})] = T[ramp({width}*i + {lanes}*v, {lanes})]
"""  # noqa: E501  # loop IR as it is printed
FUNCTION = """
@prim_func(outputs=('B',))
def elementwise(A: buffer(({n},), 'float32'), B: buffer(({n},), 'float32')):
    for i in serial(0, {steps}):
        B[ramp({lanes}*i, {lanes})] = {function}(A[ramp({lanes}*i, {lanes})])
"""


def emission(func: PrimFunc, target: Target) -> float:
    """Return the seconds of writing a function's text, the shortest of many."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        emit_llvm(func, target)
        times.append(time.perf_counter() - start)
    return min(times)


def matmul(rows: int, vectors: int, lanes: int) -> tuple[PrimFunc, float]:
    """Return a product with a register tile, and its floating-point operations."""
    width = vectors * lanes
    blocks, columns = SIZE // rows, SIZE // width
    text = TILE.format(
        n=SIZE, rows=rows, vectors=vectors, lanes=lanes, width=width, blocks=blocks,
        columns=columns, block=rows * SIZE,
    )  # fmt: skip
    return parse_func(text), 2.0 * SIZE * blocks * rows * columns * width


def measure_tiles(target: Target) -> Iterator[Figure]:
    """Yield shares of the peak, and milliseconds of emission."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((SIZE, SIZE)).astype(np.float32) for _ in range(2))
    lanes = target.lanes(32)
    tiles = [(6, 2, min(lanes, 8))]
    if target.vector_registers >= 32:
        tiles += [(12, 2, lanes), (8, 3, lanes)]
    for tile in tiles:
        func, operations = matmul(*tile)
        kernel = CompiledFunction(build(func, target))
        share = 0.0
        for _ in range(5):
            peak = fma_peak()
            share = max(share, operations / profile(kernel, a, b).seconds / peak)
        name = f"{tile[0]}×{tile[1] * tile[2]} tile in vectors of {tile[2]}"
        bar = 88.0 if tile[2] == lanes else None
        yield Figure(f"{name}, 1 thread", 100 * share, "% of peak", at_least=bar)
        yield Figure(f"{name}, text", 1e3 * emission(func, target), "ms")


def measure_functions(target: Target) -> Iterator[Figure]:
    """Yield nanoseconds per element."""
    lanes = target.lanes(FLOAT32.bits)
    x = np.random.default_rng(0).uniform(0.1, 3, COUNT).astype(np.float32)
    for function in FUNCTIONS:
        text = FUNCTION.format(n=COUNT, steps=COUNT // lanes, lanes=lanes, function=function)
        kernel = CompiledFunction(build(parse_func(text), target))
        yield Figure(function, 1e9 * profile(kernel, x).seconds / COUNT, "ns/element")


@click.command()
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(report: Path | None) -> None:
    """Print what register tiles and functions reach."""
    target = Target("llvm", num_cores=1)
    publish([*measure_tiles(target), *measure_functions(target)], report)


if __name__ == "__main__":
    main()
