"""What each mechanism of lowering makes, as text, and that it computes the right thing."""

from __future__ import annotations

import numpy as np

from tensorc import te
from tensorc.codegen.python import execute
from tensorc.codegen.python_namespace import numpy_dtype
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.lower import lower
from tensorc.lower.loop_nest import build
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import Annotation
from tensorc.schedule.state import State
from tensorc.schedule.steps import (
    AnnotationStep,
    CacheReadStep,
    CacheWriteStep,
    ComputeAtStep,
    ComputeInlineStep,
    FuseStep,
    Layout,
    PragmaStep,
    ReorderStep,
    SplitStep,
    Step,
    StorageAlignStep,
)
from tensorc.target import Target
from tensorc.te import Tensor
from tests.golden_text import GoldenFile
from tests.lower.reference import evaluate

TARGET = Target("llvm", vector_bytes=32)


def unroll(stage: str, iterator: str) -> Step:
    return AnnotationStep(stage, iterator, Annotation.UNROLL)


def vectorize(stage: str, iterator: str) -> Step:
    return AnnotationStep(stage, iterator, Annotation.VECTORIZE)


def parallel(stage: str, iterator: str) -> Step:
    return AnnotationStep(stage, iterator, Annotation.PARALLEL)


def matmul(M: int, N: int, K: int) -> list[Tensor]:
    A = te.placeholder((M, K), name="A")
    B = te.placeholder((K, N), name="B")
    k = te.reduce_axis((0, K), name="k")
    C = te.compute((M, N), lambda i, j: te.sum(A[i, k] * B[k, j], axis=k), name="C")
    return [A, B, C]


def state_of(tensors: list[Tensor], *steps: Step) -> State:
    return replay(te.ComputeDAG.from_tensors(tensors), steps)


def check_result(state: State, tensors: list[Tensor]) -> None:
    """Compact and vectorised IR both compute what the tensors say."""
    dag = te.ComputeDAG.from_tensors(tensors)
    rng = np.random.default_rng(0)
    inputs = {}
    for op in dag.ops:
        if op.is_placeholder:
            data = rng.integers(-20, 20, op.shape)
            inputs[op.name] = data.astype(numpy_dtype(op.dtype))
    expected = evaluate(dag, inputs)
    for func in (build(state, TARGET), lower(state, TARGET)):
        verify(func)
        arrays = []
        for name, output in dag.params:
            op = dag.by_name[name]
            empty = np.full(op.shape, 77, numpy_dtype(op.dtypes[output]))
            arrays.append(inputs.get(name, empty))
        execute(func, arrays)
        for key, array in zip(dag.params, arrays, strict=True):
            if key[0] not in inputs:
                np.testing.assert_allclose(array, expected[key], rtol=1e-5, atol=1e-5)


def check(golden: GoldenFile, name: str, tensors: list[Tensor], *steps: Step) -> None:
    """The compact IR is as recorded, and right."""
    state = state_of(tensors, *steps)
    golden.check(name, str(te.ComputeDAG.from_tensors(tensors)), print_func(build(state, TARGET)))
    check_result(state, tensors)


TILED = (
    SplitStep("C", "i", (6,)),
    SplitStep("C", "j", (16,)),
    ReorderStep("C", ("j.0", "i.0", "k", "i.1", "j.1")),
    unroll("C", "i.1"),
    vectorize("C", "j.1"),
)
PACKED = (
    CacheReadStep("B", "global", ("C",)),
    *TILED,
    ComputeAtStep("B.global", "C", "j.0"),
    vectorize("B.global", "ax1"),
)


def test_a_tile_with_a_tail_and_a_packed_panel(golden: GoldenFile) -> None:
    tensors = matmul(197, 768, 768)
    text = print_func(lower(state_of(tensors, *PACKED), TARGET))
    golden.check("tile_with_tail_and_packed_panel", after=text)


def test_a_tile_with_tails_in_both_axes_computes_the_product(golden: GoldenFile) -> None:
    check(golden, "tails_in_both_axes", matmul(11, 21, 3), *TILED)


def test_an_unscheduled_sum_accumulates_in_a_register(golden: GoldenFile) -> None:
    check(golden, "unscheduled", matmul(3, 4, 5))


def test_a_tile_inside_outer_reduction_loops_is_copied_in_and_out(golden: GoldenFile) -> None:
    check(
        golden, "copied_in_and_out", matmul(8, 16, 10),
        SplitStep("C", "i", (4, 2)), SplitStep("C", "j", (8,)), SplitStep("C", "k", (4,)),
        ReorderStep("C", ("i.0", "j.0", "k.0", "i.1", "k.1", "i.2", "j.1")),
        unroll("C", "i.2"), vectorize("C", "j.1"),
    )  # fmt: skip


