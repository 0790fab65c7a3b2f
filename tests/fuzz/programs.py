"""Random te programs with inputs, and what they compute by definition.

    from random import Random
    program = random_program(Random(7))
    program.check(outputs)            # of any compiler: raises where one is wrong

Every value carries a bound on its magnitude and on its rounding error, so that outputs are compared
as closely as they deserve: what is exact in any order of evaluation has to be equal. Discontinuous
functions (comparisons, roundings, positions of maxima) see exact values only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tensorc import te
from tensorc.ir.dtype import BOOL, FLOAT32, INT32, INT64, DType, as_dtype, compute_dtype
from tensorc.te import Expr, Tensor
from tensorc.te.constants import integer_range
from tensorc.te.order import placeholders_read
from tensorc.te.tensor import ComputeOp
from tests.te.interpreter import interpret, numpy_dtype

Array: TypeAlias = NDArray[Any]

EXTENTS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17)
# Several vectors of every type, with a tail and without.
LONG_EXTENTS = (31, 64, 70, 100, 129)
MOST_POINTS = 1500
FLOATS = ("float32", "float32", "float32", "float64", "float16", "bfloat16")
INTEGERS = ("int32", "int32", "int64", "int8", "uint8", "int16", "uint16")
_MANTISSA = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


@dataclass(frozen=True, slots=True)
class Info:
    """What is known of a value: a multiple of `2**-step` in `[low, high]`, up to `error`."""

    dtype: DType
    low: float
    high: float
    step: int = 0
    error: float = 0.0

    @property
    def size(self) -> float:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @property
    def exact(self) -> bool:
        """Whether there is one right answer, to the last bit."""
        return self.error == 0

    def rounded(self, mantissa: int) -> Info:
        """After a rounding to that many bits."""
        if self.exact and self.step < 60 and self.size * 2.0**self.step < 2.0 ** (mantissa - 1):
            return self
        slack = 4.0 if mantissa > 20 else 1.0
        return replace(self, error=self.error + slack * (self.size + 1) * 2.0**-mantissa)


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression and what is known of its value."""

    e: Expr
    info: Info


