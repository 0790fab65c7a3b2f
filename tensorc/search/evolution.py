"""Evolutionary search over populations of integer rows (Ansor, OSDI'20, section 5.1).

One population for each sketch. A generation scores every row by what the cost model thinks it may
be at best (`CostModel.promise`: a score, and more where little is known), remembers the best rows
that were never measured, and makes the next rows from the present ones, picked with a probability
that grows with their score: by mutation, by crossover of whole decisions, and afresh. All of it is
array operations; nothing here looks at a single candidate before it is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tensorc.search.cost_model import CostModel, Estimate, Features, Scores

Rows = NDArray[np.int64]
Keys = NDArray[np.int64]


# Neighbours are those of the fastest few: so many changes are tried, which is about all there are.
_LEADERS = 2
_TRIES = 512


class Space(Protocol):
    """The candidates of one sketch, as rows of integers."""

    def size(self) -> float:
        """About how many distinct rows there are."""
        ...

    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        """Draw valid rows."""
        ...

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Change one decision of each row; rows stay valid."""
        ...

    def crossover(self, first: Rows, second: Rows, rng: np.random.Generator) -> Rows:
        """Take each decision from one of two parents; rows stay valid."""
        ...

    def keys(self, rows: Rows) -> Keys:
        """Return equal numbers for equal candidates, different ones for different candidates."""
        ...

    def features(self, rows: Rows) -> Features:
        """Return float32 features, rows × statements × features."""
        ...


@dataclass(frozen=True, slots=True)
class EvolutionOptions:
    """Sizes and probabilities of the search.

    Attributes:
        population: Rows of a generation, over all sketches.
        generations: How many generations are made from the first one.
        crossover_share: Share of a generation that is crossed.
        fresh_share: Share that is sampled anew.
        least_share: Share of the chosen candidates that each evolving sketch has at least: what an
            estimate is wrong about it is often wrong about in a whole sketch. That is a third of
            them at most: of many sketches some have their part, by chance.
        eps_greedy: Share of the chosen candidates that is random, whatever the model says.
        elite: Measured rows, the fastest ones, that enter the first generation.
        focus: How many sketches evolve in a round: those with the fastest measured candidates,
            and one more at random. The random share is drawn from all.
        screened_share: Share of the first candidates that an analytic estimate chooses, where
            there is one; the others are random.
        foreseen: How many sketches evolve where nothing is measured: those with the best samples.
        descent_share: Share of the trials or of the time, at the end, for neighbours of the best.
    """

    population: int = 2048
    generations: int = 4
    crossover_share: float = 0.15
    fresh_share: float = 0.05
    least_share: float = 0.08
    eps_greedy: float = 0.05
    elite: int = 64
    focus: int = 3
    screened_share: float = 0.75
    foreseen: int = 6
    descent_share: float = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A row of one space, chosen to be measured.

    Attributes:
        space: The number of the space.
        row: The decisions.
        key: The space's key of the row.
        score: What the model or the estimate chose it by; NaN if it was chosen at random.
    """

    space: int
    row: Rows
    key: int
    score: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What is known of one space.

    Attributes:
        keys: Keys of the rows that were measured or are being measured.
        best: Rows that were measured without error, fastest first.
        latency: Seconds of the fastest; infinity if there is none.
    """

    keys: frozenset[int]
    best: Rows
    latency: float = np.inf


