"""Figures against their bars: printed as they come, written as JSON, made an exit code."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from tensorc.support import host


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        name: What was measured.
        value: The number; None for a bar that was not measured.
        unit: Its unit.
        at_least: The bar that it should reach; None for none.
        at_most: The bar that it should not exceed; None for none.
    """

    name: str
    value: float | None
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def has_bar(self) -> bool:
        """Whether it is held against a bar."""
        return self.at_least is not None or self.at_most is not None

    @property
    def met(self) -> bool:
        """Whether no bar is missed; true without any."""
        if self.value is None:
            return True
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    def line(self) -> str:
        """Return the figure, its bar and whether it is met, on one line."""
        bar = ""
        if self.at_least is not None:
            bar = f"bar ≥ {self.at_least:g}"
        elif self.at_most is not None:
            bar = f"bar ≤ {self.at_most:g}"
        if self.value is None:
            return f"{self.name:48} {'–':>12} {self.unit:14} {bar:14}  not measured"
        verdict = "" if not bar else "  ok" if self.met else "  MISSED"
        return f"{self.name:48} {self.value:12.4g} {self.unit:14} {bar:14}{verdict}"

    def to_json(self) -> dict[str, object]:
        """Return it as JSON; whether a bar is met is not known of what was not measured."""
        return {**asdict(self), "met": None if self.value is None else self.met}


def publish(measured: Iterable[Figure], path: Path | None) -> None:
    """Print figures as they are measured, write them to `path`, exit with 1 if a bar is missed.

    Raises:
        SystemExit: A bar is missed; with 1.
    """
    figures = []
    for figure in measured:
        click.echo(figure.line())
        figures.append(figure)
    if path is not None:
        data = {
            "machine": {"cpu": host.cpu_model(), "system": platform.platform()},
            "figures": [figure.to_json() for figure in figures],
        }
        path.write_text(json.dumps(data, indent=1) + "\n")
    missed = [figure.name for figure in figures if not figure.met]
    if missed:
        judged = [figure for figure in figures if figure.has_bar and figure.value is not None]
        click.echo(f"{len(missed)} of {len(judged)} bars missed.")
        raise SystemExit(1)
