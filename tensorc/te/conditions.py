"""Conditions of te programs as trees: what is affine in the axes apart from what looks at data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from tensorc.ir.affine import Affine
from tensorc.te import expr as te
from tensorc.te.scope import negated


@dataclass(frozen=True, slots=True)
class Holds:
    """Every affine is ≥ 0; true if there is none."""

    conditions: tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class Fails:
    """Some affine is negative."""

    conditions: tuple[Affine, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A bool that depends on data has the value `expected`."""

    value: te.Expr
    expected: bool


@dataclass(frozen=True, slots=True, eq=False)
class Every:
    """All parts are true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Some:
    """At least one part is true."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Holds | Fails | Data | Every | Some

TRUE = Holds(())
FALSE = Fails(())


def negation(condition: Condition) -> Condition:
    """The condition that is true where this one is not."""
    match condition:
        case Holds((only,)):
            return Holds((negated(only),))
        case Holds(conditions):
            return Fails(conditions)
        case Fails(conditions):
            return Holds(conditions)
        case Data(value, expected):
            return Data(value, not expected)
        case Every(parts):
            return Some(tuple(map(negation, parts)))
        case Some(parts):
            return Every(tuple(map(negation, parts)))
        case _:
            assert_never(condition)


def depends_on_data(condition: Condition) -> bool:
    """Whether data is looked at."""
    match condition:
        case Holds() | Fails():
            return False
        case Data():
            return True
        case Every(parts) | Some(parts):
            return any(map(depends_on_data, parts))
        case _:
            assert_never(condition)


def conjunction(
    parts: tuple[Condition, ...],
) -> tuple[tuple[Affine, ...], list[Data], list[Condition]]:
    """All parts at once: the affine conditions, the tests of data, and whatever is neither."""
    affine: list[Affine] = []
    data: list[Data] = []
    others: list[Condition] = []
    for part in parts:
        match part:
            case Holds(conditions):
                affine += conditions
            case Data():
                data.append(part)
            case Every(inner):
                more = conjunction(inner)
                affine += more[0]
                data += more[1]
                others += more[2]
            case _:
                others.append(part)
    return tuple(affine), data, others
