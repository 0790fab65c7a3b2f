"""A picture of a bench: how fast everybody is, case by case, relative to the fastest."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tensorc.cli import figures
from tensorc.cli.race import NAIVE, TUNED, Outcome
from tensorc.support.optional import optional_import

_COLUMNS: Final = 4
# Inches of one operator's part of the picture.
_WIDTH, _HEIGHT = 4.2, 2.4
_HTML: Final = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<h1 style="font: 600 18px sans-serif">{title}</h1>
{picture}
"""


def draw(path: Path, outcomes: Sequence[Outcome], peers: Sequence[str], title: str) -> None:
    """Write the picture in the format that the name of the file says: PNG, SVG, PDF or HTML.

    Raises:
        MissingDependencyError: Matplotlib is not installed.
    """
    purpose = "drawing charts"
    figure = optional_import("matplotlib.figure", extra="bench", purpose=purpose)
    codes = list(dict.fromkeys(outcome.case.workload.code for outcome in outcomes))
    columns = min(_COLUMNS, max(1, len(codes)))
    rows = math.ceil(len(codes) / columns)
    picture = figure.Figure(figsize=(_WIDTH * columns, _HEIGHT * rows + 0.8), layout="constrained")
    grid = picture.subplots(rows, columns, squeeze=False).flat
    contestants = (TUNED, *peers, NAIVE)
    for axes, code in zip(grid, codes, strict=False):
        _draw_operator(axes, [o for o in outcomes if o.case.workload.code == code], contestants)
    for axes in list(grid)[len(codes) :]:
        axes.set_visible(False)
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    write(path, picture, title)


def write(path: Path, picture: Any, title: str) -> None:
    """Write a figure of Matplotlib, under its title, in the format that the file's name says."""
    if path.suffix == ".html":
        text = io.StringIO()
        picture.savefig(text, format="svg")
        svg = text.getvalue()
        path.write_text(_HTML.format(title=title, picture=svg[svg.index("<svg") :]))
    else:
        picture.suptitle(title, fontsize=9)
        picture.savefig(path, dpi=130)


def relative_speeds(outcome: Outcome, contestants: Sequence[str]) -> list[float]:
    """Return the speed of each contestant relative to the fastest; 0 for who did not take part.

    >>> from kernels_ref.suite import cases
    >>> from tensorc.cli.contest import Timing
    >>> times = {"tuned": Timing(1e-3, 1e-3, 1), "torch": Timing(2e-3, 2e-3, 1)}
    >>> outcome = Outcome(cases("GMM", 1, (1,))[0], times, {}, {}, peak=100.0)
    >>> relative_speeds(outcome, ("tuned", "torch", "jax"))
    [1.0, 0.5, 0.0]
    """
    slowness = [1.0 if name == TUNED else outcome.ratio(name) for name in contestants]
    fastest = min(value for value in slowness if value is not None)
    return [fastest / value if value else 0.0 for value in slowness]


def _draw_operator(axes: Any, outcomes: Sequence[Outcome], contestants: Sequence[str]) -> None:
    width = 0.85 / len(contestants)
    speeds = [relative_speeds(outcome, contestants) for outcome in outcomes]
    for number, name in enumerate(contestants):
        places = [case + (number + 0.5) * width for case in range(len(outcomes))]
        # Ours is the dark one.
        colour = "black" if name == TUNED else "lightgrey" if name == NAIVE else f"C{number - 1}"
        heights = [mine[number] for mine in speeds]
        axes.bar(places, heights, width, label=name, color=colour)
    workload = outcomes[0].case.workload
    axes.set_title(f"{workload.code}: {workload.title}", fontsize=8)
    labels = [f"{o.case.name[4:]}\n{figures.seconds(o.timings[TUNED].best)}" for o in outcomes]
    axes.set_xticks([case + 0.42 for case in range(len(outcomes))], labels, fontsize=6)
    axes.set_ylim(0, 1.05)
    axes.tick_params(axis="y", labelsize=6)