ACROSS = (
    SplitStep("C", "i", (16,)),
    ReorderStep("C", ("i.0", "k", "j", "i.1")),
    unroll("C", "j"),
    vectorize("C", "i.1"),
)


def test_accumulators_across_the_rows_of_the_output_are_whole_vectors(golden: GoldenFile) -> None:
    check(golden, "across_rows", matmul(40, 3, 5), *ACROSS)


def test_lanes_far_apart_in_a_small_buffer_are_accumulated_in_a_tile(golden: GoldenFile) -> None:
    A, B, C = matmul(32, 3, 5)
    D = te.compute((32, 3), lambda i, j: te.max(C[i, j], 0.0), name="D")
    check(
        golden, "across_rows_of_a_buffer", [A, B, D], *ACROSS,
        SplitStep("D", "i", (16,)), ReorderStep("D", ("i.0", "i.1", "j")), unroll("D", "i.1"),
        unroll("D", "j"), ComputeAtStep("C", "D", "i.0"),
    )  # fmt: skip


def padded_conv(size: int, channels: int) -> list[Tensor]:
    X = te.placeholder((size, size, 2), name="X")
    W = te.placeholder((3, 3, 2, channels), name="W")
    P = te.compute(
        (size + 2, size + 2, 2),
        lambda h, w, c: te.if_then_else(
            te.all(h >= 1, h < size + 1, w >= 1, w < size + 1), X[h - 1, w - 1, c], 0.0
        ),
        name="P",
    )
    y, x, c = (te.reduce_axis((0, n), name=a) for n, a in ((3, "y"), (3, "x"), (2, "c")))
    C = te.compute(
        (size, size, channels),
        lambda h, w, o: te.sum(P[h + y, w + x, c] * W[y, x, c, o], axis=[y, x, c]),
        name="C",
    )
    return [X, W, C]


def test_inlined_padding_skips_terms_and_never_tests_in_the_innermost_loop(
    golden: GoldenFile,
) -> None:
    check(
        golden, "inlined_padding", padded_conv(8, 8),
        ComputeInlineStep("P"), SplitStep("C", "w", (4,)),
        ReorderStep("C", ("h", "w.0", "y", "x", "c", "w.1", "o")),
        unroll("C", "w.1"), vectorize("C", "o"),
    )  # fmt: skip


def test_padding_at_the_root_cuts_its_loops_at_the_border(golden: GoldenFile) -> None:
    check(golden, "padding_at_the_root", padded_conv(5, 1))


def test_an_attached_stage_computes_the_window_that_is_read(golden: GoldenFile) -> None:
    A = te.placeholder((20,), name="A")
    B = te.compute((20,), lambda i: A[i] + 1.0, name="B")
    C = te.compute((6,), lambda i: B[3 * i] * B[3 * i + 4], name="C")
    check(golden, "window", [A, C], ComputeAtStep("B", "C", "i"))


def test_readers_that_differ_by_no_constant_need_the_whole_dimension(golden: GoldenFile) -> None:
    A = te.placeholder((10,), name="A")
    B = te.compute((10,), lambda i: A[i] + 1.0, name="B")
    C = te.compute((5, 2), lambda i, j: B[2 * i + j] * B[i], name="C")
    check(golden, "whole_dimension", [A, C], ComputeAtStep("B", "C", "i"))


def test_a_gathered_producer_is_computed_whole(golden: GoldenFile) -> None:
    A = te.placeholder((6, 4), name="A")
    I = te.placeholder((3,), dtype="int32", name="I")  # noqa: E741
    B = te.compute((6, 4), lambda i, j: A[i, j] + 1.0, name="B")
    C = te.compute((3, 4), lambda i, j: B[te.clip(I[i], 0, 5), j], name="C")
    check(golden, "gather", [A, I, C], ComputeAtStep("B", "C", "i"))


def test_parts_of_a_fused_loop_are_bound_as_variables(golden: GoldenFile) -> None:
    A = te.placeholder((5, 7), name="A")
    B = te.placeholder((7,), name="B")
    C = te.compute((5, 7), lambda i, j: A[i, j] + B[j], name="C")
    check(golden, "fused", [A, B, C], FuseStep("C", ("i", "j")), parallel("C", "i@j@"))


