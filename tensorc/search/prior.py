"""An analytic estimate of how fast candidates are, before anything has been measured.

A roofline (Williams, Waterman and Patterson 2009) with the limits that dense kernels meet: for each
statement the cycles of its operations, given how well the register tile feeds the multiply-add
units, against the cycles in which its data comes from beyond each cache. It looks at named columns
of the features only, and is a pure function of them.

The figures of `Costs` were fitted to the ranking of some 1,700 measured candidates of dense
operators on one core of a Zen 4 (AVX-512). They contain what measured figures of a core do not say:
how loads, operations and traffic hide one another. So what `tensorc doctor` measures of another
core moves them in proportion, by what it is there over what it was where they were fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorc.runtime.core import CoreFigures
from tensorc.space.features.names import FEATURE_NAMES, OPERATIONS
from tensorc.target import Target

Features = NDArray[np.float32]
Scores = NDArray[np.float64]
_Values: TypeAlias = NDArray[np.float64]

_COLUMNS: Final = {name: number for number, name in enumerate(FEATURE_NAMES)}
# Cycles of an operation on a vector.
_OPERATION_CYCLES: Final = {"divmod": 8.0, "math": 16.0}
# The core that `Costs` were fitted on, measured as every other.
FITTED: Final = CoreFigures(latency=4.0, load=1.1, beyond=(32.0, 27.0, 4.4))
# Octaves that figures move by: half of that is noise, of memory's most of all, and moves nothing.
_STEP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Costs:
    """Figures of a core, in cycles of one vector operation each.

    Attributes:
        latency: Operations that have to be under way to keep the units busy.
        load: Cycles of a load from the first cache, next to operations that do not wait for it.
        access: Cycles of one iteration's loads and stores outside of a register tile.
        tile: Cycles to load and store one running value of a register tile.
        spill: How much slower a tile is that needs twice the registers.
        conflict: How much slower a tile is whose lines crowd a set of the first cache.
        crowd: Lines of a set from which that begins.
        loop: Cycles of a loop's own instructions.
        copies: Copies of the body from which decoding instructions takes time.
        decode: How much more time for each doubling.
        beyond: Bytes that come each cycle from beyond the first, the second, the third cache.
        overlap: Exponent of the norm in which times add up that partly overlap; large: the maximum.
    """

    latency: float = 5.2
    load: float = 0.53
    access: float = 1.0
    tile: float = 9.6
    spill: float = 0.46
    conflict: float = 0.36
    crowd: float = 6.4
    loop: float = 0.24
    copies: float = 6500.0
    decode: float = 0.25
    beyond: tuple[float, float, float] = (22.0, 22.0, 56.0)
    overlap: float = 4.0

    def on(self, core: CoreFigures) -> Costs:
        """Return the figures as they are on another core than the one they were fitted on."""
        first, second, third = (
            speed * _moved(there, here)
            for speed, there, here in zip(self.beyond, core.beyond, FITTED.beyond, strict=True)
        )
        return replace(
            self,
            latency=self.latency * _moved(core.latency, FITTED.latency),
            load=self.load * _moved(core.load, FITTED.load),
            beyond=(first, second, third),
        )


def _moved(there: float, here: float) -> float:
    """The ratio of two figures, as a whole number of steps."""
    return float(2.0 ** (_STEP * round(math.log2(there / here) / _STEP)))


@dataclass(frozen=True, slots=True)
class Prior:
    """The estimate for a machine.

    Attributes:
        lanes: Elements of 32 bits of a vector.
        registers: Vector registers.
        costs: Figures of the core that they were fitted on.
        core: The core that programs run on.
    """

    lanes: int = 8
    registers: int = 16
    costs: Costs = Costs()
    core: CoreFigures = FITTED

    @classmethod
    def of(cls, target: Target, core: CoreFigures | None = None) -> Prior | None:
        """The estimate for a target, whose core was measured or is taken for the one of `Costs`.

        None for GPUs, of which it knows nothing.
        """
        if target.is_gpu:
            return None
        return cls(target.lanes(32), target.vector_registers, core=core or FITTED)

    @property
    def usual(self) -> Prior:
        """The estimate as it was fitted: what is trained on it is true of other cores too."""
        return replace(self, core=FITTED)

    def __call__(self, features: Features) -> Scores:
        """Score candidates × statements × features; higher is faster: minus the log of cycles."""
        with np.errstate(over="ignore"):
            scores: Scores = -np.log(np.maximum(self.cycles(features).sum(axis=1), 1e-3))
        return scores

    def cycles(self, features: Features) -> _Values:
        """The cycles of each statement of each candidate, over the number of cores."""
        costs = self.costs.on(self.core)
        lanes = np.where(
            _column(features, "vectorize_number") > 0.5,
            np.clip(_column(features, "vector_efficiency") * self.lanes, 1.0, self.lanes),
            1.0,
        )
        steps = _column(features, "iterations") / lanes
        operations = sum(
            _OPERATION_CYCLES.get(name, 1.0) * _column(features, f"float_{name}")
            for name in OPERATIONS
        )
        computed = operations / lanes * self._slowdown(features, costs)
        copies = np.maximum(_column(features, "unrolled_copies"), 1.0)
        busy = np.maximum(computed, costs.access * steps) + costs.loop * steps / copies
        parts = [busy**costs.overlap]
        for level, speed in enumerate(costs.beyond, 1):
            parts.append((_column(features, f"bytes_past_l{level}") / speed) ** costs.overlap)
        balance = np.maximum(_column(features, "parallel_balance"), 1e-3)
        cycles: _Values = sum(parts) ** (1.0 / costs.overlap) / balance
        return cycles * _column(features, "executed_share")

    def _slowdown(self, features: Features, costs: Costs) -> _Values:
        """Cycles of one vector operation: what the register tile makes of it."""
        accumulators = np.maximum(_column(features, "accumulators"), 1.0)
        waiting = np.maximum(1.0, costs.latency / accumulators)
        loading = costs.load * _column(features, "tile_loads") / accumulators
        moving = costs.tile / np.maximum(_column(features, "register_run"), 1.0)
        tiled = np.maximum(waiting, loading) + moving
        slow: _Values = np.where(_column(features, "float_fma") > 0, tiled, 1.0)
        excess = _column(features, "registers") / self.registers - 1.0
        slow = slow * (1.0 + costs.spill * np.clip(excess, 0.0, 3.0))
        crowded = _column(features, "tile_lines_per_set") / costs.crowd - 1.0
        slow = slow * (1.0 + costs.conflict * np.clip(crowded, 0.0, 2.0))
        large = np.log2(np.maximum(_column(features, "unrolled_copies"), 1.0) / costs.copies)
        return slow * (1.0 + costs.decode * np.clip(large, 0.0, 4.0))


def _column(features: Features, name: str) -> _Values:
    """The values of a feature, which come as `log2(x + 1)`: candidates × statements."""
    values: _Values = np.exp2(features[..., _COLUMNS[name]].astype(np.float64)) - 1.0
    return values
