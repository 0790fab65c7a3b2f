"""Printer and parser."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorc.ir.affine import Affine, FloorDiv, FloorMod, Opaque, of_atom, variable
from tensorc.ir.dtype import BOOL, FLOAT32, FLOAT64, INT8, INT32
from tensorc.ir.expr import BinaryOp, Call, Cast, Const, Index, Load, Read, Select, Var, Where
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_affine, print_expr, print_func, print_stmt
from tensorc.ir.stmt import Allocate, For, ForKind, IfThenElse, Let, Seq, Store
from tensorc.support.errors import VerifyError
from tests.golden_text import GoldenFile
from tests.random_programs import random_func

A = Buffer("A", (8,), FLOAT32, "global")
B = Buffer("B", (8,), INT32, "global")
i, j = variable("i"), variable("j")
one, two, three = (Const(float(n), FLOAT32) for n in (1, 2, 3))


def round_trip(f: PrimFunc) -> None:
    assert parse_func(print_func(f)) == f


@given(st.integers(0, 10**9))
def test_text_reads_back_to_the_same_function(seed: int) -> None:
    round_trip(random_func(Random(seed)))


@pytest.mark.parametrize(
    ("affine", "text"),
    [
        (Affine(0), "0"),
        (Affine(-3), "-3"),
        (i * 6 + j - 1, "6*i + j - 1"),
        (-i + 7, "7 - i"),
        (-i - 7, "-i - 7"),
        (of_atom(FloorDiv(i, 7)), "i//7"),
        (of_atom(FloorDiv(i * 4 + j, 8)) * 2 + of_atom(FloorMod(i, 7)), "2*((4*i + j)//8) + (i%7)"),
        (-of_atom(FloorDiv(i, 7)), "-(i//7)"),
        (of_atom(Opaque(Load(B, i), 0, 7)) * 3, "3*opaque(B[i], 0, 7)"),
    ],
)
def test_affine_is_printed_and_read_back(affine: Affine, text: str) -> None:
    assert print_affine(affine) == text
    load = Load(A, affine)
    loop = For("i", 0, 2, ForKind.SERIAL, For("j", 0, 2, ForKind.SERIAL, Store(A, i, load)))
    round_trip(PrimFunc("f", (A, B), ("A",), loop))


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (BinaryOp("-", one, BinaryOp("-", two, three)), "1.0 - (2.0 - 3.0)"),
        (BinaryOp("-", BinaryOp("-", one, two), three), "1.0 - 2.0 - 3.0"),
        (BinaryOp("*", BinaryOp("+", one, two), three), "(1.0 + 2.0) * 3.0"),
        (BinaryOp("+", one, Const(-2.0, FLOAT32)), "1.0 + -2.0"),
        (BinaryOp("<", BinaryOp("<", one, two), Const(True, BOOL)), "(1.0 < 2.0) < True"),
        (Const(2, INT8), "int8(2)"),
        (Cast(one, FLOAT64), "float64(float32(1.0))"),
        (Cast(Const(1.0, FLOAT64), FLOAT32), "float32(float64(1.0))"),
        (Const(float("-inf"), FLOAT64), "float64(-inf)"),
        (Index(i, INT8, 4, 2), "index(ramp(i, 4, 2), 'int8')"),
        (Call("not", (Const(False, BOOL),)), "logical_not(False)"),
        (
            BinaryOp("+", Select((i,), one, two), one),
            "(1.0 if i >= 0 else 2.0) + 1.0",
        ),
        (
            Where(Const(True, BOOL), Load(A, of_atom(Opaque(Load(B, i), 0, 7))), one),
            "where(True, lambda: A[opaque(B[i], 0, 7)], 1.0)",
        ),
    ],
)
def test_expression_is_printed_and_read_back(expr: object, text: str) -> None:
    assert print_expr(expr) == text  # type: ignore[arg-type]
    out = Buffer("out", (1,), FLOAT32, "global")
    store = Store(out, Affine(0), expr)  # type: ignore[arg-type]
    loop = For("i", 0, 2, ForKind.SERIAL, For("j", 0, 2, ForKind.SERIAL, store))
    round_trip(PrimFunc("f", (A, B, out), ("out",), loop))


def test_te_read_is_printed_with_one_index_for_each_axis() -> None:
    assert print_expr(Read("X", (i, j + 1), FLOAT32, output=1)) == "X.v1[i, j + 1]"


@pytest.mark.parametrize(
    "body",
    [
        Seq(()),
        Seq((Seq(()),)),
        Seq((Store(A, Affine(0), one),)),
        Seq((Seq((Store(A, Affine(0), one),)), Seq(()))),
        Seq((Let(Var("t", FLOAT32), one, Store(A, Affine(0), one)), Store(A, Affine(1), one))),
        Let(Var("t", FLOAT32), one, Seq((Store(A, Affine(0), one),))),
        Allocate(Buffer("T", (2,), FLOAT32, "stack"), Seq((Seq(()), Seq(())))),
        IfThenElse((), Store(A, Affine(0), one), IfThenElse((Affine(1),), Seq(()), Seq(()))),
    ],
)
def test_grouping_of_statements_survives(body: object) -> None:
    round_trip(PrimFunc("f", (A,), ("A",), body))  # type: ignore[arg-type]


def test_text_of_a_loop_nest(golden: GoldenFile) -> None:
    tile = Buffer("T", (2, 8), FLOAT32, "local")
    update = Store(tile, i * 8, BinaryOp("+", Load(tile, i * 8, 8), Load(A, Affine(0), 8)))
    inner = For("i", 0, 2, ForKind.UNROLLED, update)
    guarded = IfThenElse((variable("fo") * -1 + 1,), inner, Store(A, variable("fi"), two))
    lets = (
        ("fo", of_atom(FloorDiv(variable("f"), 4))),
        ("fi", of_atom(FloorMod(variable("f"), 4))),
    )
    body = For("f", 0, 8, ForKind.PARALLEL, Allocate(tile, guarded), lets)
    offsets = (("W", 64),)
    func = PrimFunc("kernel", (A,), ("A",), body, 128, 256, offsets)
    round_trip(func)
    golden.check("loop_nest", after=print_func(func))
    assert print_stmt(inner, indent=1).startswith("    for i in unrolled(0, 2):\n        T[")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "Expected one function|decorator"),
        ("def f():\n    pass", "the decorator 'prim_func"),
        ("@prim_func(outputs=())\ndef f():\n    while x: pass", "line 3: expected a loop"),
        (
            "@prim_func(outputs=())\ndef f(A: buffer((8,), 'float32')):\n    prefetch(A)",
            r"expected .* 'prefetch\(\.\.\.\)', 'stream\(\.\.\.\)'",
        ),
        ("@prim_func(outputs=())\ndef f():\n    A[0] = 1.0", "name of a buffer in scope"),
        ("@prim_func(outputs=())\ndef f(A: 3):\n    pass", "buffer\\(shape, dtype\\)"),
        (
            "@prim_func(outputs=())\ndef f():\n  for i in range(3):\n    pass",
            "kind\\(start, stop\\)",
        ),
        (
            "@prim_func(outputs=())\ndef f(A: buffer((8,), 'float32')):\n    A[2*A[0]] = 1.0",
            "an affine index, got 'A\\[0\\]'",
        ),
        ("@prim_func(outputs=())\ndef f(:", "Cannot parse line 2"),
    ],
)
def test_foreign_text_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        parse_func(text)