def test_a_fused_loop_that_is_split_again_walks_contiguously(golden: GoldenFile) -> None:
    A = te.placeholder((5, 7), name="A")
    C = te.compute((5, 7), lambda i, j: A[i, j] * 2.0, name="C")
    check(
        golden, "fused_and_split", [A, C],
        FuseStep("C", ("i", "j")), SplitStep("C", "i@j@", (8,)), vectorize("C", "i@j@.1"),
    )  # fmt: skip


def test_the_pragma_unrolls_inner_loops_while_steps_are_few(golden: GoldenFile) -> None:
    check(
        golden, "auto_unroll", matmul(4, 4, 4),
        ReorderStep("C", ("i", "k", "j")), PragmaStep("C", "i", "auto_unroll_max_step", 16),
    )  # fmt: skip


def test_aligned_storage_has_a_padded_stride(golden: GoldenFile) -> None:
    A = te.placeholder((4, 8), name="A")
    B = te.compute((4, 8), lambda i, j: A[i, j] + 1.0, name="B")
    C = te.compute((8, 4), lambda i, j: B[j, i], name="C")
    check(golden, "storage_align", [A, C], StorageAlignStep("B", "i", 8, 1))


def test_outputs_of_a_reduction_change_at_the_same_time(golden: GoldenFile) -> None:
    A = te.placeholder((4, 9), name="A")
    k = te.reduce_axis((0, 9), name="k")
    where, value = te.compute(
        (4,), lambda i: te.argmax((k.astype("int32"), A[i, k]), axis=k), name="C"
    )
    check(golden, "argmax", [A, where, value])


def test_conditions_of_both_sides_cut_a_loop(golden: GoldenFile) -> None:
    A, B = te.placeholder((3, 4), name="A"), te.placeholder((3, 5), name="B")
    C = te.compute((3, 9), lambda i, j: te.if_then_else(j < 4, A[i, j], B[i, j - 4]), name="C")
    check(golden, "concatenation", [A, B, C])


def test_only_the_outermost_of_nested_parallel_loops_stays_parallel(golden: GoldenFile) -> None:
    check(
        golden, "nested_parallel", matmul(4, 8, 3),
        CacheReadStep("B", "global", ("C",)), ComputeAtStep("B.global", "C", "i"),
        parallel("C", "i"), parallel("C", "j"), parallel("B.global", "ax0"),
    )  # fmt: skip


def test_a_parallel_loop_is_branched_in_and_not_cut(golden: GoldenFile) -> None:
    A, B = te.placeholder((4,), name="A"), te.placeholder((5,), name="B")
    C = te.compute((9,), lambda i: te.if_then_else(i < 4, A[i], B[i - 4]), name="C")
    check(golden, "parallel_branch", [A, B, C], parallel("C", "i"))


def test_a_stage_that_is_rounded_up_computes_whole_tiles(golden: GoldenFile) -> None:
    tensors = matmul(3, 13, 4)
    state = state_of(
        tensors,
        CacheWriteStep("C", "local"),
        CacheReadStep("B", "global", ("C.local",), Layout(1, 8, (1, 0, 2))),
        SplitStep("C", "j", (8,)),
        ReorderStep("C", ("j.0", "i", "j.1")),
        vectorize("C", "j.1"),
        ReorderStep("C.local", ("k", "i", "j")),
        vectorize("C.local", "j"),
        ComputeAtStep("C.local", "C", "i"),
    )
    golden.check("round_up", after=print_func(build(state, TARGET)))
    check_result(state, tensors)


def test_a_reduction_over_nothing_gives_the_identity(golden: GoldenFile) -> None:
    check(golden, "empty_reduction", matmul(2, 3, 0))


def test_nothing_is_run_for_an_empty_tensor(golden: GoldenFile) -> None:
    check(golden, "empty_tensor", matmul(0, 3, 2))


def test_a_tensor_without_dimensions_has_one_element(golden: GoldenFile) -> None:
    A = te.placeholder((5,), name="A")
    k = te.reduce_axis((0, 5), name="k")
    check(golden, "no_dimensions", [A, te.compute((), lambda: te.sum(A[k], axis=k), name="S")])


def test_large_buffers_are_in_the_workspace_each_thread_with_its_own(golden: GoldenFile) -> None:
    A = te.placeholder((300, 300), name="A")
    B = te.compute((300, 300), lambda i, j: A[i, j] + 1.0, name="B")
    C = te.compute((300, 300), lambda i, j: B[j, i] * 2.0, name="C")
    D = te.compute((4, 300, 300), lambda n, i, j: C[i, j] + C[j, i], name="D")
    state = state_of([A, D], ComputeAtStep("C", "D", "n"), parallel("D", "n"))
    golden.check("workspace", after=print_func(lower(state, TARGET)))
