"""The size that is not chosen yet, for sketches.

While a sketch is being generated its decision columns have no values. `OPEN` stands in their
place: arithmetic on it is open too, and the functions of `arith.sizes` pass it on, so that states,
DAGs and extents can be built and printed before anything is decided.
"""

from __future__ import annotations

from typing import Any, Final


class Open:
    """An undecided size; order comparisons with it hold, equality is identity."""

    __slots__ = ()

    def _open(self, *_: object) -> Open:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _open
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _open
    __neg__ = __abs__ = _open

    def _holds(self, _: object) -> bool:
        return True

    __lt__ = __le__ = __gt__ = __ge__ = _holds

    def __array_ufunc__(self, *_: object, **__: object) -> Open:
        """NumPy's `minimum`, `maximum` … of an open size are open."""
        return self

    def __array_function__(self, *_: object, **__: object) -> Open:
        """NumPy's `where` with an open choice is open."""
        return self

    def __repr__(self) -> str:
        return "?"


OPEN: Final[Any] = Open()
