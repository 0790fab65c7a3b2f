"""Which sketches to keep of too many.

The number of sketches is a product over the stages: eight layers with three alternatives each have
6,561. What is best for one layer is mostly best for the next one that has the same alternatives. So
those come first that decide all such stages alike, then those in which one of them differs, and so
on; and every alternative of every stage is in one at least, if the limit allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

# Which of its rules was followed at a stage, and which of the drafts that it made.
Alternative: TypeAlias = tuple[int, int]
# The alternatives taken so far, by stage.
Trail: TypeAlias = tuple[tuple[str, Alternative], ...]


def select(trails: Sequence[Trail], limit: int) -> list[int]:
    """Return the numbers, ascending, of up to `limit` trails that stand for all of them."""
    if len(trails) <= limit:
        return list(range(len(trails)))
    peers = _peers(trails)
    classes: dict[int, list[int]] = {}
    for number, trail in enumerate(trails):
        classes.setdefault(_exceptions(trail, peers), []).append(number)
    ranked = [number for _, mine in sorted(classes.items()) for number in mine]
    chosen = _covering(trails, ranked, limit)
    for _, mine in sorted(classes.items()):
        left = [number for number in mine if number not in chosen]
        room = limit - len(chosen)
        spread = left if len(left) <= room else [left[k * len(left) // room] for k in range(room)]
        chosen.update(spread)
    return sorted(chosen)


def _peers(trails: Sequence[Trail]) -> dict[str, frozenset[Alternative]]:
    """The alternatives of each stage; stages that have the same ones are compared."""
    seen: dict[str, set[Alternative]] = {}
    for trail in trails:
        for stage, alternative in trail:
            seen.setdefault(stage, set()).add(alternative)
    return {stage: frozenset(alternatives) for stage, alternatives in seen.items()}


def _exceptions(trail: Trail, peers: dict[str, frozenset[Alternative]]) -> int:
    """How many stages are decided otherwise than most of their peers."""
    taken: dict[frozenset[Alternative], Counter[Alternative]] = {}
    for stage, alternative in trail:
        taken.setdefault(peers[stage], Counter())[alternative] += 1
    return sum(count.total() - max(count.values()) for count in taken.values())


def _covering(trails: Sequence[Trail], ranked: Sequence[int], limit: int) -> set[int]:
    """A few that have every alternative of every stage between them, the first ones if possible."""
    missing = {pair for trail in trails for pair in trail}
    chosen: set[int] = set()
    least = max(map(len, trails))
    while missing and len(chosen) < limit:
        for number in ranked:
            if len(missing.intersection(trails[number])) >= least and len(chosen) < limit:
                missing.difference_update(trails[number])
                chosen.add(number)
        least = max(least // 2, 1)
    return chosen
