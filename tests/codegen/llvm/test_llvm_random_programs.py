from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tensorc.codegen.llvm import emit_llvm
from tensorc.ir.func import PrimFunc
from tensorc.ir.printer import print_func
from tensorc.runtime import llvm
from tensorc.runtime.artifact import Artifact, params_of
from tensorc.runtime.function import CompiledFunction
from tensorc.target import Target
from tests.codegen.llvm.running import BASELINE, TARGET, Array, comparable, run_oracle
from tests.random_programs import random_arrays, random_func


def run_unchecked(func: PrimFunc, arrays: list[Array], target: Target) -> list[Array]:
    """Like `run_llvm`, but register tiles may stay in memory: random indices keep them there."""
    text = emit_llvm(func, target)
    data = llvm.compile_object(text, target)
    artifact = Artifact(
        "object", data, func.name, params_of(func), func.workspace_bytes,
        func.thread_workspace_bytes, text,
    )  # fmt: skip
    copies = [np.array(a) for a in arrays]
    CompiledFunction(artifact)(*copies)
    return copies


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_give_what_the_oracle_gives(seed: int) -> None:
    rng = Random(seed)
    func = random_func(rng)
    arrays = random_arrays(func, rng)
    expected = run_oracle(func, arrays)
    got = run_unchecked(func, arrays, BASELINE if seed % 4 == 0 else TARGET)
    for param, g, e in zip(func.params, got, expected, strict=True):
        message = f"{param.name} of\n{print_func(func)}"
        np.testing.assert_array_equal(comparable(g), comparable(e), err_msg=message)
