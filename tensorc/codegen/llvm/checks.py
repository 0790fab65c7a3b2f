"""Checks of optimised modules and of assembly text."""

from __future__ import annotations

import re

_LOCAL = re.compile(r"^\s+%\"?local\.(\w+)\.\d+[\w.]*\"? = alloca", re.MULTILINE)
# With an index register it is an element of a stack buffer.
_SPILL = re.compile(r"%[xyz]mm\d+.*\(%rsp\)|\(%rsp\).*%[xyz]mm\d+")


def surviving_locals(module: str) -> tuple[str, ...]:
    """Names of the register tiles that are still in memory in the text of an optimised module.

    There is one cause: an index that was not constant once loops were unrolled.
    """
    return tuple(dict.fromkeys(_LOCAL.findall(module)))


def count_spills(assembly: str) -> int:
    """How many instructions access a fixed place of the x86 stack frame with a vector register."""
    return sum(1 for line in assembly.splitlines() if _SPILL.search(line))
