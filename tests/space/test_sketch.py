"""Sketches are those of Ansor's own tests: as many, in its order, of the same structure."""

from __future__ import annotations

import pytest

from kernels_ref.suite import cases
from tensorc import te, topi
from tensorc.schedule.stage import At, Inlined, Root, SplitRelation
from tensorc.schedule.steps import (
    CacheReadStep,
    CacheWriteStep,
    ComputeInlineStep,
    RfactorStep,
    SplitStep,
)
from tensorc.space.draft import Condition, Draft, Expansion
from tensorc.space.sketch import Sketch, generate_sketches
from tensorc.space.task import SearchTask
from tensorc.support.errors import ScheduleError
from tensorc.te.tensor import Tensor
from tests.space.workloads import conv2d_nhwc, transposed
from tests.te import workloads

CPU = "llvm -num-cores=4"


def sketches(tensors: list[Tensor], target: str = CPU) -> tuple[Sketch, ...]:
    return generate_sketches(tensors, target, rules="ansor")


def tiled(sketch: Sketch, stage: str) -> bool:
    return any(isinstance(r, SplitRelation) for r in sketch.state[stage].relations)


def attached(sketch: Sketch, stage: str) -> bool:
    return isinstance(sketch.state[stage].location, At)


def inlined(sketch: Sketch, stage: str) -> bool:
    return isinstance(sketch.state[stage].location, Inlined)


def kinds(sketch: Sketch, kind: type) -> int:
    return sum(isinstance(step, kind) for step in sketch.steps)


def test_matmul_is_tiled_with_and_without_a_local_copy() -> None:
    plain, second, third = reversed(sketches(workloads.matmul(512, 512, 512)))
    found = sketches(workloads.matmul(512, 512, 512))
    assert len(found) == 3
    assert [kinds(s, CacheWriteStep) for s in found].count(1) == 2
    for sketch in found:
        if kinds(sketch, CacheWriteStep):
            assert attached(sketch, "C.local")
            assert tiled(sketch, "C.local")
    places = {
        s.state["C.local"].location for s in (plain, second, third) if "C.local" in s.state.stages
    }
    assert len(places) == 2


def test_matmul_loops_are_in_the_order_ssrsrs() -> None:
    (sketch,) = (s for s in sketches(workloads.matmul(8, 9, 10)) if not kinds(s, CacheWriteStep))
    assert sketch.state["C"].names() == (
        "i.0", "j.0", "i.1", "j.1", "k.0", "i.2", "j.2", "k.1", "i.3", "j.3",
    )  # fmt: skip


def test_long_matmul_has_two_factored_sketches() -> None:
    found = sketches(workloads.matmul(8, 8, 512))
    assert len(found) == 5
    assert sorted(kinds(s, RfactorStep) for s in found) == [0, 0, 0, 1, 1]
    assert sorted(kinds(s, CacheWriteStep) for s in found) == [0, 0, 0, 1, 1]
    for sketch in found:
        if kinds(sketch, RfactorStep):
            assert not tiled(sketch, "C.rf")


def test_conv_bn_relu_is_fused_at_two_levels_or_not() -> None:
    found = sketches(workloads.conv2d_nchw_bn_relu(1, 56, 56, 512, 512, 3, 1, 1))
    assert len(found) == 3
    conv, output = _conv_and_output(found[0])
    assert [attached(s, conv) for s in found] == [True, True, False]
    assert [tiled(s, output) for s in found] == [True, True, False]
    for sketch in found:
        assert tiled(sketch, conv)
        assert not tiled(sketch, "pad_temp")
        assert kinds(sketch, ComputeInlineStep) == 3


def _conv_and_output(sketch: Sketch) -> tuple[str, str]:
    dag = sketch.state.dag
    (conv,) = (op.name for op in dag.ops if op.reduce_axes)
    return conv, dag.outputs[0]


