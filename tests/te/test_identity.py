"""The hash of a program, and its JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tensorc import te
from tensorc.support.errors import RecordError
from tensorc.te import ComputeDAG, Tensor
from tests.te import workloads
from tests.te.test_canonical import conditions_on_axes, integers_of_axes

PROGRAMS: list[list[Tensor]] = [
    workloads.matmul(4, 5, 6),
    workloads.conv2d_nchw_bn_relu(1, 8, 8, 3, 4, 3, 2, 1),
    workloads.max_pool2d(1, 6, 6, 2, 1),
    workloads.softmax_nm(2, 8),
    workloads.conv2d_winograd_nhwc(1, 8, 8, 2, 2, 3, 1, 1),
    workloads.zero_rank_reduce(8),
]


def program(
    *,
    names: str = "ABCijk",
    shape: tuple[int, int, int] = (4, 5, 6),
    dtype: str = "float32",
    reducer: te.CommReducer = te.sum,
    attrs: dict[str, Any] | None = None,
    start: int = 0,
    factor: float = 2.0,
) -> ComputeDAG:
    """`C[i, j] = Σ_k A[i, k] · B[k, j] · factor`, with everything that may differ."""
    a, b, c, i, j, k = names
    n, m, d = shape
    A = te.placeholder((n, d + start), dtype, name=a)
    B = te.placeholder((d + start, m), dtype, name=b)
    x = te.reduce_axis((start, d + start), name=k)
    C = te.compute(
        (n, m),
        lambda *p: reducer(A[p[0], x] * B[x, p[1]] * factor, axis=x),
        name=c,
        attrs=attrs,
        varargs_names=(i, j),
    )
    return ComputeDAG.from_tensors([A, B, C])


def test_names_do_not_change_the_hash() -> None:
    unroll = "auto_scheduler_always_unroll_inner"
    a = program(attrs={unroll: ["i", "k"]})
    b = program(names="XYZpqr", attrs={unroll: ["p", "r"]})
    assert a.structural_hash() == b.structural_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (4, 5, 7)},
        {"dtype": "float64"},
        {"reducer": te.max},
        {"attrs": {"FLOP": 3}},
        {"attrs": {"auto_scheduler_always_unroll_inner": ["i"]}},
        {"start": 1},
        {"factor": 3.0},
    ],
)
def test_any_change_changes_the_hash(change: dict[str, Any]) -> None:
    assert program(**change).structural_hash() != program().structural_hash()


def test_the_order_of_parameters_is_part_of_the_hash() -> None:
    A, B, C = workloads.matmul(4, 4, 4)
    one, other = (ComputeDAG.from_tensors(ts) for ts in ([A, B, C], [C, A, B]))
    assert one.structural_hash() != other.structural_hash()


def test_the_order_of_terms_in_an_index_is_not_part_of_the_hash() -> None:
    def shifted(index: Callable[..., te.Expr]) -> str:
        A = te.placeholder((64,), name="A")
        B = te.compute((4, 4), lambda i, j: A[index(i, j)], name="B")
        return ComputeDAG.from_tensors([A, B]).structural_hash()

    assert shifted(lambda i, j: i * 8 + j) == shifted(lambda i, j: j + 8 * i)


def test_user_reducers_are_told_apart_by_what_they_do() -> None:
    def hash_of(combine: Callable[..., te.Expr], name: str) -> str:
        reducer = te.comm_reducer(combine, lambda t: te.const(0, t), name=name)
        return program(reducer=reducer).structural_hash()

    add = hash_of(lambda x, y: x + y, "f")
    assert add == hash_of(lambda p, q: p + q, "g")
    assert add != hash_of(lambda x, y: te.max(x, y), "f")


@pytest.mark.parametrize("tensors", PROGRAMS)
def test_json_round_trip(tensors: list[Tensor]) -> None:
    dag = ComputeDAG.from_tensors(tensors)
    text = json.dumps(dag.to_json(), allow_nan=False)
    back = ComputeDAG.from_json(json.loads(text))
    assert json.dumps(back.to_json()) == text
    assert back.structural_hash() == dag.structural_hash()
    assert str(back) == str(dag)


@settings(max_examples=60)
@given(integers_of_axes(), conditions_on_axes(2))
def test_json_round_trip_of_random_formulas(
    formula: Callable[..., te.Expr], condition: Callable[..., te.Expr]
) -> None:
    A = te.placeholder((8, 8), "int32", name="A")

    def element(i: te.Expr, j: te.Expr) -> te.Expr:
        value = A[te.clip(formula(i, j), 0, 7), A[i, j]]
        return te.select(te.all(condition(i, j), value > 0), value, te.exp(value).astype("int32"))

    dag = ComputeDAG.from_tensors([A, te.compute((5, 7), element, name="B")])
    back = ComputeDAG.from_json(json.loads(json.dumps(dag.to_json())))
    assert [op.body for op in back.ops] == [op.body for op in dag.ops]
    assert back.structural_hash() == dag.structural_hash()


def test_json_of_a_tuple_reduction_and_infinities() -> None:
    A = te.placeholder((4, 8), "float64", name="A")
    k = te.reduce_axis((0, 8), name="k")
    p, v = te.compute((4,), lambda i: te.argmin(A[i, k], axis=k), name="B", tag="argmin")
    dag = ComputeDAG.from_tensors([A, p, v])
    back = ComputeDAG.from_json(json.loads(json.dumps(dag.to_json(), allow_nan=False)))
    assert back.by_name["B"].reducer == dag.by_name["B"].reducer
    assert back.by_name["B"].tag == "argmin"


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a JSON document."""
    items = (
        value.items() if isinstance(value, dict) else
        enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    return [path, *(p for key, v in items for p in _places(v, (*path, key)))]


_ORIGINAL = ComputeDAG.from_tensors(PROGRAMS[3]).to_json()


@settings(max_examples=300)
@given(
    st.sampled_from(_places(_ORIGINAL)[1:]),
    st.sampled_from([None, -3, 2.5, "x", "A", [], ["read"], {}, True, "float16", "delete"]),
)
def test_damaged_json_is_refused_or_harmless(place: tuple[Any, ...], damage: Any) -> None:
    value = copy.deepcopy(_ORIGINAL)
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    if damage == "delete":
        del inner[place[-1]]
    else:
        inner[place[-1]] = damage
    try:
        dag = ComputeDAG.from_json(json.loads(json.dumps(value)))
    except RecordError:
        return
    # What is accepted is a program: everything about it can be asked.
    assert dag.structural_hash()
    assert str(dag)
    assert dag.flops() >= 0


@pytest.mark.parametrize("value", [None, [], {}, {"version": 99}, "text", 3])
def test_what_is_no_program_is_refused(value: Any) -> None:
    with pytest.raises(RecordError, match="expected a program of version"):
        ComputeDAG.from_json(value)
