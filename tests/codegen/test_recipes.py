from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from tensorc.codegen.conversions import conversion
from tensorc.codegen.math_functions import libm_symbol, math_recipe
from tensorc.codegen.recipes import Recipe, Step, Value, fma, horner, select, trace
from tensorc.ir.dtype import BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, INT32, INT64, DType
from tensorc.ir.expr import BinaryFunction, Function, UnaryFunction

FUNCTIONS: tuple[Function, ...] = (*get_args(UnaryFunction), *get_args(BinaryFunction))
# What every backend spells itself.
INSTRUCTIONS = {
    "sqrt", "floor", "ceil", "round", "trunc", "abs", "isnan", "isinf", "isfinite", "not",
    "bitwise_not", "popcount", "copysign",
}  # fmt: skip
RECIPES = [
    recipe
    for dtype in (FLOAT32, FLOAT64)
    for name in FUNCTIONS
    if (recipe := math_recipe(name, dtype))
] + [
    conversion(FLOAT32, FLOAT16),
    conversion(FLOAT16, FLOAT32),
    conversion(FLOAT32, BFLOAT16),
    conversion(BFLOAT16, FLOAT32),
    conversion(FLOAT64, FLOAT32),
]


def of_floats(function: object, count: int = 1) -> Recipe:
    return trace("f", function, (FLOAT32,) * count)  # type: ignore[arg-type]


def test_equal_steps_are_recorded_once() -> None:
    recipe = of_floats(lambda x: (x * x) + (x * x))
    assert [s.op for s in recipe.steps] == ["param", "mul", "add"]


def test_steps_that_the_result_does_not_need_are_dropped() -> None:
    def function(x: Value) -> Value:
        _ = x / 3.0
        return x + 1.0

    assert [s.op for s in of_floats(function).steps] == ["param", "const", "add"]


def test_zero_and_negative_zero_are_two_constants() -> None:
    recipe = of_floats(lambda x: select(x > 0.0, x, -0.0))
    signs = [math.copysign(1, s.value) for s in recipe.steps if s.op == "const"]
    assert signs == [1, -1]


def test_constants_are_rounded_to_their_type() -> None:
    (constant,) = (s for s in of_floats(lambda x: x + 0.1).steps if s.op == "const")
    assert constant.value == float(np.float32(0.1))


def test_a_polynomial_is_a_chain_of_multiply_adds() -> None:
    recipe = of_floats(lambda x: horner(x, (1.0, 2.0, 3.0)))
    assert [s.op for s in recipe.steps if s.op != "const"] == ["param", "fma", "fma"]


def test_literals_take_the_type_of_the_value_beside_them() -> None:
    recipe = trace("f", lambda x: fma(x, 2.0, 1.0), (FLOAT64,))
    assert {s.dtype for s in recipe.steps} == {FLOAT64}


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_is_an_instruction_a_recipe_or_a_library_call(
    function: Function, dtype: DType
) -> None:
    ways = [
        function in INSTRUCTIONS,
        math_recipe(function, dtype) is not None,
        libm_symbol(function, dtype) is not None,
    ]
    assert ways.count(True) == 1


def test_only_the_remainder_of_float32_calls_the_library() -> None:
    assert [f for f in FUNCTIONS if libm_symbol(f, FLOAT32)] == ["fmod"]
    assert libm_symbol("fmod", FLOAT32) == "fmodf"
    assert libm_symbol("fmod", FLOAT64) == "fmod"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.name)
def test_the_steps_of_a_recipe_are_typed_and_in_order(recipe: Recipe) -> None:
    assert [s.dtype for s in recipe.steps[: len(recipe.params)]] == list(recipe.params)
    for number, step in enumerate(recipe.steps):
        assert all(a < number for a in step.args)
        check_types(step, [recipe.steps[a].dtype for a in step.args])
    assert recipe.result < len(recipe.steps)


def check_types(step: Step, args: list[DType]) -> None:
    """What a backend may take for granted."""
    integers, floats = (INT32, INT64), (FLOAT32, FLOAT64)
    match step.op:
        case "param" | "const":
            assert not args
        case "lt" | "le" | "gt" | "ge" | "eq" | "ne":
            assert step.dtype == BOOL
            assert args[0] == args[1] != BOOL
        case "select":
            assert args == [BOOL, step.dtype, step.dtype]
        case "bits" | "to_int":
            assert (args[0], step.dtype) in ((FLOAT32, INT32), (FLOAT64, INT64))
        case "from_bits" | "to_float":
            assert (step.dtype, args[0]) in ((FLOAT32, INT32), (FLOAT64, INT64))
        case "widen":
            assert (args[0], step.dtype) in ((FLOAT32, FLOAT64), (INT32, INT64))
        case "narrow":
            assert (step.dtype, args[0]) in ((FLOAT32, FLOAT64), (INT32, INT64))
        case "shl" | "shr" | "sar":
            assert step.dtype in integers
            assert args == [step.dtype] * 2
        case "and" | "or" | "xor" | "not":
            assert step.dtype not in floats
            assert set(args) == {step.dtype}
        case "add" | "sub" | "mul":
            assert step.dtype != BOOL
            assert set(args) == {step.dtype}
        case _:
            assert step.dtype in floats
            assert set(args) == {step.dtype}