@pytest.mark.parametrize(
    ("tensors", "target", "count"),
    [
        (workloads.max_pool2d(1, 56, 56, 512, 1), CPU, 1),
        (workloads.max_pool2d(1, 56, 56, 512, 0), "cuda", 1),
    ],
)
def test_pooling_is_left_alone(tensors: list[Tensor], target: str, count: int) -> None:
    found = sketches(tensors, target)
    assert len(found) == count
    assert all(not s.steps for s in found)


@pytest.mark.parametrize(
    "tensors", [workloads.min_nm(10, 1024), workloads.zero_rank_reduce(128)], ids=["min", "rank0"]
)
def test_reductions_are_factored_twice_or_left_alone(tensors: list[Tensor]) -> None:
    found = sketches(tensors)
    assert sorted(kinds(s, RfactorStep) for s in found) == [0, 1, 1]
    assert sum(not s.steps for s in found) == 1


@pytest.mark.parametrize(
    "tensors", [workloads.min_nm(10, 1024), workloads.zero_rank_reduce(128)], ids=["min", "rank0"]
)
def test_gpu_reductions_cross_threads_or_are_left_alone(tensors: list[Tensor]) -> None:
    crossed, plain = sketches(tensors, "cuda")
    assert "threadIdx.x" in str(crossed)
    assert not plain.steps


