"""The record database: what is kept, what is refused, who may write."""

import json
import sqlite3
import subprocess
import sys

import pytest

from tensorc import te
from tensorc.measure.record import Record, TaskInfo, target_key
from tensorc.measure.record_lines import export_lines, import_lines
from tensorc.measure.records import Database
from tensorc.schedule.stage import Annotation
from tensorc.schedule.steps import AnnotationStep, SplitStep
from tensorc.support.errors import RecordError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG

TARGET = Target("llvm", num_cores=2, vector_bytes=32)


def matmul_dag(prefix: str = "") -> ComputeDAG:
    a = te.placeholder((8, 8), name=f"{prefix}A")
    b = te.placeholder((8, 8), name=f"{prefix}B")
    k = te.reduce_axis((0, 8), name="k")
    c = te.compute((8, 8), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name=f"{prefix}C")
    return ComputeDAG.from_tensors([a, b, c])


INFO = TaskInfo.of(matmul_dag(), "matmul")
STEPS = (SplitStep("C", "i", (4,)), AnnotationStep("C", "i.0", Annotation.PARALLEL))


def record(*latencies: float, error: str = "NONE", **fields: object) -> Record:
    return Record(INFO.hash, TARGET, STEPS, latencies, error, **fields)  # type: ignore[arg-type]


def test_records_come_back_as_they_were(tmp_path):
    kept = [record(2e-3, 1e-3), record(error="RUNTIME_CRASH", phase="run", message="x" * 9000)]
    with Database(tmp_path / "a.db") as database:
        database.append(INFO, kept)
    with Database(tmp_path / "a.db") as database:
        assert list(database.records()) == kept
        assert database.tasks() == (INFO,)


def test_best_ignores_errors_and_other_targets():
    other = Record(INFO.hash, Target("llvm", num_cores=64), STEPS, (1e-9,))
    failed = record(1e-8, error="WRONG_ANSWER")
    with Database(":memory:") as database:
        database.append(INFO, [record(3e-3), failed, record(2e-3), other])
        best = database.best(INFO.hash, TARGET)
    assert best is not None
    assert best.latency == 2e-3


def test_the_final_figures_of_a_finished_run_decide_what_is_best():
    lucky, sound = record(1e-3), record(2e-3)
    finals = [record(4e-3, finals=1), record(3e-3, finals=1)]
    with Database(":memory:") as database:
        for added, best in ([lucky, sound], 1e-3), (finals, 3e-3), ([record(2.5e-3)], 1e-3):
            database.append(INFO, added)
            found = database.best(INFO.hash, TARGET)
            assert found is not None
            assert found.latency == best


def final(steps, *figures, finals=1):
    return [Record(INFO.hash, TARGET, steps, (figure,), finals=finals) for figure in figures]


@pytest.mark.parametrize(
    ("others", "winner"),
    [
        pytest.param([0.9, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3], 1, id="one lucky figure"),
        pytest.param([0.9], 1, id="given up early"),
        pytest.param([0.8] * 6, 0, id="interrupted in the last round"),
    ],
)
def test_the_best_record_is_that_of_the_schedule_that_won_the_final_rounds(others, winner):
    schedules = STEPS, STEPS[:1]
    with Database(":memory:") as database:
        database.append(INFO, [record(0.1), record(0.2)])
        database.append(INFO, final(schedules[0], *others))
        database.append(INFO, final(schedules[1], *[1.0] * 7))
        best = database.best(INFO.hash, TARGET)
    assert best is not None
    assert best.steps == schedules[winner]


def test_who_failed_in_the_final_rounds_is_not_the_best():
    failed = record(error="RUNTIME_CRASH", phase="run", finals=1)
    with Database(":memory:") as database:
        database.append(INFO, [record(0.1), *final(STEPS, 0.5), failed, *final(STEPS[:1], 1.0)])
        best = database.best(INFO.hash, TARGET)
    assert best is not None
    assert best.steps == STEPS[:1]


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        pytest.param([[0.9] * 7, []], [[1.0] * 2, [0.8] * 2], 1, id="who joins takes part"),
        pytest.param([[0.5] * 7, []], [[1.0] * 4, [0.8] * 4], 1, id="the machine was faster"),
        pytest.param([[0.9] * 7, [0.8] * 7], [[1.0] * 4, []], 0, id="who is left out is out"),
    ],
)
def test_the_last_final_rounds_decide_where_no_trials_came_in_between(first, second, winner):
    schedules = STEPS, STEPS[:1]
    with Database(":memory:") as database:
        assert database.last_finals(INFO.hash, TARGET) == 0
        database.append(INFO, [record(0.1)])
        for number, figures in enumerate((first, second), 1):
            for steps, mine in zip(schedules, figures, strict=True):
                database.append(INFO, final(steps, *mine, finals=number))
            assert database.last_finals(INFO.hash, TARGET) == number
        best = database.best(INFO.hash, TARGET)
    assert best is not None
    assert best.steps == schedules[winner]


