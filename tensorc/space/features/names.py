"""The names of the features, in order."""

from __future__ import annotations

from typing import Final

OPERATIONS: Final = ("fma", "addsub", "mul", "divmod", "compare", "math", "other")
# Of what the figures mean: another one where a name stays and its figure is made otherwise.
VERSION: Final = 3
# Buffers of a statement that have features; the ones with the most cache lines come first.
BUFFERS: Final = 5
CURVE: Final = 10

_COUNTS: Final = (
    *(f"float_{name}" for name in OPERATIONS),
    *(f"int_{name}" for name in OPERATIONS),
    "bool_ops",
    "selects",
)
_LOOPS: Final = tuple(
    f"{kind}_{what}"
    for kind in ("vectorize", "unroll", "parallel")
    for what in ("number", "product", "inner")
)
_GPU: Final = ("is_gpu", "block_x", "thread_x", "vthread")
BUFFER: Final = (
    "is_read",
    "is_write",
    "is_both",
    "bytes",
    "unique_bytes",
    "lines",
    "unique_lines",
    "loop_reuse",
    "serial_reuse",
    "no_reuse",
    "reuse_iterations",
    "reuse_bytes",
    "reuse_count",
    "bytes_per_reuse",
    "unique_bytes_per_reuse",
    "lines_per_reuse",
    "unique_lines_per_reuse",
    "stride",
)
_PLACE: Final = (
    "alloc_bytes",
    "alloc_product",
    "outer_product",
    "inner_product",
    "iterations",
    "loops",
    "auto_unroll",
)
_MACHINE: Final = (
    "accumulators",
    "registers",
    "vector_efficiency",
    "waste",
    "parallel_balance",
    "bytes_past_l1",
    "bytes_past_l2",
    "unrolled_copies",
    "iterations_per_task",
    "tile_loads",
    "tile_lines_per_set",
    "register_run",
    "bytes_past_l3",
    "executed_share",
    "guards_in_lanes",
    "guards_in_tile",
    "guards_in_reduction",
)

FEATURE_NAMES: Final[tuple[str, ...]] = (
    *_COUNTS,
    *_LOOPS,
    *_GPU,
    *(f"buffer{b}_{name}" for b in range(BUFFERS) for name in BUFFER),
    *(f"intensity{k}" for k in range(CURVE)),
    *_PLACE,
    *_MACHINE,
)
