"""How far repeated measurements of programs differ, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from statistics import fmean, median

# The median of what a draw from a normal distribution is off, in standard deviations.
_MEDIAN_OF_NORMAL = 0.6745


def steady(latencies: Sequence[float]) -> float:
    """Return what repeated figures of one program say it takes.

    The geometric mean of the fastest third. What disturbs a measurement mostly adds time, in
    bursts, so slow figures say little; and the fastest of many says how lucky it was.
    """
    fastest = sorted(latencies)[: (len(latencies) + 2) // 3]
    return math.exp(fmean(map(math.log, fastest))) if fastest[0] > 0.0 else fastest[0]


def noise(repeated: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation of one figure, as a fraction; None without repetitions.

    It is taken from the median change between successive rounds, less what changed for all
    programs: a drift of the machine is no noise between them, and a burst counts once.

    Args:
        repeated: The figures of each program, one for each round that it took part in from the
            first on.
    """
    logs = [[math.log(max(figure, 1e-12)) for figure in figures] for figures in repeated]
    changes: list[float] = []
    for number in count(1):
        steps = [mine[number] - mine[number - 1] for mine in logs if len(mine) > number]
        if not steps:
            break
        for which, step in enumerate(steps):
            others = steps[:which] + steps[which + 1 :]
            common = median(others) if others else 0.0
            # That is the sum of two draws, and what is common is known from some draws only.
            draws = 2.0 * (1.0 + 1.0 / len(others)) if others else 2.0
            changes.append(abs(step - common) / math.sqrt(draws))
    return median(changes) / _MEDIAN_OF_NORMAL if changes else None