def test_best_of_an_unknown_task_is_none():
    with Database(":memory:") as database:
        assert database.best("nothing", TARGET) is None


def test_a_task_is_found_under_other_names():
    assert TaskInfo.of(matmul_dag("other_"), "again").hash == INFO.hash


def test_steps_are_kept_in_the_names_of_the_first_dag():
    other = TaskInfo.of(matmul_dag("other_"), "again")
    steps = (SplitStep("other_C", "i", (4,)),)
    with Database(":memory:") as database:
        database.append(INFO, [record(2.0)])
        database.append(other, [Record(other.hash, TARGET, steps, (1.0,))])
        best = database.best(INFO.hash, TARGET)
    assert best is not None
    assert best.steps == (SplitStep("C", "i", (4,)),)


def test_stats_count_errors_by_kind():
    with Database(":memory:") as database:
        database.append(INFO, [record(1.0), record(error="BUILD_ERROR")] + [record(error="X")] * 2)
        (stats,) = database.stats()
    assert (stats.records, stats.best) == (4, 1.0)
    assert dict(stats.errors) == {"BUILD_ERROR": 1, "X": 2}


def test_export_and_import_keep_everything(tmp_path):
    with Database(":memory:") as database:
        database.append(INFO, [record(1.0), record(2.0)])
        assert export_lines(database, tmp_path / "log.json") == 2
        kept = list(database.records())
    with Database(tmp_path / "b.db") as database:
        assert import_lines(database, tmp_path / "log.json") == 2
        assert list(database.records()) == kept


def test_a_failure_in_the_final_rounds_keeps_its_phase(tmp_path):
    failed = record(error="RUNTIME_CRASH", phase="run", finals=1)
    with Database(tmp_path / "a.db") as database:
        database.append(INFO, [failed])
        export_lines(database, tmp_path / "log.json")
        assert list(database.records()) == [failed]
    with Database(":memory:") as database:
        import_lines(database, tmp_path / "log.json")
        assert list(database.records()) == [failed]


VERSION_1 = """
CREATE TABLE tasks (
    hash TEXT PRIMARY KEY, name TEXT NOT NULL, flops REAL NOT NULL, dag TEXT NOT NULL);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, task TEXT NOT NULL REFERENCES tasks(hash), target_key TEXT NOT NULL,
    target TEXT NOT NULL, steps TEXT NOT NULL, latency REAL, latencies TEXT NOT NULL,
    error TEXT NOT NULL, phase TEXT NOT NULL, message TEXT NOT NULL, build_seconds REAL NOT NULL,
    run_seconds REAL NOT NULL, confidence REAL NOT NULL, timestamp REAL NOT NULL);
CREATE INDEX by_task ON records (task, target_key, latency);
PRAGMA application_id = 1953722979;
PRAGMA user_version = 1;
"""


def of_version_1(path):
    """A database as version 1 left it: a lucky trial, a slower final figure, a failure."""
    rows = [(1e-3, "NONE", ""), (3e-3, "NONE", "confirm"), (None, "BUILD_ERROR", "build")]
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    fields = (INFO.hash, INFO.name, INFO.flops, INFO.dag)
    connection.execute("INSERT INTO tasks VALUES (?, ?, ?, ?)", fields)
    for latency, error, phase in rows:
        values = [INFO.hash, target_key(TARGET), json.dumps(TARGET.to_json()), "[]", latency]
        values += [json.dumps([latency] if latency else []), error, phase, "", 0.5, 0.5, 0.0, 1.0]
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO records VALUES (NULL, {marks})", values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_of_version_1_keeps_its_data(tmp_path, read_only):
    of_version_1(tmp_path / "a.db")
    with Database(tmp_path / "a.db", read_only=read_only) as database:
        found = list(database.records())
        assert [(r.latency, r.phase, r.is_final) for r in found] == [
            (1e-3, "", False),
            (3e-3, "", True),
            (None, "build", False),
        ]
        (stats,) = database.stats()
        assert (stats.records, stats.best) == (3, 1e-3)


def test_a_database_of_version_1_that_was_opened_is_of_version_2_and_goes_on(tmp_path):
    of_version_1(tmp_path / "a.db")
    for _ in range(2):
        with Database(tmp_path / "a.db") as database:
            database.append(INFO, [record(2e-3, finals=1)])
    with Database(tmp_path / "a.db", read_only=True) as database:
        assert [r.is_final for r in database.records()] == [False, True, False, True, True]


def test_looking_into_a_database_of_version_1_does_not_change_it(tmp_path):
    of_version_1(tmp_path / "a.db")
    before = (tmp_path / "a.db").read_bytes()
    with Database(tmp_path / "a.db", read_only=True) as database:
        best = database.best(INFO.hash, TARGET)
    assert best is not None
    assert (tmp_path / "a.db").read_bytes() == before


