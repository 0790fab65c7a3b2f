"""Names: turn any text into an identifier, and find one that is free."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container
from itertools import count


def identifier(text: str, *, reserved: Container[str] = ()) -> str:
    """Return `text` as a name that Python and C accept.

    Every other character becomes `_`; a word of Python or in `reserved` gets a `_` behind it.
    Different texts may meet in one name: see `fresh`.

        >>> identifier("C.local"), identifier("i.0@j.0"), identifier("2d"), identifier("lambda")
        ('C_local', 'i_0_j_0', '_2d', 'lambda_')
    """
    name = re.sub(r"[^0-9A-Za-z_]", "_", text) or "_"
    if name[0].isdigit():
        name = f"_{name}"
    if keyword.iskeyword(name) or name in reserved:
        name = f"{name}_"
    return name


def fresh(name: str, taken: Container[str]) -> str:
    """Return `name`, or the first of `name_1`, `name_2`, … that is not in `taken`.

    >>> fresh("i", {"i", "i_1"})
    'i_2'
    """
    if name not in taken:
        return name
    return next(f"{name}_{n}" for n in count(1) if f"{name}_{n}" not in taken)