def propose(
    spaces: Sequence[Space],
    measured: Mapping[int, Measured],
    model: CostModel,
    count: int,
    rng: np.random.Generator,
    options: EvolutionOptions | None = None,
    estimate: Estimate | None = None,
    near: int = 0,
) -> list[Candidate]:
    """Choose up to `count` distinct candidates that were never measured, most promising first.

    Fewer are returned only when the spaces hold no more, none when they are exhausted. Until the
    model is trained, most are chosen by the estimate. Once it is, `near` of them at the end are
    neighbours of the fastest, by their scores: there is no time left for what is uncertain.
    """
    options = options or EvolutionOptions()
    unknown = Measured(frozenset(), np.empty((0, 0), np.int64))
    known = [measured.get(number, unknown) for number in range(len(spaces))]
    if near and model.is_trained:
        close = _neighbours(spaces, known, model, near, rng)
        held = dict(enumerate(known))
        for one in close:
            held[one.space] = replace(held[one.space], keys=held[one.space].keys | {one.key})
        rest = count - len(close)
        usual = propose(spaces, held, model, rest, rng, options, estimate) if rest else []
        return usual + close
    fresh: list[Candidate] = []
    for number, space in enumerate(spaces):
        # Of a small space everything has to be found in the end.
        many = options.population if space.size() <= options.population / 8 else 2 * count
        rows = space.sample(many, rng)
        fresh += _unmeasured(number, space, rows, known[number].keys)
    found: list[Candidate] = []
    if model.is_trained:
        active = _active(known, rng, options)
        shares = _shares([spaces[number] for number in active], options.population)
        for number, share in zip(active, shares, strict=True):
            first = spaces[number].sample(share, rng)
            found += _evolve(
                number, spaces[number], first, known[number], model.promise, count, rng, options
            )
    elif estimate is not None:
        found = _screen(spaces, known, estimate, count, rng, options)
        eps = 1.0 - options.screened_share
        return _choose(found, fresh, count, rng, replace(options, eps_greedy=eps))
    return _choose(found, fresh, count, rng, options)


