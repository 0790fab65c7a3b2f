"""A space of integer rows and a machine that times them: no compiler, no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tensorc.schedule.steps import SplitStep, Step

Rows = np.ndarray


@dataclass(frozen=True)
class Outcome:
    latency: float | None
    error_kind: str = "NONE"


class GridSpace:
    """Rows of `width` digits below `base`; the fastest is `hidden`."""

    def __init__(self, width: int = 5, base: int = 16, name: str = "C", seed: int = 1) -> None:
        self.width, self.base, self.name = width, base, name
        self.hidden = np.random.default_rng(seed).integers(0, base, width)

    def size(self) -> float:
        return float(self.base) ** self.width

    def sample(self, count: int, rng: np.random.Generator) -> Rows:
        return rng.integers(0, self.base, (count, self.width))

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        out = rows.copy()
        column = rng.integers(0, self.width, len(rows))
        step = rng.integers(-2, 3, len(rows))
        at = (np.arange(len(rows)), column)
        out[at] = (out[at] + step) % self.base
        return out

    def crossover(self, first: Rows, second: Rows, rng: np.random.Generator) -> Rows:
        return np.where(rng.random(first.shape) < 0.5, first, second)

    def keys(self, rows: Rows) -> np.ndarray:
        return rows @ (self.base ** np.arange(self.width))

    def features(self, rows: Rows) -> np.ndarray:
        near = np.abs(rows - self.hidden)
        both = np.concatenate([rows, near], 1).astype(np.float32)
        return np.stack([both, np.zeros_like(both)], 1)

    def steps(self, row: Rows) -> tuple[Step, ...]:
        return (SplitStep(self.name, "i", tuple(int(x) + 1 for x in row)),)

    def row(self, steps: Sequence[Step]) -> Rows | None:
        (step,) = steps
        assert isinstance(step, SplitStep)
        if step.stage != self.name or len(step.lengths) != self.width:
            return None
        return np.array(step.lengths) - 1

    def latency(self, steps: Sequence[Step]) -> float:
        row = self.row(steps)
        assert row is not None
        return 1e-3 * (1.0 + float(np.abs(row - self.hidden).sum()))


class Machine:
    """Times schedules of one space; `broken` says which number of call fails."""

    def __init__(self, space: GridSpace, broken: int = 0, stop_after: int | None = None) -> None:
        self.space, self.broken, self.stop_after = space, broken, stop_after
        self.seen: list[tuple[Step, ...]] = []

    def __call__(self, batch: Sequence[tuple[Step, ...]]) -> Iterator[Outcome]:
        for steps in batch:
            if self.stop_after is not None and len(self.seen) >= self.stop_after:
                raise KeyboardInterrupt
            self.seen.append(steps)
            if self.broken and len(self.seen) % self.broken == 0:
                yield Outcome(None, "BUILD_ERROR")
            else:
                yield Outcome(self.space.latency(steps))
