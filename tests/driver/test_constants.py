"""Constants from end to end: computed once, bound once, told apart in records."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import tensorc
from tensorc import te
from tensorc.driver.compile import Computation, UntunedWarning, compile_state
from tensorc.measure.records import Database
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.replay import replay
from tensorc.schedule.state import State
from tensorc.schedule.steps import CacheReadStep, Layout
from tensorc.space.sketch import generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.support.errors import RuntimeCallError, TEError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tests.driver.test_compile import arrays, matmul
from tests.driver.test_tune import SMALL, FakeMachine

LLVM = Target("llvm", num_cores=1)
X, Y = arrays()


def packed(name: str = "B", layout: Layout | None = None) -> State:
    """A product one operand of which is copied into panels of five."""
    steps = [CacheReadStep(name, "global", ("C",), layout or Layout(1, 5, (1, 0, 2)))]
    return replay(ComputeDAG.from_tensors(matmul()), steps)


def candidates(tensors: Computation, constants: tuple[str, ...], rows: int = 3) -> list[State]:
    """Some programs of each sketch."""
    task = SearchTask.of(tensors, LLVM, constants)
    rng = np.random.default_rng(1)
    spaces = [Space(task, sketch) for sketch in generate_sketches(task)]
    found = [(s, row) for s in spaces for row in s.sample(rows, rng)]
    return [replay(task.dag, space.steps(row)) for space, row in found]


@pytest.mark.parametrize("target", ["llvm", "c", "python"])
def test_a_constant_is_packed_before_the_calls(target: str) -> None:
    y = Y.copy()
    f = compile_state(packed(), Target(target), constants={"B": y})
    y[...] = 0  # nobody looks at it any more
    assert np.allclose(f(X), X @ Y, atol=1e-5)
    assert [p.name for p in f.artifact.params] == ["A", "C", "B_global"]
    assert "kernel_prologue" in f.source()
    assert "def kernel_prologue(B:" in f.ir()


def test_without_the_data_nothing_is_taken_out() -> None:
    f = compile_state(packed(), LLVM)
    assert f.artifact.prologue is None
    assert np.allclose(f(X, Y), X @ Y, atol=1e-5)


def test_a_constant_that_no_stage_transforms_is_passed_straight_through() -> None:
    f = tensorc.compile(matmul(), LLVM, constants={"B": Y})
    assert f.artifact.prologue is None
    assert np.allclose(f(X), X @ Y, atol=1e-5)


@pytest.mark.parametrize("target", ["llvm", "python"])
def test_all_inputs_may_be_constant(target: str) -> None:
    f = compile_state(packed(), Target(target), constants={"A": X, "B": Y})
    assert np.allclose(f(), X @ Y, atol=1e-5)


def test_a_kernel_without_the_constants_it_was_built_for_is_refused() -> None:
    f = compile_state(packed(), LLVM, constants={"B": Y})
    with pytest.raises(RuntimeCallError, match="expected the constant 'B'"):
        CompiledFunction(f.artifact)
    with pytest.raises(RuntimeCallError, match=r"'B_global'.*expected one of the inputs 'B', 'A'"):
        CompiledFunction(f.artifact, constants={"B_global": Y})


def test_names_that_the_generated_code_cannot_use_are_bound() -> None:
    a = te.placeholder((8,), name="a")
    b = te.placeholder((8,), name="kernel")
    c = te.compute((8,), lambda i: a[i] - b[7 - i], name="where")
    x, y = X[0, :8].copy(), Y[0, :8].copy()
    f = tensorc.compile([a, b, c], LLVM, constants={b: y})
    assert np.allclose(f(x), x - y[::-1])


def test_several_threads_call_one_function_with_a_packed_constant() -> None:
    f = compile_state(packed(), LLVM, constants={"B": Y})
    wrong: list[int] = []

    def call(number: int) -> None:
        x = X + np.float32(number)
        right = x @ Y
        for _ in range(200):
            if not np.allclose(f(x), right, atol=1e-4):
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("constants", [("B",), ("A",), ("A", "B")])
def test_programs_of_the_space_are_right(constants: tuple[str, ...]) -> None:
    data = {"A": X, "B": Y}
    for state in candidates(matmul(), constants):
        f = compile_state(state, LLVM, constants={name: data[name] for name in constants})
        free = [array for name, array in data.items() if name not in constants]
        assert np.allclose(f(*free), X @ Y, atol=1e-4), f.schedule()


def two_readers() -> list[te.Tensor]:
    """Two products with one matrix, stored transposed and halved when they are computed."""
    a, b = (te.placeholder((16, 24), name=name) for name in "AB")
    w = te.placeholder((20, 24), name="W")
    t = te.compute((24, 20), lambda i, j: w[j, i] * 0.5, name="T")
    k, m = te.reduce_axis((0, 24), name="k"), te.reduce_axis((0, 24), name="m")
    c = te.compute((16, 20), lambda i, j: te.sum(a[i, k] * t[k, j], axis=k), name="C")
    d = te.compute((16, 20), lambda i, j: te.sum(b[i, m] * t[m, j], axis=m), name="D")
    return [a, b, w, c, d]


def test_a_transformed_constant_with_two_readers_is_computed_once() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((16, 24)).astype(np.float32) for _ in range(2))
    w = rng.standard_normal((20, 24)).astype(np.float32)
    for state in candidates(two_readers(), ("W",), rows=1)[:6]:
        f = compile_state(state, LLVM, constants={"W": w})
        c, d = f(a, b)
        assert np.allclose(c, a @ w.T * 0.5, atol=1e-4)
        assert np.allclose(d, b @ w.T * 0.5, atol=1e-4)
        assert "W" not in [p.name for p in f.artifact.params]


def test_copies_of_constants_have_no_place_to_choose_and_no_features() -> None:
    task = SearchTask.of(matmul(64), LLVM, ["B"])
    for sketch in generate_sketches(task):
        space = Space(task, sketch)
        names = [n for n in space.draft.state.stages if n.startswith("B.")]
        assert names
        assert not any(d.stage in names for d in space.draft.decisions)
        features = space.features(space.sample(4, np.random.default_rng(0)))
        assert not features[:, 0].any()
        assert features[:, 1:].any()


def test_records_tell_which_inputs_were_constant(tmp_path: Path) -> None:
    path, machine = tmp_path / "a.db", FakeMachine()
    a, b, c = matmul()
    for constants in ((), [b], {"B": Y}, ["A", "B"]):
        tensorc.tune(
            [a, b, c], LLVM, trials=8, database=path, measure=machine, evolution=SMALL,
            constants=constants,
        )  # fmt: skip
    with Database(path) as database:
        assert [info.constants for info in database.tasks()] == [(), ("B",), ("A", "B")]
        counts = [s.records for s in database.stats()]
    assert counts[0] < counts[1]  # the third run went on where the second had ended


def test_compile_takes_the_record_of_a_run_that_knew_the_constants(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    result = tensorc.tune(
        matmul(64), LLVM, trials=10, database=path, constants=["B"], evolution=SMALL
    )
    x, y = arrays(64)
    assert result.errors == ()
    assert np.allclose(result.compile(constants={"B": y})(x), x @ y, atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f = tensorc.compile(matmul(64), LLVM, database=path, constants={"B": y})
    assert np.allclose(f(x), x @ y, atol=1e-4)
    assert f.schedule() == result.compile().schedule()
    with pytest.warns(UntunedWarning):
        tensorc.compile(matmul(64), LLVM, database=path)


def test_records_that_knew_no_constants_are_second_choice(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    tensorc.tune(matmul(), LLVM, trials=4, database=path, measure=FakeMachine(), evolution=SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f = tensorc.compile(matmul(), LLVM, database=path, constants={"B": Y})
    assert np.allclose(f(X), X @ Y, atol=1e-5)


def test_data_given_to_tune_is_bound_by_compile() -> None:
    result = tensorc.tune(
        matmul(), LLVM, trials=4, measure=FakeMachine(), evolution=SMALL, constants={"B": Y}
    )
    assert np.allclose(result.compile()(X), X @ Y, atol=1e-5)


def test_a_constant_that_is_no_input_is_refused() -> None:
    with pytest.raises(TEError, match=r"'C'.*'A', 'B'"):
        tensorc.tune(matmul(), LLVM, trials=1, constants=["C"])
    with pytest.raises(TEError, match=r"'C'.*'A', 'B'"):
        SearchTask.of(matmul(), LLVM, ["C"])
