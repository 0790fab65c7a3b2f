"""The text of `tensorc.ir.printer` read back into a function.

Python's own parser does the reading; what is legal here is a small part of Python. Nothing is
simplified, so that `parse_func(print_func(f)) == f`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, get_args

from tensorc.ir.affine import Affine, FloorDiv, FloorMod, Opaque, add, of_atom, scale, variable
from tensorc.ir.dtype import ALL_DTYPES, BOOL, FLOAT32, INT32, DType, as_dtype
from tensorc.ir.expr import (
    BinaryFunction,
    BinaryOp,
    BinaryOperator,
    Broadcast,
    Call,
    Cast,
    Const,
    Expr,
    Index,
    Load,
    Select,
    UnaryFunction,
    Var,
    Where,
)
from tensorc.ir.func import Buffer, PrimFunc, Scope
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Prefetch, Seq, Stmt, Store
from tensorc.support.errors import TEError, VerifyError

_DTYPES: Final = {d.name: d for d in ALL_DTYPES}
_OPERATORS: Final[dict[type[ast.AST], BinaryOperator]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_CALLED_OPERATORS: Final[dict[str, BinaryOperator]] = {
    "min": "min", "max": "max", "truncdiv": "truncdiv", "truncmod": "truncmod",
    "logical_and": "and", "logical_or": "or",
}  # fmt: skip
_FUNCTIONS: Final[dict[str, Any]] = {
    ("logical_not" if name == "not" else name): name
    for name in (*get_args(UnaryFunction), *get_args(BinaryFunction))
}


def parse_func(text: str) -> PrimFunc:
    """Read a function.

    Raises:
        VerifyError: if the text is not loop IR; names the line and what was expected there.
    """
    match _tree(text).body:
        case [ast.FunctionDef() as definition]:
            return _function(definition)
        case statements:
            raise VerifyError(f"Expected one function, got {len(statements)} statements.")


def parse_module(text: str) -> dict[str, PrimFunc]:
    """Read any number of functions, by name.

    Raises:
        VerifyError: as `parse_func` does.
    """
    found: dict[str, PrimFunc] = {}
    for statement in _tree(text).body:
        if not isinstance(statement, ast.FunctionDef):
            _refuse(statement, "a function")
        found[statement.name] = _function(statement)
    return found


def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise VerifyError(f"Cannot parse line {error.lineno}: {error.msg}.") from None


def _function(node: ast.FunctionDef) -> PrimFunc:
    match node.decorator_list:
        case [ast.Call(ast.Name("prim_func"), [], facts)]:
            pass
        case _:
            _refuse(node, "the decorator 'prim_func(outputs=…)'")
    given = {fact.arg or "": _literal(fact.value) for fact in facts}
    outputs = given.pop("outputs", None)
    if not isinstance(outputs, tuple) or not given.keys() <= _FACTS:
        _refuse(node, "'outputs' and among 'workspace_bytes', 'thread_workspace_bytes', 'offsets'")
    reader = _Reader()
    params = tuple(map(reader.parameter, node.args.args))
    return PrimFunc(node.name, params, outputs, reader.block(node.body), **given)


_FACTS: Final = {"workspace_bytes", "thread_workspace_bytes", "offsets"}


def _refuse(node: Any, expected: str) -> NoReturn:
    text = ast.unparse(node).split("\n", 1)[0]
    raise VerifyError(f"Cannot parse line {node.lineno}: expected {expected}, got '{text}'.")


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        _refuse(node, "a literal")


@dataclass(slots=True)
class _Reader:
    """What is in scope: buffers, and data variables bound by a `Let`."""

    buffers: dict[str, Buffer] = field(default_factory=dict)
    values: dict[str, Var] = field(default_factory=dict)

    def parameter(self, node: ast.arg) -> Buffer:
        match node.annotation:
            case ast.Call(ast.Name("buffer"), [shape, dtype, *rest], []) if len(rest) < 2:
                facts = (_literal(shape), _literal(dtype), *map(_literal, rest))
                return self.buffer(node, node.arg, *facts)
            case _:
                _refuse(node, "'name: buffer(shape, dtype)'")

    def buffer(
        self, node: ast.AST, name: str, shape: Any, dtype: Any, scope: Any = "global"
    ) -> Buffer:
        sizes = isinstance(shape, tuple) and all(isinstance(n, int) for n in shape)
        if not sizes or dtype not in _DTYPES or scope not in get_args(Scope):
            _refuse(node, "the shape, the dtype and the scope of a buffer")
        self.buffers[name] = Buffer(name, shape, _DTYPES[dtype], scope)
        return self.buffers[name]

    def block(self, nodes: list[ast.stmt]) -> Stmt:
        """The statements of one block."""
        parts = self.parts(nodes)
        return parts[0] if len(parts) == 1 else Seq(parts)

    def parts(self, nodes: list[ast.stmt]) -> tuple[Stmt, ...]:
        """The statements of one block, one by one; what they bind ends with it."""
        buffers, values = dict(self.buffers), dict(self.values)
        parts: list[Stmt] = []
        for position, node in enumerate(nodes):
            wrap = self.binding(node)
            if wrap is not None:
                # The rest of the block is the body of what this line binds.
                parts.append(wrap(self.block(nodes[position + 1 :])))
                break
            if not isinstance(node, ast.Pass):
                parts.append(self.statement(node))
        self.buffers, self.values = buffers, values
        return tuple(parts)

    def binding(self, node: ast.stmt) -> Callable[[Stmt], Stmt] | None:
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("allocate"), args, [])):
                if len(args) != 3:
                    _refuse(node, "'name = allocate(shape, dtype, scope)'")
                buffer = self.buffer(node, name, *map(_literal, args))
                return lambda body: Allocate(buffer, body)
            case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value):
                bound = self.expr(value)
                var = self.values[name] = Var(name, *_vector_type(annotation))
                return lambda body: Let(var, bound, body)
            case _:
                return None

    def statement(self, node: ast.stmt) -> Stmt:
        match node:
            case ast.For(ast.Name(), ast.Call(), [*_], []):
                return self.loop(node)
            case ast.If(test, then, orelse):
                other = self.block(orelse) if orelse else None
                return IfThenElse(self.conditions(test), self.block(then), other)
            case ast.Assign([ast.Subscript(ast.Name(), position) as target], value):
                index, _, stride, dead = self.position(position)
                return Store(self.buffer_of(target.value), index, self.expr(value), stride, dead)
            case ast.Expr(ast.Call(ast.Name("prefetch"), [name, position], [])):
                return Prefetch(self.buffer_of(name), self.affine(position))
            case ast.Expr(ast.Call(ast.Name("stream"), [name, position, value], [])):
                index, _, stride, dead = self.position(position)
                return Store(self.buffer_of(name), index, self.expr(value), stride, dead, True)
            case ast.With([ast.withitem(ast.Call(ast.Name("scope"), [], []), None)], body):
                return self.block(body)
            case ast.With([ast.withitem(ast.Call(ast.Name("seq"), [], []), None)], body):
                return Seq(self.parts(body))
            case _:
                _refuse(
                    node,
                    "a loop, 'if', a store, 'prefetch(...)', 'stream(...)', an allocation, a let, "
                    "'with seq()' or 'pass'",
                )

    def loop(self, node: ast.For) -> For:
        match node:
            case ast.For(
                ast.Name(var),
                ast.Call(
                    ast.Name("serial" | "parallel" | "unrolled" | "vectorized" as kind),
                    [first, last],
                    [],
                ),
            ):
                start, stop = self.integer(first), self.integer(last)
            case _:
                _refuse(node, "'for name in kind(start, stop)'")
        count = 0
        lets: list[tuple[str, Affine]] = []
        for line in node.body:
            match line:
                case ast.Assign([ast.Name(name)], value) if not _is_allocation(value):
                    lets.append((name, self.affine(value)))
                    count += 1
                case _:
                    break
        body = self.block(node.body[count:])
        return For(var, start, stop - start, ForKind(kind), body, tuple(lets))

    def buffer_of(self, node: ast.expr) -> Buffer:
        match node:
            case ast.Name(name) if name in self.buffers:
                return self.buffers[name]
            case _:
                _refuse(node, "the name of a buffer in scope")

    def position(self, node: ast.expr) -> tuple[Affine, int, int, int]:
        """First index, lanes, stride, dead lanes."""
        match node:
            case ast.Call(ast.Name("ramp"), [first, lanes], []):
                return self.affine(first), self.integer(lanes), 1, 0
            case ast.Call(ast.Name("ramp"), [first, lanes, stride], []):
                return self.affine(first), self.integer(lanes), self.integer(stride), 0
            case ast.Call(ast.Name("ramp"), [first, lanes], [ast.keyword("dead", dead)]):
                return self.affine(first), self.integer(lanes), 1, self.integer(dead)
            case _:
                return self.affine(node), 1, 1, 0

    def conditions(self, node: ast.expr) -> tuple[Affine, ...]:
        match node:
            case ast.Constant(True):
                return ()
            case ast.BoolOp(ast.And(), parts):
                return tuple(map(self.condition, parts))
            case _:
                return (self.condition(node),)

    def condition(self, node: ast.expr) -> Affine:
        match node:
            case ast.Compare(left, [ast.GtE()], [ast.Constant(0)]):
                return self.affine(left)
            case _:
                _refuse(node, "a condition 'index >= 0'")

    def integer(self, node: ast.expr) -> int:
        match node:
            case ast.Constant(int(value)):
                return value
            case ast.UnaryOp(ast.USub(), ast.Constant(int(value))):
                return -value
            case _:
                _refuse(node, "an integer")

    def affine(self, node: ast.expr) -> Affine:
        match node:
            case ast.Constant(int(value)):
                return Affine(value)
            case ast.Name(name):
                return variable(name)
            case ast.UnaryOp(ast.USub(), operand):
                return scale(self.affine(operand), -1)
            case ast.BinOp(left, operator, right):
                found = _affine_operation(self.affine(left), operator, self.affine(right))
                return _refuse(node, "an affine index") if found is None else found
            case ast.Call(ast.Name("opaque"), [value, low, high], []):
                return of_atom(Opaque(self.expr(value), self.integer(low), self.integer(high)))
            case _:
                _refuse(node, "an affine index")

    def expr(self, node: ast.expr) -> Expr:
        literal = _const(node)
        if literal is not None:
            return literal
        match node:
            case ast.Name(name) if name in self.values:
                return self.values[name]
            case ast.BinOp(left, operator, right) | ast.Compare(left, [operator], [right]):
                op = _OPERATORS.get(type(operator))
                if op is not None:
                    return BinaryOp(op, self.expr(left), self.expr(right))
            case ast.IfExp(test, body, orelse):
                return Select(self.conditions(test), self.expr(body), self.expr(orelse))
            case ast.Subscript(array, position):
                return Load(self.buffer_of(array), *self.position(position))
            case ast.Lambda(ast.arguments(args=[]), body):
                return self.expr(body)
            case ast.Call(ast.Name(function), args, []):
                return self.call(node, function, args)
            case _:
                pass
        _refuse(node, "a value")

    def call(self, node: ast.expr, function: str, args: list[ast.expr]) -> Expr:
        match function, args:
            case "index", [position, *rest] if len(rest) < 2:
                dtype = as_dtype(_literal(rest[0])) if rest else INT32
                return self.index(position, dtype)
            case "broadcast", [value, lanes]:
                return Broadcast(self.expr(value), self.integer(lanes))
            case "where", [condition, a, b]:
                return Where(self.expr(condition), self.expr(a), self.expr(b))
            case _, [value] if function in _DTYPES:
                return self.typed(value, _DTYPES[function])
            case _, [a, b] if function in _CALLED_OPERATORS:
                return BinaryOp(_CALLED_OPERATORS[function], self.expr(a), self.expr(b))
            case _ if function in _FUNCTIONS:
                return Call(_FUNCTIONS[function], tuple(map(self.expr, args)))
            case _:
                _refuse(node, "a known function with its number of operands")

    def typed(self, node: ast.expr, dtype: DType) -> Expr:
        value = _number(node)
        return Cast(self.expr(node), dtype) if value is None else Const(value, dtype)

    def index(self, node: ast.expr, dtype: DType) -> Index:
        affine, lanes, stride, dead = self.position(node)
        if dead:
            _refuse(node, "an index without dead lanes")
        is_ramp = isinstance(node, ast.Call) and ast.unparse(node.func) == "ramp"
        return Index(affine, dtype, lanes, stride if is_ramp else 0)


def _affine_operation(a: Affine, operator: ast.operator, b: Affine) -> Affine | None:
    match operator:
        case ast.Add():
            return add(a, b)
        case ast.Sub():
            return add(a, scale(b, -1))
        case ast.Mult() if not a.terms or not b.terms:
            return scale(a, b.const) if not b.terms else scale(b, a.const)
        case ast.FloorDiv() if not b.terms and b.const > 0:
            return of_atom(FloorDiv(a, b.const))
        case ast.Mod() if not b.terms and b.const > 0:
            return of_atom(FloorMod(a, b.const))
        case _:
            return None


def _number(node: ast.expr) -> int | float | None:
    match node:
        case ast.Constant(int(value) | float(value)):
            return value
        case ast.Name("inf"):
            return math.inf
        case ast.Name("nan"):
            return math.nan
        case ast.UnaryOp(ast.USub(), operand):
            inner = _number(operand)
            return None if inner is None else -inner
        case _:
            return None


def _const(node: ast.expr) -> Const | None:
    value = _number(node)
    match value:
        case None:
            return None
        case bool():
            return Const(value, BOOL)
        case int():
            return Const(value, INT32)
        case float():
            return Const(value, FLOAT32)


def _vector_type(node: ast.expr) -> tuple[DType, int]:
    try:
        match node:
            case ast.Name(name):
                return as_dtype(name), 1
            case ast.Subscript(ast.Name(name), ast.Constant(int(lanes))):
                return as_dtype(name), lanes
            case _:
                pass
    except TEError:
        pass
    _refuse(node, "a dtype")


def _is_allocation(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "allocate"
