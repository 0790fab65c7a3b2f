"""What measures the candidates of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from tensorc import te
from tensorc.driver.instruments import Instruments
from tensorc.measure.reference import make_task
from tensorc.measure.result import ErrorKind, MeasureInput, MeasureResult
from tensorc.schedule.steps import SplitStep
from tensorc.support.errors import MeasureError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

SPLITS = [MeasureInput((SplitStep("C", "i", (factor,)),)) for factor in (2, 4)]


def test_what_is_built_for_the_final_rounds_is_not_built_again_in_them() -> None:
    A = te.placeholder((8, 8), name="A")
    C = te.compute((8, 8), lambda i, j: A[i, j] * 2.0, name="C")
    task = make_task(ComputeDAG.from_tensors([A, C]), Target("llvm", num_cores=1))
    with ExitStack() as stack:
        tools = Instruments.open(stack, [task], len(SPLITS))
        searched = list(tools.quick(SPLITS))
        built, measured = list(tools.build(iter(SPLITS))), list(tools.thorough(SPLITS))
    results = [*searched, *built, *measured]
    assert [result.error for result in results] == [ErrorKind.NONE] * 6
    assert [result.latency is not None for result in results] == [True] * 2 + [False] * 2 + [
        True
    ] * 2
    assert [result.build_seconds > 0.0 for result in results] == [True] * 4 + [False] * 2
    for measure in (tools.quick, tools.thorough):  # they have ended with the stack
        with pytest.raises(MeasureError, match="not open"):
            list(measure(SPLITS))


def test_one_way_to_measure_serves_for_both_and_needs_nothing_built() -> None:
    asked: list[MeasureInput] = []

    def measure(batch: Sequence[MeasureInput]) -> Iterator[MeasureResult]:
        for candidate in batch:
            asked.append(candidate)
            yield MeasureResult((1.0,))

    tools = Instruments.of(measure)
    assert [result.error for result in tools.build(iter(SPLITS))] == [ErrorKind.NONE] * 2
    assert asked == []
    assert [r.latency for way in (tools.quick, tools.thorough) for r in way(SPLITS)] == [1.0] * 4
