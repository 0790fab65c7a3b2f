"""Which part of a producer is needed under a loop: a start that may vary, a constant extent."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from tensorc.arith.affine import Env, divmod_affine, interval
from tensorc.ir.affine import (
    ZERO,
    Affine,
    Atom,
    FloorDiv,
    FloorMod,
    Opaque,
    affine_variables,
    of_atom,
)


@dataclass(frozen=True, slots=True)
class Span:
    """The indices `start … start + extent - 1`."""

    start: Affine
    extent: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is fixed at a place: the `outer` variables; all others run over `env`.

    `definitions` are let variables: where one is not fixed but depends on an outer variable, its
    definition says more than its range.
    """

    outer: Container[str]
    env: Env
    definitions: Mapping[str, Affine]


def relax(a: Affine, around: Surroundings) -> Span:
    """The values an affine takes while all variables but the outer ones run."""
    start, extent = Affine(a.const), 1
    for atom, c in a.terms:
        span = _relax_atom(atom, around)
        first = span.start if c >= 0 else span.start + (span.extent - 1)
        start = start + first * c
        extent += abs(c) * (span.extent - 1)
    return Span(start, max(extent, 0))


def _relax_atom(atom: Atom, around: Surroundings) -> Span:
    match atom:
        case str():
            if atom in around.outer:
                return Span(of_atom(atom), 1)
            definition = around.definitions.get(atom)
            if definition is not None and any(
                v in around.outer for v in affine_variables(definition)
            ):
                return relax(definition, around)
            low, high = around.env[atom]
            return Span(Affine(low), high - low + 1)
        case FloorDiv(inner, divisor):
            span = relax(inner, around)
            start, rest = divmod_affine(span.start, divisor, around.env)
            high = interval(rest, around.env)[1]
            return Span(start, (high + span.extent - 1) // divisor + 1)
        case FloorMod(inner, divisor):
            span = relax(inner, around)
            rest = divmod_affine(span.start, divisor, around.env)[1]
            if interval(rest, around.env)[1] + span.extent <= divisor:
                return Span(rest, span.extent)
            return Span(ZERO, divisor)
        case Opaque(_, low, high):
            return Span(Affine(low), high - low + 1)
        case _:
            assert_never(atom)


def hull(spans: Iterable[Span], size: int) -> Span:
    """The smallest span over all; the whole dimension if starts differ by no constant."""
    found: Span | None = None
    for span in spans:
        if found is None or span == found:
            found = span
            continue
        gap = span.start - found.start
        if gap.terms:
            return Span(ZERO, size)
        end = max(found.extent, gap.const + span.extent)
        found = Span(span.start, end - gap.const) if gap.const < 0 else Span(found.start, end)
    return Span(ZERO, size) if found is None else found


def clip(span: Span, size: int, env: Env) -> Span:
    """The part of a span that may lie in `[0, size)`; all of the dimension if it is that long."""
    low, high = interval(span.start, env)
    if low == high:
        start = max(low, 0)
        return Span(Affine(start), max(min(low + span.extent, size) - start, 0))
    if span.extent >= size:
        return Span(ZERO, size)
    # Wherever it starts, nothing past the end is wanted.
    return Span(span.start, min(span.extent, max(size - low, 0)))
