"""How memory-bound and vector operators compare with libraries: `python -m bench.vector_ops`.

Each case is tuned from nothing; then our kernel and every library that is installed (PyTorch in
both layouts, ONNX Runtime with constant weights, NumPy) are timed in turns in one process.
`python -m bench.vector_ops DEP.1 softmax --time-budget 20` runs the cases whose names begin so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import click
import numpy as np

from bench.report import Figure, publish
from kernels_ref.suite import cases as suite_cases
from tensorc import te, topi
from tensorc.cli.contest import compete, from_python
from tensorc.cli.race import aligned, kernel_turn, measured_peak
from tensorc.driver.tune import tune
from tensorc.schedule.printer import print_state
from tensorc.support.optional import is_installed, optional_import
from tensorc.target import Target
from tensorc.te.tensor import Tensor

Array: TypeAlias = Any
Call: TypeAlias = Callable[[], object]

# Others are to take this many times as long.
BAR: Final = 1.0
DEPTHWISE_BAR: Final = 1.5
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Onnx:
    """An ONNX graph: nodes `(operator, inputs, output, attributes)` over inputs `x0`, `x1`, ….

    Attributes:
        nodes: In order; the last one gives the result.
        inputs: The arrays given at each call.
        constants: By name.
    """

    nodes: tuple[tuple[str, tuple[str, ...], str, dict[str, Any]], ...]
    inputs: tuple[Array, ...]
    constants: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One computation.

    Attributes:
        name: What it is called.
        tensors: Its inputs and output.
        inputs: Data.
        nbytes: What has to be moved at least.
        flops: Operations; 0 where bandwidth is what counts.
        torch: Makes calls from the module and the inputs as tensors.
        numpy: The same in NumPy; also what results are checked against.
        onnx: The same as an ONNX graph.
        bar: The ratio to the best of others that is wanted.
    """

    name: str
    tensors: Sequence[Tensor]
    inputs: tuple[Array, ...]
    nbytes: int
    flops: float = 0.0
    torch: Callable[[Any, Sequence[Any]], list[Call]] | None = None
    numpy: Call | None = None
    onnx: Onnx | None = None
    bar: float = BAR


def _random(*shape: int) -> Array:
    rng = np.random.default_rng(len(shape))
    return aligned(rng.standard_normal(shape).astype(np.float32))


def _placeholders(*arrays: Array) -> list[Tensor]:
    names = "xyzuvw"
    return [te.placeholder(a.shape, name=n) for a, n in zip(arrays, names, strict=False)]


def _nbytes(inputs: Iterable[Array], out: Tensor) -> int:
    return sum(int(a.nbytes) for a in inputs) + 4 * int(np.prod(out.shape))


def _case(name: str, arrays: tuple[Array, ...], op: Callable[..., Tensor], **rest: Any) -> Case:
    tensors = _placeholders(*arrays)
    out = op(*tensors)
    return Case(name, [*tensors, out], arrays, _nbytes(arrays, out), **rest)


def _depthwise(number: int, case: Any) -> Case:
    data, weight = map(aligned, case.inputs(np.random.default_rng(0)))
    options = case.kwargs
    channels = data.shape[-1]
    filters = np.ascontiguousarray(weight.transpose(3, 0, 1, 2))
    nchw = aligned(data.transpose(0, 3, 1, 2))
    x, w = tensors = _placeholders(data, weight)
    out = topi.depthwise_conv2d_nhwc(x, w, **options)

    def torch_calls(torch: Any, _: Sequence[Any]) -> list[Call]:
        d, w = torch.from_numpy(nchw), torch.from_numpy(filters)
        run = partial(torch.conv2d, bias=None, groups=channels, **options)
        last = torch.channels_last
        cl = (d.contiguous(memory_format=last), w.contiguous(memory_format=last))
        return [partial(run, d, w), partial(run, *cl)]

    stride, pad = options["stride"], options["padding"]
    attributes = {
        "group": channels, "strides": [stride] * 2, "pads": [pad] * 4, "kernel_shape": [3, 3],
    }  # fmt: skip
    onnx = Onnx((("Conv", ("x0", "w"), "y", attributes),), (nchw,), {"w": filters})
    return Case(
        f"DEP.{number}", [*tensors, out], (data, weight), _nbytes((data, weight), out),
        case.flops, torch_calls, None, onnx, DEPTHWISE_BAR,
    )  # fmt: skip


def _norm(number: int, shape: tuple[int, ...]) -> Case:
    x = _random(*shape)

    def torch_calls(torch: Any, t: Sequence[Any]) -> list[Call]:
        flat = t[0].reshape(-1)
        return [
            lambda: torch.linalg.vector_norm(t[0], dim=(1, 2)),
            lambda: torch.sqrt(torch.dot(flat, flat)),
        ]

    flat = x.reshape(-1)
    return _case(
        f"NRM.{number}", (x,), topi.norm_bmn, torch=torch_calls,
        numpy=lambda: np.sqrt(np.dot(flat, flat)),
    )  # fmt: skip


