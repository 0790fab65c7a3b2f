"""From a State to IR that a backend can write down: the pipeline, in order.

`TENSORC_VERIFY=1` checks the IR after each pass, `TENSORC_DUMP_IR` names a directory that receives
it (`00_loop_nest.tir`, `01_drop_unused_lets.tir`, …).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from tensorc.ir.func import PrimFunc
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.lower.loop_nest import build
from tensorc.passes.assign_scopes import assign_scopes
from tensorc.passes.block_transpositions import block_transpositions
from tensorc.passes.drop_unused_lets import drop_unused_lets
from tensorc.passes.hoist_invariants import hoist_invariants
from tensorc.passes.plan_workspace import plan_workspace
from tensorc.passes.split_prologue import split_prologue
from tensorc.passes.vectorize_loops import vectorize_loops
from tensorc.schedule.stage import STRENGTH_REDUCTION
from tensorc.schedule.state import State
from tensorc.support.errors import LoweringError
from tensorc.support.options import DUMP_IR, VERIFY
from tensorc.target import Target
from tensorc.te.op import output_name

Pass: TypeAlias = Callable[[PrimFunc, Target], PrimFunc]

_CPU: Final[tuple[Pass, ...]] = (
    drop_unused_lets,  # first: flattening indices recombines most parts of fused loops
    vectorize_loops,  # on the compact IR: unrolling is the backends' business
    hoist_invariants,  # after vectorising, which shows what all lanes have in common
    assign_scopes,  # after vectorising, which decides what is unrolled and so constant
    plan_workspace,  # after scopes are known
)
# Which vectors are columns shows once they are vectors.
_LLVM: Final[tuple[Pass, ...]] = (*_CPU[:2], block_transpositions, *_CPU[2:])
PIPELINES: Final[dict[str, tuple[Pass, ...]]] = {"llvm": _LLVM, "c": _CPU, "python": _CPU}


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel, and what runs once before its first call.

    Attributes:
        main: The kernel.
        prologue: Computes what depends on constants only, into the last parameters of `main`; None
            if there is no such thing.
        names: The tensors that parameters are, by the names of the parameters.
        strength_reduction: Whether the code generator may reduce the strength of index arithmetic.
    """

    main: PrimFunc
    prologue: PrimFunc | None
    names: Mapping[str, str]
    strength_reduction: bool = True


def lower(state: State, target: Target, name: str = "kernel") -> PrimFunc:
    """Lower a concrete state for a target.

    Raises:
        LoweringError: if the state holds something the target cannot do.
        VerifyError: if `TENSORC_VERIFY` is set and a pass has broken the IR.
    """
    return _finished(_nest(state, target, name), target, DUMP_IR.get())


def lower_split(
    state: State, target: Target, constants: Collection[str], name: str = "kernel"
) -> Lowered:
    """Lower a concrete state some of whose inputs are the same in every call.

    Stages at the root that depend on nothing else are computed by a prologue. The IR of its passes
    is dumped to a directory `prologue` of its own.

    Args:
        state: The state.
        target: The target.
        constants: The names of the inputs.
        name: The name of the kernel; the prologue's is derived from it.

    Raises:
        LoweringError: if the state holds something the target cannot do.
        VerifyError: if `TENSORC_VERIFY` is set and a pass has broken the IR.
    """
    nest, dag = _nest(state, target, name), state.dag
    tensors = [output_name(dag.by_name[op], output) for op, output in dag.params]
    names = {b.name: tensor for b, tensor in zip(nest.params, tensors, strict=True)}
    fixed = [name for name, tensor in names.items() if tensor in constants]
    prologue, main = split_prologue(nest, fixed) if fixed else (None, nest)
    dump = DUMP_IR.get()
    if prologue is not None:
        prologue = _finished(prologue, target, dump and dump / "prologue")
    return Lowered(_finished(main, target, dump), prologue, names, _reduces_strength(state))


def stages(state: State, target: Target, name: str = "kernel") -> list[tuple[str, PrimFunc]]:
    """The IR after each pass, with the name of the pass; first that of the plain loop nest.

    Raises:
        LoweringError: if the state holds something the target cannot do.
    """
    return list(_run(_nest(state, target, name), target))


def _reduces_strength(state: State) -> bool:
    pragmas = [pragma for stage in state.stages.values() for pragma in stage.pragmas]
    return all(value for _, key, value in pragmas if key == STRENGTH_REDUCTION)


def _nest(state: State, target: Target, name: str) -> PrimFunc:
    if target.kind not in PIPELINES:
        raise LoweringError(
            f"Cannot lower for target '{target.kind}': expected one of {', '.join(PIPELINES)}."
        )
    return build(state, target, name)


def _finished(func: PrimFunc, target: Target, dump: Path | None) -> PrimFunc:
    """The last of all passes, each of them checked and written down on request."""
    before, check, planned = None, VERIFY.get(), False
    for number, (step, result) in enumerate(_run(func, target)):
        planned = planned or step == plan_workspace.__name__
        if check:
            verify(result, planned=planned)
        if dump is not None:
            _write(dump, f"{number:02}_{step}", result, changed=result is not before)
        func = before = result
    return func


def _run(func: PrimFunc, target: Target) -> Iterator[tuple[str, PrimFunc]]:
    yield "loop_nest", func
    for transform in PIPELINES[target.kind]:
        func = transform(func, target)
        yield transform.__name__, func


def _write(directory: Path, name: str, func: PrimFunc, *, changed: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    text = print_func(func) if changed else "# unchanged\n"
    (directory / f"{name}.tir").write_text(text, encoding="utf-8")
