"""Loop IR as text, which is valid Python.

`tensorc.ir.parser` reads it back to an equal function, and `tensorc.codegen.python` runs it.

    @prim_func(outputs=('C',))
    def kernel(A: buffer((64,), 'float32'), C: buffer((64,), 'float32')):
        for i in parallel(0, 8):
            C[ramp(8*i, 8)] = A[ramp(8*i, 8)] * broadcast(2.0, 8)

A bare `2.0` is a float32 and a bare `2` an int32; other literals say their type, as in `int8(2)`.
`ramp(first, lanes, stride)` stands for a vector of positions, `index(…)` for the value of an index;
of `ramp(0, 16, dead=1)` the last position is left alone.
`x if 7 - i >= 0 else y` is a select on indices, `where(c, x, y)` one on data; a side of `where`
that must not be evaluated unless chosen is written `lambda: x`. `opaque(e, low, high)` is an
integer that is not affine. `with seq():` and `with scope():` group statements.
`prefetch(A, 8*i + 64)` asks for a cache line, `stream(C, ramp(8*i, 8), …)` is a store past the
caches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, assert_never

from tensorc.ir.affine import Affine, Atom, FloorDiv, FloorMod, Opaque
from tensorc.ir.dtype import ALL_DTYPES, BOOL, FLOAT32, INT32
from tensorc.ir.expr import (
    COMPARISONS,
    BinaryOp,
    Broadcast,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Load,
    Read,
    Select,
    Var,
    Where,
    lanes_of,
)
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, For, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.ir.visit import expr_affines, opaque_values, walk_expr

# How tightly Python's operators bind, from `if … else` up to subscripts and calls.
_CONDITIONAL, _COMPARISON, _SUM, _PRODUCT, _NEGATION, _ATOM = 0, 4, 9, 10, 11, 14
_PRECEDENCE: Final = {
    **dict.fromkeys(COMPARISONS, _COMPARISON),
    "|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8,
    "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT,
}  # fmt: skip
# Operators and functions that Python has no operator for, or one with another meaning on vectors.
_SPELLED: Final = {"and": "logical_and", "or": "logical_or", "not": "logical_not"}

# Names that mean something in the text, so that no buffer or variable may have them.
RESERVED: Final[frozenset[str]] = frozenset(
    (
        "prim_func", "buffer", "allocate", "serial", "parallel", "unrolled", "vectorized", "seq",
        "scope", "prefetch", "stream", "ramp", "broadcast", "index", "opaque", "where", "inf",
        "nan", "min", "max", "truncdiv", "truncmod", "logical_and", "logical_or", "logical_not",
        "bitwise_not",
        "exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "sqrt", "rsqrt", "tanh",
        "sigmoid", "erf", "sin", "cos", "tan", "atan", "sinh", "cosh", "floor", "ceil", "round",
        "trunc", "abs", "isnan", "isinf", "isfinite", "popcount", "pow", "atan2", "fmod",
        "copysign", *(d.name for d in ALL_DTYPES),
    )
)  # fmt: skip


def print_func(f: PrimFunc) -> str:
    """The text of a function."""
    return Printer().func(f)


def print_stmt(s: Stmt, indent: int = 0) -> str:
    """The text of a statement, each line indented by so many levels."""
    return "".join(f"{'    ' * indent}{line}\n" for line in Printer().block(s))


def print_expr(e: Expr) -> str:
    """The text of an expression."""
    return Printer().expr(e)


def print_affine(a: Affine) -> str:
    """The text of an affine, terms in their order and the constant last: `6*i + j - 1`."""
    return Printer().affine(a)


def spell_const(e: Const) -> str:
    """A literal: bare if it is a bool, a float32 or an int32, else inside its type."""
    bare = _number(e)
    return bare if e.dtype in (BOOL, FLOAT32, INT32) else f"{e.dtype}({bare})"


def _number(e: Const) -> str:
    if e.dtype == BOOL:
        return str(bool(e.value))
    if not e.dtype.is_float:
        return str(int(e.value))
    value = float(e.value)
    return repr(value) if math.isfinite(value) else f"{value}"


@dataclass(frozen=True, slots=True)
class Printer:
    """A way to print; `const` spells literals."""

    const: Callable[[Const], str] = spell_const

    def func(self, f: PrimFunc) -> str:
        """The text of a function."""
        facts = [f"outputs={f.outputs!r}"]
        if f.workspace_bytes:
            facts.append(f"workspace_bytes={f.workspace_bytes}")
        if f.thread_workspace_bytes:
            facts.append(f"thread_workspace_bytes={f.thread_workspace_bytes}")
        if f.offsets:
            facts.append(f"offsets={f.offsets!r}")
        params = ", ".join(_parameter(p) for p in f.params)
        body = "".join(f"    {line}\n" for line in self.block(f.body))
        return f"@prim_func({', '.join(facts)})\ndef {f.name}({params}):\n{body}"

    def block(self, s: Stmt) -> Iterator[str]:
        """The lines of a statement that is alone in its block."""
        match s:
            case Seq(parts) if len(parts) != 1:
                yield from self._parts(parts)
            case _:
                yield from self._part(s, last=True)

    def _parts(self, parts: tuple[Stmt, ...]) -> Iterator[str]:
        if not parts:
            yield "pass"
        for position, part in enumerate(parts):
            yield from self._part(part, last=position == len(parts) - 1)

    def _part(self, s: Stmt, *, last: bool) -> Iterator[str]:
        match s:
            case Seq(parts):
                yield "with seq():"
                yield from _indented(self._parts(parts))
            case Let() | Allocate() if not last:
                yield "with scope():"
                yield from _indented(self.block(s))
            case Let(var, value, body):
                lanes = f"[{var.lanes}]" if var.lanes > 1 else ""
                yield f"{var.name}: {var.dtype}{lanes} = {self.expr(value)}"
                yield from self.block(body)
            case Allocate(buffer, body):
                shape, scope = buffer.shape, buffer.scope
                yield f"{buffer.name} = allocate({shape!r}, '{buffer.dtype}', '{scope}')"
                yield from self.block(body)
            case For():
                yield f"for {s.var} in {s.kind.value}({s.start}, {s.start + s.extent}):"
                for name, a in s.lets:
                    yield f"    {name} = {self.affine(a)}"
                yield from _indented(self.block(s.body))
            case IfThenElse(conditions, then, orelse):
                yield f"if {self.conditions(conditions)}:"
                yield from _indented(self.block(then))
                if orelse is not None:
                    yield "else:"
                    yield from _indented(self.block(orelse))
            case Store():
                yield self._store(s)
            case Prefetch(buffer, index):
                yield f"prefetch({buffer.name}, {self.affine(index)})"
            case _:
                assert_never(s)

    def _store(self, s: Store) -> str:
        name, value = s.buffer.name, self.expr(s.value)
        position = self.position(s.index, lanes_of(s.value), s.stride, s.dead)
        return (
            f"stream({name}, {position}, {value})" if s.streams else f"{name}[{position}] = {value}"
        )

    def expr(self, e: Expr, outer: int = _CONDITIONAL) -> str:
        """The text of an expression, in parentheses where `outer` binds tighter than it does."""
        match e:
            case BinaryOp(op) if op in _PRECEDENCE:
                mine = _PRECEDENCE[op]
                # Python chains comparisons: `a < b < c` would not be `(a < b) < c`.
                left = self.expr(e.a, mine + (op in COMPARISONS))
                text = f"{left} {op} {self.expr(e.b, mine + 1)}"
            case Select(conditions, a, b):
                mine = _CONDITIONAL
                condition = self.conditions(conditions)
                text = f"{self.expr(a, mine + 1)} if {condition} else {self.expr(b)}"
            case Const():
                text = self.const(e)
                mine = _NEGATION if text.startswith("-") else _ATOM
            case _:
                return self._primary(e)
        return f"({text})" if mine < outer else text

    def _primary(self, e: Any) -> str:
        match e:
            case Var(name):
                return name
            case Load(buffer, index, lanes, stride, dead):
                return f"{buffer.name}[{self.position(index, lanes, stride, dead)}]"
            case Read(op, indices, _, output):
                name = f"{op}.v{output}" if output else op
                return f"{name}[{', '.join(map(self.affine, indices))}]"
            case Index(affine, dtype, lanes, stride):
                plain = lanes == 1 and stride == 0
                position = self.affine(affine) if plain else self.ramp(affine, lanes, stride)
                return f"index({position})" if dtype == INT32 else f"index({position}, '{dtype}')"
            case Cast(Const() as value, dtype):
                return f"{dtype}({self._typed_const(value)})"
            case Cast(value, dtype):
                return f"{dtype}({self.expr(value)})"
            case Broadcast(value, lanes):
                return f"broadcast({self.expr(value)}, {lanes})"
            case Where(condition, a, b):
                sides = f"{self._side(a)}, {self._side(b)}"
                return f"where({self.expr(condition)}, {sides})"
            case Call(function, args):
                return self._call(_SPELLED.get(function, function), args)
            case BinaryOp(op, a, b):
                return self._call(_SPELLED.get(op, op), (a, b))
            case _:
                raise AssertionError(f"no expression: {e!r}")

    def _call(self, name: str, args: tuple[Expr, ...]) -> str:
        return f"{name}({', '.join(map(self.expr, args))})"

    def _typed_const(self, e: Const) -> str:
        # `float64(2.0)` is a literal, so the cast of a bare literal has to show both types.
        text = self.const(e)
        return f"{e.dtype}({text})" if text == _number(e) else text

    def _side(self, e: Expr) -> str:
        return f"lambda: {self.expr(e)}" if has_opaque_load(e) else self.expr(e)

    def position(self, index: Affine, lanes: int, stride: int, dead: int) -> str:
        """The position in a buffer of a load or a store."""
        plain = lanes == 1 and stride == 1 and not dead
        return self.affine(index) if plain else self.ramp(index, lanes, stride, dead)

    def ramp(self, first: Affine, lanes: int, stride: int, dead: int = 0) -> str:
        """The positions of a vector."""
        step = "" if stride == 1 else f", {stride}"
        rest = f", dead={dead}" if dead else ""
        return f"ramp({self.affine(first)}, {lanes}{step}{rest})"

    def conditions(self, conditions: tuple[Affine, ...]) -> str:
        """A conjunction of affines that must be at least 0."""
        return " and ".join(f"{self.affine(a)} >= 0" for a in conditions) or "True"

    def affine(self, a: Affine) -> str:
        """The text of an affine; a positive constant leads where the first term is negative."""
        parts = [(c, self._product(atom, c, alone=len(a.terms) == 1)) for atom, c in a.terms]
        const = (a.const, str(abs(a.const)))
        if not parts:
            parts = [const]
        elif not isinstance(a.const, int) or a.const:
            first = isinstance(a.const, int) and a.const > 0 and _is_negative(parts[0][0])
            parts.insert(0 if first else len(parts), const)
        head, *rest = parts
        text = "-" + head[1] if _is_negative(head[0]) else head[1]
        return text + "".join(f" - {x}" if _is_negative(c) else f" + {x}" for c, x in rest)

    def _product(self, atom: Atom, c: Any, *, alone: bool) -> str:
        if isinstance(c, int) and abs(c) == 1:
            return self.atom(atom, alone=alone and c == 1)
        return f"{abs(c) if isinstance(c, int) else c}*{self.atom(atom)}"

    def atom(self, atom: Atom, *, alone: bool = False) -> str:
        """The text of an atom, with what parentheses it needs as an operand."""
        match atom:
            case str():
                return atom
            case FloorDiv(inner, divisor):
                text = f"{self._operand(inner)}//{divisor}"
            case FloorMod(inner, divisor):
                text = f"{self._operand(inner)}%{divisor}"
            case Opaque(value, low, high):
                return f"opaque({self.expr(value)}, {low}, {high})"
            case _:
                assert_never(atom)
        return text if alone else f"({text})"

    def _operand(self, a: Affine) -> str:
        match a:
            case Affine(0, ((str(name), 1),)):
                return name
            case _:
                return f"({self.affine(a)})"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _is_negative(c: Any) -> bool:
    return isinstance(c, int) and c < 0


def _parameter(p: Buffer) -> str:
    scope = "" if p.scope == "global" else f", '{p.scope}'"
    return f"{p.name}: buffer({p.shape!r}, '{p.dtype}'{scope})"


def has_opaque_load(e: Expr) -> bool:
    """Whether an expression loads or reads at a data-dependent position."""
    return any(
        isinstance(x, (Load, Read)) and any(True for a in expr_affines(x) for _ in opaque_values(a))
        for x in walk_expr(e)
    )
