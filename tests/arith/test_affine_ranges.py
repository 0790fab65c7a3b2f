"""Intervals, division, substitution and folding of affines, checked by evaluation."""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorc.arith.affine import affine_of, divmod_affine, fold, interval, substitute
from tensorc.ir.affine import (
    ZERO,
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    Opaque,
    add,
    of_atom,
    scale,
    total,
    variable,
)
from tensorc.ir.dtype import INT32
from tensorc.ir.expr import BinaryOp, Cast, Const, Expr, Index, Load
from tensorc.ir.func import Buffer

i, j, k = map(variable, "ijk")
seeds = st.integers(0, 10**9)


def evaluate(a: Affine, values: dict[str, int]) -> int:
    return a.const + sum(c * evaluate_atom(atom, values) for atom, c in a.terms)


def evaluate_atom(atom: Atom, values: dict[str, int]) -> int:
    match atom:
        case str():
            return values[atom]
        case FloorDiv(inner, divisor):
            return evaluate(inner, values) // divisor
        case FloorMod(inner, divisor):
            return evaluate(inner, values) % divisor
        case Opaque(Index(inner), _, _):
            return evaluate(inner, values)
        case _:
            raise AssertionError(atom)


def random_affine(rng: Random, depth: int = 2) -> Affine:
    parts = [scale(variable(rng.choice("ijk")), rng.randint(-6, 6)) for _ in range(2)]
    if depth and rng.random() < 0.7:
        atom = rng.choice((FloorDiv, FloorMod))(random_affine(rng, depth - 1), rng.randint(1, 8))
        parts.append(scale(of_atom(atom), rng.randint(-8, 8)))
    return total(Affine(rng.randint(-9, 9)), parts)


def random_env(rng: Random) -> dict[str, tuple[int, int]]:
    lows = {name: rng.randint(-5, 5) for name in "ijk"}
    return {name: (low, low + rng.choice((0, 0, 1, 3))) for name, low in lows.items()}


def points(env: dict[str, tuple[int, int]]) -> list[dict[str, int]]:
    ranges = (range(low, high + 1) for low, high in env.values())
    return [dict(zip(env, values, strict=True)) for values in product(*ranges)]


@given(seeds)
def test_values_lie_in_the_interval(seed: int) -> None:
    rng = Random(seed)
    a, env = random_affine(rng), random_env(rng)
    low, high = interval(a, env)
    assert all(low <= evaluate(a, p) <= high for p in points(env))


@given(seeds)
def test_division_is_floor_division(seed: int) -> None:
    rng = Random(seed)
    a, env, divisor = random_affine(rng), random_env(rng), rng.randint(1, 12)
    quotient, remainder = divmod_affine(a, divisor, env)
    for p in points(env):
        value = evaluate(a, p)
        assert (evaluate(quotient, p), evaluate(remainder, p)) == divmod(value, divisor)


@given(seeds)
def test_substitution_commutes_with_evaluation(seed: int) -> None:
    rng = Random(seed)
    a, env = random_affine(rng), random_env(rng)
    mapping = {name: random_affine(rng, 1) for name in rng.sample("ijk", 2)}
    result = substitute(a, mapping, env)
    for p in points(env):
        inner = p | {name: evaluate(b, p) for name, b in mapping.items()}
        assert evaluate(result, p) == evaluate(a, inner)


@given(seeds)
def test_folding_keeps_values(seed: int) -> None:
    rng = Random(seed)
    a, env = random_affine(rng), random_env(rng)
    folded = fold(a, env)
    assert all(evaluate(folded, p) == evaluate(a, p) for p in points(env))
    assert not any(env[t][0] == env[t][1] for t, _ in folded.terms if isinstance(t, str))


