"""tune() and compile() over several definitions: one search, one race, records that know which."""

from collections.abc import Iterator

import numpy as np
import pytest

import kernels_ref
import tensorc
from tensorc import te, topi
from tensorc.measure.records import Database
from tensorc.measure.result import MeasureInput, MeasureResult
from tensorc.search.evolution import EvolutionOptions
from tensorc.space.definitions.definition import GIVEN
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

TARGET = Target("llvm", num_cores=1)
SMALL = EvolutionOptions(population=48, generations=2)


def convolution() -> ComputeDAG:
    D, W = te.placeholder((1, 8, 8, 32), name="D"), te.placeholder((3, 3, 32, 32), name="W")
    return ComputeDAG.of([D, W, topi.conv2d_nhwc(D, W, 1, 1)])


class FakeMachine:
    """Times candidates by their definition: those of the given one take `given` seconds."""

    def __init__(self, given: float, stop_after: int | None = None) -> None:
        self.given, self.stop_after = given, stop_after
        self.seen: list[MeasureInput] = []

    def __call__(self, batch) -> Iterator[MeasureResult]:
        key = convolution().structural_hash()
        for candidate in batch:
            if self.stop_after is not None and len(self.seen) >= self.stop_after:
                raise KeyboardInterrupt
            self.seen.append(candidate)
            base = self.given if candidate.task == key else 1e-6
            yield MeasureResult((base * (1 + sum(map(ord, repr(candidate.steps))) % 97 / 1000),))


def tuned(machine, **options):
    settings = {"trials": 30, "evolution": SMALL, "measure": machine, **options}
    return tensorc.tune(convolution(), TARGET, **settings)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run whose fastest definition is another one, and the records that it has left."""
    machine, path = FakeMachine(1e-5), tmp_path_factory.mktemp("whole") / "a.db"
    return machine, path, tuned(machine, tolerance=1e-2, database=path)


def test_the_default_tolerance_searches_the_given_definition_only():
    machine = FakeMachine(1e-5)
    result = tuned(machine)
    assert {candidate.task for candidate in machine.seen} == {convolution().structural_hash()}
    assert (result.definition, result.errors) == (GIVEN, ())


def test_the_definition_that_is_measured_to_be_faster_wins(whole_run):
    slow, _, other = whole_run
    fast = FakeMachine(1e-7)
    same = tuned(fast, tolerance=1e-2)
    assert len({c.task for c in slow.seen}) == len({c.task for c in fast.seen}) == 3
    assert other.definition != GIVEN
    assert same.definition == GIVEN


def test_a_run_over_several_definitions_is_resumed_from_its_records(whole_run, tmp_path):
    whole, _, expected = whole_run
    cut, path = FakeMachine(1e-5, stop_after=11), tmp_path / "a.db"
    assert tuned(cut, tolerance=1e-2, database=path).stopped == "interrupted"
    cut.stop_after = None
    resumed = tuned(cut, tolerance=1e-2, database=path)
    assert cut.seen[:30] == whole.seen[:30]
    assert (resumed.steps, resumed.definition) == (expected.steps, expected.definition)


def test_records_belong_to_the_dag_of_their_definition(whole_run):
    with Database(whole_run[1]) as database:
        infos = {info.hash: info for info in database.tasks()}
        assert len(infos) == 3
        assert sum("winograd" in info.name for info in infos.values()) == 2
        assert sum(not r.is_final for r in database.records(tuple(infos))) == 30


def test_compile_takes_the_best_record_that_its_tolerance_allows(whole_run):
    path = whole_run[1]
    strict = tensorc.compile(convolution(), TARGET, database=path)
    loose = tensorc.compile(convolution(), TARGET, database=path, tolerance=1e-2)
    assert "tile_products" not in strict.ir()
    assert "tile_products" in loose.ir()


def test_a_measured_run_is_right_within_its_tolerance(tmp_path):
    rng = np.random.default_rng(0)
    d = rng.uniform(-1, 1, (1, 8, 8, 32)).astype(np.float32)
    w = rng.uniform(-1, 1, (3, 3, 32, 32)).astype(np.float32)
    result = tensorc.tune(
        convolution(), TARGET, trials=12, evolution=SMALL, tolerance=1e-3, constants={"W": w}
    )
    assert result.errors == ()
    want = kernels_ref.conv2d_nhwc(d, w, 1, 1)
    assert np.abs(result.compile()(d) - want).max() <= 1e-3 * np.abs(want).max()


def test_a_candidate_outside_the_tolerance_is_wrong():
    class Halved:
        """A rule whose definition is not what it says."""

        def apply(self, dag, tolerance, target):
            A = te.placeholder((64,), name="A")
            half = te.compute((64,), lambda i: A[i] * 0.5, name="B")
            yield tensorc.Definition("half", ComputeDAG.of([A, half]), 1e-4)

    A = te.placeholder((64,), name="A")
    given = ComputeDAG.of([A, te.compute((64,), lambda i: A[i] * 2.0, name="B")])
    result = tensorc.tune(
        given, TARGET, trials=4, evolution=SMALL, tolerance=1e-3, definitions=[Halved()]
    )
    assert result.definition == GIVEN
    assert dict(result.errors).keys() <= {"WRONG_ANSWER"}
    assert result.errors


def test_rows_beyond_the_caches_are_searched_part_by_part_too(tmp_path):
    target = Target("llvm", num_cores=1, l1_bytes=4 << 10, l2_bytes=8 << 10, l3_bytes=0)
    x = te.placeholder((2, 4099), name="x")
    path = tmp_path / "a.db"
    program = [x, topi.softmax(x)]
    result = tensorc.tune(program, target, trials=12, evolution=SMALL, database=path)
    assert result.errors == ()
    with Database(path) as database:
        assert len(database.tasks()) == 2
    data = np.random.default_rng(0).standard_normal((2, 4099)).astype(np.float32)
    for kernel in (result.compile(), tensorc.compile(program, target, database=path)):
        assert np.abs(kernel(data) - kernels_ref.softmax(data)).max() <= 1e-7
