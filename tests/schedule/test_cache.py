"""cache_read with and without a layout, cache_write."""

from __future__ import annotations

import pytest

from tensorc import te
from tensorc.arith.affine import interval
from tensorc.ir.affine import Affine, FloorDiv, FloorMod, of_atom, variable
from tensorc.ir.expr import Const, Read, Select
from tensorc.schedule import Schedule
from tensorc.schedule.stage import At, Root
from tensorc.schedule.steps import Layout
from tensorc.support.errors import ScheduleError
from tests.schedule.programs import chain, matmul, softmax, two_outputs


@pytest.fixture
def s() -> Schedule:
    return Schedule(matmul(64, 40, 48))


def op_names(s: Schedule) -> list[str]:
    return [op.name for op in s.state.dag.ops]


def test_a_write_cache_takes_the_reduction(s: Schedule) -> None:
    assert s.cache_write("C", "local") == "C.local"
    assert s["C.local"].names() == ("i", "j", "k")
    assert s["C"].names() == ("i", "j")
    assert (s["C.local"].scope, s["C"].scope) == ("local", "global")
    assert s["C.local"].cache_of == "C"
    assert s.state.dag.is_output("C")


def test_a_cache_is_inserted_right_after_what_it_copies(s: Schedule) -> None:
    s.cache_read("A", "shared", ["C"])
    s.cache_read("A.shared", "local", ["C"])
    assert op_names(s) == ["A", "A.shared", "A.shared.local", "B", "C"]
    assert list(s.state.stages) == ["A.shared", "A.shared.local", "C"]


def test_a_second_cache_of_one_scope_gets_another_name() -> None:
    s = Schedule(softmax())
    first = s.cache_read("exp", "shared", ["total"])
    second = s.cache_read("exp", "shared", ["norm"])
    assert (first, second) == ("exp.shared", "exp.d.shared")


def test_only_the_readers_given_are_redirected() -> None:
    s = Schedule(softmax())
    s.cache_read("exp", "local", ["norm"])
    assert set(s.state.dag.read_by["exp"]) == {"total", "exp.local"}


def test_the_copy_of_an_attached_stage_is_attached_there() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    s.cache_read("C", "local", ["D"])
    assert s["C.local"].location == At("D", "i")


def test_the_cache_of_an_attached_stage_is_attached_there() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    s.cache_write("C", "local")
    assert s["C.local"].location == s["C"].location == At("D", "i")


def test_an_inlined_stage_is_inlined_into_its_copy() -> None:
    s = Schedule(chain())
    s.compute_inline("C")
    s.cache_read("C", "local", ["D"])
    assert s["C.local"].location == Root()
    assert s.state.dag.read_by["C"] == ("C.local",)


def test_a_copy_has_all_outputs() -> None:
    s = Schedule(two_outputs())
    s.cache_read("split", "local", ["B"])
    copy = s.state.dag.by_name["split.local"]
    assert [(e.op, e.output) for e in copy.body if isinstance(e, Read)] == [
        ("split", 0),
        ("split", 1),
    ]


def test_a_layout_tiles_permutes_and_pads(s: Schedule) -> None:
    s.cache_read("B", "local", ["C"], Layout(1, 16, (1, 0, 2)))
    packed = s.state.dag.by_name["B.local"]
    assert packed.shape == (3, 48, 16)
    assert packed.axes == ("ax1", "ax0", "ax2")
    (value,) = packed.body
    column = Affine(0, (("ax1", 16), ("ax2", 1)))
    assert isinstance(value, Select)
    assert value.a == Read("B", (variable("ax0"), column), packed.dtype)
    assert value.b == Const(0.0, packed.dtype)
    low, _ = interval(value.conditions[0], {"ax1": (0, 2), "ax2": (0, 15)})
    assert low == 40 - 48


def test_the_reader_of_a_layout_divides_its_index(s: Schedule) -> None:
    s.cache_read("B", "local", ["C"], (1, 16, (1, 0, 2)))
    (indices,) = s.state.dag.reads["C"]["B.local"]
    j = variable("j")
    assert indices == (of_atom(FloorDiv(j, 16)), variable("k"), of_atom(FloorMod(j, 16)))


def test_the_zero_of_a_layout_has_the_type_of_the_tensor() -> None:
    A = te.placeholder((10,), dtype="int8", name="A")
    B = te.compute((10,), lambda i: A[i], name="B")
    s = Schedule([A, B])
    s.cache_read("A", "local", ["B"], Layout(0, 4, (0, 1)))
    (value,) = s.state.dag.by_name["A.local"].body
    assert isinstance(value, Select)
    assert value.b == Const(0, s.dag.by_name["A"].dtype)


def test_what_is_cached_must_exist(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="expected one of 'A', 'B', 'C', got 'X'"):
        s.cache_read("X", "local", ["C"])


@pytest.mark.parametrize("readers", [[], ["C", "C"], ["B"]])
def test_readers_are_direct_readers_each_once(s: Schedule, readers: list[str]) -> None:
    with pytest.raises(ScheduleError, match="some of its direct readers 'C', each once"):
        s.cache_read("A", "local", readers)


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        (Layout(2, 16, (1, 0, 2)), "expected a dimension below 2 to tile, got 2"),
        (Layout(1, 0, (1, 0, 2)), "expected a positive tile, got 0"),
        (Layout(1, 16, (1, 0)), "expected an order of the 3 dimensions"),
        (Layout(1, 16, (1, 0, 0)), "expected an order of the 3 dimensions"),
    ],
)
def test_a_layout_has_to_fit(s: Schedule, layout: Layout, reason: str) -> None:
    with pytest.raises(ScheduleError, match=reason):
        s.cache_read("B", "local", ["C"], layout)


def test_placeholders_are_not_written(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match="'A' is a placeholder"):
        s.cache_write("A", "local")


def test_a_write_cache_comes_before_other_steps(s: Schedule) -> None:
    s.split("C", "i", [4])
    with pytest.raises(ScheduleError, match="its loops are scheduled already; do this first"):
        s.cache_write("C", "local")


def test_a_write_cache_comes_before_an_order(s: Schedule) -> None:
    s.reorder("C", "k", "i")
    with pytest.raises(ScheduleError, match="do this first"):
        s.cache_write("C", "local")


def test_a_write_cache_comes_before_guests() -> None:
    s = Schedule(chain())
    s.compute_at("C", "D", "i")
    with pytest.raises(ScheduleError, match="'C' computed inside it; do this first"):
        s.cache_write("D", "local")


def test_a_new_copy_does_not_read_out_of_a_loop() -> None:
    s = Schedule(chain())
    s.compute_inline("C")
    s.compute_at("B", "D", "i")
    with pytest.raises(ScheduleError, match=r"'C\.local' reads 'B' outside iterator 'i' of 'D'"):
        s.cache_read("C", "local", ["D"])


def test_an_unknown_scope_is_refused(s: Schedule) -> None:
    with pytest.raises(ScheduleError, match=r"'texture'.*expected one of 'global', 'local'"):
        s.cache_write("C", "texture")  # type: ignore[arg-type]
    with pytest.raises(ScheduleError, match="in scope 'texture' for 'C'"):
        s.cache_read("A", "texture", ["C"])  # type: ignore[arg-type]
