"""From a State to IR that a backend can write down: the pipeline, in order.

`TENSORC_VERIFY=1` checks the IR after each pass, `TENSORC_DUMP_IR` names a directory that receives
it (`00_loop_nest.tir`, `01_vectorize_loops.tir`, …).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from tensorc.ir.func import PrimFunc
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.lower.loop_nest import build
from tensorc.passes.assign_scopes import assign_scopes
from tensorc.passes.drop_unused_lets import drop_unused_lets
from tensorc.passes.plan_workspace import plan_workspace
from tensorc.passes.vectorize_loops import vectorize_loops
from tensorc.schedule.state import State
from tensorc.support.errors import LoweringError
from tensorc.support.options import DUMP_IR, VERIFY
from tensorc.target import Target

Pass: TypeAlias = Callable[[PrimFunc, Target], PrimFunc]

_CPU: Final[tuple[Pass, ...]] = (
    drop_unused_lets,  # first: flattening indices recombines most parts of fused loops
    vectorize_loops,  # on the compact IR: unrolling is the backends' business
    assign_scopes,  # after vectorising, which decides what is unrolled and so constant
    plan_workspace,  # after scopes are known
)
PIPELINES: Final[dict[str, tuple[Pass, ...]]] = {"llvm": _CPU, "c": _CPU, "python": _CPU}


def lower(state: State, target: Target, name: str = "kernel") -> PrimFunc:
    """Lower a concrete state for a target.

    Raises:
        LoweringError: if the state holds something the target cannot do.
    """
    func: PrimFunc | None = None
    dump, check = DUMP_IR.get(), VERIFY.get()
    for number, (step, result) in enumerate(_run(state, target, name)):
        if check:
            verify(result)
        if dump is not None:
            _write(dump, f"{number:02}_{step}", result, changed=result is not func)
        func = result
    assert func is not None
    return func


def stages(state: State, target: Target, name: str = "kernel") -> list[tuple[str, PrimFunc]]:
    """The IR after each pass, with the name of the pass; first that of the plain loop nest."""
    return list(_run(state, target, name))


def _run(state: State, target: Target, name: str) -> Iterator[tuple[str, PrimFunc]]:
    passes = PIPELINES.get(target.kind)
    if passes is None:
        raise LoweringError(
            f"Cannot lower for target '{target.kind}': expected one of {', '.join(PIPELINES)}."
        )
    func = build(state, target, name)
    yield "loop_nest", func
    for transform in passes:
        func = transform(func, target)
        yield transform.__name__, func


def _write(directory: Path, name: str, func: PrimFunc, *, changed: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    text = print_func(func) if changed else "# unchanged\n"
    (directory / f"{name}.tir").write_text(text, encoding="utf-8")
