"""Schedules: states of loop nests, the steps that make them, and what follows from them.

Decision: a stage is a flat tuple of iterators with relations; primitives are pure functions on
immutable states; a schedule is the tuple of steps that made it, so that equality, records,
sketches and mutation all speak in steps. Extents are derived (`bounds`), never stored, and every
size may be an array for a whole population. Refused: schedule trees, stages and iterators referred
to by number.
"""

from tensorc.schedule.access import accesses, body_of, consumers, producers
from tensorc.schedule.bounds import Bounds
from tensorc.schedule.json import steps_from_json, steps_to_json
from tensorc.schedule.open import OPEN
from tensorc.schedule.replay import apply_step, initial_state, replay
from tensorc.schedule.schedule import Schedule
from tensorc.schedule.state import State

__all__ = [
    "OPEN",
    "Bounds",
    "Schedule",
    "State",
    "accesses",
    "apply_step",
    "body_of",
    "consumers",
    "initial_state",
    "producers",
    "replay",
    "steps_from_json",
    "steps_to_json",
]