def _neighbours(
    spaces: Sequence[Space],
    known: Sequence[Measured],
    model: CostModel,
    count: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """What differs in one decision from one of the two fastest, and the model likes best."""
    number = min(range(len(spaces)), key=lambda n: known[n].latency)
    best = known[number].best[:_LEADERS]
    if not len(best):
        return []
    rows = spaces[number].mutate(np.repeat(best, _TRIES // len(best), axis=0), rng)
    _, firsts = np.unique(spaces[number].keys(rows), return_index=True)
    rows = rows[np.sort(firsts)]
    scores = model.predict(spaces[number].features(rows))
    found: dict[int, Candidate] = {}
    _remember(found, number, spaces[number], rows, scores, known[number].keys, count)
    return sorted(found.values(), key=lambda c: -c.score)[:count]


def foresee(
    spaces: Sequence[Space],
    measured: Mapping[int, Measured],
    estimate: Estimate,
    count: int,
    rng: np.random.Generator,
    options: EvolutionOptions | None = None,
) -> list[Candidate]:
    """Return up to `count` candidates that an estimate likes best, the best first.

    Every space is sampled; those with the best samples evolve, from these on.
    """
    options = options or EvolutionOptions()
    unknown = Measured(frozenset(), np.empty((0, 0), np.int64))
    known = [measured.get(number, unknown) for number in range(len(spaces))]
    drawn = _survey(spaces, estimate, rng, options)
    return _foresee(spaces, known, drawn, estimate, count, rng, options)


def _survey(
    spaces: Sequence[Space], estimate: Estimate, rng: np.random.Generator, options: EvolutionOptions
) -> list[tuple[Rows, Scores]]:
    """Draw a population; return the rows of each space and their scores, the best first."""
    drawn = []
    for space, share in zip(spaces, _shares(spaces, options.population), strict=True):
        rows = space.sample(share, rng)
        scores = estimate(space.features(rows))
        order = np.argsort(-scores, kind="stable")
        drawn.append((rows[order], scores[order]))
    return drawn


def _foresee(
    spaces: Sequence[Space],
    known: Sequence[Measured],
    drawn: Sequence[tuple[Rows, Scores]],
    estimate: Estimate,
    count: int,
    rng: np.random.Generator,
    options: EvolutionOptions,
) -> list[Candidate]:
    """Evolve the spaces whose drawn rows are best."""
    order = sorted(range(len(spaces)), key=lambda number: -drawn[number][1][0])
    active = order[: options.foreseen]
    found: list[Candidate] = []
    for number in active:
        rows = spaces[number].sample(max(options.population // len(active), 1), rng)
        first = Measured(known[number].keys, drawn[number][0])
        found += _evolve(number, spaces[number], rows, first, estimate, count, rng, options)
    return sorted(found, key=lambda c: -c.score)[:count]


def _screen(
    spaces: Sequence[Space],
    known: Sequence[Measured],
    estimate: Estimate,
    count: int,
    rng: np.random.Generator,
    options: EvolutionOptions,
) -> list[Candidate]:
    """Choose the best of all, half of those that evolve from the best, and some of each space.

    What an estimate overlooks it overlooks in a whole space: each of them is tried early.
    """
    drawn = _survey(spaces, estimate, rng, options)
    pool = _foresee(spaces, known, drawn, estimate, 4 * count, rng, options)
    leading: list[list[Candidate]] = []
    for number, (rows, scores) in enumerate(drawn):
        best: dict[int, Candidate] = {}
        _remember(best, number, spaces[number], rows, scores, known[number].keys, 2 * count)
        leading.append(sorted(best.values(), key=lambda c: -c.score))
    wanted = max(1, round(count * options.screened_share))
    near = pool[:1] + [pool[i] for i in rng.permutation(len(pool))]
    turns = [c for row in zip_longest(*leading) for c in row if c is not None]
    chosen: dict[tuple[int, int], Candidate] = {}
    for source, limit in ((near, wanted // 2), (turns, wanted), (pool, wanted)):
        for candidate in source:
            if len(chosen) < limit:
                chosen.setdefault((candidate.space, candidate.key), candidate)
    return list(chosen.values())


def _active(
    known: Sequence[Measured], rng: np.random.Generator, options: EvolutionOptions
) -> list[int]:
    """The sketches that evolve in this round: the fastest so far, and another one by chance."""
    order = sorted(range(len(known)), key=lambda number: known[number].latency)
    others = order[options.focus :]
    return order[: options.focus] + ([int(rng.choice(others))] if others else [])


def _shares(spaces: Sequence[Space], population: int) -> list[int]:
    """Divide the population in proportion to the logarithm of the size, with a floor."""
    logs = np.array([np.log2(max(space.size(), 1.0)) + 1.0 for space in spaces])
    shares = np.maximum(population * logs / logs.sum(), population / (4 * len(spaces)))
    return [max(1, int(share)) for share in shares]


def _evolve(
    number: int,
    space: Space,
    rows: Rows,
    known: Measured,
    score: Estimate,
    count: int,
    rng: np.random.Generator,
    options: EvolutionOptions,
) -> list[Candidate]:
    """Run the generations of one space; return its best candidates that were never measured."""
    size = len(rows)
    elite = known.best[: options.elite]
    rows = np.concatenate([elite, rows])[:size] if len(elite) else rows
    best: dict[int, Candidate] = {}
    for generation in range(options.generations + 1):
        scores = score(space.features(rows))
        _remember(best, number, space, rows, scores, known.keys, count)
        if generation < options.generations:
            rows = _next_generation(space, rows, scores, rng, options)
    return list(best.values())


def _remember(
    best: dict[int, Candidate],
    number: int,
    space: Space,
    rows: Rows,
    scores: Scores,
    measured: frozenset[int],
    count: int,
) -> None:
    """Keep the best `2 · count` candidates seen so far."""
    keys = space.keys(rows)
    room = 2 * count
    for i in np.argsort(-scores, kind="stable")[: 2 * room]:
        key = int(keys[i])
        if key not in measured and key not in best:
            best[key] = Candidate(number, rows[i].copy(), key, float(scores[i]))
    if len(best) > room:
        kept = sorted(best.values(), key=lambda c: -c.score)[:room]
        best.clear()
        best.update((c.key, c) for c in kept)


def _next_generation(
    space: Space,
    rows: Rows,
    scores: Scores,
    rng: np.random.Generator,
    options: EvolutionOptions,
) -> Rows:
    size = len(rows)
    crossed = int(size * options.crossover_share)
    fresh = int(size * options.fresh_share)
    pick = _picker(scores, rng)
    return np.concatenate(
        [
            space.mutate(rows[pick(size - crossed - fresh)], rng),
            space.crossover(rows[pick(crossed)], rows[pick(crossed)], rng),
            space.sample(fresh, rng) if fresh else rows[:0],
        ]
    )


def _picker(scores: Scores, rng: np.random.Generator) -> Callable[[int], NDArray[np.intp]]:
    """Return a function that draws row numbers, more often those of high rank.

    Ranks and not scores count, because the scale of scores differs from task to task; the best
    tenth is drawn in half of all cases.
    """
    order = np.argsort(-scores, kind="stable")
    weights = np.exp(-np.arange(len(scores)) / max(len(scores) / 7.0, 1.0))
    cumulative = np.cumsum(weights / weights.sum())

    def pick(count: int) -> NDArray[np.intp]:
        drawn = np.searchsorted(cumulative, rng.random(count))
        return order[np.minimum(drawn, len(order) - 1)]

    return pick


def _unmeasured(number: int, space: Space, rows: Rows, measured: frozenset[int]) -> list[Candidate]:
    """Distinct rows that were never measured, in the order drawn."""
    keys = space.keys(rows)
    _, firsts = np.unique(keys, return_index=True)
    return [
        Candidate(number, rows[i].copy(), int(keys[i]))
        for i in np.sort(firsts)
        if int(keys[i]) not in measured
    ]


def _choose(
    found: list[Candidate],
    fresh: list[Candidate],
    count: int,
    rng: np.random.Generator,
    options: EvolutionOptions,
) -> list[Candidate]:
    """Take the best, leave room for the random share, fill up with random ones."""
    random_count = max(1, round(count * options.eps_greedy)) if found else count
    least = round(count * options.least_share)
    known = max(count - random_count, 0)
    best = _best_with_a_part_for_each(found, known, least, count // 3, rng)
    taken = {(c.space, c.key) for c in best}
    rest = [c for c in fresh if (c.space, c.key) not in taken]
    drawn = [rest[i] for i in _spread(rest, rng)[: count - len(best)]]
    if len(best) + len(drawn) < count:  # small spaces: everything fresh is used up
        taken |= {(c.space, c.key) for c in drawn}
        more = sorted(found, key=lambda c: -c.score)
        left = [c for c in more if (c.space, c.key) not in taken]
        drawn += left[: count - len(best) - len(drawn)]
    return best + drawn


def _best_with_a_part_for_each(
    found: Sequence[Candidate], count: int, least: int, most: int, rng: np.random.Generator
) -> list[Candidate]:
    """The best of all, among them `least` of each space, but `most` of such; best first."""
    order = sorted(found, key=lambda c: -c.score)
    if len(order) <= count or not least:
        return order[:count]
    spaces = list(dict.fromkeys(c.space for c in order))
    room = most // least
    if len(spaces) > room:
        spaces = [spaces[i] for i in rng.permutation(len(spaces))[:room]]
    turns: dict[int, int] = {}
    first: list[Candidate] = []
    others: list[Candidate] = []
    for one in order:
        turns[one.space] = turns.get(one.space, 0) + 1
        mine = one.space in spaces and turns[one.space] <= least
        (first if mine else others).append(one)
    return sorted((first + others)[:count], key=lambda c: -c.score)


def _spread(candidates: Sequence[Candidate], rng: np.random.Generator) -> list[int]:
    """A random order in which the spaces take turns, so that each of them is tried early."""
    turns: dict[int, int] = {}
    order: list[tuple[int, float, int]] = []
    for i in rng.permutation(len(candidates)):
        space = candidates[i].space
        turns[space] = turns.get(space, 0) + 1
        order.append((turns[space], float(rng.random()), int(i)))
    return [i for _, _, i in sorted(order)]
