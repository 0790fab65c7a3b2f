"""The rules of the loop IR, as code.

* Names are identifiers, none of them a word of the text form. Variables, buffers and data values
  in scope at one place have different names; sibling scopes may reuse them.
* Every variable, buffer and value is bound where it is used, and used as it was declared.
* Both operands of an operator have one dtype and as many lanes; conditions and indices are scalar.
* Loops have extents of at least 1, and no parallel loop is inside another.
* A store has the dtype of its buffer. `Read` belongs to te and does not occur.
* Only vectors of neighbours have dead lanes, and not all of them are.
* Cache lines are asked for and stores stream in parameters only.
* Parameters are `global` buffers and nothing else is; outputs are parameters, and only they are
  stored to. Every workspace buffer has an offset, a multiple of 64, within the workspace.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from tensorc.ir.affine import Affine, FloorDiv, FloorMod, Opaque
from tensorc.ir.dtype import BOOL, DType
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
    dtype_of,
    lanes_of,
)
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.printer import RESERVED, print_affine, print_expr
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.support.errors import VerifyError

_FLOAT_ONLY = frozenset(
    (
        "exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "sqrt", "rsqrt", "tanh",
        "sigmoid", "erf", "sin", "cos", "tan", "atan", "sinh", "cosh", "floor", "ceil", "round",
        "trunc", "isnan", "isinf", "isfinite", "pow", "atan2", "fmod", "copysign", "/",
    )
)  # fmt: skip
_INTEGER_ONLY = frozenset(("<<", ">>", "popcount"))
_INTEGER_OR_BOOL = frozenset(("&", "|", "^", "bitwise_not"))
_BOOL_ONLY = frozenset(("and", "or", "not"))
_NUMBERS_ONLY = frozenset(("+", "-", "*", "//", "%", "truncdiv", "truncmod", "abs"))
_BINARY_FUNCTIONS = frozenset(("pow", "atan2", "fmod", "copysign"))


def verify(func: PrimFunc, *, planned: bool = True) -> None:
    """Check a function against the rules above.

    Args:
        func: The function.
        planned: Whether its workspace has been laid out.

    Raises:
        VerifyError: names the first offender.
    """
    names = [p.name for p in func.params]
    for name in (func.name, *names):
        _check_name(name)
    for name in names:
        if names.count(name) > 1:
            raise VerifyError(f"Expected parameters of different names, got '{name}' twice.")
    for p in func.params:
        _check_parameter(p)
    for output in func.outputs:
        if output not in names:
            raise VerifyError(f"Expected outputs among the parameters, got '{output}'.")
    scope = _Scope(func, {p.name: p for p in func.params}, planned)
    scope.stmt(func.body)


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise VerifyError(f"Expected an identifier as a name, got '{name}'.")
    if name in RESERVED:
        raise VerifyError(f"Expected a name that is no word of the IR's text, got '{name}'.")


def _check_parameter(p: Buffer) -> None:
    if p.scope != "global":
        raise VerifyError(f"Expected parameter '{p.name}' in scope 'global', got '{p.scope}'.")
    _check_shape(p)


def _check_shape(buffer: Buffer) -> None:
    if min(buffer.shape, default=0) < 0:
        raise VerifyError(f"Expected sizes of at least 0 for '{buffer.name}', got {buffer.shape}.")


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the names in scope mean: a buffer, a data value, or None for an index variable."""

    func: PrimFunc
    names: dict[str, Buffer | Var | None]
    planned: bool
    in_parallel: bool = False

    def bind(self, name: str, meaning: Buffer | Var | None) -> _Scope:
        _check_name(name)
        if name in self.names:
            raise VerifyError(f"Expected no two things named '{name}' in one scope.")
        return replace(self, names={**self.names, name: meaning})

    # ---- statements

    def stmt(self, s: Stmt) -> None:
        match s:
            case For():
                self.loop(s)
            case Store():
                self.store(s)
            case Prefetch(buffer, index):
                self.known(buffer)
                self.affine(index)
                self.parameter(buffer, "a cache line")
            case Let(var, value, body):
                self.expr(value)
                self.same(value, var, value)
                self.bind(var.name, var).stmt(body)
            case IfThenElse(conditions, then, orelse):
                self.affines(conditions)
                self.stmt(then)
                if orelse is not None:
                    self.stmt(orelse)
            case Allocate(buffer, body):
                self.allocation(buffer)
                self.bind(buffer.name, buffer).stmt(body)
            case Seq(parts):
                for part in parts:
                    self.stmt(part)
            case _:
                assert_never(s)

    def loop(self, s: For) -> None:
        if s.extent < 1:
            raise VerifyError(f"Expected loop '{s.var}' of constant extent ≥ 1, got {s.extent}.")
        parallel = s.kind is ForKind.PARALLEL
        if parallel and self.in_parallel:
            raise VerifyError(f"Expected no parallel loop inside another, got '{s.var}'.")
        inner = replace(self.bind(s.var, None), in_parallel=self.in_parallel or parallel)
        for name, a in s.lets:
            inner.affine(a)
            inner = inner.bind(name, None)
        inner.stmt(s.body)

    def store(self, s: Store) -> None:
        self.known(s.buffer)
        self.affine(s.index)
        self.expr(s.value)
        self.lanes(s.buffer, lanes_of(s.value), s.stride, s.dead)
        if dtype_of(s.value) != s.buffer.dtype:
            raise VerifyError(
                f"Expected a store to '{s.buffer.name}' of dtype '{s.buffer.dtype}', "
                f"got '{dtype_of(s.value)}' from '{print_expr(s.value)}'."
            )
        if s.streams:
            self.parameter(s.buffer, "a store past the caches")
        if s.buffer.scope == "global" and s.buffer.name not in self.func.outputs:
            raise VerifyError(f"Expected stores to outputs only, got one to '{s.buffer.name}'.")

    def allocation(self, buffer: Buffer) -> None:
        _check_shape(buffer)
        if buffer.scope == "global":
            raise VerifyError(f"Expected '{buffer.name}' allocated in another scope than 'global'.")
        if buffer.scope != "workspace" or not self.planned:
            return
        func = self.func
        size = func.thread_workspace_bytes if self.in_parallel else func.workspace_bytes
        offset = dict(func.offsets).get(buffer.name)
        if offset is None or offset % 64 or not 0 <= offset <= size - buffer.nbytes:
            raise VerifyError(
                f"Expected an offset for '{buffer.name}' that is a multiple of 64 and leaves "
                f"{buffer.nbytes} of {size} bytes of workspace, got {offset}."
            )

    def lanes(self, buffer: Buffer, lanes: int, stride: int, dead: int) -> None:
        """Check how many elements a load or a store touches."""
        if lanes < 1:
            raise VerifyError(f"Expected at least 1 lane of '{buffer.name}', got {lanes}.")
        if not 0 <= dead < lanes:
            raise VerifyError(
                f"Expected fewer dead lanes of '{buffer.name}' than its {lanes} lanes, got {dead}."
            )
        if dead and stride != 1:
            raise VerifyError(
                f"Expected neighbours of '{buffer.name}' where lanes are dead, got stride {stride}."
            )

    def parameter(self, buffer: Buffer, what: str) -> None:
        if buffer.scope != "global":
            raise VerifyError(f"Expected {what} of a parameter only, got one of '{buffer.name}'.")

    def known(self, buffer: Buffer) -> None:
        if self.names.get(buffer.name) != buffer:
            raise VerifyError(f"Expected buffer '{buffer.name}' in scope, as it was declared.")

    # ---- indices

    def affines(self, items: Iterable[Affine]) -> None:
        for a in items:
            self.affine(a)

    def affine(self, a: Affine) -> None:
        if not isinstance(a.const, int) or not all(isinstance(c, int) for _, c in a.terms):
            raise VerifyError(f"Expected integer coefficients, got '{print_affine(a)}'.")
        for atom, _ in a.terms:
            match atom:
                case str():
                    if self.names.get(atom, self) is not None:
                        raise VerifyError(f"Expected an index variable in scope, got '{atom}'.")
                case FloorDiv(inner, divisor) | FloorMod(inner, divisor):
                    if not isinstance(divisor, int) or divisor < 1:
                        raise VerifyError(f"Expected a divisor of at least 1, got {divisor}.")
                    self.affine(inner)
                case Opaque(value, _, _):
                    self.expr(value)
                    self.scalar_index(value)
                case _:
                    assert_never(atom)

    def scalar_index(self, e: Expr) -> None:
        if not dtype_of(e).is_integer or lanes_of(e) != 1:
            raise VerifyError(f"Expected one integer as an index, got '{print_expr(e)}'.")

    # ---- expressions

    def expr(self, e: Expr) -> None:
        """Check an expression, operands first."""
        match e:
            case Const():
                _check_const(e)
            case Var(name):
                if self.names.get(name) != e:
                    raise VerifyError(f"Expected value '{name}' in scope, as it was declared.")
            case Index(affine, dtype, lanes):
                self.affine(affine)
                if not dtype.is_integer or lanes < 1:
                    raise VerifyError(f"Expected an index of integer dtype, got '{dtype}'.")
            case Load(buffer, index, lanes, stride, dead):
                self.known(buffer)
                self.affine(index)
                self.lanes(buffer, lanes, stride, dead)
            case Read(op):
                raise VerifyError(f"Expected no read of an operation in loop IR, got '{op}'.")
            case Cast(value):
                self.expr(value)
            case Broadcast(value):
                self.broadcast(e, value)
            case _:
                self.operation(e)

    def broadcast(self, e: Broadcast, value: Expr) -> None:
        self.expr(value)
        if lanes_of(value) != 1 or e.lanes < 2:
            raise VerifyError(f"Expected one value to repeat, got '{print_expr(e)}'.")

    def operation(self, e: BinaryOp | Call | Select | Where) -> None:
        match e:
            case BinaryOp(op, a, b):
                self.operands(op, e, (a, b))
            case Call(function, args):
                count = 1 + (function in _BINARY_FUNCTIONS)
                if len(args) != count:
                    raise VerifyError(
                        f"Expected {count} as the number of operands of '{function}', "
                        f"got '{print_expr(e)}'."
                    )
                self.operands(function, e, args)
            case Select(conditions, a, b):
                self.affines(conditions)
                self.operands("select", e, (a, b))
            case Where(condition, a, b):
                self.expr(condition)
                self.operands("where", e, (a, b))
                if dtype_of(condition) != BOOL or lanes_of(condition) not in (1, lanes_of(a)):
                    raise VerifyError(f"Expected a bool to choose by in '{print_expr(e)}'.")
            case _:
                assert_never(e)

    def operands(self, op: str, e: Expr, args: tuple[Expr, ...]) -> None:
        for arg in args:
            self.expr(arg)
        self.same(e, *args)
        dtype = dtype_of(args[0])
        if not _applies(op, dtype):
            raise VerifyError(f"Expected another dtype than '{dtype}' in '{print_expr(e)}'.")

    def same(self, whole: Expr, *values: Expr) -> None:
        """Check that values agree in dtype and lanes."""
        types = {(dtype_of(v), lanes_of(v)) for v in values}
        if len(types) > 1:
            got = ", ".join(f"{dtype_of(v)}[{lanes_of(v)}]" for v in values)
            raise VerifyError(
                f"Expected one dtype and one number of lanes in '{print_expr(whole)}', got {got}."
            )


def _applies(op: str, dtype: DType) -> bool:
    if op in COMPARISONS or op in ("min", "max", "select", "where"):
        return True
    if op in _FLOAT_ONLY:
        return dtype.is_float
    if op in _INTEGER_ONLY:
        return dtype.is_integer
    if op in _INTEGER_OR_BOOL:
        return dtype.is_integer or dtype == BOOL
    return dtype == BOOL if op in _BOOL_ONLY else op in _NUMBERS_ONLY and dtype != BOOL


def _check_const(e: Const) -> None:
    if e.dtype.is_float:
        return
    whole = isinstance(e.value, int) and math.isfinite(e.value)
    bits, signed = e.dtype.bits, e.dtype.kind == "int"
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if not whole or not low <= e.value <= high:
        raise VerifyError(f"Expected a literal that fits '{e.dtype}', got {e.value}.")
