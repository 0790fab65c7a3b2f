"""compile(): what it takes, what it gives, what it refuses."""

import os
import warnings

import numpy as np
import pytest

import tensorc
from tensorc import te
from tensorc.driver.compile import UntunedWarning
from tensorc.measure.record import Record, TaskInfo
from tensorc.measure.records import Database
from tensorc.schedule.steps import SplitStep
from tensorc.support.errors import RecordError, TargetError, TEError
from tensorc.target import Target
from tensorc.te.dag import ComputeDAG


def matmul(size: int = 16, prefix: str = ""):
    a = te.placeholder((size, size), name=f"{prefix}A")
    b = te.placeholder((size, size), name=f"{prefix}B")
    k = te.reduce_axis((0, size), name="k")
    c = te.compute((size, size), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name=f"{prefix}C")
    return a, b, c


def arrays(size: int = 16):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((size, size)).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize("target", ["llvm", "c", "python"])
def test_every_target_computes_the_same(target):
    x, y = arrays()
    assert np.allclose(tensorc.compile(matmul(), target)(x, y), x @ y, atol=1e-5)


def test_a_constant_is_bound_once():
    a, b, c = matmul()
    x, y = arrays()
    for constants in ({b: y}, {"B": y}):
        f = tensorc.compile([a, b, c], constants=constants)
        assert np.allclose(f(x), x @ y, atol=1e-5)


def test_a_constant_that_is_no_input_is_refused():
    with pytest.raises(TEError, match=r"'C'.*'A', 'B'"):
        tensorc.compile(matmul(), constants={"C": arrays()[0]})


def test_a_schedule_of_ones_own_is_used():
    tensors = matmul()
    s = tensorc.Schedule(tensors)
    s.split("C", "i", [4])
    f = tensorc.compile(tensors, schedule=s)
    x, y = arrays()
    assert 's.split("C", "i", [4])' in f.schedule()
    assert np.allclose(f(x, y), x @ y, atol=1e-5)


def test_a_schedule_of_other_tensors_is_refused():
    s = tensorc.Schedule(matmul(32))
    with pytest.raises(TEError, match="another's"):
        tensorc.compile(matmul(), schedule=s)


def test_the_texts_of_every_stage_can_be_read():
    f = tensorc.compile(matmul(), name="my kernel")
    assert "define" in f.source()
    assert "def my_kernel(" in f.ir()


@pytest.mark.parametrize("target", ["llvm", "c"])
@pytest.mark.parametrize("name", ["tensorc_parallel_for", "llvm", "int"])
def test_a_name_that_the_code_uses_itself_is_not_the_kernels(target, name):
    f = tensorc.compile(matmul(), Target(target, num_cores=2), name=name)
    x, y = arrays()
    assert f.name == f"{name}_"
    assert np.allclose(f(x, y), x @ y, atol=1e-5)


def test_an_unknown_target_is_refused():
    with pytest.raises(TargetError, match="'fpga'"):
        tensorc.compile(matmul(), "fpga")


def test_without_a_record_the_default_is_used_and_a_warning_says_so(tmp_path):
    with pytest.warns(UntunedWarning, match="'C'"):
        f = tensorc.compile(matmul(), database=tmp_path / "a.db")
    x, y = arrays()
    assert np.allclose(f(x, y), x @ y, atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "renamed_"])
def test_the_best_record_is_used_under_any_names(tmp_path, prefix):
    target = Target("llvm")
    info = TaskInfo.of(ComputeDAG.from_tensors(matmul()), "matmul")
    fast, slow = (
        Record(info.hash, target, (SplitStep("C", "i", (n,)),), (n * 1.0,)) for n in (2, 8)
    )
    with Database(tmp_path / "a.db") as database, warnings.catch_warnings():
        warnings.simplefilter("error")
        database.append(info, [slow, fast])
        f = tensorc.compile(matmul(prefix=prefix), target, database=database)
    x, y = arrays()
    assert f's.split("{prefix}C", "i", [2])' in f.schedule()
    assert np.allclose(f(x, y), x @ y, atol=1e-5)


def test_records_in_a_folder_that_cannot_be_written_are_used(tmp_path, monkeypatch):
    path, target = tmp_path / "shipped" / "a.db", Target("llvm")
    path.parent.mkdir()
    info = TaskInfo.of(ComputeDAG.from_tensors(matmul()), "matmul")
    with Database(path) as database:
        database.append(info, [Record(info.hash, target, (SplitStep("C", "i", (4,)),), (1.0,))])
    path.chmod(0o444)
    path.parent.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda *_: False)  # for root every folder can be written
    f = tensorc.compile(matmul(), target, database=path)
    assert 's.split("C", "i", [4])' in f.schedule()
    assert [p.name for p in path.parent.iterdir()] == ["a.db"]


def test_a_database_that_is_none_is_refused(tmp_path):
    path = tmp_path / "a.db"
    path.write_text("something else entirely, long enough to have a header" * 9)
    with pytest.raises(RecordError, match=r"a\.db"):
        tensorc.compile(matmul(), database=path)


def test_tensors_and_their_dag_are_both_accepted():
    x, y = arrays()
    dag = ComputeDAG.from_tensors(matmul())
    assert np.array_equal(tensorc.compile(dag)(x, y), tensorc.compile(matmul())(x, y))
