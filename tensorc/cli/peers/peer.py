"""What a peer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kernels_ref.array import Array
from kernels_ref.suite import Case


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case that is ready to run.

    Attributes:
        run: Computes the result once; this is what is timed.
        result: Runs and returns the result in the layout of the suite.
    """

    run: Callable[[], object]
    result: Callable[[], Array]


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

    def prepare(self, case: Case, inputs: tuple[Array, ...]) -> Prepared:
        """Lay out the inputs and return what computes the case."""
        ...
