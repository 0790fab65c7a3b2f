from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorc import te
from tensorc.measure.measurer import Measurer
from tensorc.measure.options import MeasureOptions
from tensorc.measure.reference import make_task
from tensorc.measure.result import ErrorKind, MeasureInput, MeasureResult
from tensorc.measure.task import MeasureTask
from tensorc.runtime.artifact import Artifact
from tensorc.schedule.steps import SplitStep
from tensorc.support.errors import MeasureError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG
from tests.measure import candidates

QUICK = MeasureOptions(run_limit=1.0)


@pytest.fixture(scope="module")
def measurer() -> Iterator[Measurer]:
    with Measurer(candidates.add_task(), QUICK) as opened:
        yield opened


def measure(measurer: Measurer, artifact: Artifact) -> MeasureResult:
    (result,) = measurer.measure([MeasureInput(artifact=artifact)])
    return result


def test_a_right_candidate_is_timed(measurer: Measurer) -> None:
    result = measure(measurer, candidates.right())
    assert result.error is ErrorKind.NONE
    assert result.latency is not None
    assert 1e-8 < result.latency < 1e-4
    assert result.latency == min(result.latencies)
    assert (result.message, result.phase) == ("", "")
    assert abs(result.timestamp - time.time()) < 60


def test_a_wrong_answer_says_where(measurer: Measurer) -> None:
    result = measure(measurer, candidates.wrong())
    assert result.error is ErrorKind.WRONG_ANSWER
    assert result.phase == "check"
    assert "'C', 1 of 1000 elements are wrong, the worst at [123]" in result.message
    assert result.latency is None


def test_an_output_that_is_not_written_is_wrong(measurer: Measurer) -> None:
    result = measure(
        measurer, candidates.candidate("for (int i = 1; i < 1000; i++) c[i] = a[i] + b[i];")
    )
    assert result.error is ErrorKind.WRONG_ANSWER
    assert "at [0]: expected" in result.message
    assert "got nan" in result.message


def test_a_crash_is_survived(measurer: Measurer) -> None:
    result = measure(measurer, candidates.segfaulting())
    assert (result.error, result.phase) == (ErrorKind.RUNTIME_CRASH, "run")
    assert "SIGSEGV" in result.message
    assert "0x8" in result.message
    assert measure(measurer, candidates.right()).error is ErrorKind.NONE


def test_a_hang_is_ended_at_the_limit(measurer: Measurer) -> None:
    start = time.monotonic()
    result = measure(measurer, candidates.looping())
    assert result.error is ErrorKind.RUN_TIMEOUT
    assert "1 s; the naive program takes 0.01 s" in result.message
    assert 1.0 <= time.monotonic() - start < 5
    assert measure(measurer, candidates.right()).error is ErrorKind.NONE


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (candidates.writing_just_outside, "wrote 4 bytes outside of 'C'.*4 bytes behind the end"),
        (candidates.writing_far_outside, "wrote to behind the end of 'C', 20000 bytes"),
        (candidates.writing_to_an_input, "wrote to the input 'A'"),
    ],
)
def test_a_write_out_of_bounds_is_found(measurer: Measurer, make: object, message: str) -> None:
    assert callable(make)
    result = measure(measurer, make())
    assert result.error is ErrorKind.OUT_OF_BOUNDS_WRITE
    assert re.search(message, result.message)


def test_a_write_outside_of_the_workspace_is_found(measurer: Measurer) -> None:
    artifact = candidates.candidate(
        "for (int i = 0; i < 1000; i++) c[i] = a[i] + b[i]; ((char *)w)[-1] = 1;",
        workspace_bytes=64,
    )
    result = measure(measurer, artifact)
    assert result.error is ErrorKind.OUT_OF_BOUNDS_WRITE
    assert "the workspace, the first of them 1 bytes before the start" in result.message


def test_a_read_out_of_bounds_is_a_crash_that_names_the_array(measurer: Measurer) -> None:
    result = measure(measurer, candidates.reading_outside())
    assert result.error is ErrorKind.RUNTIME_CRASH
    assert "read behind the end of 'B', 12000 bytes" in result.message


@pytest.mark.parametrize(
    ("make", "word"), [(candidates.aborting, "SIGABRT"), (candidates.leaving, "status 3")]
)
def test_other_ends_of_the_process_are_crashes(measurer: Measurer, make: object, word: str) -> None:
    assert callable(make)
    result = measure(measurer, make())
    assert result.error is ErrorKind.RUNTIME_CRASH
    assert word in result.message


def test_code_that_does_not_load_is_a_build_error(measurer: Measurer) -> None:
    broken = candidates.right()
    result = measure(measurer, Artifact("shared", b"nonsense", broken.entry, broken.params))
    assert (result.error, result.phase) == (ErrorKind.BUILD_ERROR, "load")


