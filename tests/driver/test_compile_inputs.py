"""compile(): schedules, constants and databases that belong to something else, or to nothing."""

from pathlib import Path

import numpy as np
import pytest

import tensorc
from tensorc import Schedule, te
from tensorc.driver.compile import UntunedWarning
from tensorc.support.errors import TargetError


def doubled(size: int = 8, names: tuple[str, str] = ("A", "B")) -> list[te.Tensor]:
    a = te.placeholder((size,), name=names[0])
    return [a, te.compute((size,), lambda i: a[i] * 2.0, name=names[1])]


def test_a_schedule_of_the_same_program_under_other_names_is_used():
    schedule = Schedule(doubled(8, ("X", "Y")))
    schedule.split("Y", "i", [4])
    f = tensorc.compile(doubled(8), schedule=schedule)
    assert f.schedule() == 's = Schedule(program)\ns.split("B", "i", [4])\n'


def test_the_text_of_a_schedule_makes_it_again():
    tensors = doubled()
    schedule = Schedule(tensors)
    schedule.vectorize("B", schedule.split("B", "i", [4])[1])
    text = tensorc.compile(tensors, schedule=schedule).schedule()
    scope = {"Schedule": tensorc.Schedule, "program": tensors}
    exec(text, scope)
    assert scope["s"] == schedule
    assert tensorc.compile(tensors, schedule=scope["s"]).schedule() == text


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path):
    path = tmp_path / "none.db"
    with pytest.warns(UntunedWarning, match="No record"):
        tensorc.compile(doubled(), database=path)
    assert not path.exists()


def test_a_constant_is_bound_by_a_tensor_of_any_name():
    a, b = doubled(4, ("my input", "my.output"))
    ones = np.ones(4, np.float32)
    assert np.array_equal(tensorc.compile([a, b], constants={a: ones})(), 2 * ones)


def test_a_target_that_is_no_text_is_refused():
    with pytest.raises(TargetError, match="such as 'llvm', got 'None'"):
        tensorc.compile(doubled(), None)
