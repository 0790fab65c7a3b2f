"""What a peer is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from kernels_ref.array import Array
from kernels_ref.suite import Case

# Of several ways to run a case the fastest is found in so many turns of about so many seconds.
_ROUNDS: Final = 3
_TURN_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case that is ready to run.

    Attributes:
        run: Computes the result once; this is what is timed.
        result: Runs and returns the result in the layout of the suite.
        variant: Which of the peer's ways it is, for the report.
    """

    run: Callable[[], object]
    result: Callable[[], Array]
    variant: str = ""


class Peer(Protocol):
    """A library that computes the cases of the suite."""

    @property
    def name(self) -> str:
        """What it is called in tables and in `--vs`."""
        ...

    @property
    def version(self) -> str:
        """The version that is installed."""
        ...

    def prepare(
        self, case: Case, inputs: tuple[Array, ...], constants: frozenset[str]
    ) -> Prepared | None:
        """Lay out the inputs and return what computes the case; None if the library cannot.

        The arguments named in `constants` may be converted beforehand, as weights are.
        """
        ...


def quickest(variants: Sequence[Prepared]) -> Prepared:
    """Return the fastest of several ways, found in turns."""
    if len(variants) == 1:
        return variants[0]
    best = [float("inf")] * len(variants)
    for variant in variants:
        variant.run()
    for _ in range(_ROUNDS):
        for number, variant in enumerate(variants):
            best[number] = min(best[number], _shortest(variant.run))
    return variants[best.index(min(best))]


def _shortest(run: Callable[[], object]) -> float:
    clock, shortest = time.perf_counter, float("inf")
    end = clock() + _TURN_SECONDS
    start = 0.0
    while start < end:
        start = clock()
        run()
        shortest = min(shortest, clock() - start)
    return shortest