def test_faults_in_a_batch_of_64_do_not_touch_the_others(measurer: Measurer) -> None:
    batch = [candidates.right()] * 64
    faults = {
        5: (candidates.segfaulting(), ErrorKind.RUNTIME_CRASH),
        20: (candidates.looping(), ErrorKind.RUN_TIMEOUT),
        21: (candidates.writing_just_outside(), ErrorKind.OUT_OF_BOUNDS_WRITE),
        50: (candidates.wrong(), ErrorKind.WRONG_ANSWER),
    }
    for place, (artifact, _) in faults.items():
        batch[place] = artifact
    results = measurer.measure([MeasureInput(artifact=artifact) for artifact in batch])
    for place, result in enumerate(results):
        assert result.error is faults.get(place, (None, ErrorKind.NONE))[1]
        assert (result.latency is None) == (place in faults)


def test_results_come_while_more_is_submitted(measurer: Measurer) -> None:
    artifact = candidates.right()
    tickets = {measurer.submit(MeasureInput(artifact=artifact)) for _ in range(3)}
    found = {}
    for ticket, result in measurer.results(timeout=60):
        found[ticket] = result
        if len(found) == 2:
            tickets.add(measurer.submit(MeasureInput(artifact=artifact)))
    assert set(found) == tickets
    assert all(result.error is ErrorKind.NONE for result in found.values())


def test_what_a_caller_does_not_wait_for_is_forgotten(measurer: Measurer) -> None:
    stream = measurer.stream([MeasureInput(artifact=candidates.right()) for _ in range(20)])
    assert next(stream).error is ErrorKind.NONE
    stream.close()
    assert measure(measurer, candidates.wrong()).error is ErrorKind.WRONG_ANSWER
    assert list(measurer.results(timeout=1)) == []


def doubled() -> MeasureTask:
    A = te.placeholder((8, 8), name="A")
    C = te.compute((8, 8), lambda i, j: A[i, j] * 2.0, name="C")
    return make_task(ComputeDAG.from_tensors([A, C]), Target("llvm", num_cores=1))


def test_candidates_are_built_before_they_are_measured() -> None:
    task = doubled()
    splits = [MeasureInput((SplitStep("C", "i", (factor,)),)) for factor in (2, 4)]
    broken = MeasureInput((SplitStep("C", "nothing", (2,)),))
    with Measurer(task, MeasureOptions(run_limit=1.0, kept=2)) as measurer:
        built = list(measurer.build([*splits, broken]))
        again = list(measurer.build(splits))
        measured = measurer.measure([*splits, broken])
    assert [result.latency for result in (*built, *again)] == [None] * 5
    assert [result.error is ErrorKind.NONE for result in built] == [True, True, False]
    assert [result.build_seconds > 0.0 for result in (*built, *again)] == [True] * 3 + [False] * 2
    assert [result.latency is not None for result in measured] == [True, True, False]
    assert [result.build_seconds for result in measured[:2]] == [0.0, 0.0]


def test_a_candidate_to_build_is_taken_when_a_builder_has_time_for_it() -> None:
    splits = [MeasureInput((SplitStep("C", "i", (factor,)),)) for factor in (1, 2, 4, 8)]
    begun: list[MeasureInput] = []
    batch = (begun.append(candidate) or candidate for candidate in splits)
    with Measurer(doubled(), MeasureOptions(builders=1, kept=4)) as measurer:
        built = measurer.build(batch)
        assert [(next(built).error, len(begun)) for _ in splits] == [
            (ErrorKind.NONE, count) for count in (2, 3, 4, 4)
        ]
        assert list(built) == []


def test_a_candidate_that_is_kept_is_built_once() -> None:
    task = doubled()
    splits = [MeasureInput((SplitStep("C", "i", (factor,)),)) for factor in (2, 4)]
    with Measurer(task, MeasureOptions(run_limit=1.0, kept=1)) as measurer:
        first, second = (measurer.measure(splits) for _ in range(2))
    assert [result.error for result in (*first, *second)] == [ErrorKind.NONE] * 4
    assert min(result.build_seconds for result in first) > 0
    assert [result.build_seconds > 0 for result in second].count(False) == 1


def test_several_tasks_may_take_turns() -> None:
    tasks = [candidates.add_task("first"), candidates.add_task("second")]
    with Measurer(tasks, QUICK) as measurer:
        results = measurer.measure(
            [MeasureInput(task=key, artifact=candidates.right()) for key in ("first", "second") * 3]
        )
        assert all(result.error is ErrorKind.NONE for result in results)
        with pytest.raises(
            MeasureError, match="Unknown task 'third': expected one of 'first', 'second'"
        ):
            measurer.submit(MeasureInput(task="third"))


def test_a_candidate_that_hangs_up_and_loops_is_ended(measurer: Measurer) -> None:
    code = "for (int i = 3; i < 64; i++) close(i); for (;;) *(volatile float *)c = 1;"
    result = measure(measurer, candidates.candidate(code))
    assert result.error is ErrorKind.RUNTIME_CRASH
    assert measure(measurer, candidates.right()).error is ErrorKind.NONE


