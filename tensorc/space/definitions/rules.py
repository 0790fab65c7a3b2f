"""The definition rules that a search tries unless it is given others."""

from __future__ import annotations

from typing import Final

from tensorc.space.definitions.definition import DefinitionRule
from tensorc.space.definitions.one_pass import OnePass
from tensorc.space.definitions.winograd import Winograd

DEFINITION_RULES: Final[tuple[DefinitionRule, ...]] = (OnePass(), Winograd(2), Winograd(4))