def _softmax(name: str, rows: int, columns: int) -> Case:
    x = _random(rows, columns)
    return _case(
        name, (x,), topi.softmax,
        torch=lambda torch, t: [lambda: torch.softmax(t[0], -1)],
        onnx=Onnx((("Softmax", ("x0",), "y", {"axis": -1}),), (x,)),
    )  # fmt: skip


def _layer_norm(rows: int, columns: int) -> Case:
    x, gamma, beta = _random(rows, columns), _random(columns), _random(columns)
    return _case(
        f"layernorm.{rows}x{columns}", (x, gamma, beta), topi.layer_norm,
        torch=lambda torch, t: [lambda: torch.layer_norm(t[0], (columns,), t[1], t[2], 1e-5)],
        onnx=Onnx(
            (("LayerNormalization", ("x0", "g", "b"), "y", {"axis": -1, "epsilon": 1e-5}),),
            (x,), {"g": gamma, "b": beta},
        ),
    )  # fmt: skip


def _gelu(name: str, approximate: str, op: Callable[[Tensor], Tensor]) -> Case:
    x, bias = _random(128, 3072), _random(3072)
    return _case(
        name, (x, bias), lambda a, b: op(topi.bias_add(a, b)),
        torch=lambda torch, t: [
            lambda: torch.nn.functional.gelu(t[0] + t[1], approximate=approximate)
        ],
        onnx=Onnx(
            (
                ("Add", ("x0", "b"), "s", {}),
                ("Gelu", ("s",), "y", {"approximate": approximate}),
            ),
            (x,), {"b": bias},
        ),
    )  # fmt: skip


def _sums(name: str, axis: int) -> Case:
    x = _random(4096, 1024)
    return _case(
        name, (x,), partial(topi.sum, axis=axis),
        torch=lambda torch, t: [lambda: torch.sum(t[0], axis)],
        numpy=lambda: x.sum(axis),
        onnx=Onnx(
            (("ReduceSum", ("x0", "axes"), "y", {"keepdims": 0}),),
            (x,), {"axes": np.array([axis], np.int64)},
        ),
    )  # fmt: skip


