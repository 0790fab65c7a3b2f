from __future__ import annotations

import threading

import ml_dtypes
import numpy as np
import pytest

from tensorc.ir.dtype import BFLOAT16, BOOL, FLOAT64, INT32
from tensorc.runtime import function
from tensorc.runtime.artifact import Artifact
from tensorc.runtime.function import CompiledFunction
from tensorc.support.errors import RuntimeCallError
from tests.runtime.handmade import (
    add_artifact,
    c_artifact,
    elementwise,
    output,
    param,
)


@pytest.fixture(autouse=True, params=["quick", "general"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All that a call does it does without native code too."""
    if request.param == "general":
        monkeypatch.setattr(function, "quick_call", lambda general: general)
    return str(request.param)


@pytest.fixture
def add(way: str) -> CompiledFunction:
    return CompiledFunction(add_artifact())


A = np.arange(8, dtype=np.float32)
B = A * 2


def _split() -> Artifact:
    return c_artifact(
        "int32_t split(void *const *b, void *w) {\n"
        "  const float *a = b[0]; float *low = b[1], *high = b[2];\n"
        "  for (int i = 0; i < 8; i++) { low[i] = a[i] - 1; high[i] = a[i] + 1; } return 0; }",
        "split",
        [param("A", 8), output("low", 8), output("high", 8)],
    )


def test_a_call_allocates_the_output(add: CompiledFunction) -> None:
    assert add(A, B).tolist() == (A + B).tolist()


def test_out_is_written_in_place(add: CompiledFunction) -> None:
    c = np.zeros(8, np.float32)
    assert add(A, B, out=c) is c
    assert c.tolist() == (A + B).tolist()


def test_all_parameters_in_call_order_are_accepted(add: CompiledFunction) -> None:
    c = np.zeros(8, np.float32)
    assert add(A, B, c) is c
    assert c.tolist() == (A + B).tolist()


def test_strided_inputs_are_copied(add: CompiledFunction) -> None:
    wide = np.arange(24, dtype=np.float32)
    assert add(wide[::3], A[::-1]).tolist() == (wide[::3] + A[::-1]).tolist()


def test_unaligned_inputs_are_copied(add: CompiledFunction) -> None:
    block = np.zeros(33, np.uint8)
    a = block[1:].view(np.float32)
    a[:] = A
    assert not a.flags.aligned
    assert add(a, B).tolist() == (A + B).tolist()


def test_read_only_inputs_are_accepted(add: CompiledFunction) -> None:
    a = A.copy()
    a.flags.writeable = False
    assert add(a, B).tolist() == (A + B).tolist()


def test_a_strided_output_goes_through_a_temporary(add: CompiledFunction) -> None:
    wide = np.zeros(16, np.float32)
    add(A, B, out=wide[::2])
    assert wide.tolist() == [x for a, b in zip(A, B, strict=True) for x in (a + b, 0.0)]


def test_an_output_that_overlaps_an_input_goes_through_a_temporary() -> None:
    reverse = elementwise("A[7 - i]", param("A", 8), output("B", 8))
    a = A.copy()
    CompiledFunction(reverse)(a, out=a)
    assert a.tolist() == A[::-1].tolist()


def test_nan_goes_through(add: CompiledFunction) -> None:
    a = A.copy()
    a[3] = np.nan
    assert np.isnan(add(a, B)).tolist() == [i == 3 for i in range(8)]


def test_arrays_of_subclasses_and_other_libraries_are_accepted(add: CompiledFunction) -> None:
    class Other:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return A

    assert add(Other(), np.ma.array(B)).tolist() == (A + B).tolist()


@pytest.mark.parametrize(
    ("args", "out", "message"),
    [
        ((A,), None, "expected 2 arrays for 'A', 'B', got 1"),
        ((A, B[:4]), None, r"'B'.*shape \(8,\), got dtype 'float32' and shape \(4,\)"),
        ((A.astype("f8"), B), None, "'A'.*dtype 'float32'.*got dtype 'float64'"),
        ((A.astype(">f4"), B), None, "'A'.*foreign byte order"),
        (([1.0] * 8, B), None, "'A'.*got 'list'"),
        ((A, B), np.zeros(7, "f4"), "output 'C'.*shape"),
        ((A, B), (A, B), "expected 1 arrays for 'C', got 2"),
        ((A, B), "text", "output|expected 1 arrays"),
    ],
)
def test_a_misfit_is_refused_by_name(
    add: CompiledFunction, args: tuple[np.ndarray, ...], out: object, message: str
) -> None:
    with pytest.raises(RuntimeCallError, match=message):
        add(*args, out=out)


def test_an_unknown_keyword_is_refused(add: CompiledFunction) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'into'"):
        add(A, B, into=A)  # type: ignore[call-arg]


def test_a_read_only_output_is_refused(add: CompiledFunction) -> None:
    c = np.zeros(8, np.float32)
    c.flags.writeable = False
    with pytest.raises(RuntimeCallError, match=r"'C'.*read-only"):
        add(A, B, out=c)


def test_constants_are_bound_once() -> None:
    add = CompiledFunction(add_artifact(), constants={"B": B[:]})
    assert add(A).tolist() == (A + B).tolist()
    with pytest.raises(RuntimeCallError, match="expected 1 arrays for 'A', got 0"):
        add()


def test_an_output_may_be_a_constant() -> None:
    reverse = elementwise("A[7 - i] + C[7 - i]", param("A", 8), param("C", 8), output("B", 8))
    c = A.copy()
    CompiledFunction(reverse, constants={"C": c})(B, out=c)
    assert c.tolist() == (A + B)[::-1].tolist()


def test_an_unknown_constant_is_refused() -> None:
    with pytest.raises(RuntimeCallError, match=r"constant 'D'.*'A', 'B'"):
        CompiledFunction(add_artifact(), constants={"D": B})


def test_several_outputs_come_as_a_tuple() -> None:
    low, high = CompiledFunction(_split())(A)
    assert (low.tolist(), high.tolist()) == ((A - 1).tolist(), (A + 1).tolist())


def test_several_outputs_are_given_as_a_tuple() -> None:
    f = CompiledFunction(_split())
    low, high, both = np.zeros(8, np.float32), np.zeros(8, np.float32), np.zeros(9, np.float32)
    assert all(x is y for x, y in zip(f(A, out=(low, high)), (low, high), strict=True))
    assert (low.tolist(), high.tolist()) == ((A - 1).tolist(), (A + 1).tolist())
    assert f(A, high, low)[0] is high
    assert (low.tolist(), high.tolist()) == ((A + 1).tolist(), (A - 1).tolist())
    f(A, out=[both[:8], high])
    assert both.tolist() == [*(A - 1).tolist(), 0]


def test_outputs_that_overlap_are_both_written_in_order() -> None:
    both = np.zeros(9, np.float32)
    CompiledFunction(_split())(A, out=(both[:8], both[1:]))
    assert both.tolist() == [-1, *(A + 1).tolist()]


def test_empty_and_zero_dimensional_arrays_work() -> None:
    empty = CompiledFunction(elementwise("A[i]", param("A", 0, 3), output("B", 0, 3)))
    assert empty(np.zeros((0, 3), np.float32)).shape == (0, 3)
    scalar = CompiledFunction(elementwise("A[i] + 1", param("A"), output("B")))
    assert scalar(np.float32(2.0)) == 3.0


def test_other_dtypes_arrive_as_they_are() -> None:
    params = [
        param("A", 5, dtype=FLOAT64),
        param("I", 5, dtype=INT32),
        param("M", 5, dtype=BOOL),
        output("B", 5, dtype=FLOAT64),
    ]
    f = CompiledFunction(elementwise("M[i] ? A[i] : I[i]", *params))
    a, i, m = np.linspace(0, 1, 5), np.arange(5, dtype=np.int32), np.arange(5) % 2 == 0
    assert f(a, i, m).tolist() == np.where(m, a, i).tolist()


def test_bfloat16_arrays_are_those_of_ml_dtypes() -> None:
    copy = elementwise("A[i]", param("A", 4, dtype=BFLOAT16), output("B", 4, dtype=BFLOAT16))
    a = np.array([1, 2.5, -3, np.inf], ml_dtypes.bfloat16)
    result = CompiledFunction(copy)(a)
    assert result.dtype == ml_dtypes.bfloat16
    assert result.tolist() == a.tolist()


def test_a_failing_kernel_is_an_error() -> None:
    fails = c_artifact("int32_t fails(void *const *b, void *w) { return 3; }", "fails", [])
    with pytest.raises(RuntimeCallError, match="'fails' failed: expected status 0, got 3"):
        CompiledFunction(fails)()


def test_each_call_has_its_own_workspace() -> None:
    """A kernel that keeps its input in the workspace for a while, called from many threads."""
    slow = c_artifact(
        "int32_t slow(void *const *b, void *w) {\n"
        "  const float *a = b[0]; volatile float *s = w; float *c = b[1];\n"
        "  if ((uintptr_t)w % 64) return 1;\n"
        "  for (int k = 0; k < 2000; k++) for (int i = 0; i < 8; i++) s[i] = a[i];\n"
        "  for (int i = 0; i < 8; i++) c[i] = s[i]; return 0; }",
        "slow",
        [param("A", 8), output("C", 8)],
        workspace_bytes=32,
    )
    f = CompiledFunction(slow)
    wrong: list[int] = []

    def run(number: int) -> None:
        mine = np.full(8, number, np.float32)
        for _ in range(100):
            if not (f(mine) == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_it_shows_what_it_was_made_of() -> None:
    f = CompiledFunction(add_artifact(), ir="for i", schedule=lambda: "s.split()")
    assert "fadd" in f.source()
    assert (f.ir(), f.schedule()) == ("for i", "s.split()")
    assert repr(f) == "<CompiledFunction add(A: float32[8], B: float32[8], C: float32[8])>"


def test_large_outputs_begin_at_a_cache_line() -> None:
    f = CompiledFunction(elementwise("A[i]", param("A", 1 << 16), output("B", 1 << 16)))
    result = f(np.zeros(1 << 16, np.float32))
    assert result.ctypes.data % 64 == 0
    assert result.flags.carray