def test_softmax_factors_both_reductions_in_all_ways() -> None:
    found = sketches(workloads.softmax_nm(1, 1024))
    assert len(found) == 9
    assert sorted(kinds(s, RfactorStep) for s in found) == [0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert not found[-1].steps


def test_gpu_softmax_crosses_threads_in_all_ways() -> None:
    assert len(sketches(workloads.softmax_abcd(1, 12, 128, 128), "cuda")) == 4


def test_double_matmul_has_nine_sketches() -> None:
    assert len(sketches(workloads.double_matmul(512))) == 9


def test_winograd_on_a_cpu() -> None:
    found = sketches(workloads.conv2d_winograd_nhwc(1, 28, 28, 128, 128, 3, 1, 1))
    assert len(found) == 3
    assert sorted(kinds(s, CacheWriteStep) for s in found) == [0, 1, 1]
    for sketch in found:
        names = [n for n in sketch.state.stages if not inlined(sketch, n)]
        assert sum(inlined(sketch, n) for n in sketch.state.stages) == 2
        gemm = next(n for n in reversed(names) if n.startswith("bgemm") and tiled(sketch, n))
        assert tiled(sketch, "data_pack")
        assert tiled(sketch, "inverse")
        assert not any(tiled(sketch, n) for n in ("data_pad", "input_tile", names[-1]))
        if kinds(sketch, CacheWriteStep):
            assert attached(sketch, "bgemm.local")
            assert gemm in ("bgemm", "bgemm.local")


def test_gpu_matmul_reads_both_inputs_through_shared_memory() -> None:
    (sketch,) = sketches(workloads.matmul(512, 512, 512), "cuda")
    assert kinds(sketch, CacheReadStep) == 2
    assert kinds(sketch, CacheWriteStep) == 1
    assert all(attached(sketch, n) for n in ("A.shared", "B.shared", "C.local"))
    assert tiled(sketch, "C")


def test_gpu_long_matmul_crosses_threads_or_is_tiled() -> None:
    crossed, tiles = sketches(workloads.matmul(8, 8, 1024), "cuda")
    assert not kinds(crossed, CacheReadStep)
    assert kinds(tiles, CacheReadStep) == 2


def test_gpu_convolution_inlines_the_padding_into_the_shared_copy() -> None:
    (sketch,) = sketches(workloads.conv2d_nchw_bn_relu(1, 56, 56, 512, 512, 3, 1, 1), "cuda")
    conv, output = _conv_and_output(sketch)
    assert kinds(sketch, CacheReadStep) == 2
    assert inlined(sketch, "pad_temp")
    assert attached(sketch, "pad_temp.shared")
    assert attached(sketch, conv)
    assert tiled(sketch, output)


def test_gpu_winograd() -> None:
    (sketch,) = sketches(workloads.conv2d_winograd_nhwc(1, 28, 28, 128, 128, 3, 1, 1), "cuda")
    assert inlined(sketch, "data_pad")
    assert attached(sketch, "input_tile")
    assert tiled(sketch, "data_pack")
    assert attached(sketch, "data_pack.shared")
    assert attached(sketch, "weight.shared")
    assert attached(sketch, "bgemm.local")
    assert isinstance(sketch.state["bgemm"].location, Root)
    assert tiled(sketch, "inverse")
    assert not sketch.state[sketch.state.dag.outputs[0]].relations


COUNTS = {"NRM": (3, 2), "SFM": (9, 4)}


@pytest.mark.parametrize("case", cases(shape=1, batch=(1,)), ids=lambda case: case.workload.code)
def test_the_suite_has_as_many_sketches_as_in_meta_schedule(case: object) -> None:
    tensors = suite_tensors(case)
    cpu, gpu = COUNTS.get(case.workload.code, (3, 1))
    assert len(sketches(tensors)) == cpu
    assert len(sketches(tensors, "cuda")) == gpu


def suite_tensors(case) -> list[Tensor]:
    inputs = [te.placeholder(a.shape, name=a.name) for a in case.arguments]
    return [*inputs, getattr(topi, case.function)(*inputs, **case.kwargs)]


class SplitOnce:
    """Leave the first axis of the last stage, or split it by 8 and 2, and stop."""

    def meets(self, task: SearchTask, draft: Draft, stage: str) -> Condition:
        return Condition.APPLY_AND_SKIP_REST

    def apply(self, task: SearchTask, draft: Draft, stage: str) -> Expansion:
        return [(draft, None), (draft.do(SplitStep(stage, "i", (8, 2))), None)]


def test_a_rule_of_ones_own_comes_before_the_others() -> None:
    for rules in (("ansor", SplitOnce()), SplitOnce()):
        plain, split = generate_sketches(workloads.matmul(512, 512, 512), CPU, rules=rules)
        assert "for i (0,512)" in str(plain)
        assert [line.strip() for line in str(split).splitlines() if "i." in line] == [
            "for i.0 (0,32)",
            "for i.1 (0,8)",
            "for i.2 (0,2)",
        ]


def test_a_sketch_prints_open_sizes() -> None:
    text = str(sketches(workloads.matmul(64, 64, 64))[-1])
    assert text.startswith("Placeholder: A, B\n")
    assert "for k.1 (0,?)" in text


def test_default_rules_pack_operands_and_inline_padding() -> None:
    tensors = workloads.conv2d_nchw_bn_relu(1, 56, 56, 64, 64, 3, 1, 1)
    assert len(generate_sketches(tensors, CPU)) == 3  # borders would cut vectors along a row
    found = generate_sketches(conv2d_nhwc(1, 14, 64, 256), CPU)
    assert len(found) == 12
    assert sum(kinds(s, CacheReadStep) for s in found) == 6
    assert sum(inlined(s, "PadInput") for s in found) == 6


def test_default_rules_pack_what_vectors_would_gather() -> None:
    A, W = te.placeholder((64, 64), name="A"), te.placeholder((64, 64), name="W")
    k = te.reduce_axis((0, 64), name="k")
    C = te.compute((64, 64), lambda i, j: te.sum(A[i, k] * W[j, k], axis=k), name="C")
    for sketch in generate_sketches([A, W, C], CPU):
        (step,) = (s for s in sketch.steps if isinstance(s, CacheReadStep))
        assert step.stage == "W"
        assert step.layout is not None
        assert step.layout.order == (0, 1, 2)


@pytest.mark.parametrize("is_sum", [False, True])
def test_default_rules_pack_what_is_computed_where_vectors_would_gather(is_sum: bool) -> None:
    a, b, d = (te.placeholder((256, 256), name=name) for name in "ABD")
    k, m = te.reduce_axis((0, 256), name="k"), te.reduce_axis((0, 256), name="m")
    scaled = te.compute((256, 256), lambda j, k: b[j, k] * 0.125, name="E")
    made = te.compute((256, 256), lambda j, k: te.sum(b[j, m] * d[m, k], axis=m), name="E")
    rows = made if is_sum else scaled
    product = te.compute((256, 256), lambda i, j: te.sum(a[i, k] * rows[j, k], axis=k), name="C")
    found = generate_sketches([a, b, d, product], CPU)
    assert found
    for sketch in found:
        assert "E.global" in sketch.state.stages
        assert tiled(sketch, "E") if is_sum else inlined(sketch, "E")


def test_default_rules_leave_rows_that_are_computed_where_they_are() -> None:
    a, b, d = (te.placeholder((512, 512), name=name) for name in "ABD")
    tensors = [a, b, d, topi.matmul(d, topi.relu(topi.matmul(a, b)))]
    packed = {
        step.stage
        for s in generate_sketches(tensors, CPU)
        for step in s.steps
        if isinstance(step, CacheReadStep)
    }
    assert packed == {"B"}


def test_an_index_into_a_constant_stage_has_no_reader_once_that_is_inlined() -> None:
    index = te.placeholder((64,), "int32", name="I")
    halves = te.compute((1000,), lambda i: -0.5, name="Z")
    k = te.reduce_axis((0, 64), name="k")
    total = te.compute((16, 16), lambda i, j: te.sum(halves[index[k]], axis=k), name="G")
    found = generate_sketches([index, total], CPU)
    assert all(inlined(sketch, "Z") for sketch in found)
    assert found


def test_phases_of_a_transposed_convolution_are_outside_of_all_tiles() -> None:
    """Its places are hit at multiples of the stride: the rest is skipped as a whole."""
    found = generate_sketches(transposed(4, 2, 1), CPU)
    split = [s for s in found if "for h.1 (0,2)" in str(s)]
    assert 0 < len(split) < len(found)
    for sketch in split:
        loops = [line.strip().split()[1] for line in str(sketch).splitlines() if "for " in line]
        mine = loops[loops.index("h.1") :]
        assert mine[:2] == ["h.1", "w.1"]
        assert mine.index("co.1") < mine.index("rh.1") < mine.index("rw.1") < mine.index("rc.0")


def test_conditions_on_whole_strides_have_no_phases() -> None:
    """Of `2*i % 2 == 0` every place is hit; `k` alone decides nothing about a tile."""
    A, B = te.placeholder((32, 32), name="A"), te.placeholder((32, 32), name="B")
    k = te.reduce_axis((0, 32), name="k")

    def masked(i: te.Expr, j: te.Expr) -> te.Expr:
        hit = te.indexmod(2 * i + k, 2).equal(0)
        return te.sum(te.if_then_else(hit, A[i, k], te.const(0.0)) * B[k, j], axis=k)

    C = te.compute((32, 32), masked, name="C")
    assert not any("for k.1 (0,2)" in str(s) for s in generate_sketches([A, B, C], CPU))


def test_an_unknown_rule_set_is_refused() -> None:
    with pytest.raises(ScheduleError, match="Unknown rule set 'best': expected one of 'ansor'"):
        generate_sketches(workloads.matmul(8, 8, 8), rules="best")


def test_default_rules_read_transposed_rows_in_place() -> None:
    A, B = te.placeholder((64, 48), name="A"), te.placeholder((64, 32), name="B")
    k = te.reduce_axis((0, 64), name="k")
    T = te.compute((48, 64), lambda i, j: A[j, i], name="T")
    C = te.compute((48, 32), lambda i, j: te.sum(T[i, k] * B[k, j], axis=k), name="C")
    found = generate_sketches([A, B, C], CPU)
    assert sorted(inlined(s, "T") for s in found) == [False] * 3 + [True] * 3


def test_a_transposition_that_vectors_walk_across_stays() -> None:
    A, B = te.placeholder((48, 64), name="A"), te.placeholder((32, 64), name="B")
    k = te.reduce_axis((0, 64), name="k")
    T = te.compute((64, 32), lambda i, j: B[j, i], name="T")
    C = te.compute((48, 32), lambda i, j: te.sum(A[i, k] * T[k, j], axis=k), name="C")
    assert not any(inlined(s, "T") for s in generate_sketches([A, B, C], CPU))
