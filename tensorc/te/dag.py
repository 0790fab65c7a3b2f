"""ComputeDAG: a program as a graph of operations, and what a scheduler asks about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Final

from tensorc.ir.affine import affine_variables
from tensorc.ir.printer import print_expr
from tensorc.ir.visit import opaque_values
from tensorc.support.errors import TEError
from tensorc.te.access import (
    Access,
    accesses,
    common_outer_axes,
    has_branch,
    is_elementwise,
    is_expensive,
    same_shape,
    simple_access,
)
from tensorc.te.check import check_program
from tensorc.te.dag_json import VERSION, ops_from_json, ops_to_json, params_from_json
from tensorc.te.expr_json import Json, damaged
from tensorc.te.flops import estimate_flops
from tensorc.te.op import Op
from tensorc.te.program import Params, canonical_program
from tensorc.te.rename import structural_hash
from tensorc.te.tensor import Operation, Tensor

_REDUCTION_SIGNS = {"sum": "+=", "prod": "*=", "max": "max=", "min": "min="}
# The attribute of an operation that names the axes at which it reads constant matrices.
CONST_TENSOR_INDICES: Final = "auto_scheduler_simplify_const_tensor_indices"
# The attribute of an operation that only holds results for others: what it reads is computed right
# before it, in its loops.
HOLDS_RESULTS: Final = "holds_results"


@dataclass(frozen=True, eq=False)
class ComputeDAG:
    """Operations, producers first, and the parameters of the program in call order.

    A parameter is (operation name, output number). Every analysis speaks of operations by name and
    follows Ansor's definitions.
    """

    ops: tuple[Op, ...]
    params: Params

    @staticmethod
    def from_tensors(tensors: Sequence[Tensor]) -> ComputeDAG:
        """The program with these tensors, inputs and outputs, as parameters.

        Raises:
            TEError: if it is malformed; the message names the tensor.
        """
        return ComputeDAG(*canonical_program(tensors))

    @staticmethod
    def of(program: ComputeDAG | Sequence[Tensor]) -> ComputeDAG:
        """The program itself, or that of tensors."""
        return program if isinstance(program, ComputeDAG) else ComputeDAG.from_tensors(program)

    def names_of(self, program: ComputeDAG | Sequence[Tensor]) -> dict[Operation, str]:
        """What the operations of the tensors it was made of are called here; none for a DAG.

        Names are spelled so that Python and C accept them.
        """
        if isinstance(program, ComputeDAG):
            return {}
        return {t.op: name for t, (name, _) in zip(program, self.params, strict=True)}

    def with_ops(self, ops: Sequence[Op]) -> ComputeDAG:
        """The program with other operations and the same parameters."""
        return replace(self, ops=tuple(ops))

    @cached_property
    def by_name(self) -> dict[str, Op]:
        """The operations."""
        return {op.name: op for op in self.ops}

    @cached_property
    def reads(self) -> dict[str, dict[str, tuple[Access, ...]]]:
        """Of each operation, the indices with which it reads each of its producers."""
        return {op.name: accesses(op) for op in self.ops}

    @cached_property
    def read_by(self) -> dict[str, tuple[str, ...]]:
        """Of each operation, those that read it."""
        readers: dict[str, list[str]] = {op.name: [] for op in self.ops}
        for name, producers in self.reads.items():
            for producer in producers:
                readers[producer].append(name)
        return {name: tuple(group) for name, group in readers.items()}

    @cached_property
    def gathers(self) -> bool:
        """Whether an operation is read at an index that is not affine, such as one that is read."""
        found = (access for group in self.reads.values() for access in chain(*group.values()))
        return any(opaque_values(index) for access in found for index in access)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The computed operations among the parameters."""
        names = dict.fromkeys(name for name, _ in self.params)
        return tuple(name for name in names if not self.by_name[name].is_placeholder)

    def is_output(self, name: str) -> bool:
        """Whether this is computed, and a parameter or read by nobody."""
        op = self.by_name[name]
        return not op.is_placeholder and (name in self.outputs or not self.read_by[name])

    def is_simple_access(self, name: str) -> bool:
        """Whether every index it reads with is an axis, plus or minus a constant, or a constant."""
        op = self.by_name[name]
        return all(
            simple_access(op, access) is not None
            for group in self.reads[name].values()
            for access in group
        )

    def is_strictly_inlineable(self, name: str) -> bool:
        """Whether computing it again in each reader costs nothing.

        It has no branch and no `exp`, and reads with its axes in order, none of them twice. What
        reads nothing is always inlineable.
        """
        op = self.by_name[name]
        if op.is_placeholder:
            return False
        if not self.reads[name]:
            return True
        if has_branch(op) or is_expensive(op):
            return False
        found = [simple_access(op, a) for group in self.reads[name].values() for a in group]
        return all(a is not None and a.ordered and not a.duplicated for a in found)

    def needs_multi_level_tiling(self, name: str) -> bool:
        """Whether it reads the same data again for other elements.

        Counted are the producers that are read without one of its axes (of extent above 1): two
        are needed, or one where it reduces.
        """
        op = self.by_name[name]
        if op.is_placeholder or op.attr(CONST_TENSOR_INDICES) is not None:
            return False
        axes = {
            a for a, n in zip(op.axes, op.shape, strict=True) if not (isinstance(n, int) and n <= 1)
        }
        missing = 0
        for group in self.reads[name].values():
            used = {v for access in group for index in access for v in affine_variables(index)}
            missing += not axes <= used
        return missing >= 2 or (missing >= 1 and bool(op.reduce_axes))

    def elementwise_match(self, name: str, target: str) -> bool:
        """Whether single readers lead to `target`, element by element, all of one shape."""
        while name != target:
            readers = self.read_by[name]
            if len(readers) != 1:
                return False
            op, reader = self.by_name[name], self.by_name[readers[0]]
            if op.is_placeholder or not same_shape(op, reader):
                return False
            if not all(is_elementwise(reader, access) for access in self.reads[reader.name][name]):
                return False
            name = reader.name
        return True

    def num_common_outer_iterators(self, name: str, target: str) -> int:
        """How many outer axes of the two run over the same values, on every path between them."""
        least: dict[str, int] = {name: len(self.by_name[name].shape)}
        for op in self.ops:
            if op.name == name:
                continue
            for producer, group in self.reads[op.name].items():
                if producer in least and producer != target:
                    shared = common_outer_axes(self.by_name[producer], op, group)
                    found = min(least[producer], shared)
                    least[op.name] = min(least.get(op.name, found), found)
        return least.get(target, 0)

    # Measures, identity, text

    @cached_property
    def _flops(self) -> float:
        return estimate_flops(self.ops)

    def flops(self) -> float:
        """The estimated number of operations."""
        return self._flops

    @cached_property
    def _hash(self) -> str:
        return structural_hash(self.ops, self.params)

    def structural_hash(self, constants: Iterable[str] = ()) -> str:
        """A hash of what is computed, which does not depend on names.

        With inputs that are the same in every call, their places among the parameters follow: the
        fastest schedule is then another one.
        """
        names = self.inputs_named(constants)
        places = [str(n) for n, (name, _) in enumerate(self.params) if name in names]
        return f"{self._hash}+{','.join(places)}" if places else self._hash

    def inputs_named(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names of inputs in call order, each once.

        Raises:
            TEError: if one of them is no input.
        """
        inputs = [name for name, _ in self.params if self.by_name[name].is_placeholder]
        wanted = set(names)
        for name in sorted(wanted - set(inputs)):
            listed = ", ".join(f"'{known}'" for known in inputs)
            raise TEError(f"Unknown constant '{name}': expected one of {listed}.")
        return tuple(name for name in inputs if name in wanted)

    def to_json(self) -> Json:
        """The whole program as JSON values."""
        return {
            "version": VERSION,
            "ops": ops_to_json(self.ops),
            "params": [list(param) for param in self.params],
        }

    @staticmethod
    def from_json(value: Json) -> ComputeDAG:
        """The program of which `to_json` gave `value`.

        Raises:
            RecordError: if it is damaged, or of another version.
        """
        if not isinstance(value, dict) or value.get("version") != VERSION:
            raise damaged(f"a program of version {VERSION}", value)
        ops, params = ops_from_json(value.get("ops")), params_from_json(value.get("params"))
        check_program(ops, params)
        return ComputeDAG(ops, params)

    def __str__(self) -> str:
        return "\n".join(line for op in self.ops for line in _lines(op))


def _lines(op: Op) -> Iterator[str]:
    """The text of an operation, in Ansor's form."""
    if op.is_placeholder:
        yield f"{op.name} = PLACEHOLDER [{', '.join(map(str, op.shape))}]"
        return
    for o, e in enumerate(op.body):
        output = f".v{o}" if len(op.body) > 1 else ""
        sign = "=" if op.reducer is None else _REDUCTION_SIGNS.get(op.reducer.name, "select=")
        yield f"{op.name}({', '.join(op.axes)}){output} {sign} {print_expr(e)}"
