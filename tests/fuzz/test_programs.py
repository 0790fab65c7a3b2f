"""Random programs mean the same before and after canonicalisation, and as plain loops."""

from __future__ import annotations

import json
from random import Random

import pytest

from tensorc.te import ComputeDAG
from tensorc.te.check import check_formulas
from tests.fuzz.programs import random_program
from tests.te.running import by_canonical_form, by_loops


@pytest.mark.parametrize("seed", range(40))
def test_program(seed: int) -> None:
    program = random_program(Random(seed))
    dag = ComputeDAG.from_tensors(program.tensors)
    for op in dag.ops:
        check_formulas(op)
    back = ComputeDAG.from_json(json.loads(json.dumps(dag.to_json())))
    assert back.structural_hash() == dag.structural_hash()
    for run in (by_canonical_form, by_loops):
        program.check(run(program.tensors, program.inputs))


def test_the_same_seed_gives_the_same_program() -> None:
    one, other = (random_program(Random(5)) for _ in range(2))
    assert str(ComputeDAG.from_tensors(one.tensors)) == str(ComputeDAG.from_tensors(other.tensors))


def test_a_wrong_output_is_noticed() -> None:
    program = random_program(Random(1))
    outputs = program.expected()
    outputs[0] = outputs[0] + 1
    with pytest.raises(AssertionError):
        program.check(outputs)
