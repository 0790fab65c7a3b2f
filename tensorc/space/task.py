"""What is to be tuned: a computation and the machine it runs on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tensorc.te.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SearchTask:
    """A computation and the machine it runs on; tasks are equal if their keys are.

    Attributes:
        dag: The computation.
        target: The machine.
        constants: The inputs that are the same in every call, by name and in call order. What
            depends on them only is computed once, outside of all calls.

    Raises:
        TEError: A constant is no input of the computation.
    """

    dag: ComputeDAG
    target: Target
    constants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = self.dag.inputs_named(self.constants)
        object.__setattr__(self, "constants", named)

    @classmethod
    def of(
        cls,
        subject: SearchTask | ComputeDAG | Sequence[Tensor],
        target: Target | str = "llvm",
        constants: Iterable[str] = (),
    ) -> SearchTask:
        """Return `subject` itself, or the task of a computation given as tensors or as a DAG.

        Raises:
            TEError: The tensors are no valid computation, or a constant is no input of it.
            TargetError: The target is unknown, or a field of it is impossible.
        """
        if isinstance(subject, SearchTask):
            return subject
        return cls(ComputeDAG.of(subject), Target.of(target), tuple(constants))

    @property
    def key(self) -> str:
        """A name that equal computations on equal machines share, whatever they are called."""
        text = f"{self.dag.structural_hash(self.constants)} {self.target}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchTask) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)
