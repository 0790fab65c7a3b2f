"""Checks of optimised modules and of assembly text."""

from __future__ import annotations

import re

_LOCAL = re.compile(r"^\s+%\"?local\.(\w+)\.\d+[\w.]*\"? = alloca", re.MULTILINE)
_SPILL = re.compile(r"%[xyz]mm\d+.*\d*\(%rsp\)|\d*\(%rsp\).*%[xyz]mm\d+")


def surviving_locals(module: str) -> tuple[str, ...]:
    """Names of the register tiles that are still in memory in the text of an optimised module.

    There is one cause: an index that was not constant once loops were unrolled.
    """
    return tuple(dict.fromkeys(_LOCAL.findall(module)))


def count_spills(assembly: str) -> int:
    """How many instructions move vector registers to or from the stack pointer's frame."""
    return sum(1 for line in assembly.splitlines() if _SPILL.search(line))
