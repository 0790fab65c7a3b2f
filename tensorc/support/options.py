"""Every environment variable of tensorc, in one table.

A variable is read each time its value is needed, so a test or a notebook may change it on the way.

    >>> import os
    >>> os.environ["TENSORC_DEBUG"] = "2"
    >>> DEBUG.get()
    2
    >>> del os.environ["TENSORC_DEBUG"]
    >>> DEBUG.get()
    0
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tensorc.support.errors import OptionError

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Option(Generic[T_co]):
    """One environment variable.

    Attributes:
        name: The variable, with its prefix.
        meaning: What it does, in one sentence.
        expected: What a value looks like.
        parse: Text to value; a `ValueError` says that the text is no such value.
        default: Makes the value where the variable is unset or empty.
    """

    name: str
    meaning: str
    expected: str
    parse: Callable[[str], T_co]
    default: Callable[[], T_co]

    def get(self) -> T_co:
        """Return the value as the environment has it now.

        Raises:
            OptionError: The variable holds something else than `expected`.
        """
        text = os.environ.get(self.name, "").strip()
        if not text:
            return self.default()
        try:
            return self.parse(text)
        except ValueError:
            raise OptionError(
                f"Bad value of the environment variable '{self.name}': "
                f"expected {self.expected}, got '{text}'."
            ) from None


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def _switch(text: str) -> bool:
    return _integer(0, 1)(text) == 1


def _directory(text: str) -> Path:
    return Path(text).expanduser()


def _default_cache() -> Path:
    return _directory(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tensorc"


DEBUG = Option(
    name="TENSORC_DEBUG",
    meaning="How much to print to stderr: 0 nothing, 1 the stages, 2 also the IR, 3 also sources.",
    expected="a number from 0 to 3",
    parse=_integer(0, 3),
    default=lambda: 0,
)
DUMP_IR: Option[Path | None] = Option(
    name="TENSORC_DUMP_IR",
    meaning="A directory that receives the IR after each pass.",
    expected="a directory",
    parse=_directory,
    default=lambda: None,
)
VERIFY = Option(
    name="TENSORC_VERIFY",
    meaning="Whether to check the IR after each pass.",
    expected="'0' or '1'",
    parse=_switch,
    default=lambda: False,
)
CACHE_DIR = Option(
    name="TENSORC_CACHE_DIR",
    meaning="Where compiled libraries and figures of the machine are kept between runs.",
    expected="a directory",
    parse=_directory,
    default=_default_cache,
)
NUM_THREADS: Option[int | None] = Option(
    name="TENSORC_NUM_THREADS",
    meaning="How many threads a parallel kernel uses; unset, one for each core it may use.",
    expected="a number from 1 to 4096",
    parse=_integer(1, 4096),
    default=lambda: None,
)

OPTIONS: tuple[Option[object], ...] = (DEBUG, DUMP_IR, VERIFY, CACHE_DIR, NUM_THREADS)
