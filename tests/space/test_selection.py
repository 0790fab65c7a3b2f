"""Of too many sketches those stay that stand for all of them."""

import time
from itertools import product

import pytest

from bench.scaling import chain
from tensorc.space.selection import select
from tensorc.space.sketch import MOST_SKETCHES, generate_sketches
from tensorc.space.space import Space
from tensorc.space.task import SearchTask
from tensorc.target import Target

ONE = Target("llvm", num_cores=1)


def trails(stages: int, alternatives: int = 3):
    choices = product(range(alternatives), repeat=stages)
    return [tuple((f"s{k}", (0, n)) for k, n in enumerate(one)) for one in choices]


def alternatives(found):
    return {pair for trail in found for pair in trail}


def test_few_are_all_kept():
    assert select(trails(3), 27) == list(range(27))


@pytest.mark.parametrize("stages", [4, 6, 8])
def test_of_many_the_uniform_ones_stay_and_every_alternative(stages):
    everything = trails(stages)
    kept = [everything[number] for number in select(everything, 64)]
    assert len(kept) == min(64, len(everything))
    assert alternatives(kept) == alternatives(everything)
    for n in range(3):
        assert tuple((f"s{k}", (0, n)) for k in range(stages)) in kept


def test_single_exceptions_come_before_others():
    everything = trails(6)
    kept = [everything[number] for number in select(everything, 3 + 36)]
    assert all(max(sum(a == (0, n) for _, a in t) for n in range(3)) >= 5 for t in kept)


def test_stages_of_other_alternatives_are_not_compared():
    pairs = [(("a", (0, n)), ("b", (9, m))) for n in range(8) for m in range(8)]
    kept = [pairs[number] for number in select(pairs, 8)]
    assert alternatives(kept) == alternatives(pairs)


def test_the_order_of_generation_is_kept():
    found = select(trails(6), 64)
    assert found == sorted(set(found))


def test_a_limit_below_the_alternatives_is_kept():
    assert len(select(trails(5, 4), 2)) == 2


def test_eight_layers_have_a_bounded_number_of_sketches_in_time():
    task = SearchTask(chain(8), ONE)
    start = time.process_time()
    found = generate_sketches(task)
    assert time.process_time() - start < 4.0  # 0.4 on a free core
    assert len(found) == MOST_SKETCHES
    assert len({str(sketch) for sketch in found}) == MOST_SKETCHES


def test_each_layer_is_fused_and_not_in_some_sketch():
    found = generate_sketches(SearchTask(chain(5), ONE))
    whole = generate_sketches(SearchTask(chain(5), ONE), limit=1000)
    assert (len(found), len(whole)) == (MOST_SKETCHES, 243)

    def shapes(sketches):
        return {(n, type(s.location)) for one in sketches for n, s in one.state.stages.items()}

    assert shapes(found) == shapes(whole)
    assert {str(s) for s in found} <= {str(s) for s in whole}


def test_bounded_sketches_can_be_searched():
    task = SearchTask(chain(5, 16), ONE)
    space = Space(task, generate_sketches(task)[-1])
    assert space.size() > 1