def test_lines_of_version_1_are_understood(tmp_path):
    path = tmp_path / "log.json"
    with Database(":memory:") as database:
        database.append(INFO, [record(1.0)])
        export_lines(database, path)
    first, second = path.read_text().splitlines()
    old = json.loads(second)
    del old["record"]["is_final"]
    final = {"record": {**old["record"], "phase": "confirm"}}
    path.write_text("\n".join([first, json.dumps(old), json.dumps(final)]) + "\n")
    with Database(":memory:") as database:
        import_lines(database, path)
        assert [(r.phase, r.is_final) for r in database.records()] == [("", False), ("", True)]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"record": {}}', '{"task": {"hash": "a"}}', '{"record": 3}']
)
def test_a_bad_line_is_refused_and_nothing_is_imported(tmp_path, line):
    path = tmp_path / "log.json"
    with Database(":memory:") as database:
        database.append(INFO, [record(1.0)])
        export_lines(database, path)
    path.write_text(path.read_text() + line + "\n")
    with Database(":memory:") as database:
        with pytest.raises(RecordError, match="line 3"):
            import_lines(database, path)
        assert database.tasks() == ()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(RecordError, match=r"notes\.txt"):
        Database(path)


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RecordError, match="another program"):
        Database(path)
    assert path.read_bytes() == before


def test_a_later_schema_is_refused(tmp_path):
    with Database(tmp_path / "a.db"):
        pass
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RecordError, match="later tensorc"):
        Database(tmp_path / "a.db")


def test_a_damaged_database_is_refused(tmp_path):
    path = tmp_path / "a.db"
    with Database(path) as database:
        database.append(INFO, [record(float(i + 1)) for i in range(200)])
    data = bytearray(path.read_bytes())
    data[100:4000] = b"\xff" * 3900
    path.write_bytes(data)
    with pytest.raises(RecordError, match="Cannot use"), Database(path) as database:
        list(database.records())


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(RecordError, match="Cannot use"):
        Database(tmp_path / "nowhere" / "a.db")


def test_a_damaged_row_is_refused(tmp_path):
    path = tmp_path / "a.db"
    with Database(path) as database:
        database.append(INFO, [record(1.0)])
    connection = sqlite3.connect(path)
    connection.execute("UPDATE records SET steps = '[[\"??\"]]'")
    connection.commit()
    connection.close()
    with Database(path) as database, pytest.raises(RecordError):
        list(database.records())


def test_a_database_that_cannot_be_written_can_be_read(tmp_path):
    folder = tmp_path / "shipped"
    folder.mkdir()
    with Database(folder / "a.db") as database:
        database.append(INFO, [record(1.0)])
    (folder / "a.db").chmod(0o444)
    folder.chmod(0o555)
    with Database(folder / "a.db", read_only=True) as database:
        assert len(list(database.records())) == 1
        with pytest.raises(RecordError, match="readonly"):
            database.append(INFO, [record(2.0)])
    folder.chmod(0o755)


def test_looking_into_a_database_that_is_none_is_refused(tmp_path):
    (tmp_path / "empty.db").touch()
    for name in ("nothing.db", "empty.db"):
        with pytest.raises(RecordError, match=name):
            Database(tmp_path / name, read_only=True)


WRITER = """
import os, sys
from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.target import Target
path, info, count, die = sys.argv[1], TaskInfo(*eval(sys.argv[2])), int(sys.argv[3]), sys.argv[4]
with Database(path) as database:
    for i in range(count):
        target = Target("llvm", num_cores=2, vector_bytes=32)
        database.append(info, [Record(info.hash, target, (), (1.0 + i,))])
        print(i, flush=True)
    if die == "die":
        os.kill(os.getpid(), 9)
"""


def writer(path, count: int, die: str = "") -> subprocess.Popen[bytes]:
    info = repr((INFO.hash, INFO.name, INFO.flops, INFO.dag))
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), info, str(count), die], stdout=subprocess.PIPE
    )


def test_several_processes_may_write_at_once(tmp_path):
    path = tmp_path / "a.db"
    processes = [writer(path, 40) for _ in range(3)]
    assert [p.communicate()[0].count(b"\n") for p in processes] == [40, 40, 40]
    with Database(path) as database:
        assert len(list(database.records())) == 120


def test_a_killed_writer_loses_nothing_it_committed(tmp_path):
    path = tmp_path / "a.db"
    process = writer(path, 25, "die")
    committed = process.communicate()[0].count(b"\n")
    assert (process.returncode, committed) == (-9, 25)
    with Database(path) as database:
        assert len(list(database.records())) == 25


def test_a_record_is_plain_json():
    assert Record.from_json(json.loads(json.dumps(record(1.0).to_json()))).latency == 1.0
