"""Expected texts in plain files, so that a reader sees before and after together.

A file holds cases; each has a name, and the text before and after:

    -- split_by_a_factor
    for i in serial(8):
        A[i] = 0.0
    ->
    for i0 in serial(2):
        for i1 in serial(4):
            A[4*i0 + i1] = 0.0

A test checks `golden.check(name, before, after)`, or `golden.check(name, after=text)` where there
is nothing before. `pytest --update-golden` (without `-n`) writes what came into the file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class GoldenFile:
    """The cases of one file, read when asked for, written back when changed."""

    path: Path
    update: bool = False
    changed: dict[str, str] = field(default_factory=dict)

    def check(self, name: str, before: str = "", after: str = "") -> None:
        """Compare both texts with case `name`; with `--update-golden`, make them the case."""
        came = _case(before, after)
        expected = read_cases(self.path).get(name)
        if self.update:
            self.changed[name] = came
            return
        assert expected is not None, f"No case '{name}' in {self.path}: run pytest --update-golden."
        assert came == expected, f"Case '{name}' of {self.path.name} differs."

    def save(self) -> None:
        """Write the changed cases, in place."""
        if not self.changed:
            return
        cases = read_cases(self.path) | self.changed
        text = "\n".join(f"-- {name}\n{body}" for name, body in cases.items())
        new = self.path.with_suffix(f".{os.getpid()}")
        new.write_text(text)
        new.replace(self.path)


def read_cases(path: Path) -> dict[str, str]:
    """Return the text below each `-- name` of a file; empty where there is no file."""
    if not path.exists():
        return {}
    parts = re.split(r"^-- (.+)\n", path.read_text(), flags=re.MULTILINE)
    return {name: f"{body.strip()}\n" for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _case(before: str, after: str) -> str:
    texts = [before.strip("\n"), "->", after.strip("\n")] if before else [after.strip("\n")]
    return "\n".join(texts).strip() + "\n"
