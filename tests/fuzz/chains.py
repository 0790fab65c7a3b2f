"""Random chains of reductions over the same data, and what they compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import kernels_ref
from tensorc import te, topi
from tensorc.space.definitions.definition import Definition, definitions_of
from tensorc.space.definitions.one_pass import OnePass
from tensorc.target import Target
from tensorc.te import Tensor
from tensorc.te.dag import ComputeDAG

# Parts of so few terms, of any data, that small programs have several.
RULES: Final = (OnePass(cache=0.01, least=0.0),)

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class ChainCase:
    """Tensors, the result last, and what it is by definition, in double precision."""

    tensors: list[Tensor]
    right: Callable[..., Array]


def chain_case(r: Random) -> ChainCase:
    """A softmax, a layer normalisation, a sum of exponentials or a variance; lengths are odd."""
    return r.choice((_softmax, _softmax_across, _layer_norm, _weighted, _variance))(r)


def another_way(r: Random, dag: ComputeDAG) -> Definition:
    """One of the definitions but the given one, or that one if there is none."""
    own, *others = definitions_of(dag, RULES, 1e-5, Target("llvm"))
    return r.choice(others or [own])


def _length(r: Random) -> int:
    return r.choice((r.randint(130, 700), 128 * r.randint(2, 5), 257))


def _softmax(r: Random) -> ChainCase:
    x = te.placeholder((r.randint(1, 4), _length(r)), name="x")
    return ChainCase([x, topi.softmax(x)], kernels_ref.softmax)


def _softmax_across(r: Random) -> ChainCase:
    x = te.placeholder((_length(r), r.randint(1, 70)), name="x")
    return ChainCase([x, topi.softmax(x, 0)], lambda a: kernels_ref.softmax(a, 0))


def _layer_norm(r: Random) -> ChainCase:
    shape = (r.randint(1, 3), *((r.randint(1, 4),) if r.random() < 0.5 else ()), _length(r))
    x = te.placeholder(shape, name="x")
    g, b = (te.placeholder(shape[1:], name=n) for n in "gb")
    return ChainCase(
        [x, g, b, topi.layer_norm(x, g, b, 1)],
        lambda *arrays: kernels_ref.layer_norm(*arrays, axis=1),
    )


def _weighted(r: Random) -> ChainCase:
    """Σ w · exp(a · (x - max x)), of rows."""
    rows, length, scale = r.randint(1, 4), _length(r), r.choice((0.5, 1.0, 2.0))
    x, w = (te.placeholder((rows, length), name=n) for n in "xw")
    k1, k2 = (te.reduce_axis((0, length), name="k") for _ in range(2))
    m = te.compute((rows,), lambda i: te.max(x[i, k1], axis=k1), name="m")
    s = te.compute(
        (rows,), lambda i: te.sum(w[i, k2] * te.exp((x[i, k2] - m[i]) * scale), axis=k2), name="s"
    )

    def right(x: Array, w: Array) -> Array:
        return np.asarray((w * np.exp((x - x.max(1, keepdims=True)) * scale)).sum(1))

    return ChainCase([x, w, s], right)


def _variance(r: Random) -> ChainCase:
    """Of rows, by a mean that is a stage of its own."""
    rows, length = r.randint(1, 4), _length(r)
    x = te.placeholder((rows, length), name="x")
    k1, k2 = (te.reduce_axis((0, length), name="k") for _ in range(2))
    total = te.compute((rows,), lambda i: te.sum(x[i, k1], axis=k1), name="total")
    mean = te.compute((rows,), lambda i: total[i] / length, name="mean")
    apart = te.compute((rows, length), lambda i, j: x[i, j] - mean[i], name="apart")
    squares = te.compute(
        (rows,), lambda i: te.sum(apart[i, k2] * apart[i, k2], axis=k2), name="squares"
    )
    return ChainCase([x, squares], lambda a: np.asarray(a.var(1) * length))
