"""Each rule of the loop IR refuses what breaks it."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorc.ir.affine import Affine, FloorDiv, Opaque, of_atom, variable
from tensorc.ir.dtype import BOOL, FLOAT32, INT8, INT32
from tensorc.ir.expr import (
    BinaryOp,
    Broadcast,
    Call,
    Const,
    Expr,
    Index,
    Load,
    Read,
    Select,
    Var,
    Where,
)
from tensorc.ir.func import Buffer, PrimFunc
from tensorc.ir.stmt import Allocate, For, ForKind, Let, Prefetch, Seq, Stmt, Store
from tensorc.ir.verify import verify
from tensorc.support.errors import VerifyError
from tests.random_programs import random_func

A = Buffer("A", (8,), FLOAT32, "global")
B = Buffer("B", (8,), INT32, "global")
zero, one = Affine(0), Const(1.0, FLOAT32)
empty = Seq(())
T = Buffer("T", (8,), FLOAT32, "stack")
KERNEL = PrimFunc("kernel", (A, B), ("A",), Store(A, zero, one))


def loop(body: Stmt, name: str = "i", extent: int = 2, kind: ForKind = ForKind.SERIAL) -> For:
    return For(name, 0, extent, kind, body)


def refused(func: PrimFunc, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        verify(func)


@given(st.integers(0, 10**9))
def test_random_functions_are_accepted(seed: int) -> None:
    verify(random_func(Random(seed)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "C.local"}, "an identifier"),
        ({"name": "exp"}, "no word of the IR's text"),
        ({"params": (A, A)}, "'A' twice"),
        ({"params": (replace(A, scope="stack"),)}, "scope 'global'"),
        ({"params": (replace(A, shape=(-1,)), B)}, "sizes of at least 0"),
        ({"outputs": ("D",)}, "outputs among the parameters"),
        ({"outputs": ("B",)}, "stores to outputs only"),
    ],
)
def test_header_is_checked(change: dict[str, Any], message: str) -> None:
    refused(replace(KERNEL, **change), message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (loop(loop(empty)), "two things named 'i'"),
        (loop(empty, name="A"), "two things named 'A'"),
        (loop(empty, extent=0), "extent ≥ 1"),
        (
            loop(loop(empty, "j", kind=ForKind.PARALLEL), kind=ForKind.PARALLEL),
            "no parallel loop inside another",
        ),
        (Store(A, variable("i"), one), "an index variable in scope, got 'i'"),
        (Store(A, variable("A"), one), "an index variable in scope, got 'A'"),
        (Store(Buffer("D", (1,), FLOAT32, "stack"), zero, one), "buffer 'D' in scope"),
        (Store(replace(A, shape=(9,)), zero, one), "as it was declared"),
        (Store(A, zero, Const(1, INT32)), "store to 'A' of dtype 'float32'"),
        (Store(A, zero, one, dead=1), "fewer dead lanes of 'A'"),
        (Store(A, of_atom(FloorDiv(zero, 0)), one), "divisor of at least 1"),
        (Store(A, of_atom(Opaque(one, 0, 1)), one), "one integer as an index"),
        (Allocate(replace(A, name="T"), empty), "another scope than 'global'"),
        (Allocate(replace(A, name="T", scope="workspace"), empty), "offset for 'T'"),
        (Prefetch(T, zero), "buffer 'T' in scope"),
        (Prefetch(A, variable("i")), "an index variable in scope, got 'i'"),
        (Allocate(T, Prefetch(T, zero)), "a cache line of a parameter only, got one of 'T'"),
        (
            Allocate(T, Store(T, zero, one, streams=True)),
            "a store past the caches of a parameter only, got one of 'T'",
        ),
        (Let(Var("t", INT32), one, empty), "one dtype"),
        (Let(Var("t", FLOAT32), Var("t", FLOAT32), empty), "value 't' in scope"),
    ],
)
def test_statements_are_checked(body: Stmt, message: str) -> None:
    refused(replace(KERNEL, body=body), message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (BinaryOp("+", one, Const(1, INT32)), "one dtype"),
        (BinaryOp("+", one, Load(A, zero, 8)), "number of lanes"),
        (BinaryOp("+", Const(True, BOOL), Const(True, BOOL)), "another dtype than 'bool'"),
        (BinaryOp("/", Const(1, INT32), Const(1, INT32)), "another dtype than 'int32'"),
        (BinaryOp("<<", one, one), "another dtype than 'float32'"),
        (BinaryOp("&", one, one), "another dtype than 'float32'"),
        (BinaryOp("and", one, one), "another dtype than 'float32'"),
        (Call("exp", (Const(1, INT32),)), "another dtype than 'int32'"),
        (Call("exp", (one, one)), "1 as the number of operands of 'exp', got"),
        (Where(one, one, one), "a bool to choose by"),
        (Select((variable("q"),), one, one), "index variable in scope, got 'q'"),
        (Read("X", (), FLOAT32), "no read of an operation"),
        (Broadcast(Load(A, zero, 8), 8), "one value to repeat"),
        (Load(A, zero, 0), "at least 1 lane"),
        (Load(A, zero, 8, dead=8), "fewer dead lanes of 'A' than its 8 lanes, got 8"),
        (Load(A, zero, 8, 2, dead=1), "neighbours of 'A' where lanes are dead, got stride 2"),
        (Index(zero, FLOAT32), "index of integer dtype"),
        (Const(300, INT8), "literal that fits 'int8'"),
        (Const(0.5, INT32), "literal that fits 'int32'"),
    ],
)
def test_values_are_checked(value: Expr, message: str) -> None:
    refused(replace(KERNEL, body=Store(A, zero, value)), message)


def test_sibling_scopes_may_reuse_names() -> None:
    verify(replace(KERNEL, body=Seq((loop(empty), loop(empty)))))


def test_offset_outside_the_workspace_is_refused() -> None:
    workspace = Buffer("T", (16,), FLOAT32, "workspace")
    body = Allocate(workspace, empty)
    fits = replace(KERNEL, body=body, workspace_bytes=128, offsets=(("T", 64),))
    verify(fits)
    refused(replace(fits, offsets=(("T", 128),)), "offset for 'T'")
    verify(replace(fits, workspace_bytes=0, offsets=()), planned=False)
    refused(replace(fits, offsets=(("T", 32),)), "offset for 'T'")
    # Inside a parallel loop it is the thread's part that counts.
    refused(replace(fits, body=loop(body, kind=ForKind.PARALLEL)), "64 of 0 bytes")
