"""Parts of fused loops that nothing needs."""

from __future__ import annotations

from tensorc.ir.parser import parse_func
from tensorc.ir.printer import print_func
from tensorc.passes.drop_unused_lets import drop_unused_lets
from tensorc.target import Target

TEXT = """\
@prim_func(outputs=('A',))
def kernel(A: buffer((24,), 'float32')):
    for f in serial(0, 24):
        i = f//6
        r = f%6
        j = r//2
        k = r%2
        if 2 - i >= 0:
            A[2*f + j] = 0.0
"""


def test_only_lets_that_are_used_even_by_other_lets_stay() -> None:
    func = drop_unused_lets(parse_func(TEXT), Target("llvm"))
    assert print_func(func) == TEXT.replace("        k = r%2\n", "")


def test_a_function_without_lets_is_returned_itself() -> None:
    func = parse_func(TEXT[: TEXT.index("    for")] + "    A[0] = 0.0\n")
    assert drop_unused_lets(func, Target("llvm")) is func
