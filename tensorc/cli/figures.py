"""Figures as people read them: three digits and a unit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

_TIME_UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def seconds(value: float | None) -> str:
    """Write a duration.

    >>> seconds(0.0123), seconds(4.5e-7), seconds(83.0), seconds(0.0), seconds(None)
    ('12.3 ms', '450 ns', '83.0 s', '0 s', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value <= 0:
        return "0 s"
    # Half a unit of the third digit below a unit counts as that unit: "1.00 ms", not "1000 µs".
    for scale, unit in _TIME_UNITS:
        if value >= 0.9995 * scale:
            return f"{digits(value / scale)} {unit}"
    return f"{value / 1e-9:.2f} ns"


def digits(value: float) -> str:
    """Write a number with three digits, or as a whole number above 100.

    >>> digits(3.14159), digits(31.4159), digits(314.159), digits(31415.9)
    ('3.14', '31.4', '314', '31416')
    """
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def rate(amount: float, duration: float | None) -> float | None:
    """Return giga-units a second: GFLOP/s of FLOP, GB/s of bytes; None without a duration."""
    return amount / duration / 1e9 if duration else None


def percent(part: float | None, whole: float | None) -> str:
    """Write a share.

    >>> percent(45.0, 90.0), percent(None, 90.0), percent(1.0, 0.0)
    ('50%', '–', '–')
    """
    return f"{100 * part / whole:.0f}%" if part is not None and whole else "–"


def ratio(value: float | None) -> str:
    """Write how many times.

    >>> ratio(2.0), ratio(0.5), ratio(None)
    ('2.00×', '0.50×', '–')
    """
    return "–" if value is None else f"{digits(value)}×"


def size(value: float) -> str:
    """Write a number of bytes.

    >>> size(512), size(1536), size(3 * 2**20)
    ('512 B', '1.50 KiB', '3.00 MiB')
    """
    units = ("B", "KiB", "MiB", "GiB")
    step = 0
    while value >= 1000 and step < len(units) - 1:
        value, step = value / 1024, step + 1
    return f"{digits(value) if step else f'{value:.0f}'} {units[step]}"


def shape(sizes: Iterable[int]) -> str:
    """Write a shape without spaces.

    >>> shape((56, 56, 64))
    '56,56,64'
    """
    return ",".join(map(str, sizes))


def geometric_mean(values: Iterable[float]) -> float | None:
    """Return the geometric mean of positive numbers; None of nothing.

    >>> round(geometric_mean([1.0, 4.0]), 9)
    2.0
    """
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None
