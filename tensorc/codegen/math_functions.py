"""Recipes of the mathematical functions."""

from __future__ import annotations

from functools import cache

from tensorc.codegen.recipes import Recipe
from tensorc.ir.dtype import DType
from tensorc.ir.expr import Function


@cache
def math_recipe(function: Function, dtype: DType) -> Recipe | None:
    """The recipe of a function of float32 or float64, None if it has none."""
    return None


def libm_symbol(function: Function, dtype: DType) -> str | None:
    """The function of the C library to call, one value at a time, where there is no recipe."""
    return None
