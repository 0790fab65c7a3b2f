"""From a tensor expression to a callable kernel."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from tensorc.codegen.c.statements import RESERVED
from tensorc.ir.printer import print_func
from tensorc.lower.pipeline import lower_split
from tensorc.measure.record import Record
from tensorc.measure.records import Database
from tensorc.runtime.arrays import Array
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.python_code import python_code
from tensorc.schedule.rename import rename_steps
from tensorc.schedule.replay import replay
from tensorc.schedule.schedule import Schedule
from tensorc.schedule.state import State
from tensorc.schedule.steps import Step
from tensorc.space.default_schedule import default_schedule
from tensorc.space.definitions.definition import (
    DEFAULT_TOLERANCE,
    GIVEN,
    Definition,
    DefinitionRule,
    definitions_of,
)
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.support.errors import TEError
from tensorc.support.names import identifier
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor

Computation: TypeAlias = ComputeDAG | Sequence[Tensor]
DatabaseLike: TypeAlias = str | Path | Database
# Names that a kernel cannot have in generated code; functions called 'llvm.…' are intrinsics.
_NO_ENTRY = RESERVED | {"llvm"}


class UntunedWarning(UserWarning):
    """There is no record for a computation: the default schedule is used."""


def compile(  # the public name; `tensorc.compile`
    tensors: Computation,
    target: Target | str = "llvm",
    *,
    schedule: Schedule | None = None,
    constants: Mapping[Tensor | str, Array] | None = None,
    database: DatabaseLike | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    definitions: Sequence[DefinitionRule] = DEFINITION_RULES,
    name: str = "kernel",
) -> CompiledFunction:
    """Compile a computation into a function of NumPy arrays.

    Args:
        tensors: The inputs and outputs in call order, or a `ComputeDAG`.
        target: The backend and machine: 'llvm', 'c', 'python', or a `Target`.
        schedule: How to compute it. Without one it is the best record of the database, or else
            the default schedule.
        constants: Inputs that are the same in every call, by tensor or name; calls leave them out.
            What depends on them only, such as a copy in the order in which the kernel reads them,
            is computed here, once. A record of a run that knew them comes first.
        database: Records to take the best schedule from, a path or an open `Database`.
        tolerance: The error allowed, relative to the largest magnitude of the right outputs:
            records of other algorithms that are within it compete. See `tune`.
        definitions: The rules that know other algorithms.
        name: The name of the kernel in the generated code.

    Returns:
        A function that takes the inputs and returns the output, or a tuple of the outputs.

    Raises:
        TEError: The tensors are no valid computation, or a constant is none of its inputs.
        TargetError: The target is unknown, or a field of it is impossible.
        ScheduleError: The schedule, or a record's, does not fit the computation.
        LoweringError: The schedule cannot be lowered for the target.
        CodegenError: The target cannot express the computation.
        BuildError: The generated code does not compile.
        MissingDependencyError: The target needs a library or compiler that is not installed.
        RuntimeCallError: A constant is an array of another dtype or shape.
        RecordError: The database cannot be read.

    Warns:
        UntunedWarning: A database was given and holds no record of this computation and target.
    """
    dag, machine = ComputeDAG.of(tensors), Target.of(target)
    bound = by_name(tensors, dag, constants or {})
    if schedule is not None:
        if schedule.dag.structural_hash() != dag.structural_hash():
            raise TEError("Cannot compile: expected a schedule of these tensors, got another's.")
        state = replay(dag, rename_steps(schedule.steps, schedule.dag, dag))
    else:
        ways = () if database is None else definitions_of(dag, definitions, tolerance, machine)
        state = best_state(dag, machine, database, bound, ways)
    return compile_state(state, machine, constants=bound, name=name)


def compile_state(
    state: State,
    target: Target,
    *,
    constants: Mapping[str, Array] | None = None,
    name: str = "kernel",
) -> CompiledFunction:
    """Lower, generate, compile and load one concrete state; constants are by tensor name.

    Raises:
        LoweringError: The state holds something that the target cannot do.
        CodegenError: The target cannot express the computation.
        BuildError: The generated code does not compile.
        MissingDependencyError: The target needs a library or compiler that is not installed.
        RuntimeCallError: A constant is an array of another dtype or shape.
    """
    entry = identifier(name, reserved=_NO_ENTRY)
    lowered = lower_split(state, target, constants or (), entry)
    artifact = build(
        lowered.main,
        target,
        prologue=lowered.prologue,
        strength_reduction=lowered.strength_reduction,
    )
    kernels = [func for func in (lowered.prologue, lowered.main) if func is not None]
    return CompiledFunction(
        artifact.renamed(lowered.names),
        constants=constants,
        threads=target.num_cores,
        ir=lambda: "\n".join(map(print_func, kernels)),
        schedule=lambda: python_code(state.steps),
    )


def best_state(
    dag: ComputeDAG,
    target: Target,
    database: DatabaseLike | None,
    constants: Collection[str] = (),
    definitions: Sequence[Definition] = (),
) -> State:
    """Return the state of the best record, or the default one, with a warning, if there is none.

    Args:
        dag: The computation.
        target: The machine.
        database: Where records are.
        constants: The inputs that are the same in every call.
        definitions: What the record may be of; of the computation as it is given if empty.

    Raises:
        RecordError: The database cannot be read.
        ScheduleError: The schedule of the record does not fit the computation.

    Warns:
        UntunedWarning: A database was given and holds no such record.
    """
    found = best_record(definitions or (Definition(GIVEN, dag),), target, database, constants)
    if found is not None:
        return replay(*found)
    if database is not None:
        outputs = ", ".join(f"'{output}'" for output in dag.outputs)
        warnings.warn(
            f"No record of the computation of {outputs} for this target in "
            f"'{_path(database)}': using the default schedule.",
            UntunedWarning,
            stacklevel=3,
        )
    return default_schedule(dag, target)


def best_record(
    definitions: Sequence[Definition],
    target: Target,
    database: DatabaseLike | None,
    constants: Collection[str] = (),
) -> tuple[ComputeDAG, tuple[Step, ...]] | None:
    """Return the fastest recorded schedule and what it is of, None if there is none.

    With constants, records of runs that knew nothing of them are second choice. Among definitions,
    figures of final rounds come before others.

    Raises:
        RecordError: The database cannot be read.
    """
    if database is None or not _exists(database):
        return None
    with opened(database) as records:
        for known in dict.fromkeys((tuple(constants), ())):
            found = [
                (record, way.dag)
                for way in definitions
                if (record := records.best(way.dag.structural_hash(known), target)) is not None
            ]
            if found:
                record, dag = min(found, key=lambda f: (not f[0].is_final, f[0].latency))
                return dag, in_names_of(dag, record, records)
    return None


def in_names_of(dag: ComputeDAG, record: Record, records: Database) -> tuple[Step, ...]:
    """Return a record's steps in the names of `dag`, which computes the same.

    Raises:
        RecordError: The database cannot be read, or does not hold the task of the record.
    """
    recorded = ComputeDAG.from_json(json.loads(records.task(record.task).dag))
    return rename_steps(record.steps, recorded, dag)


@contextmanager
def opened(database: DatabaseLike) -> Iterator[Database]:
    """Open a database given by path to look into it for a while; one that is open stays open.

    Raises:
        RecordError: The database cannot be read.
    """
    if isinstance(database, Database):
        yield database
    else:
        with Database(database, read_only=True) as records:
            yield records


def _path(database: DatabaseLike) -> str:
    return database.path if isinstance(database, Database) else str(database)


def _exists(database: DatabaseLike) -> bool:
    """Whether there is a database to look into; opening a path would make one."""
    return isinstance(database, Database) or str(database) == ":memory:" or Path(database).exists()


def by_name(
    tensors: Computation, dag: ComputeDAG, constants: Mapping[Tensor | str, Array]
) -> dict[str, Array]:
    """Return constants by the name of the parameter they are bound to.

    Raises:
        TEError: One of them is no input.
    """
    return dict(zip(names_of(tensors, dag, constants), constants.values(), strict=True))


def names_of(tensors: Computation, dag: ComputeDAG, constants: Iterable[Tensor | str]) -> list[str]:
    """Return the names of the parameters that constants are.

    Raises:
        TEError: One of them is no input.
    """
    inputs = {op for op, _ in dag.params if dag.by_name[op].is_placeholder}
    spelled = dag.names_of(tensors)
    names: list[str] = []
    for tensor in constants:
        name = tensor if isinstance(tensor, str) else spelled.get(tensor.op, tensor.name)
        if name not in inputs:
            listed = ", ".join(f"'{i}'" for i in sorted(inputs))
            raise TEError(f"Cannot bind the constant '{name}': expected one of {listed}.")
        names.append(name)
    return names
