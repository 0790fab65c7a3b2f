from __future__ import annotations

import gc
import pickle
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorc.runtime import native
from tensorc.runtime.call import GeneralCall
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.library import load
from tensorc.runtime.quick_call import quick_call
from tensorc.support import options
from tensorc.support.errors import MissingDependencyError, RuntimeCallError
from tests.runtime.handmade import add_artifact, c_artifact, elementwise, output, param

A = np.arange(8, dtype=np.float32)
B = A * 2


class Counting:
    """The general way, with a record of what it had to do."""

    def __init__(self, general: GeneralCall) -> None:
        self.general = general
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.general, name)

    def __call__(self, *arrays: Any, **rest: Any) -> Any:
        self.calls.append(arrays)
        return self.general(*arrays, **rest)


@pytest.fixture
def counting() -> Counting:
    return Counting(GeneralCall(load(add_artifact()), {}, 1))


def test_arrays_that_fit_do_not_reach_python(counting: Counting) -> None:
    add = quick_call(counting)  # type: ignore[arg-type]
    c = np.zeros(8, np.float32)
    assert add(A, B).tolist() == (A + B).tolist()
    assert add(A, B, out=None).tolist() == (A + B).tolist()
    assert add(A, B, out=c) is c
    assert add(B, B, c) is c
    assert c.tolist() == (B + B).tolist()
    assert not counting.calls


def test_a_dtype_is_the_same_after_a_journey(counting: Counting) -> None:
    """A type that was pickled is equal to the usual object, and another one."""
    a = pickle.loads(pickle.dumps(A))
    assert quick_call(counting)(a, B).tolist() == (A + B).tolist()  # type: ignore[arg-type]
    assert not counting.calls


@pytest.mark.parametrize(
    ("arrays", "out"),
    [
        ((A[::-1], B), None),
        ((A, np.ma.array(B)), None),
        ((A, B), np.zeros(16, np.float32)[::2]),
        ((A, B), [np.zeros(8, np.float32)]),
    ],
)
def test_what_is_unusual_is_left_to_python(
    counting: Counting, arrays: Sequence[Any], out: Any
) -> None:
    add = quick_call(counting)  # type: ignore[arg-type]
    wanted = np.add(*map(np.asarray, arrays))
    assert np.asarray(add(*arrays, out=out)).tolist() == wanted.tolist()
    assert len(counting.calls) == 1


def test_an_output_in_the_memory_of_an_input_is_left_to_python(counting: Counting) -> None:
    add = quick_call(counting)  # type: ignore[arg-type]
    memory = np.zeros(12, np.float32)
    add(memory[:8], B, out=memory[4:])
    add(A, B, out=memory[4:])
    assert len(counting.calls) == 1


@pytest.mark.parametrize("length", [8, 1 << 14])
def test_calls_keep_nothing(length: int) -> None:
    a, b = np.ones(length, np.float32), np.ones(length, np.float32)
    held = np.ones(length, np.float32)
    things = "A[i] + B[i] + H[i]", *(param(name, length) for name in "ABH"), output("C", length)
    f = CompiledFunction(elementwise(*things), constants={"H": held})
    out, dtype = np.empty(length, np.float32), a.dtype

    def counts() -> list[int]:
        gc.collect()  # what other tests left
        return [sys.getrefcount(x) for x in (a, b, held, out, dtype)]

    f(a, b), f(a, b, out=out)
    before = counts()
    for _ in range(50):
        f(a, b)
        f(a, b, out=out)
        f(a, b, out)
        f(a, b, out=a)
        f(a[::-1], b)
        with pytest.raises(RuntimeCallError):
            f(a, b[1:])
    assert [abs(x - y) < 20 for x, y in zip(counts(), before, strict=True)] == [True] * 5
    result = f(a, b)
    assert sys.getrefcount(result) == 2


def test_a_function_is_gone_when_nobody_has_it() -> None:
    """Without a search for cycles, so that the memory of constants is free at once."""
    held = B.copy()
    f = CompiledFunction(add_artifact(), constants={"B": held})
    f(A)
    references = weakref.ref(held)
    gc.disable()
    try:
        del f, held
        assert references() is None
    finally:
        gc.enable()


@pytest.fixture
def sleeper() -> CompiledFunction:
    """A kernel that sleeps as long as its input says, in milliseconds."""
    text = (
        "#include <unistd.h>\n"
        "int32_t sleeper(void *const *b, void *w) {\n"
        "  *(float *)b[1] = 1; if (*(const float *)b[0] > 0)"
        " usleep(1000 * (int)*(const float *)b[0]); return 0; }"
    )
    return CompiledFunction(c_artifact(text, "sleeper", [param("A"), output("C")]))


def _others_run_during(call: Any) -> bool:
    """Whether another thread gets to run while a call lasts."""
    ticks, done = [0], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(1e-3)

    other = threading.Thread(target=tick)
    other.start()
    time.sleep(0.01)
    before = ticks[0]
    call()
    after = ticks[0]
    done.set()
    other.join()
    return after - before > 2


def test_other_threads_run_beside_a_long_kernel(sleeper: CompiledFunction) -> None:
    assert _others_run_during(lambda: sleeper(np.float32([100.0])[0:1].reshape(())))


def test_a_short_kernel_keeps_the_interpreter(sleeper: CompiledFunction) -> None:
    """One that was short once is: the time of a kernel does not depend on its data."""
    for _ in range(20):
        sleeper(np.zeros((), np.float32))
    assert not _others_run_during(lambda: sleeper(np.full((), 100, np.float32)))


def test_a_failure_is_told_once() -> None:
    text = "int32_t fails(void *const *b, void *w) { ++*(float *)b[0]; return 3; }"
    f = CompiledFunction(c_artifact(text, "fails", [param("A")]))
    count = np.zeros((), np.float32)
    with pytest.raises(RuntimeCallError, match="'fails' failed: expected status 0, got 3"):
        f(count)
    assert count == 1


@pytest.fixture
def fresh() -> Iterator[None]:
    """Look for native code anew, before and after."""
    native.call_module.cache_clear()
    yield
    native.call_module.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_it_works_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> None:
        raise MissingDependencyError("There is none.")

    monkeypatch.setenv(options.CACHE_DIR.name, str(tmp_path))
    monkeypatch.setattr(native, "find_compiler", refuse)
    f = CompiledFunction(add_artifact())
    assert isinstance(f.__call__, GeneralCall)
    assert f(A, B).tolist() == (A + B).tolist()


@pytest.mark.usefixtures("fresh")
def test_it_works_without_the_headers_of_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native.sysconfig, "get_path", lambda name: str(tmp_path))
    assert native.call_module() is None


def test_the_extension_is_compiled_once() -> None:
    assert native.call_module() is native.call_module()