@dataclass(frozen=True, slots=True)
class Program:
    """Parameters of a program, arrays for its inputs, and a bound on the error of each output."""

    tensors: tuple[Tensor, ...]
    inputs: tuple[Array, ...]
    errors: tuple[float, ...]

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The computed parameters."""
        return tuple(t for t in self.tensors if isinstance(t.op, ComputeOp))

    def expected(self) -> list[Array]:
        """What the outputs are, evaluated element by element."""
        return interpret(self.tensors, self.inputs)

    def check(self, outputs: Sequence[Array]) -> None:
        """Raise an AssertionError if outputs are not what they should be."""
        for tensor, error, got, want in zip(
            self.outputs, self.errors, outputs, self.expected(), strict=True
        ):
            assert got.dtype == want.dtype
            assert got.shape == want.shape
            if error == 0:
                np.testing.assert_array_equal(got, want, err_msg=tensor.name)
            else:
                x, y = (a.astype(np.float64) for a in (got, want))
                np.testing.assert_allclose(x, y, rtol=0, atol=4 * error, err_msg=tensor.name)


def _epsilon(dtype: DType) -> float:
    """How exactly functions are computed, relatively."""
    return 2.0**-46 if dtype.bits == 64 else 2.0**-21


_FUNCTIONS: tuple[tuple[Callable[[Expr], Expr], float, float, float | None], ...] = (
    (lambda x: te.exp(te.clip(x, -4, 4)), 55, 0, 55),
    (te.tanh, 1, -1, 1),
    (te.sigmoid, 1, 0, 1),
    (te.erf, 1.2, -1, 1),
    (lambda x: te.sin(te.clip(x, -10, 10)), 1, -1, 1),
    (lambda x: te.sqrt(te.abs(x) + 1), 0.5, 1, None),
    (lambda x: te.log(te.abs(x) + 1), 1, 0, None),
    (lambda x: te.rsqrt(te.abs(x) + 1), 0.5, 0, 1),
)


def _wrapped(info: Info) -> Info:
    """The whole range of an integer type where a value might wrap; floats as they are."""
    if info.dtype.is_float:
        return info
    low, high = integer_range(info.dtype)
    if low <= info.low and info.high <= high:
        return info
    return replace(info, low=low, high=high)


def _hull(a: Info, b: Info) -> Info:
    """What is known of a value that is one of two."""
    return Info(
        a.dtype, min(a.low, b.low), max(a.high, b.high), max(a.step, b.step), max(a.error, b.error)
    )


def _computed(x: Info, y: Info, low: float, high: float) -> Info:
    """What is known of a sum, difference, minimum or maximum."""
    made = _wrapped(Info(x.dtype, low, high, max(x.step, y.step), x.error + y.error))
    return made.rounded(_MANTISSA[compute_dtype(x.dtype).name]) if x.dtype.is_float else made


def _product(x: Info, y: Info) -> Info:
    corners = [a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    error = x.size * y.error + y.size * x.error + x.error * y.error
    made = _wrapped(Info(x.dtype, min(corners), max(corners), x.step + y.step, error))
    return made.rounded(_MANTISSA[compute_dtype(x.dtype).name]) if x.dtype.is_float else made


def _reduced(kind: str, x: Info, count: int) -> Info:
    """What is known of a reduction of `count` values, in any order, rounded at each step or not."""
    if kind in ("max", "min", "any", "all"):
        return x
    if not x.dtype.is_float:
        return _wrapped(replace(x, low=-math.inf, high=math.inf) if kind == "prod" else replace(
            x, low=min(x.low, 0) * count, high=max(x.high, 0) * count))  # fmt: skip
    if kind == "prod":
        made = Info(x.dtype, -1, 1, x.step * count, x.error * count)
    else:
        low, high = min(x.low, 0) * count, max(x.high, 0) * count
        made = Info(x.dtype, low, high, x.step, x.error * count)
    rounded = made.rounded(_MANTISSA[x.dtype.name])
    return rounded if rounded.exact else replace(rounded, error=rounded.error * (count + 1))


def random_program(
    rng: Random, *, stages: int | None = None, dtypes: Sequence[str] = FLOATS + INTEGERS
) -> Program:
    """A program of one to five stages (or as many as asked for), with inputs."""
    builder = _Builder(rng, tuple(dtypes))
    for _ in range(stages or rng.randint(1, 5)):
        builder.stage()
    return builder.program()


@dataclass
class _Builder:
    rng: Random
    dtypes: tuple[str, ...]
    known: list[tuple[Tensor, Info]] = field(default_factory=list)
    arrays: dict[Any, Array] = field(default_factory=dict)
    read: set[Tensor] = field(default_factory=set)
    names: int = 0

    # ---- tensors

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def extent(self) -> int:
        return 0 if self.chance(0.01) else self.rng.choice(EXTENTS)

    def shape(self, most: int = 4) -> tuple[int, ...]:
        rank = self.rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4))
        shape = [self.extent() for _ in range(min(rank, most))]
        if 1 <= len(shape) <= 2 and self.chance(0.15):
            shape[-1] = self.rng.choice(LONG_EXTENTS)
        while math.prod(shape) > MOST_POINTS // 4:
            shape[shape.index(max(shape))] = self.rng.choice((1, 2, 3))
        return tuple(shape)

    def name(self) -> str | None:
        self.names += 1
        return f"T{self.names}" if self.chance(0.7) else None

    def placeholder(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        t = as_dtype(dtype or self.rng.choice(self.dtypes))
        numbers = np.random.default_rng(self.rng.getrandbits(32))
        if t == BOOL:
            array, info = numbers.random(shape) < 0.5, Info(t, 0, 1)
        elif t.is_float:
            # A coarse grid: sums of a few products are exact.
            array, info = numbers.integers(-16, 17, shape) / 8, Info(t, -2, 2, 3)
        else:
            low = -20 if t.kind == "int" else 0
            array, info = numbers.integers(low, 21, shape), Info(t, low, 20)
        tensor = te.placeholder(shape, t, name=self.name())
        self.arrays[tensor.op] = np.asarray(array).astype(numpy_dtype(t))
        self.known.append((tensor, info))
        return tensor

    def source(self, shape: tuple[int, ...] | None = None) -> Tensor:
        """An old tensor, or a new input; of a given shape if one is given."""
        fitting = [t for t, _ in self.known if shape is None or t.shape == shape]
        if fitting and self.chance(0.8):
            return self.rng.choice(fitting[-3:] if self.chance(0.7) else fitting)
        return self.placeholder(self.shape() if shape is None else shape)

    def info(self, tensor: Tensor) -> Info:
        return next(info for t, info in self.known if t is tensor)

    def add(self, tensors: Any, infos: Sequence[Info]) -> None:
        made = tensors if isinstance(tensors, tuple) else (tensors,)
        for tensor, info in zip(made, infos, strict=True):
            mantissa = _MANTISSA.get(info.dtype.name)
            self.known.append((tensor, info.rounded(mantissa) if mantissa else info))

    # ---- indices

    def linear(self, axes: Sequence[te.IterVar]) -> Expr:
        """A random affine of axes."""
        e: Expr = te.const(self.rng.randint(-4, 6))
        for a in self.rng.sample(list(axes), min(len(axes), self.rng.randint(0, 2))):
            e = e + a * self.rng.choice((-2, -1, 1, 1, 1, 2, 3))
        if self.chance(0.25):
            divide = self.rng.choice((te.floordiv, te.floormod, te.truncdiv, te.truncmod))
            e = divide(e, self.rng.choice((2, 3, 4, 8, -2)))
        return e

    def index(self, axes: Sequence[te.IterVar], extent: int) -> Expr:
        """An index in `[0, extent)`."""
        fitting = [a for a in axes if a.dom.min + a.dom.extent <= extent]
        same = [a for a in fitting if a.dom.extent == extent]
        kind = self.rng.random()
        if same and kind < 0.6:
            a = self.rng.choice(same)
            return extent - 1 - a if self.chance(0.15) else a
        if fitting and kind < 0.75:
            a = self.rng.choice(fitting)
            return a + self.rng.randint(0, extent - a.dom.min - a.dom.extent)
        if kind < 0.8:
            return te.const(self.rng.randrange(extent))
        if kind < 0.87:
            return te.clip(self.linear(axes), 0, extent - 1)
        data = [(t, i) for t, i in self.known if i.dtype in (INT32, INT64) and 0 not in t.shape]
        if data and kind < 0.95:
            tensor, info = self.rng.choice(data)
            element = self.read_at(tensor, [te.const(0)] * tensor.ndim if self.chance(0.2) else [
                te.floormod(self.linear(axes), n) for n in tensor.shape
            ])  # fmt: skip
            if info.low >= 0 and info.high < extent:
                return element
            return te.floormod(element, extent) if self.chance(0.5) else te.clip(
                element, 0, extent - 1
            )  # fmt: skip
        return te.floormod(self.linear(axes), extent)

    def read_at(self, tensor: Tensor, indices: Sequence[Expr]) -> Expr:
        self.read.add(tensor)
        return tensor(*indices)

    def element(self, tensor: Tensor, axes: Sequence[te.IterVar]) -> Typed:
        """An element of a tensor at random indices, perhaps guarded ones."""
        info = self.info(tensor)
        if 0 in tensor.shape:
            return self.literal(info.dtype)
        if axes and tensor.ndim and self.chance(0.15):
            indices = [self.linear(axes) if self.chance(0.5) else self.index(axes, n)
                       for n in tensor.shape]  # fmt: skip
            inside = te.all(
                *(te.all(i >= 0, i < n) for i, n in zip(indices, tensor.shape, strict=True))
            )
            other = self.literal(info.dtype)
            value = te.if_then_else(inside, self.read_at(tensor, indices), other.e)
            return Typed(value, _hull(info, other.info))
        indices = [self.index(axes, n) for n in tensor.shape]
        return Typed(self.read_at(tensor, indices), info)

    # ---- values

    def literal(self, dtype: DType) -> Typed:
        if dtype == BOOL:
            return Typed(te.const(self.chance(0.5)), Info(BOOL, 0, 1))
        low = 0 if dtype.kind == "uint" else -4
        n: float = self.rng.randint(low, 4)
        n = n / 4 if dtype.is_float else n
        return Typed(te.const(n, dtype), Info(dtype, n, n, 2 if dtype.is_float else 0))

    def converted(self, x: Typed, dtype: DType) -> Typed:
        """The value in another type, where that is well defined."""
        info = x.info
        if info.dtype == dtype:
            return x
        if dtype == BOOL:
            return Typed(x.e != 0, Info(BOOL, 0, 1)) if info.exact else self.literal(BOOL)
        if dtype.is_float:
            made = replace(info, dtype=dtype).rounded(_MANTISSA[dtype.name])
            return Typed(x.e.astype(dtype), made)
        if not info.exact:
            return self.literal(dtype)
        e = x.e
        if info.dtype.is_float:
            bound = 100
            e, info = te.clip(e, -bound, bound), replace(info, low=-bound, high=bound, step=0)
            if dtype.kind == "uint":
                e, info = te.abs(e), replace(info, low=0)
        return Typed(e.astype(dtype), _wrapped(replace(info, dtype=dtype, step=0)))

    def value(self, leaf: Callable[[], Typed], dtype: DType, depth: int) -> Typed:
        """A random expression of that type."""
        if depth == 0 or self.chance(0.15):
            return self.converted(leaf(), dtype)
        if dtype == BOOL:
            return self.truth(leaf, depth)
        a = self.value(leaf, dtype, depth - 1)
        if self.chance(0.2):
            return self.function(a)
        if self.chance(0.15):
            b = self.value(leaf, dtype, depth - 1)
            condition = self.truth(leaf, depth - 1)
            choose = self.rng.choice((te.select, te.if_then_else))
            return Typed(choose(condition.e, a.e, b.e), _hull(a.info, b.info))
        b = self.literal(dtype) if self.chance(0.2) else self.value(leaf, dtype, depth - 1)
        return self.tamed(self.binary(a, b), 100)

    def truth(self, leaf: Callable[[], Typed], depth: int) -> Typed:
        info = Info(BOOL, 0, 1)
        if depth > 0 and self.chance(0.3):
            p, q = self.truth(leaf, depth - 1), self.truth(leaf, depth - 1)
            join = self.rng.choice((te.all, te.any, lambda x, y: ~x, lambda x, y: x ^ y))
            return Typed(join(p.e, q.e), info)
        x = leaf()
        if x.info.dtype == BOOL:
            return x
        if not x.info.exact:
            return self.literal(BOOL)
        y = self.converted(leaf(), x.info.dtype) if self.chance(0.5) else self.literal(x.info.dtype)
        if not y.info.exact:
            y = self.literal(x.info.dtype)
        compare = self.rng.choice(("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"))
        return Typed(getattr(x.e, compare)(y.e), info)

    def binary(self, a: Typed, b: Typed) -> Typed:
        x, y, dtype = a.info, b.info, a.info.dtype
        kind = self.rng.choice("+-*<>/" if dtype.is_float else "+-*<>/%&|^")
        low = high = 0.0
        match kind:
            case "+":
                return Typed(a.e + b.e, _computed(x, y, x.low + y.low, x.high + y.high))
            case "-":
                return Typed(a.e - b.e, _computed(x, y, x.low - y.high, x.high - y.low))
            case "*":
                return Typed(a.e * b.e, _product(x, y))
            case "<":
                low, high = min(x.low, y.low), min(x.high, y.high)
                return Typed(te.minimum(a.e, b.e), _computed(x, y, low, high))
            case ">":
                low, high = max(x.low, y.low), max(x.high, y.high)
                return Typed(te.maximum(a.e, b.e), _computed(x, y, low, high))
            case "/" if dtype.is_float:
                error = x.error + x.size * y.error + (x.size + 1) * _epsilon(dtype)
                made = Info(dtype, -x.size, x.size, 0, error)
                return Typed(a.e / (te.abs(b.e) + 1), made)
            case "/" | "%":
                n = self.rng.choice((2, 3, 7) if dtype.kind == "uint" else (2, 3, -2, 7))
                options = (te.floordiv, te.truncdiv) if kind == "/" else (te.floormod, te.truncmod)
                made = Info(dtype, -x.size - 7, x.size + 7)
                return Typed(self.rng.choice(options)(a.e, n), _wrapped(made))
            case _:
                whole = _wrapped(Info(dtype, -math.inf, math.inf))
                e = a.e & b.e if kind == "&" else a.e | b.e if kind == "|" else a.e ^ b.e
                return Typed(e, whole)

    def function(self, a: Typed) -> Typed:
        x, dtype = a.info, a.info.dtype
        if not dtype.is_float or self.chance(0.3):
            made = _wrapped(replace(x, low=0 if dtype.is_float else -x.size, high=x.size))
            return Typed(te.abs(a.e), made)
        if x.exact and self.chance(0.3):
            name = self.rng.choice(("floor", "ceil", "round", "trunc"))
            made = replace(x, low=math.floor(x.low), high=math.ceil(x.high), step=0)
            return Typed(getattr(te, name)(a.e), made)
        f, slope, low, high = self.rng.choice(_FUNCTIONS)
        top = x.size + 1 if high is None else high
        error = slope * x.error + (top + x.size + 1) * _epsilon(dtype)
        return Typed(f(a.e), Info(dtype, low, top, 0, error))

    def tamed(self, x: Typed, most: float) -> Typed:
        """A float limited to `[-most, most]`, so that nothing overflows."""
        if not x.info.dtype.is_float or x.info.size <= most:
            return x
        made = replace(x.info, low=max(x.info.low, -most), high=min(x.info.high, most))
        return Typed(te.clip(x.e, -most, most), made)

    # ---- stages

    def stage(self) -> None:
        kinds = (self.map, self.map, self.free, self.reduce, self.reduce, self.window,
                 self.matmul, self.position, self.pair, self.several)  # fmt: skip
        self.rng.choice(kinds)()

    def leaves(self, axes: Sequence[te.IterVar], first: Tensor | None) -> Callable[[], Typed]:
        """Elements of a few tensors, axes, and literals."""
        others = [self.source() for _ in range(self.rng.randint(0, 2))]
        tensors = [first] * 3 + others if first is not None else others

        def leaf() -> Typed:
            if axes and self.chance(0.07):
                a = self.rng.choice(list(axes))
                return Typed(a + 0, Info(INT32, a.dom.min, a.dom.min + a.dom.extent))
            if not tensors:
                return self.literal(as_dtype(self.rng.choice(self.dtypes)))
            tensor = self.rng.choice(tensors)
            if tensor is first and tensor.ndim <= len(axes) and self.chance(0.7):
                own = axes[: tensor.ndim]
                if all(a.dom.min + a.dom.extent <= n for a, n in zip(own, tensor.shape)):  # noqa: B905
                    return Typed(self.read_at(tensor, own), self.info(tensor))
            return self.element(tensor, axes)

        return leaf

    def dtype(self, like: Tensor | None = None) -> DType:
        if like is not None and self.chance(0.7):
            return like.element_type
        return as_dtype(self.rng.choice((*self.dtypes, "bool")))

    def computed(
        self, shape: tuple[int, ...], formula: Callable[[tuple[te.IterVar, ...]], list[Typed]]
    ) -> None:
        """Make a tensor for each value of a formula."""
        infos: list[Info] = []

        def element(*axes: te.IterVar) -> Any:
            values = formula(axes)
            infos.extend(v.info for v in values)
            return values[0].e if len(values) == 1 else tuple(v.e for v in values)

        self.add(te.compute(shape, element, name=self.name()), infos)

    def map(self) -> None:
        source = self.source()
        dtype, depth = self.dtype(source), self.rng.randint(1, 3)
        self.computed(
            source.shape, lambda axes: [self.value(self.leaves(axes, source), dtype, depth)]
        )

    def free(self) -> None:
        dtype = self.dtype()
        self.computed(self.shape(), lambda axes: [self.value(self.leaves(axes, None), dtype, 2)])

    def several(self) -> None:
        source = self.source()
        dtypes = [self.dtype(source) for _ in range(2)]
        self.computed(
            source.shape,
            lambda axes: [self.value(self.leaves(axes, source), t, 2) for t in dtypes],
        )

    def over(self, extents: Sequence[int]) -> list[te.IterVar]:
        """Reduction axes; some do not start at 0."""
        starts = [self.rng.choice((0, 0, 0, 1, 2)) if n > 3 else 0 for n in extents]
        named = self.chance(0.7)
        return [
            te.reduce_axis((s, n), name=f"k{d}" if named else None)
            for d, (s, n) in enumerate(zip(starts, extents, strict=True))
        ]

    def reduce(self) -> None:
        source = self.source()
        if not source.ndim:
            source = self.placeholder((*self.shape(2), 5))
        reduced = sorted(self.rng.sample(range(source.ndim), self.rng.randint(1, source.ndim)))
        axes = self.over([source.shape[d] for d in reduced])
        kept = tuple(n for d, n in enumerate(source.shape) if d not in reduced)
        count = math.prod(a.dom.extent for a in axes)
        dtype = self.dtype(source)
        kinds = ("sum", "sum", "max", "min", "prod") if count else ("sum", "prod")
        kind = self.rng.choice(("all", "any") if dtype == BOOL else kinds)

        def formula(outer: tuple[te.IterVar, ...]) -> list[Typed]:
            spare = list(outer)
            position = [axes[reduced.index(d)] if d in reduced else spare.pop(0)
                        for d in range(source.ndim)]  # fmt: skip
            x = self.value(self.leaves(position, source), dtype, self.rng.randint(0, 2))
            x = self.tamed(x, 1 if kind == "prod" else 100)
            condition = None
            if kind in ("sum", "prod") and self.chance(0.2):
                condition = self.linear(position) >= 0
            reducer = getattr(te, kind)
            return [Typed(reducer(x.e, axis=axes, where=condition), _reduced(kind, x.info, count))]

        self.computed(kept, formula)

    def position(self) -> None:
        candidates = [
            t for t, i in self.known if t.ndim and t.shape[-1] and i.exact and i.dtype != BOOL
        ]
        source = self.rng.choice(candidates) if candidates else self.placeholder((3, 5))
        info = self.info(source)
        axes = self.over(source.shape[-1:])
        find = self.rng.choice((te.argmax, te.argmin))
        infos = [Info(INT32, 0, source.shape[-1] - 1), info]
        self.read.add(source)
        pair = te.compute(
            source.shape[:-1],
            lambda *i: find(source(*i, axes[0]), axis=axes[0]),
            name=self.name(),
        )
        self.add(pair, infos)

    def pair(self) -> None:
        """A reducer of our own of two values at once, of which one needs the other's sign."""
        dtype = as_dtype(self.rng.choice(self.dtypes))
        source = self.source()
        if not source.ndim:
            source = self.placeholder((*self.shape(2), 5))
        count = source.shape[-1]
        (axis,) = self.over([count])
        total_first = self.chance(0.5)

        def combine(x: tuple[Expr, Expr], y: tuple[Expr, Expr]) -> tuple[Expr, Expr]:
            return x[0] + y[0], te.select(x[1] < y[1], x[1], y[1])

        def identity(t: str, u: str) -> tuple[Expr, Expr]:
            return te.const(0, t), te.max_value(u)

        reducer = te.comm_reducer(combine, identity, name="total_and_least")
        reversed_ = te.comm_reducer(
            lambda x, y: combine(x[::-1], y[::-1])[::-1], lambda u, t: identity(t, u)[::-1]
        )

        def formula(outer: tuple[te.IterVar, ...]) -> list[Typed]:
            x = self.value(self.leaves([*outer, axis], source), dtype, 1)
            y = self.converted(Typed(source(*outer, axis), self.info(source)), INT32)
            self.read.add(source)
            total, least = _reduced("sum", x.info, count), _reduced("min", y.info, count)
            if not count:
                least = replace(least, low=-(2.0**31), high=2.0**31 - 1)
            if total_first:
                first, second = reducer((x.e, y.e), axis=axis)
                return [Typed(first, total), Typed(second, least)]
            first, second = reversed_((y.e, x.e), axis=axis)
            return [Typed(first, least), Typed(second, total)]

        self.computed(source.shape[:-1], formula)

    def matmul(self) -> None:
        n, m, k = (self.rng.choice(EXTENTS[:9]) for _ in range(3))
        dtype = self.rng.choice(self.dtypes)
        a, b = self.source((n, k)), self.placeholder((m, k) if self.chance(0.3) else (k, m), dtype)
        wide = self.dtype(b)
        wide = compute_dtype(wide) if wide != BOOL else FLOAT32
        (axis,) = self.over([k])
        self.read |= {a, b}

        def formula(axes: tuple[te.IterVar, ...]) -> list[Typed]:
            i, j = axes
            y = b[j, axis] if b.shape != (k, m) else b[axis, j]
            x = self.converted(Typed(a[i, axis], self.info(a)), wide)
            y = self.converted(Typed(y, self.info(b)), wide)
            made = _reduced("sum", _product(x.info, y.info), k)
            return [Typed(te.sum(x.e * y.e, axis=axis), made)]

        self.computed((n, m), formula)

    def window(self) -> None:
        source = self.source()
        if source.ndim not in (1, 2, 3) or min(source.shape) < 2 or self.info(source).dtype == BOOL:
            source = self.placeholder((self.rng.choice((2, 3)), self.rng.choice((5, 8, 9))))
        size, outer = source.shape[-1], source.shape[:-1]
        taps, stride = self.rng.randint(1, 3), self.rng.randint(1, 3)
        gap, border = self.rng.randint(1, 2), self.rng.randint(0, 2)
        count = (size + 2 * border - gap * (taps - 1) - 1) // stride + 1
        if count < 1:
            return
        info, dtype = self.info(source), self.info(source).dtype
        padded = self.padded(source, border) if self.chance(0.5) else None
        weight = self.placeholder((taps,), dtype.name)
        axis = te.reduce_axis((0, taps), name="r")
        self.read |= {source, weight}
        infos = [_reduced("sum", _product(_hull(info, Info(dtype, 0, 0)), self.info(weight)), taps)]

        def element(*i: te.IterVar) -> Expr:
            place = i[-1] * stride + axis * gap
            if padded is not None:
                return te.sum(padded(*i[:-1], place) * weight[axis], axis=axis)
            at = place - border
            x = source(*i[:-1], at)
            if border:
                x = te.if_then_else(te.all(at >= 0, at < size), x, te.const(0, dtype))
            return te.sum(x * weight[axis], axis=axis)

        self.add(te.compute((*outer, count), element, name=self.name()), infos)

    def padded(self, source: Tensor, border: int) -> Tensor:
        size, info = source.shape[-1], self.info(source)
        tensor = te.compute(
            (*source.shape[:-1], size + 2 * border),
            lambda *i: te.select(
                te.any(i[-1] < border, i[-1] >= size + border),
                te.const(0, info.dtype),
                source(*i[:-1], i[-1] - border),
            ),
            name=self.name(),
        )
        self.add(tensor, [_hull(info, Info(info.dtype, 0, 0))])
        self.read.add(tensor)
        return tensor

    # ---- the whole

    def program(self) -> Program:
        computed = [t for t, _ in self.known if isinstance(t.op, ComputeOp)]
        if not computed:
            self.map()
            return self.program()
        chosen = [t for t in computed if t not in self.read or self.chance(0.15)]
        outputs = chosen or computed[-1:]
        needed = set(placeholders_read(outputs))
        inputs = [t for t, _ in self.known if t.op in needed and not isinstance(t.op, ComputeOp)]
        tensors = [*inputs, *outputs]
        if self.chance(0.1):
            self.rng.shuffle(tensors)
        return Program(
            tuple(tensors),
            tuple(self.arrays[t.op] for t in tensors if not isinstance(t.op, ComputeOp)),
            tuple(self.info(t).error for t in tensors if isinstance(t.op, ComputeOp)),
        )
