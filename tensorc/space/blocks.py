"""Stages that are read by blocks, and readers that take a block as a whole.

A reader whose axis `h` goes over blocks of four reads its producer at `h % 4` and at `h // 4`: the
place in a block, and which block it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Final

from tensorc.arith.sizes import Size
from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, affine_variables, of_atom, variable
from tensorc.schedule.access import accesses
from tensorc.schedule.stage import Annotation
from tensorc.space.draft import Draft
from tensorc.space.inquiries import const_axes

# The most elements of a block, all of which are unrolled.
MOST_IN_BLOCK: Final = 64


def blocks_of(draft: Draft, stage: str) -> dict[str, int]:
    """The axes along which a stage reads others by blocks, with the length of a block.

    These others compute all of a block at once: marked axes are the place in it.
    """
    found: dict[str, int] = {}
    for producer, places in accesses(draft.state, stage).items():
        marked = const_axes(draft, producer) if producer in draft.state.stages else ()
        for place in places if marked else ():
            inside: set[Affine] = set()
            around: list[Atom] = []
            for axis, index in zip(draft.op(producer).axes, place, strict=True):
                if axis in marked:
                    inside.add(index)
                else:
                    around += (atom for atom, _ in index.terms)
            for axis, length in _whole_blocks(inside, around):
                if found.setdefault(axis, length) != length:
                    return {}
    return found if prod(found.values()) <= MOST_IN_BLOCK else {}


def _whole_blocks(inside: Iterable[Affine], around: Iterable[Atom]) -> Iterator[tuple[str, int]]:
    """The axes of which blocks are counted `around`, and the places in them `inside`."""
    for atom in dict.fromkeys(around):
        match atom:
            case FloorDiv(affine, int() as length):
                axes = tuple(affine_variables(affine))
                if len(axes) != 1 or affine != variable(axes[0]):
                    continue
                if of_atom(FloorMod(affine, length)) in inside:
                    yield axes[0], length


def computed_once(draft: Draft, stage: str, reader: str) -> bool:
    """Whether a step of the reader's loops reads its own elements of a stage, and all it needs.

    A step takes all values of the reader's unrolled loops. These, and nothing else, have to decide
    where along the marked axes of `stage` it reads; every other loop has to move on to elements
    that no other step reads.
    """
    marked, places = const_axes(draft, stage), accesses(draft.state, reader)[stage]
    inside = _unrolled_axes(draft, reader)
    blocks = blocks_of(draft, reader)
    others: set[tuple[Affine, ...]] = set()
    for place in places:
        named = list(zip(draft.op(stage).axes, place, strict=True))
        if any(not inside.issuperset(affine_variables(i)) for a, i in named if a in marked):
            return False
        others.add(tuple(index for axis, index in named if axis not in marked))
    if len(others) != 1:
        return False
    steps = {
        axis: _steps(extent, blocks.get(axis, 1))
        for axis, extent in draft.op(reader).extents().items()
        if axis not in inside or axis in blocks
    }
    (place,) = others
    return _moves_apart(place, steps, blocks)


def _unrolled_axes(draft: Draft, stage: str) -> set[str]:
    """The axes of the loops that rules have unrolled."""
    loops = draft.stage(stage).iterators
    return {i.name.split(".")[0] for i in loops if i.annotation is Annotation.UNROLL}


def _steps(extent: Size, length: int) -> int | None:
    return -(-extent // length) if isinstance(extent, int) else None


def _moves_apart(
    place: tuple[Affine, ...], steps: Mapping[str, int | None], blocks: Mapping[str, int]
) -> bool:
    """Whether every step of all these axes has a place of its own."""
    seen: set[str] = set()
    for index in place:
        reach = 0
        terms = sorted(index.terms, key=lambda term: abs(int(term[1])))
        for atom, c in terms:
            axis = _walked(atom, blocks)
            count = None if axis is None else steps.get(axis)
            if axis is None or count is None or axis in seen:
                return False
            if count > 1 and abs(int(c)) <= reach:
                return False
            reach += abs(int(c)) * (count - 1)
            seen.add(axis)
    return all(axis in seen for axis, count in steps.items() if count != 1)


def _walked(atom: Atom, blocks: Mapping[str, int]) -> str | None:
    """The axis that an atom follows, step by step; None if it does anything else."""
    match atom:
        case str():
            return None if atom in blocks else atom
        case FloorDiv(affine, length):
            axes = tuple(affine_variables(affine))
            plain = len(axes) == 1 and affine == variable(axes[0])
            return axes[0] if plain and blocks.get(axes[0]) == length else None
        case _:
            return None