def _transpose(name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> Case:
    x = _random(*shape)
    return _case(
        name, (x,), partial(topi.transpose, axes=axes),
        torch=lambda torch, t: [lambda: t[0].permute(axes).contiguous()],
        numpy=lambda: np.ascontiguousarray(x.transpose(axes)),
        onnx=Onnx((("Transpose", ("x0",), "y", {"perm": list(axes)}),), (x,)),
    )  # fmt: skip


def _gemv() -> Case:
    x, w = _random(1, 2048), _random(2048, 1000)
    return _case(
        "gemv.1x1000x2048", (x, w), topi.matmul, flops=2.0 * 2048 * 1000,
        torch=lambda torch, t: [lambda: t[0] @ t[1]],
        numpy=lambda: x @ w,
        onnx=Onnx((("MatMul", ("x0", "w"), "y", {}),), (x,), {"w": w}),
    )  # fmt: skip


def _pool(name: str, op: Callable[..., Tensor], onnx: str, torch_name: str) -> Case:
    x = _random(1, 64, 112, 112)

    def torch_calls(torch: Any, t: Sequence[Any]) -> list[Call]:
        run = partial(getattr(torch.nn.functional, torch_name), kernel_size=3, stride=2, padding=1)
        last = t[0].contiguous(memory_format=torch.channels_last)
        return [partial(run, t[0]), partial(run, last)]

    attributes: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    if onnx == "AveragePool":
        attributes["count_include_pad"] = 1
    return _case(
        name, (x,), lambda a: op(a, 3, 2, 1), torch=torch_calls,
        onnx=Onnx(((onnx, ("x0",), "y", attributes),), (x,)),
    )  # fmt: skip


def _chain() -> Case:
    x, y = _random(1024, 1024), _random(1024, 1024)
    return _case(
        "elementwise.1024", (x, y),
        lambda a, b: topi.relu(topi.add(topi.multiply(a, b), a)),
        torch=lambda torch, t: [lambda: torch.relu(t[0] * t[1] + t[0])],
        numpy=lambda: np.maximum(x * y + x, 0),
    )  # fmt: skip


CASES: Final[Mapping[str, Callable[[], Case]]] = {
    **{
        f"DEP.{k}": partial(_depthwise, k, case)
        for k, case in enumerate(suite_cases("DEP", batch=(1,)), start=1)
    },
    "NRM.1": partial(_norm, 1, (1, 256, 256)),
    "NRM.2": partial(_norm, 2, (1, 512, 512)),
    "NRM.3": partial(_norm, 3, (1, 1024, 1024)),
    "NRM.4": partial(_norm, 4, (1, 4096, 1024)),
    "SFM.1": partial(_softmax, "SFM.1", 256, 256),
    "SFM.2": partial(_softmax, "SFM.2", 512, 512),
    "SFM.3": partial(_softmax, "SFM.3", 1024, 1024),
    "SFM.4": partial(_softmax, "SFM.4", 2048, 2048),
    "softmax.1536x128": partial(_softmax, "softmax.1536x128", 1536, 128),
    "layernorm.128x768": partial(_layer_norm, 128, 768),
    "gelu.erf": partial(_gelu, "gelu.erf", "none", topi.gelu),
    "gelu.tanh": partial(_gelu, "gelu.tanh", "tanh", topi.gelu_tanh),
    "sum.rows": partial(_sums, "sum.rows", 1),
    "sum.columns": partial(_sums, "sum.columns", 0),
    "transpose.1024": partial(_transpose, "transpose.1024", (1024, 1024), (1, 0)),
    "transpose.bert": partial(_transpose, "transpose.bert", (128, 12, 64), (1, 0, 2)),
    "gemv": _gemv,
    "pool.max": partial(_pool, "pool.max", topi.max_pool2d_nchw, "MaxPool", "max_pool2d"),
    "pool.average": partial(
        _pool, "pool.average", topi.avg_pool2d_nchw, "AveragePool", "avg_pool2d"
    ),
    "elementwise": _chain,
}


def _onnx_call(graph: Onnx, threads: int) -> Call:
    onnx = optional_import("onnx", extra="bench", purpose="the comparison with ONNX Runtime")
    ort = optional_import("onnxruntime", extra="bench", purpose="the comparison with ONNX Runtime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node(op, list(i), [o], **a) for op, i, o, a in graph.nodes]
    names = [f"x{k}" for k in range(len(graph.inputs))]
    inputs = [
        helper.make_tensor_value_info(n, kind, a.shape)
        for n, a in zip(names, graph.inputs, strict=True)
    ]
    output = helper.make_tensor_value_info(graph.nodes[-1][2], kind, None)
    weights = [onnx.numpy_helper.from_array(a, n) for n, a in graph.constants.items()]
    made = helper.make_graph(nodes, "g", inputs, [output], weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    for name, array in zip(names, graph.inputs, strict=True):
        binding.bind_cpu_input(name, array)
    result = session.run(None, dict(zip(names, graph.inputs, strict=True)))[0]
    binding.bind_ortvalue_output(graph.nodes[-1][2], ort.OrtValue.ortvalue_from_numpy(result))
    return partial(session.run_with_iobinding, binding)


def others(case: Case, threads: int) -> dict[str, Call]:
    """Calls of every library that is installed, by name."""
    calls: dict[str, Call] = {}
    if case.torch is not None and is_installed("torch"):
        torch = optional_import("torch", extra="bench", purpose="the comparison with PyTorch")
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        tensors = [torch.from_numpy(a) for a in case.inputs]
        calls |= {f"torch{k}": c for k, c in enumerate(case.torch(torch, tensors))}
    if case.onnx is not None and is_installed("onnxruntime") and is_installed("onnx"):
        calls["ort"] = _onnx_call(case.onnx, threads)
    if case.numpy is not None:
        calls["numpy"] = case.numpy
    return calls


def measure(case: Case, target: Target, seconds: float, *, show: bool) -> Figure:
    """Tune a case, time everybody, print a line, and return the ratio to the best of others."""
    found = tune(list(case.tensors), target, trials=100_000, time_budget=seconds)
    kernel = found.compile()
    calls = others(case, target.num_cores)
    turns = {"ours": kernel_turn(kernel, case.inputs)}
    turns |= {name: from_python(call) for name, call in calls.items()}
    best = {name: timing.best for name, timing in compete(turns).items()}
    ours = best.pop("ours")
    rival = min(best, key=lambda name: best[name])
    speed = f"{case.nbytes / ours / 1e9:6.1f} GB/s"
    if case.flops:
        share = case.flops / ours / measured_peak(target.num_cores) / 1e7
        speed += f" {share:4.0f} % of peak"
    rest = "  ".join(f"{name} {best[name] * 1e6:.1f}" for name in best)
    click.echo(f"{case.name:18} {ours * 1e6:8.1f} us  {speed:28} {found.trials} trials  {rest}")
    if show:
        click.echo(print_state(found.state))
        click.echo(str(found.steps))
    sys.stdout.flush()
    return Figure(f"{case.name}, {rival} against tuned", best[rival] / ours, "times", case.bar)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--time-budget", default=20.0, show_default=True, help="Seconds of search a case.")
@click.option("--threads", default=1, show_default=True, help="For everybody.")
@click.option("--show", is_flag=True, help="Print the schedules.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path))
def main(
    names: tuple[str, ...], time_budget: float, threads: int, show: bool, report: Path | None
) -> None:
    """Print how long others take compared with our kernels."""
    target = Target.of(f"llvm -num-cores={threads}")
    chosen = [make for name, make in CASES.items() if not names or name.startswith(names)]
    publish([measure(make(), target, time_budget, show=show) for make in chosen], report)


if __name__ == "__main__":
    main()
