"""Vectors along another axis than the last, and the copies that make them contiguous."""

from __future__ import annotations

import numpy as np
import pytest

from tensorc import te
from tensorc.ir.affine import Affine, FloorDiv, FloorMod, add, of_atom, scale, variable
from tensorc.schedule.stage import Inlined
from tensorc.schedule.steps import AnnotationStep, CacheReadStep, Layout
from tensorc.space.decisions import Tile
from tensorc.space.rules.vectorize_across import lane_use
from tensorc.space.sketch import Sketch, generate_sketches
from tensorc.space.strides import Walk, walk_along
from tensorc.space.task import SearchTask
from tensorc.te.tensor import Tensor
from tests.space import workloads
from tests.te import workloads as ansor

ONE = "llvm -num-cores=1 -vector-bytes=32 -vector-registers=16"


def across(sketch: Sketch) -> list[str]:
    """The iterators that a rule has put vectors along."""
    return [d.iterator for d in sketch.decisions if isinstance(d, Tile) and d.role == "across"]


def found(tensors: list[Tensor], constants: tuple[str, ...] = ()) -> list[Sketch]:
    sketches = generate_sketches(SearchTask.of(tensors, ONE, constants))
    return [sketch for sketch in sketches if across(sketch)]


def packed(sketch: Sketch) -> dict[str, Layout | None]:
    return {s.stage: s.layout for s in sketch.steps if isinstance(s, CacheReadStep)}


@pytest.mark.parametrize(
    "tensors",
    [ansor.matmul(64, 64, 64), ansor.matmul(3, 3, 64), workloads.conv2d_nhwc(1, 6, 4, 136)],
    ids=["full", "all short", "channels last"],
)
def test_ordinary_programs_have_no_such_sketch(tensors: list[Tensor]) -> None:
    assert not found(tensors)


def test_phases_with_few_channels_have_vectors_along_their_columns() -> None:
    (sketch,) = found(workloads.transposed(4, 2, 1, 3))
    assert across(sketch) == ["w.0"]
    (reducing,) = (s for s in sketch.state.stages.values() if s.name.startswith("conv"))
    assert reducing.names()[-1] == "w.0.3"


def test_padding_is_computed_in_the_copy_with_columns_last() -> None:
    (sketch,) = found(workloads.transposed(4, 2, 1, 3))
    assert packed(sketch) == {"PadInput": Layout(2, 1, (0, 1, 3, 4, 2))}
    assert isinstance(sketch.state.stages["PadInput"].location, Inlined)


def test_strided_windows_are_packed_by_phases_of_their_columns() -> None:
    (sketch,) = found(workloads.few_channels(2))
    assert packed(sketch) == {"PadInput": Layout(2, 2, (0, 1, 3, 4, 2))}


def test_rows_of_a_narrow_product_become_panels_however_seldom_they_are_read() -> None:
    (sketch,) = found(ansor.matmul(40, 3, 20))
    assert across(sketch) == ["i"]
    (layout,) = packed(sketch).values()
    assert layout is not None
    assert layout.dim == 0


def test_constant_weights_cost_nothing_to_pack_so_vectors_are_along_their_axis() -> None:
    sketches = found(workloads.conv2d_nchw(6, 24, 7), ("weight",))
    assert {name for sketch in sketches for name in across(sketch)} == {"co"}
    assert all(set(packed(sketch)) == {"weight"} for sketch in sketches)


def test_a_stage_with_a_consumer_is_computed_in_its_tiles() -> None:
    (sketch,) = found(workloads.few_channels(1, relu=True))
    (text,) = [line for line in str(sketch).splitlines() if "relu" in line or "compute" in line]
    assert text.startswith(" ")
    assert str(sketch).index("conv") < str(sketch).index(text.strip())


def test_the_axis_of_the_vectors_may_stand_still_or_walk_rows_in_all_reads() -> None:
    # Columns of C are columns of A already, and B does not have them: nothing is packed.
    A, B = te.placeholder((20, 64), name="A"), te.placeholder((20, 3), name="B")
    k = te.reduce_axis((0, 20), name="k")
    C = te.compute((64, 3), lambda i, j: te.sum(A[k, i] * B[k, j], axis=k), name="C")
    (sketch,) = found([A, B, C])
    assert across(sketch) == ["i"]
    assert not packed(sketch)


def test_conditions_along_an_axis_keep_vectors_off_it() -> None:
    A, B = te.placeholder((40, 20), name="A"), te.placeholder((20, 3), name="B")
    k = te.reduce_axis((0, 20), name="k")

    def term(i: te.Expr, j: te.Expr) -> te.Expr:
        return te.sum(te.if_then_else(i + k < 50, A[i, k], 1.0) * B[k, j], axis=k)

    assert not found([A, B, te.compute((40, 3), term, name="C")])


def test_axes_that_are_walked_unevenly_have_no_vectors() -> None:
    A, B = te.placeholder((40, 40), name="A"), te.placeholder((20, 3), name="B")
    k = te.reduce_axis((0, 20), name="k")

    def term(i: te.Expr, j: te.Expr) -> te.Expr:
        return te.sum(A[i, i] * B[k, j], axis=k)

    assert not found([A, B, te.compute((40, 3), term, name="C")])


def test_all_rows_vectorise_the_chosen_axis_innermost() -> None:
    for space in workloads.spaces(ansor.matmul(40, 3, 20), ONE):
        if not any(isinstance(d, Tile) and d.role == "across" for d in space.sketch.decisions):
            continue
        for row in space.sample(8, np.random.default_rng(0)):
            marked = [s for s in space.steps(row) if isinstance(s, AnnotationStep)]
            vectors = {s.stage: s.iterator for s in marked if s.annotation.value == "vectorize"}
            assert vectors["C"] == "i.3"


@pytest.mark.parametrize(("extent", "share"), [(3, 3 / 16), (7, 7 / 24), (8, 1), (14, 14 / 24)])
def test_tails_take_a_vector_for_each_power_of_two(extent: int, share: float) -> None:
    assert lane_use(extent, 8) == share


def test_walks_are_followed_through_phases() -> None:
    w, r = variable("w"), variable("r")
    half = of_atom(FloorDiv(add(w, r), 2))
    assert walk_along((variable("h"), half), "w") is None
    assert walk_along((variable("h"), half), "w", 2) == Walk(1, 1)
    assert walk_along((variable("h"), add(scale(w, 2), r)), "w") == Walk(1, 2)
    assert walk_along((variable("h"), r), "w") == Walk(0, 0)
    assert walk_along((w, w), "w") is None
    assert walk_along((of_atom(FloorMod(w, 3)), Affine(0)), "w") is None
