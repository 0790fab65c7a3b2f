"""Questions about expressions that decide how they may be evaluated."""

from __future__ import annotations

from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.expr import Call, Expr, Index, Load, Select, children

# Functions of a few instructions; a branch costs more.
_CHEAP = frozenset(
    ("abs", "floor", "ceil", "round", "trunc", "sqrt", "not", "bitwise_not", "copysign")
)
_LIMIT = 12


def has_opaque(a: Affine) -> bool:
    """Whether the value of an affine depends on data."""
    return any(_is_opaque(atom) for atom, _ in a.terms)


def _is_opaque(atom: Atom) -> bool:
    if isinstance(atom, FloorDiv | FloorMod):
        return has_opaque(atom.affine)
    return isinstance(atom, Opaque)


def loads_opaquely(e: Expr) -> bool:
    """Whether an expression reads memory at a place that depends on data."""
    if isinstance(e, Load) and has_opaque(e.index):
        return True
    return any(map(loads_opaquely, children(e)))


def is_safe(e: Expr) -> bool:
    """Whether evaluating an expression for nothing is cheap and cannot fault."""
    return _cost(e) <= _LIMIT


def _cost(e: Expr) -> int:
    match e:
        case Load(buffer):
            return 1 if buffer.scope == "local" else _LIMIT + 1
        case Index(affine) if has_opaque(affine):
            return _LIMIT + 1
        case Select(conditions) if any(map(has_opaque, conditions)):
            return _LIMIT + 1
        case Call(function) if function not in _CHEAP:
            return _LIMIT + 1
        case _:
            return 1 + sum(map(_cost, children(e)))
