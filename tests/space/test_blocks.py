"""Transforms of blocks are computed where the block is read, and blocks are written as a whole."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tensorc import te, topi
from tensorc.driver.compile import compile_state
from tensorc.schedule.replay import replay
from tensorc.schedule.stage import Annotation, At, AtLevel, Inlined, Root
from tensorc.schedule.steps import AnnotationStep
from tensorc.space.blocks import blocks_of, computed_once
from tensorc.space.draft import Condition, SketchRule, first_draft
from tensorc.space.rules.join_blocks import JoinBlocks
from tensorc.space.sketch import Sketch, generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target
from tensorc.te.dag import CONST_TENSOR_INDICES, ComputeDAG
from tensorc.te.tensor import Tensor
from tests.fuzz.transforms import transforms
from tests.te.interpreter import interpret

LLVM, PYTHON = Target("llvm", num_cores=1), Target("python", num_cores=1)


def marked(shape, function, axes, name):
    return te.compute(shape, function, name_hint=name, attrs={CONST_TENSOR_INDICES: axes})


def chain(height: int = 10, channels: int = 40, *, reread: int = 0) -> list[Tensor]:
    """Sums and differences of pairs, products with a matrix, pairs again, by blocks of two rows.

    With `reread`, an element needs pairs of the next block, too.
    """
    count = -(-height // 2)
    A = te.placeholder((2 * count, channels), name="A")
    K = te.placeholder((2, channels, 24), name="K")
    pairs = marked(
        (2, count, channels),
        lambda e, p, c: te.select(
            e.equal(0), A(p * 2, c) + A(p * 2 + 1, c), A(p * 2, c) - A(p * 2 + 1, c)
        ),
        ["e"],
        "pairs",
    )
    k = te.reduce_axis((0, channels), name="k")
    products = te.compute(
        (2, count, 24),
        lambda x, p, o: te.sum(pairs(x, p, k) * K(x, k, o), axis=k),
        name_hint="products",
    )
    sums = marked(
        (2, count - reread, 24),
        lambda i, p, o: te.select(
            i.equal(0),
            products(0, p, o) + products(1, p, o),
            products(0, p, o) - products(1, p + reread, o),
        ),
        ["i"],
        "sums",
    )
    halves = marked(
        (2, count - 2 * reread, 24),
        lambda j, p, o: te.select(j.equal(0), sums(0, p, o), sums(1, p + reread, o)) * 0.5,
        ["j"],
        "halves",
    )
    joined = te.compute(
        (height - 4 * reread, 24),
        lambda h, o: halves(te.indexmod(h, 2), te.indexdiv(h, 2), o),
        name_hint="joined",
    )
    return [A, K, joined]


def sketch_of(tensors: list[Tensor]) -> Sketch:
    return generate_sketches(SearchTask.of(tensors, LLVM))[-1]


def test_blocks_are_unrolled_inside_vectors_of_the_last_axis() -> None:
    space = Space(SearchTask.of(chain(), LLVM), sketch_of(chain()))
    names = space.draft.stage("joined").names()
    assert names == ("h.0.0", "h.0.1", "o.0", "h.1", "o.1")
    text = str(space.sketch)
    assert text.index("unroll h.1 (0,2)") < text.index("joined")


def test_transforms_are_computed_right_before_the_block_that_reads_them() -> None:
    places = {n: s.location for n, s in sketch_of(chain()).state.stages.items()}
    assert places["halves"] == At("joined", "o.0")
    assert places["sums"] == At("halves", "p")
    assert isinstance(places["products"], Root)


def test_what_two_blocks_read_is_not_computed_for_each_of_them() -> None:
    places = {n: s.location for n, s in sketch_of(chain(reread=1)).state.stages.items()}
    assert isinstance(places["sums"], Root)
    assert places["halves"] == At("joined", "o.0")


def test_products_and_what_they_read_may_be_computed_for_a_number_of_blocks() -> None:
    space = Space(SearchTask.of(chain(), LLVM), sketch_of(chain()))
    located = {c.stage: c.options for c in space.columns.choices if c.what == "location"}
    assert located == {"products": (0, 1), "pairs": (0, 1)}
    for name in located:
        assert isinstance(space.draft.stage(name).location, AtLevel)
    rows = space.sample(64, np.random.default_rng(0))
    (column,) = (c.first for c in space.columns.choices if c.stage == "products"
                 and c.what == "location")  # fmt: skip
    states = [replay(space.task.dag, space.steps(row)) for row in rows]
    inside = [s["products"].location == At("joined", "h.0.0") for s in states]
    assert inside == [row[column] == 1 for row in rows]
    assert any(inside)
    assert not all(inside)


def test_an_elementwise_consumer_takes_the_blocks() -> None:
    A, K, joined = chain()
    bias = te.placeholder((24,), name="bias")
    out = topi.relu(te.compute(joined.shape, lambda h, o: joined(h, o) + bias(o), name_hint="add"))
    sketch = sketch_of([A, K, bias, out])
    assert isinstance(sketch.state["joined"].location, Inlined)
    relu = sketch.state.dag.outputs[0]
    assert isinstance(sketch.state["halves"].location, At)
    assert sketch.state["halves"].location.target == relu


def test_blocks_along_the_axis_of_the_vectors_are_left_alone() -> None:
    A = te.placeholder((5, 24), name="A")
    T = marked((2, 5, 24), lambda i, p, c: te.select(i.equal(0), A(p, c), 0.0), ["i"], "T")

    def element(h, c):
        return T(te.indexmod(h, 2), te.indexdiv(h, 2), c)

    turned = te.compute((24, 10), lambda c, h: element(h, c), name_hint="turned")
    straight = te.compute((10, 24), element, name_hint="straight")
    assert met(JoinBlocks(), [A, turned], "turned") is Condition.SKIP
    assert met(JoinBlocks(), [A, straight], "straight") is Condition.APPLY_AND_SKIP_REST


def met(rule: SketchRule, tensors: list[Tensor], stage: str) -> Condition:
    task = SearchTask.of(tensors, LLVM)
    return rule.meets(task, first_draft(task), stage)


def test_a_consumer_that_sums_is_not_tiled_in_place_of_the_blocks() -> None:
    A, K, joined = chain()
    B = te.placeholder((*joined.shape, 5), name="B")
    k = te.reduce_axis((0, 5), name="k")
    R = te.compute(
        joined.shape, lambda h, c: te.sum(joined(h, c) * B(h, c, k), axis=k), name_hint="R"
    )
    task = SearchTask.of([A, K, B, R], LLVM)
    sketches = generate_sketches(task)
    assert all(Space(task, sketch).size() >= 1 for sketch in sketches)
    assert any("o.0" in sketch.state["joined"].names() for sketch in sketches)


@pytest.mark.parametrize("reduces", [False, True])
def test_what_a_reader_needs_in_each_step_of_a_sum_is_not_computed_there(reduces: bool) -> None:
    A, B = te.placeholder((2, 6, 16), name="A"), te.placeholder((9,), name="B")
    T = marked((2, 6, 16), lambda i, p, c: A(i, p, c) * 2.0, ["i"], "T")
    k = te.reduce_axis((0, 9), name="k")

    def element(j, p, c):
        value = te.select(j.equal(0), T(0, p, c), T(1, p, c))
        return te.sum(value * B(k), axis=k) if reduces else value * B(0)

    R = marked((2, 6, 16), element, ["j"], "R")
    draft = first_draft(SearchTask.of([A, B, R], LLVM))
    unrolled = draft.do(AnnotationStep("R", "j", Annotation.UNROLL))
    assert computed_once(unrolled, "T", "R") is not reduces


@pytest.mark.parametrize("rules", ["ansor", "default"])
def test_sums_over_axes_that_are_not_marked_keep_their_loops(rules: str) -> None:
    A, W = te.placeholder((2, 6, 9), name="A"), te.placeholder((9, 16), name="W")
    k = te.reduce_axis((0, 9), name="k")
    T = marked((2, 6, 16), lambda i, p, c: te.sum(A(i, p, k) * W(k, c), axis=k), ["i"], "T")
    R = marked(
        (2, 6, 16), lambda j, p, c: te.select(j.equal(0), T(0, p, c), T(1, p, c)), ["j"], "R"
    )
    task = SearchTask.of([A, W, R], LLVM)
    for sketch in generate_sketches(task, rules=rules):
        space = Space(task, sketch)
        (row,) = space.sample(1, np.random.default_rng(0))
        state = replay(task.dag, space.steps(row))
        assert isinstance(space.draft.stage("T").location, AtLevel | Root)
        assert "k" in {i.name.split(".")[0] for i in state["T"].iterators}
        compile_state(state, LLVM)


def test_only_marked_places_make_blocks() -> None:
    A = te.placeholder((2, 5, 8), name="A")
    B = te.compute((2, 5, 8), lambda i, p, c: te.exp(A(i, p, c)), name="B")
    C = te.compute((10, 8), lambda h, c: B(te.indexmod(h, 2), te.indexdiv(h, 2), c), name="C")
    assert blocks_of(first_draft(SearchTask.of([A, C], LLVM)), "C") == {}


@pytest.mark.parametrize(("step", "once"), [(3, True), (2, False)])
def test_blocks_of_two_axes_must_not_share_a_place(step: int, once: bool) -> None:
    A = te.placeholder((2, 40, 16), name="A")
    T = marked((2, 40, 16), lambda i, p, c: A(i, p, c) * 2.0, ["i"], "T")
    R = marked(
        (2, 5, 3, 16), lambda j, q, s, c: te.select(j.equal(0), T(0, q * step + s, c),
        T(1, q * step + s, c)), ["j"], "R",
    )  # fmt: skip
    draft = first_draft(SearchTask.of([A, R], LLVM))
    (unrolled,) = (sk.state for sk in generate_sketches(SearchTask.of([A, R], LLVM)))
    assert isinstance(unrolled["T"].location, At) is once
    assert not computed_once(draft, "T", "R")  # nothing is unrolled yet


@pytest.mark.parametrize("seed", range(24))
def test_random_chains_compute_the_same_under_any_row(seed: int) -> None:
    r = Random(seed)
    tensors = transforms(r)
    inputs = [
        np.random.default_rng(seed).uniform(-1, 1, t.shape).astype(np.float32) for t in tensors[:-1]
    ]
    (want,) = interpret(tensors, inputs)
    target = r.choice((LLVM, LLVM, PYTHON))
    task = SearchTask(ComputeDAG.of(tensors), target)
    rng = np.random.default_rng(seed)
    for sketch in generate_sketches(task)[:3]:
        space = Space(task, sketch)
        for row in space.sample(2, rng):
            steps = space.steps(row)
            again = space.row(steps)
            assert again is not None
            assert (again == row).all()
            got = compile_state(replay(task.dag, steps), target)(*inputs)
            assert np.allclose(got, want, 1e-3, 1e-3)
