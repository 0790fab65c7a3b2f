"""Statements of the loop IR, one closed union."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, assert_never

from tensorc.ir.affine import Affine
from tensorc.ir.expr import Expr, Var
from tensorc.ir.func import Buffer


class ForKind(Enum):
    """How the iterations of a loop are mapped."""

    SERIAL = "serial"
    PARALLEL = "parallel"
    UNROLLED = "unrolled"
    VECTORIZED = "vectorized"


@dataclass(frozen=True, slots=True)
class For:
    """Run `body` for each value of `var` in `[start, start + extent)`.

    `lets` binds further variables at each iteration, in order: the parts of a fused loop, each an
    affine (usually one `//` or `%` atom) of `var` and earlier lets.
    """

    var: str
    start: int
    extent: int
    kind: ForKind
    body: Stmt
    lets: tuple[tuple[str, Affine], ...] = ()


@dataclass(frozen=True, slots=True)
class Store:
    """Write `value` to a buffer at flat position `index`; lane `l` goes to `index + l · stride`.

    The last `dead` lanes are not written; then the others are neighbours. A store that `streams`
    goes past the caches where a backend knows how: nobody reads soon what it writes.
    """

    buffer: Buffer
    index: Affine
    value: Expr
    stride: int = 1
    dead: int = 0
    streams: bool = False


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Ask for the cache line of the element at flat position `index`, which is read later.

    It changes nothing, so the position may lie outside of the buffer.
    """

    buffer: Buffer
    index: Affine


@dataclass(frozen=True, slots=True)
class Let:
    """Bind a data variable to a value while `body` runs."""

    var: Var
    value: Expr
    body: Stmt


@dataclass(frozen=True, slots=True)
class IfThenElse:
    """Run `then` if every condition (an affine ≥ 0) holds, otherwise `orelse`."""

    conditions: tuple[Affine, ...]
    then: Stmt
    orelse: Stmt | None = None


@dataclass(frozen=True, slots=True)
class Allocate:
    """A buffer that lives, uninitialised, while `body` runs."""

    buffer: Buffer
    body: Stmt


@dataclass(frozen=True, slots=True)
class Seq:
    """Statements one after another; empty is allowed and does nothing."""

    body: tuple[Stmt, ...]


Stmt: TypeAlias = For | Store | Prefetch | Let | IfThenElse | Allocate | Seq


def sub_statements(s: Stmt) -> tuple[Stmt, ...]:
    """The direct sub-statements."""
    match s:
        case For() | Let() | Allocate():
            return (s.body,)
        case IfThenElse(_, then, orelse):
            return (then,) if orelse is None else (then, orelse)
        case Seq(body):
            return body
        case Store() | Prefetch():
            return ()
        case _:
            assert_never(s)