@given(seeds)
def test_arrays_of_sizes_give_what_each_int_gives(seed: int) -> None:
    rng = Random(seed)
    sizes = [rng.randint(1, 9) for _ in range(4)]

    def build(size: int) -> tuple[Affine, dict[str, tuple[int, int]]]:
        choose = Random(seed)
        env = random_env(choose) | {"k": (0, size - 1)}
        inner = substitute(random_affine(choose), {"i": k * size + j + choose.randint(0, 3)}, env)
        return inner, env

    wide, env = build(np.array(sizes))  # type: ignore[arg-type]  # a Size
    low, high = (np.broadcast_to(x, 4) for x in interval(wide, env))
    for position, size in enumerate(sizes):
        narrow, point_env = build(size)
        exact = interval(narrow, point_env)
        # Simplifications that only ints allow may tighten the interval.
        assert low[position] <= exact[0]
        assert exact[1] <= high[position]


@pytest.mark.parametrize(
    ("a", "divisor", "quotient", "remainder"),
    [
        (i * 8 + j, 8, i, j),
        (i * 8 + j + 8, 8, i + 1, j),
        (i * 4 + j, 8, of_atom(FloorDiv(i, 2)), of_atom(FloorMod(i, 2)) * 4 + j),
        (j - 8, 8, Affine(-1), j),
        (i + 1, 8, of_atom(FloorDiv(i + 1, 8)), of_atom(FloorMod(i + 1, 8))),
    ],
)
def test_division_leaves_few_atoms(
    a: Affine, divisor: int, quotient: Affine, remainder: Affine
) -> None:
    assert divmod_affine(a, divisor, {"i": (0, 99), "j": (0, 3)}) == (quotient, remainder)


def test_parts_of_a_fused_loop_recombine() -> None:
    parts = {"i": of_atom(FloorDiv(k, 28)), "j": of_atom(FloorMod(k, 28))}
    assert substitute(i * 28 + j + 1, parts) == k + 1
    assert substitute(i * 56 + j * 2 + 1, parts, {"k": (3, 3)}) == Affine(7)


def test_untouched_affine_is_returned_itself() -> None:
    a = i * 28 + j + 1
    assert substitute(a, {"k": i}, {"i": (0, 5)}) is a
    assert substitute(ZERO, {"k": i}) is ZERO


def test_opaque_atoms_become_affine_when_they_can() -> None:
    table = Buffer("T", (8,), INT32, "global")
    squared = Opaque(BinaryOp("*", Index(i, INT32), Index(j, INT32)), 0, 99)
    assert substitute(of_atom(squared), {"i": Affine(3)}) == j * 3
    looked_up = Opaque(Load(table, i), 0, 7)
    expected = of_atom(Opaque(Load(table, j + 1), 0, 7))
    assert substitute(of_atom(looked_up), {"i": j + 1}) == expected


def test_variables_without_a_range_are_an_error() -> None:
    with pytest.raises(KeyError, match="i"):
        interval(i, {})


def test_arrays_are_left_as_they_were() -> None:
    sizes = np.array([1, 2])
    a = Affine(sizes, (("i", 1),))
    substitute(a, {"i": Affine(sizes)})
    fold(a, {"i": (5, 5)})
    assert sizes.tolist() == [1, 2]


def test_atoms_that_hold_arrays_add_up() -> None:
    atom = FloorDiv(Affine(0, (("i", np.array([2, 3])),)), 2)
    sum_ = add(add(of_atom(atom), i), add(of_atom(atom), i))
    assert [c for _, c in sum_.terms] == [2, 2]


@pytest.mark.parametrize(
    ("e", "affine"),
    [
        (BinaryOp("+", Index(i, INT32), Const(2, INT32)), i + 2),
        (BinaryOp("*", Const(2, INT32), Index(i, INT32)), i * 2),
        (BinaryOp("//", Index(i, INT32), Const(2, INT32)), of_atom(FloorDiv(i, 2))),
        (BinaryOp("%", Index(i, INT32), Const(-2, INT32)), None),
        (BinaryOp("*", Index(i, INT32), Index(i, INT32)), None),
        (Cast(Index(i, INT32), INT32), i),
    ],
)
def test_integer_expression_as_affine(e: Expr, affine: Affine | None) -> None:
    assert affine_of(e) == affine
