"""The oracle."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tensorc.codegen.python import emit_python, execute
from tensorc.codegen.python_namespace import NAMESPACE, flat_array, numpy_dtype
from tensorc.ir.dtype import BFLOAT16, FLOAT16, FLOAT32, INT8, DType
from tensorc.ir.func import PrimFunc
from tensorc.ir.parser import parse_func
from tensorc.ir.printer import RESERVED
from tensorc.support.errors import RuntimeCallError


def kernel(body: str, **buffers: str) -> PrimFunc:
    params = ", ".join(f"{name}: buffer({text})" for name, text in buffers.items())
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    outputs = [name for name in buffers if name.islower()]
    return parse_func(f"@prim_func(outputs={tuple(outputs)!r})\ndef kernel({params}):\n{lines}")


def run(func: PrimFunc, *inputs: Any) -> Any:
    (out,) = func.params[len(inputs) :]
    result = np.zeros(out.shape, numpy_dtype(out.dtype))
    arrays = [np.array(a, numpy_dtype(p.dtype)) for a, p in zip(inputs, func.params, strict=False)]
    execute(func, [*arrays, result])
    return result


def test_every_word_of_the_text_has_a_meaning() -> None:
    assert set(NAMESPACE) == RESERVED


def test_dead_lanes_read_as_zero_and_are_not_written() -> None:
    func = kernel(
        "o[ramp(1, 4, dead=1)] = A[ramp(0, 4, dead=2)] + broadcast(1.0, 4)",
        A="(2,), 'float32'", o="(4,), 'float32'",
    )  # fmt: skip
    assert run(func, [5, 6]).tolist() == [0, 6, 7, 1]
    with pytest.raises(IndexError):
        run(kernel("o[ramp(2, 4, dead=1)] = broadcast(1.0, 4)", o="(4,), 'float32'"))


def test_float32_is_rounded_after_each_operation() -> None:
    func = kernel("o[0] = A[0] + 1.0 - 1.0", A="(1,), 'float32'", o="(1,), 'float32'")
    assert run(func, [1e-8]) == 0
    third = kernel("o[0] = (1.0 / 3.0) * 3.0 - 1.0", o="(1,), 'float32'")
    assert run(third) == np.float32(1) / np.float32(3) * np.float32(3) - np.float32(1)


@pytest.mark.parametrize(("dtype", "kind"), [(FLOAT16, np.float16), (BFLOAT16, ml_dtypes.bfloat16)])
def test_16_bit_floats_compute_in_float32(dtype: DType, kind: type) -> None:
    text = f"(1,), '{dtype}'"
    func = kernel("o[0] = A[0] * A[0] * A[0]", A=text, o=text)
    value = np.array([3.14159], kind).astype(np.float32)
    assert run(func, value) == (value * value * value).astype(kind)
    assert run(func, value).dtype == kind
    rounded = kernel(
        f"o[0] = float32({dtype}(float32(A[0])))", A="(1,), 'float32'", o="(1,), 'float32'"
    )
    assert run(rounded, [0.1]) == np.float32(0.1).astype(kind).astype(np.float32)


def test_integers_wrap_and_divide_towards_minus_infinity() -> None:
    i8 = "(1,), 'int8'"
    assert run(kernel("o[0] = A[0] + int8(1)", A=i8, o=i8), [127]) == -128
    assert run(kernel("o[0] = A[0] // int8(-2)", A=i8, o=i8), [7]) == -4
    assert run(kernel("o[0] = A[0] % int8(-2)", A=i8, o=i8), [7]) == -1
    assert run(kernel("o[0] = truncdiv(A[0], int8(-2))", A=i8, o=i8), [7]) == -3
    assert run(kernel("o[0] = truncmod(A[0], int8(2))", A=i8, o=i8), [-7]) == -1
    assert run(kernel("o[0] = popcount(A[0])", A=i8, o=i8), [-1]) == 8
    assert INT8.bits == 8


def test_maximum_keeps_a_nan_on_the_right() -> None:
    f = "(2,), 'float32'"
    func = kernel("for i in serial(0, 2):\n    o[i] = max(A[i], A[1 - i])", A=f, o=f)
    np.testing.assert_array_equal(run(func, [np.nan, 1]), [1, np.nan])


def test_vector_is_a_copy() -> None:
    f = "(4,), 'float32'"
    func = kernel(
        "t: float32[2] = o[ramp(0, 2)]\no[ramp(0, 2)] = A[ramp(2, 2)]\no[ramp(2, 2)] = t", A=f, o=f
    )
    np.testing.assert_array_equal(run(func, [1, 2, 3, 4]), [3, 4, 0, 0])
    backwards = kernel("o[ramp(0, 4)] = A[ramp(3, 4, -1)]", A=f, o=f)
    np.testing.assert_array_equal(run(backwards, [1, 2, 3, 4]), [4, 3, 2, 1])


def test_gather_outside_is_not_touched_unless_chosen() -> None:
    body = (
        "for i in serial(0, 3):\n    o[i] = where(I[i] >= 0, lambda: A[opaque(I[i], 0, 3)], -1.0)"
    )
    func = kernel(body, A="(4,), 'float32'", I="(3,), 'int32'", o="(3,), 'float32'")
    np.testing.assert_array_equal(run(func, [5, 6, 7, 8], [2, -9, 0]), [7, -1, 5])


@pytest.mark.parametrize("position", ["-1", "4", "ramp(3, 2)", "ramp(0, 2, -1)", "ramp(2, 2, 2)"])
def test_access_outside_a_buffer_is_found(position: str) -> None:
    value = "A[0]" if "ramp" not in position else "A[ramp(0, 2)]"
    func = kernel(f"o[{position}] = {value}", A="(4,), 'float32'", o="(4,), 'float32'")
    with pytest.raises(IndexError, match="is not in \\[0, 4\\)"):
        run(func, [1, 2, 3, 4])


def test_fresh_memory_is_poisoned() -> None:
    func = kernel("T = allocate((2,), 'float32', 'stack')\no[0] = T[1]", o="(1,), 'float32'")
    assert np.isnan(run(func))


def test_nests_deeper_than_python_allows_run() -> None:
    body = "".join(f"{'    ' * n}for i{n} in serial(0, 1):\n" for n in range(40))
    func = kernel(f"{body}{'    ' * 40}o[i39] = 2.0", o="(1,), 'float32'")
    assert run(func) == 2


def test_arrays_are_checked() -> None:
    func = kernel("o[0] = 1.0", o="(2, 2), 'float32'")
    with pytest.raises(RuntimeCallError, match="Expected 1 arrays for 'kernel', got 0"):
        execute(func, [])
    with pytest.raises(RuntimeCallError, match="of shape \\(2, 2\\)"):
        execute(func, [np.zeros(4, np.float32)])
    with pytest.raises(RuntimeCallError, match=r"got .* and 'float64'"):
        execute(func, [np.zeros((2, 2))])
    with pytest.raises(RuntimeCallError, match="C-contiguous"):
        execute(func, [np.zeros((2, 2), np.float32, order="F")])


def test_emitted_module_stands_alone() -> None:
    func = kernel("o[0] = 0.1 + 0.2", o="(1,), 'float32'")
    namespace: dict[str, Any] = {}
    exec(emit_python(func), namespace)
    data = np.zeros(1, np.float32)
    namespace["kernel"](flat_array("o", FLOAT32, data))
    assert data == np.float32(0.1) + np.float32(0.2)
