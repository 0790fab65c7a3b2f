"""Features: Ansor's own values, and populations that are one by one exactly."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.schedule.replay import replay
from tensorc.schedule.schedule import Schedule
from tensorc.space.features.names import FEATURE_NAMES
from tensorc.space.features.population import features
from tensorc.target import Target
from tests.space.workloads import CPU, GPU, SMALL, spaces, transposed
from tests.te import workloads

PAIRS = [(name, target) for name in SMALL for target in (CPU, GPU)]


def named(row: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, (float(value) for value in row), strict=True))


def log(value: float) -> float:
    return float(np.log2(value + 1))


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_a_population_is_one_by_one(name: str, target: str) -> None:
    for space in spaces(SMALL[name](), target):
        rng = np.random.default_rng(0)
        rows = space.mutate(space.sample(10, rng), rng)
        together = space.features(rows)
        alone = np.concatenate([space.features(row[None]) for row in rows])
        assert np.isfinite(together).all()
        np.testing.assert_array_equal(together, alone)


def test_features_of_a_population_do_not_depend_on_what_was_asked_before() -> None:
    first, second = (spaces(workloads.softmax_nm(64, 64))[0] for _ in range(2))
    rows = first.sample(64, np.random.default_rng(0))
    first.features(rows[:1])
    np.testing.assert_array_equal(first.features(rows), second.features(rows))


@pytest.mark.parametrize("name", SMALL)
def test_a_schedule_has_the_features_of_its_row(name: str) -> None:
    """All but those that count loops: a schedule fuses the loops that a row only marks."""
    for space in spaces(SMALL[name]()):
        rows = space.sample(3, np.random.default_rng(0))
        together = space.features(rows)
        target = space.task.target
        for k, row in enumerate(rows):
            state = replay(space.task.dag, space.steps(row))
            alone = features(state, target)[0]
            for ours, theirs in zip(together[k], alone, strict=True):
                for name_, value in named(ours).items():
                    if not depends_on_fusion(name_):
                        assert named(theirs)[name_] == pytest.approx(value, abs=1e-4), name_


def depends_on_fusion(name: str) -> bool:
    parts = ("loops", "_number", "_inner", "intensity", "buffer", "past", "efficiency", "tile_l")
    # Index arithmetic of a population is not simplified: its sizes are not known.
    return any(
        part in name for part in (*parts, "register", "tile_", "accumulators", "copies", "int_")
    )


def test_ansor_cpu_matmul() -> None:
    """`test_auto_scheduler_feature.py`, `test_cpu_matmul`."""
    A, B, C = workloads.matmul(512, 512, 512)
    s = Schedule([A, B, C])
    s.split("C", "i", (16,))
    s.split("C", "j", (8,))
    s.reorder("C", "i.0", "j.0", "k", "j.1", "i.1")
    s.vectorize("C", "j.1")
    s.parallel("C", "i.0")
    s.parallel("C", "j.0")
    s.unroll("C", "k")
    (row,) = features(s.state, Target.parse("llvm -cache-line-bytes=64"))[0]
    found = named(row)
    (c,) = (b for b in range(3) if found[f"buffer{b}_is_both"] > 0)
    b = 0 if c else 1  # of the inputs the one of more cache lines comes first
    assert found[f"buffer{c}_bytes"] == pytest.approx(log(512**3 * 4))
    assert found[f"buffer{b}_unique_bytes"] == pytest.approx(log(512**2 * 4))
    assert found[f"buffer{c}_reuse_iterations"] == pytest.approx(log(8 * 16))
    assert found[f"buffer{c}_reuse_bytes"] == pytest.approx(log((8 * 16 + 8 + 16) * 4))
    assert found[f"buffer{c}_reuse_count"] == pytest.approx(log(512))
    assert found["unroll_number"] == pytest.approx(log(1))
    assert found["vectorize_number"] == pytest.approx(log(1))
    assert found["parallel_number"] == pytest.approx(log(2))
    assert found["parallel_product"] == pytest.approx(log(512 * 512 / 16 / 8))


def test_ansor_cpu_fusion() -> None:
    """`test_auto_scheduler_feature.py`, `test_cpu_fusion`: B is computed inside C."""
    A = te.placeholder((64, 32), name="A")
    B = te.compute((64, 32), lambda i, j: A[i, j], name="B")
    C = te.compute((64, 32), lambda i, j: B[i, j], name="C")
    s = Schedule([A, C])
    s.compute_at("B", "C", "j")
    found = named(features(s.state, Target.parse(CPU))[0][1])
    serial = [b for b in range(2) if found[f"buffer{b}_serial_reuse"] > 0]
    assert len(serial) == 1
    assert found[f"buffer{serial[0]}_reuse_iterations"] == pytest.approx(log(1))
    assert found[f"buffer{serial[0]}_reuse_bytes"] == pytest.approx(log(16))


def test_operations_of_a_matmul_are_fused() -> None:
    A, B, C = workloads.matmul(8, 8, 8)
    found = named(features(Schedule([A, B, C]).state, Target.parse(CPU))[0][0])
    assert found["float_fma"] == pytest.approx(log(512))
    assert found["float_mul"] == found["float_addsub"] == 0


def test_integer_operations_are_counted_apart() -> None:
    A, B = (te.placeholder((8, 8), name=n, dtype="int32") for n in "AB")
    k = te.reduce_axis((0, 8), name="k")
    C = te.compute((8, 8), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    found = named(features(Schedule([A, B, C]).state, Target.parse(CPU))[0][0])
    assert found["int_fma"] == pytest.approx(log(512))
    assert found["float_fma"] == found["float_addsub"] == 0


def test_programs_without_elements_have_finite_features() -> None:
    A = te.placeholder((0, 4), name="A")
    B = te.compute((0, 4), lambda i, j: A[i, j] + 1.0, name="B")
    for space in spaces([A, B]):
        assert np.isfinite(space.features(space.sample(4, np.random.default_rng(0)))).all()


def test_nothing_is_touched_with_strides_by_loops_of_no_iterations() -> None:
    """The last of no places lies before the first (random program 210413)."""
    A = te.placeholder((8,), name="A")
    B = te.compute((0,), lambda i: A[2 * i] + 1.0, name="B")
    for space in spaces([A, B]):
        assert np.isfinite(space.features(space.sample(4, np.random.default_rng(0)))).all()


def test_conditions_decided_outside_of_the_inner_loops_save_their_share() -> None:
    """With a loop for each phase outside of all tiles a quarter of the work is left."""
    shares = {}
    for space in spaces(transposed(4, 2, 1)):
        rows = space.features(space.sample(64, np.random.default_rng(0)))
        column = np.exp2(rows[:, :, FEATURE_NAMES.index("executed_share")]) - 1
        shares[space] = column.min(axis=1)
    split = [s for space, s in shares.items() if "for h.1 (0,2)" in str(space.sketch)]
    assert np.allclose(split, 0.25)
    assert 0 < len(split) < len(shares)
    assert max(float(s.max()) for s in shares.values()) == 1.0


def test_rows_apart_by_a_power_of_two_crowd_a_set() -> None:
    crowds = []
    for width in (1024, 1040):
        A, B, C = workloads.matmul(64, 64, width)
        s = Schedule([A, B, C])
        s.split("C", "i", (16,))
        s.reorder("C", "i.0", "j", "k", "i.1")
        s.unroll("C", "i.1")
        (row,) = features(s.state, Target.parse("llvm -l1-bytes=32768 -cache-line-bytes=64"))[0]
        crowds.append(2 ** named(row)["tile_lines_per_set"] - 1)
    assert crowds == pytest.approx([16.0, 1.0])


def test_a_register_run_ends_at_a_loop_that_moves_the_tile() -> None:
    A, B, C = workloads.matmul(64, 64, 64)
    s = Schedule([A, B, C])
    s.split("C", "k", (8,))
    s.reorder("C", "k.0", "i", "k.1", "j")
    s.vectorize("C", "j")
    (row,) = features(s.state, Target.parse(CPU))[0]
    assert 2 ** named(row)["register_run"] - 1 == pytest.approx(8)
    assert 2 ** named(row)["tile_loads"] - 1 == pytest.approx(8 + 1)  # of B and, once, of A


@pytest.mark.parametrize(("steps", "loads"), [(0, 8 + 1), (64, (10 + 3) / 3)])
def test_steps_that_are_unrolled_load_what_they_share_once(steps: int, loads: float) -> None:
    A, B = te.placeholder((66, 16), name="A"), te.placeholder((3, 16), name="B")
    r = te.reduce_axis((0, 3), name="r")
    C = te.compute((64, 16), lambda i, j: te.sum(A[i + r, j] * B[r, j], r), name="C")
    s = Schedule([A, B, C])
    s.split("C", "i", (8,))
    s.reorder("C", "i.0", "r", "i.1", "j")
    s.unroll("C", "i.1")
    s.vectorize("C", "j")
    s.pragma("C", "i.0", "auto_unroll_max_step", steps)
    (row,) = features(s.state, Target.parse("llvm -vector-bytes=64"))[0]
    assert 2 ** named(row)["tile_loads"] - 1 == pytest.approx(loads)


def moved(order: tuple[str, str], shape: tuple[int, int]) -> dict[str, float]:
    """A transposing copy with its loops in an order, on caches of 4 and 64 KiB."""
    rows, columns = shape
    A = te.placeholder((columns, rows), name="A")
    B = te.compute((rows, columns), lambda i, j: A[j, i], name="B")
    s = Schedule([A, B])
    s.reorder("B", *order)
    target = Target.parse("llvm -cache-line-bytes=64 -l1-bytes=4096 -l2-bytes=65536")
    return named(features(s.state, target)[0][0])


def test_what_is_fetched_comes_in_whole_lines() -> None:
    """Of 1024 rows one column is used before the lines of the first are needed again."""
    found = moved(("i", "j"), (64, 1024))
    lines, written = 64 * 1024 * 64, 64 * 1024 * 4
    assert found["bytes_past_l1"] == pytest.approx(log(lines + written), abs=0.05)
    assert found["bytes_past_l3"] < found["bytes_past_l1"]


def test_lines_that_the_next_step_of_a_loop_goes_on_with_are_fetched_once() -> None:
    """16 rows are too long for a cache of 4 KiB, and 16 steps of the reduction are in each line."""
    A, B, C = workloads.matmul(16, 8, 1024)
    s = Schedule([A, B, C])
    s.reorder("C", "j", "k", "i")
    target = Target.parse("llvm -cache-line-bytes=64 -l1-bytes=4096 -l2-bytes=1048576")
    found = named(features(s.state, target)[0][0])
    rows, columns = 16 * 1024 * 4, 1024 * 8 * 4
    assert found["bytes_past_l1"] == pytest.approx(log(8 * (rows + columns)), abs=0.1)


@pytest.mark.parametrize(
    ("inner", "expected"), [("j", (1, 0, 0)), ("i", (0, 1, 0)), ("k", (0, 0, 1)), ("n", (0, 0, 0))]
)
def test_a_condition_counts_where_it_is_decided(inner: str, expected: tuple[int, ...]) -> None:
    A = te.placeholder((8, 16, 16, 4), name="A")
    k = te.reduce_axis((0, 4), name="k")
    decided = {"n": 0, "i": 1, "j": 2, "k": 3}[inner]

    def body(n: te.Expr, i: te.Expr, j: te.Expr) -> te.Expr:
        index = (n, i, j, k)
        return te.sum(te.if_then_else(index[decided] < 3, A[n, i, j, k], 0.0), axis=k)

    B = te.compute((8, 16, 16), body, name="B")
    s = Schedule([A, B])
    s.reorder("B", "n", "k", "i", "j")
    s.unroll("B", "i")
    s.vectorize("B", "j")
    found = named(features(s.state, Target.parse(CPU))[0][0])
    names = ("guards_in_lanes", "guards_in_tile", "guards_in_reduction")
    assert [found[name] for name in names] == [log(number) for number in expected]
