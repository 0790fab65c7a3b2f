"""What depends on constants only leaves the kernel."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tensorc.codegen.python import execute
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_func
from tensorc.ir.verify import verify
from tensorc.passes.split_prologue import split_prologue

PACKED = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((4,), 'float32'), B: buffer((4,), 'float32'), C: buffer((4,), 'float32')):
    P = allocate((4,), 'float32', 'stack')
    for i in serial(0, 4):
        P[i] = B[3 - i]
    for j in serial(0, 4):
        C[j] = A[j] * P[j]
"""


def split(text: str, constants: Collection[str]) -> tuple[PrimFunc | None, PrimFunc]:
    prologue, main = split_prologue(parse_func(text), constants)
    for func in (prologue, main):
        if func is not None:
            verify(func)
    return prologue, main


def test_a_packed_constant_becomes_a_parameter() -> None:
    prologue, main = split(PACKED, {"B"})
    assert prologue is not None
    assert print_func(prologue) == (
        "@prim_func(outputs=('P',))\n"
        "def kernel_prologue(B: buffer((4,), 'float32'), P: buffer((4,), 'float32')):\n"
        "    for i in serial(0, 4):\n"
        "        P[i] = B[3 - i]\n"
    )
    assert print_func(main) == (
        "@prim_func(outputs=('C',))\n"
        "def kernel(A: buffer((4,), 'float32'), C: buffer((4,), 'float32'), "
        "P: buffer((4,), 'float32')):\n"
        "    for j in serial(0, 4):\n"
        "        C[j] = A[j] * P[j]\n"
    )


def test_a_constant_that_is_still_read_stays_a_parameter() -> None:
    prologue, main = split(PACKED.replace("* P[j]", "* P[j] + B[j]"), {"B"})
    assert prologue is not None
    assert [b.name for b in main.params] == ["A", "B", "C", "P"]


def test_without_work_for_it_there_is_no_prologue() -> None:
    func = parse_func(PACKED)
    assert split_prologue(func, ()) == (None, func)
    assert split_prologue(func, {"A"}) == (None, func)


def test_an_output_is_computed_in_every_call() -> None:
    both = PACKED.replace("A[j] * P[j]", "P[j]")
    prologue, main = split(both, {"A", "B"})
    assert prologue is not None
    assert [b.name for b in main.params] == ["C", "P"]


def test_a_buffer_with_a_second_writer_that_varies_stays() -> None:
    text = PACKED.replace("    for j", "    for k in serial(0, 4):\n        P[k] = A[k]\n    for j")
    assert split(text, {"B"})[0] is None


def test_what_only_the_prologue_reads_stays_in_it() -> None:
    text = PACKED.replace(
        "    for i in serial(0, 4):\n        P[i] = B[3 - i]\n",
        "    Q = allocate((4,), 'float32', 'stack')\n"
        "    for q in serial(0, 4):\n        Q[q] = B[q]\n"
        "    for i in serial(0, 4):\n        P[i] = Q[3 - i]\n",
    )
    prologue, main = split(text, {"B"})
    assert prologue is not None
    assert [b.name for b in prologue.params] == ["B", "P"]
    assert "Q = allocate" in print_func(prologue)
    assert "Q" not in print_func(main)


def test_constants_that_index_are_constants() -> None:
    text = PACKED.replace("B: buffer((4,), 'float32')", "B: buffer((4,), 'int32')").replace(
        "= B[3 - i]", "= float32(B[opaque(B[i], 0, 3)])"
    )
    prologue, main = split(text, {"B"})
    assert prologue is not None
    assert [b.name for b in main.params] == ["A", "C", "P"]


def test_a_cache_line_of_what_varies_is_asked_for_in_every_call() -> None:
    text = PACKED.replace("        P[i] =", "        prefetch(A, i)\n        P[i] =")
    assert split(text, {"B"})[0] is None


def test_a_constant_of_which_lines_are_asked_for_stays_a_parameter() -> None:
    text = PACKED.replace("        C[j] =", "        prefetch(B, j)\n        C[j] =")
    prologue, main = split(text, {"B"})
    assert prologue is not None
    assert [b.name for b in main.params] == ["A", "B", "C", "P"]


TAILS = """\
@prim_func(outputs=('C',))
def kernel(A: buffer((9,), 'float32'), B: buffer((9,), 'float32'), C: buffer((9,), 'float32')):
    for i in serial(0, 2):
        T = allocate((4,), 'float32', 'stack')
        for j in serial(0, 4):
            T[j] = B[4*i + j]
        for j in serial(0, 4):
            C[4*i + j] = A[j] + T[j]
    with scope():
        T = allocate((1,), 'float32', 'stack')
        T[0] = B[8]
        C[8] = A[8] + T[0]
"""


def test_buffers_of_one_name_are_kept_apart() -> None:
    prologue, main = split(TAILS, {"B"})
    assert prologue is not None
    assert prologue.outputs == ("T_1",)
    a, b, c = np.arange(9, dtype=np.float32), np.full(9, 0.5, np.float32), np.zeros(9, np.float32)
    t = np.zeros(1, np.float32)
    execute(prologue, [b, t])
    execute(main, [a, b, c, t])
    np.testing.assert_array_equal(c, [0.5, 1.5, 2.5, 3.5, 0.5, 1.5, 2.5, 3.5, 8.5])


def test_buffers_of_one_name_in_no_loop_are_kept_apart() -> None:
    text = TAILS.replace("        C[8] = A[8] + T[0]", "        C[7] = A[8] + T[0]") + (
        "    with scope():\n        T = allocate((2,), 'float32', 'stack')\n"
        "        for j in serial(0, 2):\n            T[j] = B[j] * 2.0\n"
        "        C[8] = A[0] + T[1]\n"
    )
    prologue, main = split(text, {"B"})
    assert prologue is not None
    assert prologue.outputs == ("T_1", "T_2")
    assert [b.shape for b in main.params[-2:]] == [(1,), (2,)]
