"""Rules make definitions of definitions; errors add up, and a tolerance bounds them."""

from collections.abc import Iterator
from dataclasses import replace

from tensorc import te, topi
from tensorc.ir.dtype import FLOAT32
from tensorc.ir.expr import BinaryOp, Const
from tensorc.space.definitions.definition import GIVEN, Definition, definitions_of
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.space.definitions.winograd import Winograd
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

TARGET = Target("llvm", num_cores=1)


def layers(count: int) -> ComputeDAG:
    """Several 3x3 convolutions, one behind the other."""
    tensors = [te.placeholder((1, 8, 8, 32), name="D")]
    value = tensors[0]
    for n in range(count):
        tensors.append(te.placeholder((3, 3, 32, 32), name=f"W{n}"))
        value = topi.conv2d_nhwc(value, tensors[-1], 1, 1)
    return ComputeDAG.of([*tensors, value])


def sum_of_two(longer: bool) -> ComputeDAG:
    """A + A, or A twice."""
    A = te.placeholder((4,), name="A")
    body = (lambda i: A[i] + A[i]) if longer else (lambda i: A[i] * 2.0)
    return ComputeDAG.of([A, te.compute((4,), body, name="B")])


class TwiceIsASum:
    """A rule for one program only."""

    def apply(self, dag: ComputeDAG, tolerance: float, target: Target) -> Iterator[Definition]:
        if dag.structural_hash() == sum_of_two(longer=False).structural_hash():
            yield Definition("sum", sum_of_two(longer=True), 0.5)


def test_rules_of_ones_own_are_applied():
    ways = definitions_of(sum_of_two(longer=False), [TwiceIsASum()], 1.0, TARGET)
    assert [(way.name, way.error) for way in ways] == [(GIVEN, 0.0), ("sum", 0.5)]


def test_what_a_rule_gives_above_the_tolerance_is_left_out():
    assert len(definitions_of(sum_of_two(longer=False), [TwiceIsASum()], 0.4, TARGET)) == 1


def test_several_stages_may_each_have_another_algorithm():
    ways = definitions_of(layers(2), DEFINITION_RULES, 1.0, TARGET)
    assert len(ways) == 9
    both = [way for way in ways if "," in way.name]
    assert len(both) == 4
    assert all(way.error > 2e-5 for way in both)


def test_there_are_never_very_many():
    assert len(definitions_of(layers(4), DEFINITION_RULES, 1.0, TARGET)) <= 9


def test_where_many_stages_may_be_changed_all_of_them_are():
    ways = definitions_of(layers(4), DEFINITION_RULES, 1.0, TARGET)
    assert {way.name.count("winograd(4x4)") for way in ways} == {0, 1, 2, 3, 4}
    least = min(ways, key=lambda way: way.dag.flops())
    assert least.name.count("winograd(4x4)") == 4


def test_as_many_stages_are_changed_as_the_tolerance_allows():
    ways = definitions_of(layers(4), [Winograd(4)], 3.5e-4, TARGET)
    assert max(way.name.count("winograd(4x4)") for way in ways) == 2
    assert max(way.name.count("winograd") for way in ways) == 3  # one more by smaller tiles
    assert all(way.error <= 3.5e-4 for way in ways)


def scaled(factor: int) -> ComputeDAG:
    """A times a number."""
    A = te.placeholder((4,), name="A")
    return ComputeDAG.of([A, te.compute((4,), lambda i: A[i] * float(factor), name="B")])


class Scaled:
    """A rule without end: twice as large for an error of 1, three times for an error of 5."""

    def apply(self, dag: ComputeDAG, tolerance: float, target: Target) -> Iterator[Definition]:
        now = next(
            n for n in range(1, 2**12) if scaled(n).structural_hash() == dag.structural_hash()
        )
        yield Definition("twice", scaled(2 * now), 1.0)
        yield Definition("thrice", scaled(3 * now), 5.0)


def test_of_very_many_that_are_as_much_work_those_of_the_least_error_are_kept():
    ways = definitions_of(scaled(1), [Scaled()], 1e9, TARGET)
    assert [way.error for way in ways] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0, 6.0]
    assert len({way.dag.structural_hash() for way in ways}) == len(ways)


class Longer:
    """A rule without end: adds one operation, and no error."""

    def apply(self, dag: ComputeDAG, tolerance: float, target: Target) -> Iterator[Definition]:
        last = dag.ops[-1]
        more = BinaryOp("+", last.body[0], Const(0.0, FLOAT32))
        ops = [*dag.ops[:-1], replace(last, body=(more,))]
        yield Definition("longer", dag.with_ops(ops))


def test_each_combination_of_rules_has_its_turn():
    ways = definitions_of(layers(4), [Longer(), Winograd(4)], 1.0, TARGET)
    used = {(way.name.count("winograd"), way.name.count("longer")) for way in ways}
    assert used >= {(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (3, 0)}
    assert any(tiles and more for tiles, more in used)


def test_without_rules_there_is_the_given_one():
    (only,) = definitions_of(layers(1), (), 1.0, TARGET)
    assert only.name == GIVEN
