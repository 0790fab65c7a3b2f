"""The state of a function while its text is written: lines, scopes, names.

Text is a nested list of lines. Each open scope (a loop body or a branch) has a list that stands
just before it in its parent: what only depends on the parent's variables is written there, so it
is computed once; a dictionary of the parent's scope finds it again. Hoisting and common
subexpressions are one look-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from tensorc.codegen.llvm.access import Access
from tensorc.target import Target

Lines: TypeAlias = list["str | Lines"]
LoadKey: TypeAlias = tuple[object, ...]


@dataclass(slots=True)
class Scope:
    """An open loop body or branch.

    Attributes:
        lines: What is written inside.
        before: What is written just before the scope, in its parent.
        pointers: Addresses built, by base and the terms added so far.
        places: Addresses with constant offsets, with their alignment, by pointer and constant.
        accesses: What is known of loads and stores, by identity.
        integers: Index values built, by their terms.
        loads: Values loaded, by buffer name, then by position.
        values: Other values (splats), by operand.
    """

    lines: Lines
    before: Lines
    pointers: dict[tuple[object, ...], str] = field(default_factory=dict)
    places: dict[str, dict[int, str]] = field(default_factory=dict)
    accesses: dict[int, Access] = field(default_factory=dict)
    integers: dict[tuple[object, ...], str] = field(default_factory=dict)
    loads: dict[str, dict[LoadKey, str]] = field(default_factory=dict)
    values: dict[tuple[object, ...], str] = field(default_factory=dict)


@dataclass(slots=True)
class Module:
    """What the functions of one module share.

    Attributes:
        name: The entry; other functions are called after it.
        target: What the text may use.
        thread_bytes: Distance between the parts of the workspace that belong to one thread each.
        functions: Text of the bodies and tasks of parallel loops.
        declarations: External functions and intrinsics.
        outlined: How many parallel loops there were so far.
        streams: Whether any function so far stores something past the caches.
    """

    name: str
    target: Target
    thread_bytes: int
    functions: list[str] = field(default_factory=list)
    declarations: set[str] = field(default_factory=set)
    outlined: int = 0
    streams: bool = False


class Writer:
    """Writes instructions of one function."""

    __slots__ = ("block", "count", "lines", "module", "scopes")

    def __init__(self, module: Module) -> None:
        self.module = module
        self.scopes = [Scope([], [])]
        self.lines = self.scopes[0].lines
        self.count = 0
        self.block = "entry"

    def op(self, text: str) -> str:
        """Write an instruction here and return the name of its result."""
        self.count = n = self.count + 1
        self.lines.append(f"  %v{n} = {text}")
        return f"%v{n}"

    def op_at(self, level: int, text: str) -> str:
        """Write an instruction where scope `level` is current, before the scope open inside it."""
        self.count = n = self.count + 1
        scopes = self.scopes
        lines = self.lines if level == len(scopes) - 1 else scopes[level + 1].before
        lines.append(f"  %v{n} = {text}")
        return f"%v{n}"

    def emit(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {text}")

    def number(self) -> int:
        """A number that no other name of the function has."""
        self.count += 1
        return self.count

    def declare(self, text: str) -> None:
        """Have the module declare an external function or intrinsic."""
        self.module.declarations.add(f"declare {text}")

    def label(self, name: str) -> None:
        """Start a basic block."""
        self.lines.append(f"{name}:")
        self.block = name

    def open_scope(self, before: Lines) -> None:
        """Enter a scope whose hoisted text goes to `before`, a list already among the lines."""
        scope = Scope([], before)
        self.lines.append(scope.lines)
        self.scopes.append(scope)
        self.lines = scope.lines

    def close_scope(self) -> None:
        """Leave the innermost scope."""
        self.scopes.pop()
        self.lines = self.scopes[-1].lines

    def new_list(self) -> Lines:
        """A place in the text, here, that can still be written to later."""
        place: Lines = []
        self.lines.append(place)
        return place


def flatten(lines: Lines, out: list[str]) -> list[str]:
    """The lines in order."""
    for line in lines:
        if isinstance(line, str):
            out.append(line)
        else:
            flatten(line, out)
    return out