def test_a_candidate_that_writes_into_the_socket_is_ended(measurer: Measurer) -> None:
    code = (
        "char junk[100] = {4, 0, 0, 0}; for (int i = 3; i < 64; i++) write(i, junk, 100);"
        " for (;;) *(volatile float *)c = 1;"
    )
    result = measure(measurer, candidates.candidate(code))
    assert result.error in (ErrorKind.RUNTIME_CRASH, ErrorKind.RUN_TIMEOUT)
    assert measure(measurer, candidates.right()).error is ErrorKind.NONE


def test_a_runner_that_somebody_kills_is_replaced() -> None:
    others = set(_descendants(os.getpid()))
    with Measurer(candidates.add_task(), QUICK) as measurer:
        assert measure(measurer, candidates.right()).error is ErrorKind.NONE
        (template,) = [p for p in set(_descendants(os.getpid())) - others if _descendants(p)]
        for worker in _descendants(template):
            os.kill(worker, signal.SIGKILL)
        assert measure(measurer, candidates.right()).error is ErrorKind.NONE
        os.kill(template, signal.SIGKILL)
        with pytest.raises(MeasureError, match="Cannot start worker processes"):
            measure(measurer, candidates.segfaulting())


def test_a_task_without_a_dag_cannot_be_built_for() -> None:
    with (
        Measurer(candidates.add_task(), QUICK) as measurer,
        pytest.raises(MeasureError, match=r"'add'.*only finished artifacts"),
    ):
        measurer.measure([MeasureInput((SplitStep("C", "i", (4,)),))])


def test_a_closed_measurer_refuses() -> None:
    measurer = Measurer(candidates.add_task(), QUICK)
    with pytest.raises(MeasureError, match="not open"):
        measurer.submit(MeasureInput(artifact=candidates.right()))
    with measurer:
        pass
    with pytest.raises(MeasureError, match="not open"):
        measurer.submit(MeasureInput(artifact=candidates.right()))


def test_equal_keys_are_refused() -> None:
    with pytest.raises(MeasureError, match="different keys"):
        Measurer([candidates.add_task(), candidates.add_task()])


SCRIPT = """
import sys, time
import signal
from tests.measure import candidates
from tensorc.measure.measurer import Measurer
from tensorc.measure.options import MeasureOptions
from tensorc.measure.result import MeasureInput
# A shell starts background jobs with interrupts ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
measurer = Measurer(candidates.add_task(), MeasureOptions(run_limit=60.0))
measurer.__enter__()
print(measurer.measure([MeasureInput(artifact=candidates.right())])[0].error.name, flush=True)
"""


def run_script(folder: Path, rest: str) -> subprocess.Popen[str]:
    """A plain script, without a `__main__` guard; its temporary files go to `folder`."""
    script = folder / "script.py"
    script.write_text(SCRIPT + textwrap.dedent(rest))
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(
        [sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_a_plain_script_needs_no_main_guard(tmp_path: Path) -> None:
    process = run_script(tmp_path, "measurer.close()")
    assert process.communicate(timeout=100)[0].split() == ["NONE"]
    assert process.returncode == 0
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_program(tmp_path: Path, signal_number: int) -> None:
    """Interrupted or killed while a candidate loops, and others wait."""
    process = run_script(
        tmp_path,
        """
        with measurer:
            looping = MeasureInput(artifact=candidates.looping())
            right = MeasureInput(artifact=candidates.right())
            tickets = [measurer.submit(candidate) for candidate in (looping, right, right)]
            print("running", flush=True)
            measurer.measure([right])
        """
        if signal_number == signal.SIGKILL
        else """
        try:
            measurer.submit(MeasureInput(artifact=candidates.looping()))
            print("running", flush=True)
            measurer.measure([MeasureInput(artifact=candidates.right())])
        except KeyboardInterrupt:
            measurer.close()
            print("closed", flush=True)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "NONE\n"
    assert process.stdout.readline() == "running\n"
    time.sleep(0.3)
    assert _descendants(process.pid)
    members = _descendants(process.pid)
    process.send_signal(signal_number)
    rest = process.communicate(timeout=20)[0]
    if signal_number == signal.SIGINT:
        assert rest == "closed\n"
    deadline = time.monotonic() + 60  # most of a minute where eight others compute
    # A child that had only just begun is not among the members; it, too, ends and tidies up.
    while any(_is_alive(member) for member in members) or any((tmp_path / "tmp").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _descendants(process: int) -> list[int]:
    children: list[int] = []
    for folder in Path(f"/proc/{process}/task").iterdir():
        children += [int(child) for child in (folder / "children").read_text().split()]
    return children + [member for child in children for member in _descendants(child)]


def _is_alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
