"""Random legal schedules of random programs, run by the oracle and compared with NumPy.

    python -m tests.lower.fuzz 1000 --seed 7

prints every failure with what is needed to see it again.
"""

from __future__ import annotations

import argparse
import traceback
from collections import Counter
from random import Random

import numpy as np

from tensorc import te
from tensorc.codegen.python import execute
from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.lower import lower
from tensorc.schedule.access import consumers
from tensorc.schedule.replay import apply_step, initial_state
from tensorc.schedule.stage import Annotation, Inlined, IterKind, Stage, StageScope
from tensorc.schedule.state import State
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    ComputeAtStep,
    ComputeInlineStep,
    ComputeRootStep,
    FollowFusedSplitStep,
    FollowSplitStep,
    FuseStep,
    Layout,
    PragmaStep,
    ReorderStep,
    RfactorStep,
    SplitStep,
    Step,
    StorageAlignStep,
)
from tensorc.support.errors import ScheduleError
from tensorc.target import Target
from tests.lower.programs import PROGRAMS
from tests.lower.reference import evaluate

TARGETS = tuple(Target("llvm", vector_bytes=n) for n in (16, 32, 64))


def random_steps(dag: te.ComputeDAG, r: Random, count: int) -> State:
    """The state after some random steps, those that are refused left out."""
    return more_steps(initial_state(dag), r, count)


def more_steps(state: State, r: Random, count: int) -> State:
    """The state after some more random steps, those that are refused left out."""
    for _ in range(count):
        step = _random_step(state, r)
        if step is None:
            continue
        try:
            state = apply_step(state, step)
        except ScheduleError:
            continue
    return state


def _random_step(state: State, r: Random) -> Step | None:
    live = [s for s in state.stages.values() if not isinstance(s.location, Inlined)]
    stage = r.choice(live)
    if not stage.iterators:
        return None
    # Drawn by share, so that a new kind of step moves few seeds.
    return r.choice(_MAKERS if r.random() < 0.85 else _RARE_MAKERS)(state, stage, r)


def _split(state: State, stage: Stage, r: Random) -> Step:
    lengths = tuple(r.choice((1, 2, 3, 4, 5, 8)) for _ in range(r.randint(1, 3)))
    return SplitStep(stage.name, r.choice(stage.names()), lengths)


def _follow_split(state: State, stage: Stage, r: Random) -> Step | None:
    sources = [n for n, lengths in enumerate(state.lengths) if lengths]
    if not sources:
        return None
    source = r.choice(sources)
    parts = r.randint(1, len(state.lengths[source]) + 1)
    return FollowSplitStep(stage.name, r.choice(stage.names()), source, parts)


def _follow_fused_split(state: State, stage: Stage, r: Random) -> Step | None:
    sources = [n for n, lengths in enumerate(state.lengths) if lengths]
    if not sources:
        return None
    chosen = tuple(r.sample(sources, r.randint(1, min(2, len(sources)))))
    factor = r.random() < 0.5
    return FollowFusedSplitStep(
        stage.name, r.choice(stage.names()), chosen, r.randint(0, 1), factor
    )


def _fuse(state: State, stage: Stage, r: Random) -> Step | None:
    first = r.randrange(len(stage.iterators))
    names = stage.names()[first : first + r.randint(2, 3)]
    return FuseStep(stage.name, names) if len(names) > 1 else None


def _reorder(state: State, stage: Stage, r: Random) -> Step:
    order = list(stage.iterators)
    if r.random() < 0.5:
        r.shuffle(order)
    else:  # reductions outside, as in a tile
        order.sort(key=lambda i: (r.random() < 0.3, i.kind is IterKind.SPATIAL))
    return ReorderStep(stage.name, tuple(i.name for i in order))


def _annotate(state: State, stage: Stage, r: Random) -> Step:
    annotation = r.choice(_ANNOTATIONS)
    iterator = r.choice(stage.names())
    if annotation is Annotation.VECTORIZE and r.random() < 0.7:
        iterator = stage.names()[-1]
    return AnnotationStep(stage.name, iterator, annotation)


def _compute_at(state: State, stage: Stage, r: Random) -> Step | None:
    readers = consumers(state, stage.name)
    name = r.choice(readers) if readers and r.random() < 0.6 else r.choice(list(state.stages))
    target = state.stages[name]
    if not target.iterators or isinstance(target.location, Inlined):
        return None
    return ComputeAtStep(stage.name, target.name, r.choice(target.names()))


def _compute_root(state: State, stage: Stage, r: Random) -> Step:
    return ComputeRootStep(r.choice(list(state.stages)))


