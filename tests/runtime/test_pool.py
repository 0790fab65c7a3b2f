from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from tensorc.ir.dtype import FLOAT64
from tensorc.runtime.function import CompiledFunction
from tensorc.runtime.pool import num_threads, pool_library
from tests.runtime.handmade import c_artifact, elementwise, output, param

SIZE = 10_007


def test_every_iteration_runs_exactly_once() -> None:
    for threads in (1, 2, 3, 7):
        for count in (1, 2, 5, 16, 17, 1000):
            f = CompiledFunction(
                elementwise("B[i] + 1 + A[i]", param("A", count), output("B", count)),
                threads=threads,
            )
            b = np.zeros(count, np.float32)
            for _ in range(20):
                f(np.zeros(count, np.float32), out=b)
            assert (b == 20).all()


def test_thread_numbers_are_below_the_number_of_threads() -> None:
    """Each thread counts in its part of the workspace; the serial end adds up."""
    counting = c_artifact(
        "static void body(void *w, int64_t begin, int64_t end, int32_t thread) {\n"
        "  int64_t *mine = (int64_t *)((char *)w + 64 * thread);\n"
        "  for (int64_t i = begin; i < end; i++) *mine += i; }\n"
        "int32_t counting(void *const *b, void *w) {\n"
        "  for (int t = 0; t < 5; t++) *(int64_t *)((char *)w + 64 * t) = 0;\n"
        "  parallel(body, w, 100000);\n"
        "  double sum = 0; for (int t = 0; t < 5; t++) sum += *(int64_t *)((char *)w + 64 * t);\n"
        "  *(double *)b[0] = sum; return 0; }",
        "counting",
        [output("sum", dtype=FLOAT64)],
        thread_workspace_bytes=8,
    )
    f = CompiledFunction(counting, threads=5)
    for _ in range(50):
        assert f() == 100000 * 99999 // 2


def test_loops_from_several_python_threads_do_not_disturb_each_other() -> None:
    f = CompiledFunction(elementwise("2 * A[i]", param("A", SIZE), output("B", SIZE)), threads=4)
    wrong: list[int] = []

    def run(number: int) -> None:
        a = np.full(SIZE, number, np.float32)
        for _ in range(200):
            if not (f(a) == 2 * number).all():
                wrong.append(number)

    _in_threads(run, 6)
    assert not wrong


def test_nested_loops_run_and_keep_their_thread_number() -> None:
    nested = c_artifact(
        "static void inner(void *x, int64_t begin, int64_t end, int32_t thread) {\n"
        "  float *out = ((void **)x)[0]; int64_t row = *(int64_t *)((void **)x)[1];\n"
        "  int32_t outer = *(int32_t *)((void **)x)[2];\n"
        "  for (int64_t i = begin; i < end; i++) out[row * 32 + i] += thread == outer; }\n"
        "static void outer(void *x, int64_t begin, int64_t end, int32_t thread) {\n"
        "  for (int64_t row = begin; row < end; row++) {\n"
        "    void *context[3] = {x, &row, &thread}; parallel(inner, context, 32); } }\n"
        "int32_t nested(void *const *b, void *w) { parallel(outer, b[0], 64); return 0; }",
        "nested",
        [output("B", 64, 32)],
    )
    f = CompiledFunction(nested, threads=3)
    b = np.zeros((64, 32), np.float32)
    for _ in range(100):
        f(out=b)
    assert (b == 100).all()


def test_a_forked_child_has_its_own_pool() -> None:
    f = CompiledFunction(elementwise("2 * A[i]", param("A", SIZE), output("B", SIZE)), threads=3)
    a = np.ones(SIZE, np.float32)
    f(a)
    child = os.fork()
    if child == 0:
        os._exit(0 if all((f(a) == 2).all() for _ in range(100)) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (f(a) == 2).all()


def test_workers_are_made_only_when_a_loop_needs_them() -> None:
    code = (
        "import numpy as np\n"
        "from tests.runtime.handmade import *\n"
        "from tensorc.runtime.function import CompiledFunction\n"
        "from tensorc.runtime.pool import pool_library\n"
        "f = CompiledFunction(elementwise('A[i]', param('A', 99), output('B', 99)))\n"
        "made = pool_library().lib.tensorc_pool_workers\n"
        "before = made(); f(np.zeros(99, np.float32)); print(f.threads, before, made())\n"
    )
    environment = {**os.environ, "TENSORC_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3", "0", "2"]


def test_the_default_is_what_the_variable_or_the_machine_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert num_threads() <= len(os.sched_getaffinity(0))
    monkeypatch.setenv("TENSORC_NUM_THREADS", "5")
    assert num_threads() == 5


def test_the_pool_is_there_for_libraries_loaded_later() -> None:
    assert pool_library().address("tensorc_parallel_for") != 0


def _in_threads(run: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
