"""Rounds that several groups of spaces share: the definitions of a computation.

What an estimate or a young model is wrong about, it is wrong about in a whole definition. So each
has an equal part of the first round, and of later ones as long as its fastest candidate is within
`1 + 1 / rounds` times the fastest of all: twice as slow after one round, 1.25 times after four.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

import numpy as np

from tensorc.search.cost_model import CostModel, Estimate
from tensorc.search.evolution import Candidate, EvolutionOptions, Measured, Space, propose


def propose_to_all(
    spaces: Sequence[Space],
    groups: Sequence[int],
    measured: Mapping[int, Measured],
    model: CostModel,
    count: int,
    rng: np.random.Generator,
    rounds: int,
    options: EvolutionOptions | None = None,
    estimate: Estimate | None = None,
    near: int = 0,
) -> list[Candidate]:
    """Choose up to `count` candidates, in turns of the groups that are left.

    Args:
        spaces: All spaces.
        groups: The group of each.
        measured: What is known of each space.
        model: What scores candidates.
        count: How many are wanted.
        rng: Of everything random.
        rounds: How many rounds there were.
        options: Sizes of the search.
        estimate: What ranks candidates until the model is trained.
        near: How many shall be neighbours of the fastest.
    """
    left = running(groups, measured, rounds)
    part, more = divmod(count, len(left))
    chosen: list[list[Candidate]] = []
    for place, group in enumerate(left):
        share = part + (place < more)
        if not share:
            continue
        mine = [number for number, other in enumerate(groups) if other == group]
        known = {k: measured[number] for k, number in enumerate(mine) if number in measured}
        found = propose(
            [spaces[number] for number in mine],
            known,
            model,
            share,
            rng,
            options,
            estimate,
            min(near, share) if place == 0 else 0,
        )
        chosen.append([replace(one, space=mine[one.space]) for one in found])
    return [one for one in chain.from_iterable(zip_longest(*chosen)) if one is not None]


def running(groups: Sequence[int], measured: Mapping[int, Measured], rounds: int) -> list[int]:
    """Return the groups that are not clearly slower than the fastest, which comes first."""
    fastest = dict.fromkeys(groups, math.inf)
    for number, group in enumerate(groups):
        if number in measured:
            fastest[group] = min(fastest[group], measured[number].latency)
    best = min(fastest.values())
    limit = math.inf if not rounds or math.isinf(best) else best * (1 + 1 / rounds)
    order = sorted(fastest, key=lambda group: fastest[group])
    return [group for group in order if fastest[group] <= limit]
