"""What the columns of one row owe each other.

Sampling spends budgets so that constraints hold from the start, `repair` moves dependent columns
back into their bounds, and `holds` masks what is left, after mutation for instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorc.arith.sizes import ceildiv
from tensorc.space.decisions import Rows

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RegisterBudget:
    """The register tile of a stage fits into vector registers.

    Accumulators are `rows · v` for `v` vectors in a row; `v` loaded vectors and one broadcast value
    have to fit as well.

    Attributes:
        vector: The column of the vector loop's length, None if there is none.
        rows: The columns of the other innermost lengths.
        lanes: Elements of a vector.
        registers: Vector registers.
    """

    vector: int | None
    rows: tuple[int, ...]
    lanes: int
    registers: int

    @property
    def widest(self) -> int:
        """The longest vector loop that leaves room for one row."""
        return max((self.registers - 2) // 2, 1) * self.lanes

    def room(self, lengths: Rows) -> Rows:
        """How many rows fit beside vector loops of these lengths, at least one."""
        vectors = ceildiv(lengths, self.lanes)
        rows: Rows = np.maximum((self.registers - 1 - vectors) // vectors, 1)
        return rows

    def holds(self, matrix: Rows) -> Mask:
        """Which rows keep to the budget."""
        taken = matrix[:, list(self.rows)].prod(axis=1)
        if self.vector is None:
            alone: Mask = taken <= self.room(np.ones(len(matrix), np.int64))
            return alone
        lengths = matrix[:, self.vector]
        mask: Mask = (taken <= self.room(lengths)) & (lengths <= self.widest)
        return mask


@dataclass(frozen=True, slots=True)
class NoDeeper:
    """A stage sits no deeper than a stage that reads it: location columns in order."""

    column: int
    bound: int

    def repair(self, matrix: Rows) -> None:
        """Move the stage out, in place."""
        np.minimum(matrix[:, self.column], matrix[:, self.bound], out=matrix[:, self.column])


@dataclass(frozen=True, slots=True)
class ParallelBound:
    """Parallel loops are fused, so none of them is inside the loop where a stage is computed.

    Attributes:
        column: The number of parallel loops.
        location: The level of the stage that is computed in these loops.
        around: How many levels are not loops of the parallel stage itself.
        loops: How many loops the parallel stage has.
    """

    column: int
    location: int
    around: int
    loops: int

    def repair(self, matrix: Rows) -> None:
        """Take fewer loops, in place."""
        level = matrix[:, self.location] - self.around
        inside = (level > 0) & (level <= self.loops)
        count = matrix[:, self.column]
        matrix[:, self.column] = np.where(inside, np.minimum(count, level), count)


@dataclass(frozen=True, slots=True)
class VectorBound:
    """Loops that are parallel cannot be vector lanes too: then only the innermost loop is.

    Attributes:
        column: The number of vectorised loops.
        parallel: The number of parallel loops.
        loops: How many loops the stage has.
    """

    column: int
    parallel: int
    loops: int

    def repair(self, matrix: Rows) -> None:
        """Vectorise fewer loops, in place."""
        vectors, count = matrix[:, self.column], matrix[:, self.parallel]
        matrix[:, self.column] = np.where(vectors + count > self.loops, 1, vectors)


Repair: TypeAlias = NoDeeper | ParallelBound | VectorBound


class Budget(Protocol):
    """Something limited that several columns share."""

    def holds(self, matrix: Rows) -> Mask:
        """Which rows keep to it."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """All constraints of a sketch; repairs are in the order in which they have to be made."""

    budgets: tuple[Budget, ...] = ()
    repairs: tuple[Repair, ...] = ()

    def repair(self, matrix: Rows) -> Rows:
        """Return the rows with dependent columns moved into their bounds."""
        if not self.repairs:
            return matrix
        repaired = matrix.copy()
        for rule in self.repairs:
            rule.repair(repaired)
        return repaired

    def hold(self, matrix: Rows) -> Mask:
        """Which rows keep to all budgets."""
        mask = np.ones(len(matrix), bool)
        for budget in self.budgets:
            mask &= budget.holds(matrix)
        return mask
