"""Inputs to measure with, and the outputs that are right for them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from tensorc.ir.affine import Affine, FloorDiv, FloorMod, Opaque
from tensorc.ir.dtype import DType
from tensorc.ir.expr import Expr, Read
from tensorc.ir.visit import expr_affines, walk_expr
from tensorc.lower.pipeline import lower_split
from tensorc.measure.compare import Tolerance, tolerance_for
from tensorc.measure.task import MeasureTask
from tensorc.measure.wide_sums import sum_terms, with_wide_sums
from tensorc.runtime.arrays import Array, numpy_dtype
from tensorc.runtime.artifact import Param
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.library import PythonKernel
from tensorc.runtime.profiler import ProfileOptions, profile
from tensorc.schedule.replay import initial_state, replay
from tensorc.schedule.state import State
from tensorc.support.errors import MeasureError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.op import output_name

_QUICK = ProfileOptions(budget=0.05, min_windows=2, agreeing=2, tolerance=0.1)


def make_task(
    dag: ComputeDAG,
    target: Target,
    *,
    state: State | None = None,
    inputs: Mapping[str, Array] | None = None,
    outputs: Mapping[str, Array] | None = None,
    naive_seconds: float | None = None,
    constants: Sequence[str] = (),
    seed: int = 0,
) -> MeasureTask:
    """Make the task that measures candidates of a computation.

    The right outputs are those of an untuned program, unless they are given. It is run in this
    process: nobody searched for it. Where it has long sums, the outputs are those of the same
    program with sums in float64 (`wide_sums`).

    Args:
        dag: The computation.
        target: What to build for.
        state: The untuned program; the naive one if None.
        inputs: Inputs by name; what is missing is random.
        outputs: The right outputs by name, all or none.
        naive_seconds: Time of the untuned program; measured if None.
        constants: The inputs that are the same in every call, by name.
        seed: Seed of the random inputs.

    Raises:
        MeasureError: An array does not fit or is of no input, or an output is missing.
        LoweringError: The untuned program cannot be lowered for the target.
        CodegenError: The target cannot express it.
        BuildError: Its code does not compile.
    """
    params = params_of_dag(dag)
    arrays = make_inputs(dag, seed=seed)
    for name, array in (inputs or {}).items():
        if name not in arrays:
            raise MeasureError(f"Bad input '{name}': expected one of {', '.join(arrays)}.")
        arrays[name] = np.asarray(array, order="C")
    if outputs is None or naive_seconds is None:
        untuned, exact = state or initial_state(dag), with_wide_sums(dag)
        run = partial(_run, target=target, params=params, arrays=arrays, constants=constants)
        if outputs is None and exact is not dag:
            outputs, _ = run(replay(exact, untuned.steps), timed=False)
        if outputs is None or naive_seconds is None:
            computed, seconds = run(untuned, timed=naive_seconds is None)
            outputs = computed if outputs is None else outputs
            naive_seconds = seconds if naive_seconds is None else naive_seconds
    arrays.update((name, np.asarray(array, order="C")) for name, array in outputs.items())
    missing = [param.name for param in params if param.name not in arrays]
    if missing:
        raise MeasureError(f"Bad outputs of a task: expected one for '{missing[0]}' too.")
    return MeasureTask(
        dag.structural_hash(constants),
        params,
        tuple(arrays[param.name] for param in params),
        tolerances_of(dag, params),
        target,
        naive_seconds,
        dag,
        tuple(constants),
    )


def make_alternative(task: MeasureTask, dag: ComputeDAG, tolerance: float) -> MeasureTask:
    """Make the task that measures candidates of another definition of the same computation.

    Args:
        task: The task of the computation as it was given; its outputs are the right ones.
        dag: The other definition.
        tolerance: How far outputs may be off, relative to the largest magnitude of each.
    """
    return replace(
        task,
        key=dag.structural_hash(task.constants),
        tolerances=tuple(
            t if t.is_exact else replace(t, of_largest=tolerance) for t in task.tolerances
        ),
        dag=dag,
    )


def params_of_dag(dag: ComputeDAG) -> tuple[Param, ...]:
    """Return the parameters of the kernels of a DAG in call order."""
    params = []
    for name, output in dag.params:
        op = dag.by_name[name]
        shape = tuple(int(extent) for extent in op.shape)
        dtype = op.dtypes[output]
        params.append(Param(output_name(op, output), shape, dtype, not op.is_placeholder))
    return tuple(params)


def make_inputs(dag: ComputeDAG, *, seed: int = 0) -> dict[str, Array]:
    """Return random inputs by name.

    Floats lie in [-1, 1), integers near 0, and integers that index something within its range.
    """
    rng = np.random.default_rng(seed)
    ranges = _index_ranges(dag)
    return {
        param.name: _random(param, rng, ranges.get(param.name))
        for param in params_of_dag(dag)
        if not param.is_output
    }


def tolerances_of(dag: ComputeDAG, params: Sequence[Param]) -> tuple[Tolerance, ...]:
    """Return how far each output may be off through rounding."""
    computed = [
        numpy_dtype(dtype) for op in dag.ops if not op.is_placeholder for dtype in op.dtypes
    ]
    terms = max(
        (math.prod(int(extent) for _, extent in op.reduce_axes) for op in dag.ops), default=1
    )
    coarse = max(
        (sum_terms(op) for op in dag.ops if any(t.is_float and t.bits == 16 for t in op.dtypes)),
        default=1,
    )
    return tuple(tolerance_for([numpy_dtype(p.dtype), *computed], terms, coarse) for p in params)


def _run(
    state: State,
    *,
    target: Target,
    params: Sequence[Param],
    arrays: Mapping[str, Array],
    constants: Sequence[str],
    timed: bool,
) -> tuple[dict[str, Array], float]:
    """Outputs of a program by name, and its time: that of the one call unless it is `timed`."""
    bound = {name: arrays[name] for name in constants}
    lowered = lower_split(state, target, bound)
    artifact = build(lowered.main, target, prologue=lowered.prologue).renamed(lowered.names)
    function = CompiledFunction(artifact, constants=bound, threads=target.num_cores)
    inputs = [arrays[p.name] for p in params if not p.is_output and p.name not in bound]
    start = time.perf_counter()
    result = function(*inputs)
    seconds = time.perf_counter() - start
    if timed and not isinstance(function.kernel, PythonKernel):
        seconds = min(seconds, profile(function, *inputs, options=_QUICK).seconds)
    names = [param.name for param in params if param.is_output]
    values = result if isinstance(result, tuple) else (result,)
    return dict(zip(names, values, strict=True)), seconds


def _random(param: Param, rng: np.random.Generator, limits: tuple[int, int] | None) -> Array:
    dtype = numpy_dtype(param.dtype)
    if param.dtype.is_float:
        return np.asarray(rng.uniform(-1, 1, param.shape)).astype(dtype)
    low, high = limits or _small_range(param.dtype)
    return np.asarray(rng.integers(low, high + 1, param.shape)).astype(dtype)


def _small_range(dtype: DType) -> tuple[int, int]:
    match dtype.kind:
        case "bool":
            return 0, 1
        case "uint":
            return 0, 15
        case _:
            return -8, 7


def _index_ranges(dag: ComputeDAG) -> dict[str, tuple[int, int]]:
    """The values that inputs used as indices may have."""
    ranges: dict[str, tuple[int, int]] = {}
    for op in dag.ops:
        for body in op.body:
            for e in walk_expr(body):
                for affine in expr_affines(e):
                    for opaque in _opaques(affine):
                        _narrow(ranges, opaque)
    return ranges


def _opaques(affine: Affine) -> Iterator[Opaque]:
    for atom, _ in affine.terms:
        match atom:
            case Opaque():
                yield atom
            case FloorDiv(inner, _) | FloorMod(inner, _):
                yield from _opaques(inner)
            case _:
                pass


def _narrow(ranges: dict[str, tuple[int, int]], opaque: Opaque) -> None:
    """An input that is the index has its range; one that is only a part of it stays small."""
    for e in _reads(opaque.value):
        is_whole = e is opaque.value
        low = max(0, opaque.low)
        high = opaque.high if is_whole else low + (opaque.high - low) // 4
        before = ranges.get(e.op, (low, high))
        ranges[e.op] = max(low, before[0]), max(low, min(high, before[1]))


def _reads(e: Expr) -> Iterator[Read]:
    for node in walk_expr(e):
        if isinstance(node, Read):
            yield node
