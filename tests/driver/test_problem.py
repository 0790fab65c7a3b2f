"""What a tuning run is about: one key, one task and some spaces for each definition."""

import numpy as np
import pytest

from tensorc import te, topi
from tensorc.driver.problem import Problem
from tensorc.measure.result import MeasureInput
from tensorc.space.definitions.definition import GIVEN
from tensorc.space.definitions.rules import DEFINITION_RULES
from tensorc.support.errors import TEError

DATA, WEIGHT = te.placeholder((1, 8, 8, 32), name="D"), te.placeholder((3, 3, 32, 32), name="W")
CONVOLUTION = (DATA, WEIGHT, topi.conv2d_nhwc(DATA, WEIGHT, 1, 0))
VALUES = np.ones((3, 3, 32, 32), np.float32)


def problem(constants=(), tolerance=1e-2):
    return Problem.of(CONVOLUTION, "llvm -num-cores=1", constants, DEFINITION_RULES, tolerance)


def test_each_definition_has_a_task_and_spaces_of_its_key():
    what = problem(["W"])
    keys = list(what.definitions)
    assert len(keys) > 1
    assert what.definitions[keys[0]].name == GIVEN
    assert [task.key for task in what.measured({}, None, 0)] == keys
    spaces = what.spaces("default")
    assert {space.key for space in spaces} == set(keys)
    assert [keys[group] for group in what.groups(spaces)] == [space.key for space in spaces]


def test_a_candidate_is_of_the_definition_that_its_key_says():
    what = problem()
    last = list(what.definitions)[-1]
    state = what.state(MeasureInput((), last))
    assert state.dag is what.definition(MeasureInput((), last)).dag
    assert what.definition(what.default_candidate()).name == GIVEN
    assert what.state(what.default_candidate()).steps == what.default.steps


def test_the_data_of_constants_is_measured_with():
    what = problem({WEIGHT: VALUES})
    (given, *_) = what.measured({}, None, 0)
    assert what.task.constants == ("W",)
    assert np.array_equal(given.arrays[1], VALUES)
    assert given.constants == ("W",)


def test_there_is_no_limit_where_other_algorithms_may_need_less():
    assert problem(tolerance=0.0).limit() is not None
    assert problem().limit() is None


def test_what_is_no_input_is_refused():
    with pytest.raises(TEError, match="expected one of 'D', 'W'"):
        problem(["X"])
