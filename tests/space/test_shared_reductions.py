"""Reductions that cores have shares of: few results of many terms."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
import pytest

from tensorc import te, topi
from tensorc.lower import lower
from tensorc.runtime.build import build
from tensorc.runtime.function import CompiledFunction
from tensorc.schedule.printer import print_state
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import IterKind
from tensorc.schedule.steps import RfactorStep
from tensorc.space.columns import inner_choices, shares_of, tile_columns
from tensorc.space.decisions import Choice, Tile
from tensorc.space.space import Space
from tensorc.target import Target
from tests.space import workloads

TWO = Target("llvm", num_cores=2)
MANY = "llvm -num-cores=64 -vector-bytes=64 -vector-registers=32"

Reduce = Callable[..., te.Tensor]


def reduced(reduce: Reduce, shape: tuple[int, ...], axis: object) -> list[te.Tensor]:
    A = te.placeholder(shape, name="A")
    return [A, reduce(A, axis=axis)]


def norm(batch: int, rows: int, columns: int) -> list[te.Tensor]:
    A = te.placeholder((batch, rows, columns), name="A")
    return [A, topi.norm_bmn(A)]


def softmax(rows: int, columns: int) -> list[te.Tensor]:
    A = te.placeholder((rows, columns), name="A")
    return [A, topi.softmax(A)]


def shared(space: Space) -> Tile | None:
    """The decision about shares of cores."""
    found = (d for d in space.draft.decisions if isinstance(d, Tile) and d.role == "shares")
    return next(found, None)


def factors(space: Space) -> list[str]:
    return [s.iterator.split(".")[-1] for s in space.sketch.steps if isinstance(s, RfactorStep)]


def test_a_norm_is_shared_by_cores_and_lanes_at_a_time() -> None:
    both, lanes = workloads.spaces(norm(1, 256, 256), str(TWO))
    assert factors(both) == ["0", "2"]
    assert factors(lanes) == ["1"]
    assert shared(lanes) is None


def test_what_cores_share_is_parallel_and_nothing_else_is_to_be_decided() -> None:
    space = workloads.spaces(norm(2, 256, 256), str(TWO))[0]
    (choice,) = (d for d in space.draft.decisions if isinstance(d, Choice))
    assert (choice.stage, choice.what) == ("T_squares.rf.rf", "unroll")
    for row in space.sample(4, np.random.default_rng(0)):
        assert "parallel b@i@j@.0@" in print_state(replay(space.task.dag, space.steps(row)))


@pytest.mark.parametrize(
    ("tensors", "kept"),
    [
        (reduced(topi.sum, (64, 4096), 1), "each core has rows of its own"),
        (reduced(topi.sum, (1, 1024), 1), "one core is done before another has begun"),
        (workloads.ansor.matmul(40, 300, 20), "there are tiles enough"),
    ],
)
def test_what_has_work_for_each_core_or_little_at_all_is_not_shared(
    tensors: list[te.Tensor], kept: str
) -> None:
    assert all(shared(space) is None for space in workloads.spaces(tensors, str(TWO))), kept


def test_one_core_has_no_shares() -> None:
    found = workloads.spaces(norm(1, 256, 256), str(Target("llvm", num_cores=1)))
    assert [shared(space) for space in found] == [None]


def test_short_rows_fill_vectors_together() -> None:
    found = workloads.spaces(reduced(topi.sum, (4096, 5), 0), str(TWO))
    (space,) = (s for s in found if shared(s))
    for row in space.sample(8, np.random.default_rng(0)):
        text = print_state(replay(space.task.dag, space.steps(row)))
        assert "vectorize k0.2@i0@" in text


def test_long_rows_keep_their_own_vectors() -> None:
    found = workloads.spaces(reduced(topi.sum, (4096, 500), 0), MANY)
    (space,) = (s for s in found if shared(s))
    assert factors(space) == ["0"]
    assert space.draft.stage("T_sum.rf").names()[0] == "k0.0"


@pytest.mark.parametrize("cores", [2, 6, 64])
@pytest.mark.parametrize("extent", [1 << 22, 100_003, 8192])
def test_shares_are_equal_but_for_the_last(cores: int, extent: int) -> None:
    tile = Tile("C", "k", IterKind.REDUCE, extent, 0, 2, "shares")
    lengths = inner_choices(tile, 16, 64, is_vector=False, is_gpu=False, cores=cores)
    columns = tile_columns(tile, lengths, cores)
    assert columns.contains(columns.table).all()
    assert (np.diff(columns.table[:, -1]) >= 0).all()
    for terms, vectors in columns.table:
        share = terms * vectors
        assert ceil(extent / share) in range(1, 4 * cores + 1)
    balanced = {ceil(extent / (a * b)) for a, b in columns.table}
    assert cores in balanced


def test_numbers_of_shares_are_cores_several_times_or_in_part() -> None:
    assert shares_of(2) == (2, 4, 8)
    assert shares_of(6) == (3, 6, 12, 24)
    assert shares_of(64) == (2, 4, 8, 16, 32, 64, 128, 256)


@pytest.mark.parametrize(
    ("row", "counts"),
    [
        (8, (2, 4, 8, 16, 32)),
        (5, (3, 16, 32, 48)),
        (64, (1, 2, 4)),
        (63, (1, 2, 4)),
    ],
)
def test_rows_behind_each_other_fill_vectors(row: int, counts: tuple[int, ...]) -> None:
    tile = Tile("C", "k", IterKind.REDUCE, 100_000, 0, 2, "shares", row)
    got = inner_choices(tile, 16, 64, is_vector=False, is_gpu=False, cores=2)
    assert all(n * row <= 16 * 16 for n in got)
    assert set(counts) & set(got)


def test_rows_behind_each_other_leave_several_shares() -> None:
    tile = Tile("C", "k", IterKind.REDUCE, 103, 0, 2, "shares", 2)
    lengths = inner_choices(tile, 16, 64, is_vector=False, is_gpu=False, cores=8)
    assert max(lengths) == 32
    assert all(ceil(103 / (a * b)) > 1 for a, b in tile_columns(tile, lengths, 8).table)


def test_sums_that_read_nothing_have_no_rows() -> None:
    k = te.reduce_axis((0, 4096), name="k")
    C = te.compute((4,), lambda j: te.sum(te.exp(te.cast("float32", j - k)), axis=k), name="C")
    assert [factors(space) for space in workloads.spaces([C], str(TWO))] == [["0"], []]


RIGHT: dict[str, tuple[list[te.Tensor], Callable[[np.ndarray], np.ndarray]]] = {
    "norm": (norm(1, 127, 131), lambda a: np.sqrt((a * a).sum((1, 2)))),
    "norms": (norm(3, 64, 64), lambda a: np.sqrt((a * a).sum((1, 2)))),
    "sum": (reduced(topi.sum, (16411,), None), lambda a: a.sum()),
    "sums of few rows": (reduced(topi.sum, (2, 9001), 1), lambda a: a.sum(1)),
    "largest": (reduced(topi.max, (8209,), None), lambda a: a.max()),
    "product": (reduced(topi.prod, (10007,), None), lambda a: a.prod()),
    "places": (reduced(topi.argmax, (2, 8209), 1), lambda a: a.argmax(1)),
    "three columns": (reduced(topi.sum, (4099, 3), 0), lambda a: a.sum(0)),
    "columns": (reduced(topi.max, (1031, 24), 0), lambda a: a.max(0)),
    "softmax": (softmax(1, 8209), lambda a: np.exp(a) / np.exp(a).sum()),
    "pixels": (reduced(topi.sum, (2, 31, 37, 8), (1, 2)), lambda a: a.sum((1, 2))),
}


@pytest.mark.parametrize("name", RIGHT)
def test_candidates_with_shares_are_right(name: str) -> None:
    tensors, expected = RIGHT[name]
    rng = np.random.default_rng(0)
    shape = tuple(int(n) for n in tensors[0].shape)
    data = rng.uniform(0.999, 1.001, shape) if name == "product" else rng.standard_normal(shape)
    data = data.astype(np.float32)
    wanted = expected(data.astype(np.float64))
    found = [s for s in workloads.spaces(tensors, str(TWO)) if shared(s)]
    assert found
    for space in found:
        rows = space.sample(3, rng)
        for row in [*rows, *space.mutate(rows, rng)]:
            steps = space.steps(row)
            assert (space.row(steps) == row).all()
            function = lower(replay(space.task.dag, steps), TWO)
            got = CompiledFunction(build(function, TWO))(data)
            got = got[0] if isinstance(got, tuple) else got
            np.testing.assert_allclose(
                np.squeeze(got),
                np.squeeze(wanted),
                rtol=1e-4,
                atol=1e-5 * np.abs(wanted).max(),
                err_msg=str(steps),
            )


def chunked(space: Space) -> set[str]:
    decisions = space.draft.decisions
    return {d.stage for d in decisions if isinstance(d, Tile) and d.role == "chunk"}


def test_exponentials_of_fewer_rows_than_cores_are_computed_by_all_cores() -> None:
    whole = {"T_softmax_exp", "T_softmax_norm"}
    assert all(chunked(s) == whole for s in workloads.spaces(softmax(1, 50_000), str(TWO)))
    assert all(chunked(s) == whole for s in workloads.spaces(softmax(3, 50_000), MANY))
    assert not any(chunked(s) for s in workloads.spaces(softmax(3, 50_000), str(TWO)))


def test_what_one_stage_reads_is_left_to_be_computed_in_its_loops() -> None:
    A = te.placeholder((50_000,), name="A")
    B = te.compute((50_000,), lambda i: te.exp(A[i]), name="B")
    k = te.reduce_axis((0, 50_000), name="k")
    C = te.compute((1,), lambda i: te.sum(B[k], axis=k), name="C")
    assert not any(chunked(s) for s in workloads.spaces([A, C], str(TWO)))
