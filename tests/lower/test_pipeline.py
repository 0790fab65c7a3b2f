"""The order of passes, and what can be seen of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorc import te
from tensorc.lower import count_lines, lower, stages
from tensorc.lower.pipeline import lower_split
from tensorc.schedule.replay import initial_state, replay
from tensorc.schedule.stage import STRENGTH_REDUCTION, Annotation
from tensorc.schedule.state import State
from tensorc.schedule.steps import AnnotationStep, PragmaStep, SplitStep
from tensorc.support.errors import LoweringError
from tensorc.target import Target

TARGET = Target("llvm", vector_bytes=32)


def scaled(n: int = 64) -> te.ComputeDAG:
    A = te.placeholder((n,), name="A")
    return te.ComputeDAG.from_tensors([A, te.compute((n,), lambda i: A[i] * 2.0, name="B")])


def vectorised() -> State:
    return replay(scaled(), [AnnotationStep("B", "i", Annotation.VECTORIZE)])


def test_stages_are_named_after_the_passes() -> None:
    names = [name for name, _ in stages(vectorised(), TARGET)]
    assert names[0] == "loop_nest"
    assert names.index("vectorize_loops") < names.index("assign_scopes")


def test_the_last_stage_is_what_lower_returns() -> None:
    assert stages(vectorised(), TARGET)[-1][1] == lower(vectorised(), TARGET)


def test_a_directory_receives_the_ir_after_each_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORC_DUMP_IR", str(tmp_path))
    lower(vectorised(), TARGET)
    files = sorted(p.name for p in tmp_path.iterdir())
    assert files[0] == "00_loop_nest.tir"
    text = (tmp_path / "02_vectorize_loops.tir").read_text()
    assert "ramp" in text
    assert (tmp_path / "06_plan_workspace.tir").read_text() == "# unchanged\n"


def test_the_ir_is_checked_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORC_VERIFY", "1")
    assert lower(vectorised(), TARGET).name == "kernel"


def test_the_function_has_the_name_that_was_asked_for() -> None:
    assert lower(initial_state(scaled()), TARGET, name="scale").name == "scale"


def test_a_gpu_is_refused() -> None:
    with pytest.raises(LoweringError, match="Cannot lower for target 'cuda'"):
        lower(initial_state(scaled()), Target("cuda"))


def test_thread_bindings_are_refused_on_a_cpu() -> None:
    state = replay(scaled(), [AnnotationStep("B", "i", Annotation.THREAD_X)])
    with pytest.raises(LoweringError, match="thread binding"):
        lower(state, TARGET)


def test_predicted_lines_grow_with_unrolling() -> None:
    steps = [SplitStep("B", "i", (8,)), AnnotationStep("B", "i.1", Annotation.UNROLL)]
    plain, unrolled = initial_state(scaled()), replay(scaled(), steps)
    assert count_lines(lower(unrolled, TARGET)) > 2 * count_lines(lower(plain, TARGET))


@pytest.mark.parametrize(("steps", "wanted"), [((), True), ((0,), False), ((1,), True)])
def test_a_pragma_decides_on_strength_reduction(steps: tuple[int, ...], wanted: bool) -> None:
    pragmas = [PragmaStep("B", "i", STRENGTH_REDUCTION, value) for value in steps]
    assert lower_split(replay(scaled(), pragmas), TARGET, ()).strength_reduction is wanted
