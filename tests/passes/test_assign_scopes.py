"""Registers, stack or workspace."""

from __future__ import annotations

import pytest

from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_func
from tensorc.passes.assign_scopes import assign_scopes
from tensorc.target import Target

TARGET = Target("llvm", vector_bytes=32)


def scope_of(shape: str, body: str) -> str:
    """The scope that buffer T gets."""
    text = f"""\
@prim_func(outputs=('C',))
def kernel(C: buffer((64,), 'float32')):
    T = allocate({shape}, 'float32', 'stack')
{body}"""
    after = print_func(assign_scopes(parse_func(text), TARGET))
    return after.split("allocate(")[1].split("'")[3]


def test_indices_that_unrolling_makes_constant_mean_registers() -> None:
    body = """\
    for k in serial(0, 9):
        for i in unrolled(0, 4):
            T[2*i + 1] = C[i]
    C[0] = T[3]
"""
    assert scope_of("(8,)", body) == "local"


@pytest.mark.parametrize("kind", ["serial", "parallel"])
def test_an_index_that_runs_in_a_loop_needs_memory(kind: str) -> None:
    body = f"""\
    for i in {kind}(0, 8):
        T[i] = C[i]
"""
    assert scope_of("(8,)", body) == "stack"


def test_registers_are_not_shared_between_threads() -> None:
    body = """\
    T[0] = 1.0
    for i in parallel(0, 8):
        C[i] = T[0]
"""
    assert scope_of("(8,)", body) == "stack"


def test_a_loop_around_the_allocation_does_not_make_its_index_constant() -> None:
    text = """\
@prim_func(outputs=('C',))
def kernel(C: buffer((64,), 'float32')):
    for i in serial(0, 8):
        T = allocate((8,), 'float32', 'stack')
        T[i] = C[i]
        C[i] = T[i]
"""
    assert "'stack'" in print_func(assign_scopes(parse_func(text), TARGET))


def test_vectors_that_partly_overlap_are_no_registers() -> None:
    body = """\
    T[ramp(0, 8)] = C[ramp(0, 8)]
    C[ramp(0, {})] = T[ramp({}, {})]
"""
    assert scope_of("(16,)", body.format(8, 4, 8)) == "stack"
    assert scope_of("(16,)", body.format(4, 4, 4)) == "local"
    assert scope_of("(16,)", body.format(8, 8, 8)) == "local"


def test_vectors_whose_dead_lanes_have_no_place_are_no_registers() -> None:
    body = """\
    T[ramp(0, 8, dead=1)] = C[ramp(0, 8)]
    C[ramp(0, 8)] = T[ramp(0, 8)]
"""
    assert scope_of("(8,)", body) == "local"
    assert scope_of("(7,)", body) == "stack"


def test_many_vectors_are_no_register_tile() -> None:
    body = """\
    for i in unrolled(0, 2000):
        T[i] = 0.0
"""
    assert scope_of("(2000,)", body) == "stack"


def test_a_large_buffer_goes_to_the_workspace() -> None:
    body = """\
    for i in serial(0, 64):
        T[i] = C[i]
"""
    assert scope_of("(20000,)", body) == "workspace"


def test_the_stack_has_an_end() -> None:
    names = [f"T{k}" for k in range(6)]
    allocations = "".join(f"    {n} = allocate((16000,), 'float32', 'stack')\n" for n in names)
    body = "    for i in serial(0, 64):\n"
    body += "".join(f"        {n}[i] = C[i]\n" for n in names)
    text = "@prim_func(outputs=('C',))\ndef kernel(C: buffer((64,), 'float32')):\n"
    after = print_func(assign_scopes(parse_func(text + allocations + body), TARGET))
    assert after.count("'stack'") == 4
    assert after.count("'workspace'") == 2
