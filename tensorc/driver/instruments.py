"""What measures the candidates of a run: quickly in the search, thoroughly in the final rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tensorc.driver.candidates import Measure
from tensorc.measure.measurer import Measurer
from tensorc.measure.options import MeasureOptions
from tensorc.measure.result import MeasureInput, MeasureResult
from tensorc.measure.task import MeasureTask


@dataclass(frozen=True, slots=True, eq=False)
class Instruments:
    """The ways to measure candidates.

    Attributes:
        quick: Measures those of a search.
        thorough: Measures those of the final rounds, built as `compile` builds.
        build: Builds these before they are measured, each when it can begin with it.
    """

    quick: Measure
    thorough: Measure
    build: Callable[[Iterable[MeasureInput]], Iterable[MeasureResult]]

    @classmethod
    def open(cls, stack: ExitStack, tasks: Sequence[MeasureTask], kept: int) -> Instruments:
        """Start the processes of both, which end with the stack.

        Those of the final rounds start with the search: it takes them half a second, and at first
        there is nothing to measure. They are others, so that nobody wins by how his data happened
        to lie in the memory of the first ones.

        Args:
            stack: Ends them.
            tasks: What candidates are of.
            kept: How many built programs are kept for the final rounds.
        """
        full = MeasureOptions(
            fast=False, cut_factor=0, contender_factor=0, kept=kept, overlap=False
        )
        quick = stack.enter_context(Measurer(tasks))
        thorough = stack.enter_context(Measurer(tasks, full))
        return cls(quick.stream, thorough.stream, thorough.build)

    @classmethod
    def of(cls, measure: Measure) -> Instruments:
        """Measure everything in one way, which needs nothing built before."""
        return cls(measure, measure, _built)


def _built(batch: Iterable[MeasureInput]) -> Iterator[MeasureResult]:
    return (MeasureResult() for _ in batch)
