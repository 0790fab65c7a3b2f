"""Mutation and crossover: a decision of a row is changed, or taken from another row.

Ansor, OSDI'20, section 5.1; there crossover takes whole nodes, here single decisions.
"""

from __future__ import annotations

import numpy as np

from tensorc.space.columns import Columns, TileColumns
from tensorc.space.decisions import Choice, Rows, divisors

# How often each kind of decision is changed, after Ansor: tile sizes most of all.
_TILE_SHARE = 0.8
_CHOICE_WEIGHTS = {
    "location": 5.0,
    "parallel": 2.0,
    "vectorize": 2.0,
    "unroll": 4.0,
    "threads": 5.0,
    "vector": 2.0,
}
# How often a tile takes an innermost length nearby instead of moving a factor between levels.
_NEAR_SHARE = 0.35


def change_one(columns: Columns, rows: Rows, rng: np.random.Generator) -> Rows:
    """Change one decision of each row; the result may break constraints."""
    new = rows.copy()
    tiles = [t for t in columns.tiles if len(t.table) > 1]
    share = _TILE_SHARE if tiles and columns.choices else float(bool(tiles))
    for_tiles = rng.random(len(rows)) < share
    if tiles:
        which = rng.integers(0, len(tiles), len(rows))
        for k, tile in enumerate(tiles):
            picked = np.flatnonzero(for_tiles & (which == k))
            if len(picked):
                new[picked, tile.columns] = change_tile(tile, new[picked, tile.columns], rng)
    if columns.choices:
        weights = np.array([_CHOICE_WEIGHTS[c.what] for c in columns.choices])
        which = rng.choice(len(columns.choices), len(rows), p=weights / weights.sum())
        for k, choice in enumerate(columns.choices):
            picked = np.flatnonzero(~for_tiles & (which == k))
            new[picked, choice.first] = _other_option(choice, new[picked, choice.first], rng)
    return new


def _other_option(choice: Choice, values: Rows, rng: np.random.Generator) -> Rows:
    options = np.array(choice.options, np.int64)
    place = np.searchsorted(options, values)
    moved: Rows = options[
        (place + rng.integers(1, max(len(options), 2), len(values))) % len(options)
    ]
    return moved


def change_tile(tile: TileColumns, lengths: Rows, rng: np.random.Generator) -> Rows:
    """Take an innermost length nearby with new outer lengths, or move a factor between levels."""
    near = rng.random(len(lengths)) < _NEAR_SHARE
    changed = _move_factor(tile.tile.extent, lengths, rng)
    outside = ~tile.contains(changed)
    near |= outside
    picked = np.flatnonzero(near)
    if len(picked):
        place = np.searchsorted(tile.inner, lengths[picked, -1])
        step = rng.integers(-2, 3, len(picked))
        changed[picked] = tile.draw_inner(np.clip(place + step, 0, len(tile.inner) - 1), rng)
    return changed


def _move_factor(extent: int, lengths: Rows, rng: np.random.Generator) -> Rows:
    """Multiply one level, the derived outermost one included, by a divisor of another."""
    count, inner = lengths.shape
    outer = -(-extent // lengths.prod(axis=1))
    levels = np.concatenate([outer[:, None], lengths], axis=1)
    at = np.arange(count)
    source = np.argmax(np.where(levels > 1, rng.random(levels.shape), -1.0), axis=1)
    target = (source + rng.integers(1, inner + 1, count)) % (inner + 1)
    factor = np.ones(count, np.int64)
    values, inverse = np.unique(levels[at, source], return_inverse=True)
    for k, value in enumerate(values):
        choices = np.array(divisors(int(value))[1:], np.int64)
        if len(choices):
            mine = inverse == k
            factor[mine] = choices[rng.integers(0, len(choices), int(mine.sum()))]
    levels[at, source] //= factor
    levels[at, target] *= factor
    moved: Rows = levels[:, 1:]
    return moved


def cross(columns: Columns, first: Rows, second: Rows, rng: np.random.Generator) -> Rows:
    """Take each decision, all lengths of one split together, from one of two parents."""
    child = first.copy()
    for start, width in _genes(columns):
        taken = rng.random(len(first)) < 0.5
        child[taken, start : start + width] = second[taken, start : start + width]
    return child


def _genes(columns: Columns) -> list[tuple[int, int]]:
    tiles = [(t.tile.first, t.tile.count) for t in columns.tiles]
    return sorted(tiles + [(c.first, 1) for c in columns.choices])
