"""Lowering: a State of a schedule becomes loop IR that a backend can write down.

Decision: lowering is partial evaluation of the State under an environment of ranges. Tails,
padding, exact regions and constant extents come from narrowing a range and generating the nest
again. Why: nothing is emitted that a later pass has to prove away. Refused: guards everywhere and
loop partitioning afterwards; symbolic loop bounds.
"""

from tensorc.lower.count_lines import count_lines
from tensorc.lower.pipeline import Lowered, lower, lower_split, stages

__all__ = ["Lowered", "count_lines", "lower", "lower_split", "stages"]