def _inline(state: State, stage: Stage, r: Random) -> Step:
    return ComputeInlineStep(stage.name)


def _cache_write(state: State, stage: Stage, r: Random) -> Step:
    return CacheWriteStep(stage.name, r.choice(_SCOPES))


def _rfactor(state: State, stage: Stage, r: Random) -> Step:
    axes = state.dag.by_name[stage.name].axes
    return RfactorStep(stage.name, r.choice(stage.names()), r.randint(0, len(axes)))


def _pragma(state: State, stage: Stage, r: Random) -> Step:
    steps = r.choice((0, 16, 64))
    return PragmaStep(stage.name, stage.names()[0], "auto_unroll_max_step", steps)


def _align(state: State, stage: Stage, r: Random) -> Step | None:
    axes = state.dag.by_name[stage.name].axes
    if not axes:
        return None
    return StorageAlignStep(stage.name, r.choice(axes), r.choice((4, 16)), r.choice((0, 1)))


def _cache_read(state: State, stage: Stage, r: Random) -> Step | None:
    op = r.choice(state.dag.ops)
    readers = state.dag.read_by[op.name]
    if not readers:
        return None
    layout = None
    if op.shape and r.random() < 0.5:
        order = list(range(len(op.shape) + 1))
        r.shuffle(order)
        layout = Layout(r.randrange(len(op.shape)), r.choice((2, 4, 8)), tuple(order))
    chosen = r.sample(readers, r.randint(1, min(2, len(readers))))
    return CacheReadStep(op.name, r.choice(_SCOPES), tuple(chosen), layout)


_MAKERS = (
    _split, _split, _split, _fuse, _reorder, _reorder, _annotate, _annotate, _annotate,
    _compute_at, _compute_at, _compute_at, _inline, _cache_write, _cache_read, _rfactor, _pragma,
    _align,
)  # fmt: skip
_RARE_MAKERS = (_follow_split, _follow_split, _follow_fused_split, _compute_root, _rfactor)
_SCOPES: tuple[StageScope, ...] = ("global", "global", "local")
_ANNOTATIONS = (
    Annotation.UNROLL, Annotation.UNROLL, Annotation.VECTORIZE, Annotation.VECTORIZE,
    Annotation.VECTORIZE, Annotation.PARALLEL, Annotation.PARALLEL, Annotation.NONE,
)  # fmt: skip


def check(seed: int) -> State | None:
    """One random program with one random schedule; raises if the result is wrong."""
    r = Random(seed)
    tensors = r.choice(PROGRAMS)(r)
    dag = te.ComputeDAG.from_tensors(tensors)
    state = random_steps(dag, r, r.randint(0, 25))
    func = lower(state, r.choice(TARGETS))
    verify(func)
    rng = np.random.default_rng(seed)
    inputs, arrays, outputs = {}, [], []
    for name, output in dag.params:
        op = dag.by_name[name]
        dtype = numpy_dtype(op.dtypes[output])
        if op.is_placeholder:
            data = (
                rng.standard_normal(op.shape)
                if dtype.kind == "f"
                else rng.integers(-9, 9, op.shape)
            )
            inputs[name] = np.asarray(data).astype(dtype)
            arrays.append(inputs[name])
        else:
            arrays.append(np.full(op.shape, 77, dtype))
            outputs.append(((name, output), arrays[-1]))
    execute(func, arrays)
    expected = evaluate(dag, inputs)
    for key, array in outputs:
        np.testing.assert_allclose(array, expected[key], rtol=2e-4, atol=1e-4, err_msg=str(key))
    return state


def show(seed: int) -> None:
    """Print the schedule and the IR of one seed, then check it."""
    r = Random(seed)
    dag = te.ComputeDAG.from_tensors(r.choice(PROGRAMS)(r))
    state = random_steps(dag, r, r.randint(0, 25))
    print(dag)
    for step in state.steps:
        print(step)
    print(print_func(lower(state, r.choice(TARGETS))))
    check(seed)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    if args.show:
        show(args.seed)
        return
    found: Counter[str] = Counter()
    for seed in range(args.seed, args.seed + args.count):
        try:
            check(seed)
        except (
            Exception
        ) as error:  # whatever it is, it is a finding  # whatever it is, it is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = (
                f"{type(error).__name__}: {str(error).strip()[:100]!r} {where.name}:{where.lineno}"
            )
            found[kind] += 1
            print(seed, kind, flush=True)
    print(f"{args.count} programs, {sum(found.values())} failures")


if __name__ == "__main__":
    main()
