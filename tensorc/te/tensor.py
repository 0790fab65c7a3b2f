"""Tensors as the user sees them, and the two operations that make them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from tensorc.ir.dtype import DType, as_dtype
from tensorc.support.errors import TEError
from tensorc.te.constants import is_number, plain
from tensorc.te.expr import Constant, Element, Expr, IterVar, Operators, Range, Reduction, as_expr

Index: TypeAlias = object
"""An integer expression or number."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaceholderOp:
    """An input. `named` says that the user chose the name, which must then be unique."""

    name: str
    shape: tuple[int, ...]
    dtypes: tuple[DType, ...]
    named: bool

    def output(self, index: int = 0) -> Tensor:
        """The tensor of that number."""
        return Tensor(self, index)


@dataclass(frozen=True, slots=True, eq=False)
class ComputeOp:
    """Tensors of one shape, each element of output `o` given by `body[o]`.

    Either no element of `body` is a `Reduction`, or all are outputs of one.
    """

    name: str
    shape: tuple[int, ...]
    dtypes: tuple[DType, ...]
    axis: tuple[IterVar, ...]
    body: tuple[Expr, ...]
    tag: str
    attrs: tuple[tuple[str, object], ...]
    named: bool

    @property
    def reduce_axis(self) -> tuple[IterVar, ...]:
        """The axes summed over (or combined otherwise)."""
        first = self.body[0]
        return first.axes if isinstance(first, Reduction) else ()

    @property
    def num_outputs(self) -> int:
        """How many tensors this makes."""
        return len(self.dtypes)

    def output(self, index: int = 0) -> Tensor:
        """The tensor of that number."""
        return Tensor(self, index)


Operation: TypeAlias = PlaceholderOp | ComputeOp


@dataclass(frozen=True, slots=True, eq=False)
class Tensor(Operators):
    """Output `value_index` of an operation; `A[i, j]`, `A[i][j]` and `A(i, j)` are elements of it.

    A tensor without dimensions may stand where a number is expected.
    """

    op: Operation
    value_index: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        return self.op.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.op.shape)

    @property
    def element_type(self) -> DType:
        """The type of the elements."""
        return self.op.dtypes[self.value_index]

    @property
    def dtype(self) -> str:
        """The name of the type of the elements."""
        return self.element_type.name

    @property
    def name(self) -> str:
        """The name of the operation; outputs of several are told apart by `.v0`, `.v1`, …."""
        if len(self.op.dtypes) == 1:
            return self.op.name
        return f"{self.op.name}.v{self.value_index}"

    def __getitem__(self, indices: Index) -> Element | TensorSlice:
        """An element, or, with too few indices, what takes the others."""
        return TensorSlice(self, ())[indices]

    def __call__(self, *indices: Index) -> Element:
        """An element."""
        return TensorSlice(self, tuple(as_index(self, i) for i in indices)).as_element()

    def as_element(self) -> Element:
        """The one element of a tensor without dimensions."""
        return TensorSlice(self, ()).as_element()

    def __iter__(self) -> NoReturn:
        raise TEError(f"The tensor '{self.name}' cannot be iterated over: index it.")

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, shape={self.shape}, dtype={self.dtype})"


@dataclass(frozen=True, slots=True, eq=False)
class TensorSlice(Operators):
    """A tensor with its first indices given, as `A[i]` of a matrix."""

    tensor: Tensor
    indices: tuple[Expr, ...]

    def __getitem__(self, indices: Index) -> Element | TensorSlice:
        """An element, or, with too few indices, what takes the others."""
        more = indices if isinstance(indices, tuple) else (indices,)
        given = (*self.indices, *(as_index(self.tensor, i) for i in more))
        if len(given) == self.tensor.ndim:
            return Element(self.tensor, given)
        if len(given) > self.tensor.ndim:
            raise _wrong_count(self.tensor, given)
        return TensorSlice(self.tensor, given)

    def as_element(self) -> Element:
        """The element, if all indices are given.

        Raises:
            TEError: if some are missing or too many.
        """
        if len(self.indices) != self.tensor.ndim:
            raise _wrong_count(self.tensor, self.indices)
        return Element(self.tensor, self.indices)

    def __iter__(self) -> NoReturn:
        raise TEError(f"The tensor '{self.tensor.name}' cannot be iterated over: index it.")


def _wrong_count(tensor: Tensor, indices: Sequence[Expr]) -> TEError:
    return TEError(
        f"Expected {tensor.ndim} indices for tensor '{tensor.name}' "
        f"of shape {tensor.shape}, got {len(indices)}."
    )


def as_index(tensor: Tensor, index: Index) -> Expr:
    """The index as an integer expression.

    Raises:
        TEError: if it is a slice, or not an integer.
    """
    if isinstance(index, slice) or index is Ellipsis or index is None:
        raise TEError(f"Expected an integer index for tensor '{tensor.name}', got '{index}'.")
    e = as_expr(index)
    if not e.dtype.is_integer:
        raise TEError(
            f"Expected an integer index for tensor '{tensor.name}', "
            f"got an expression of type '{e.dtype}'."
        )
    return e


def as_extent(value: object, what: str) -> int:
    """An extent as a non-negative int.

    Raises:
        TEError: if it is negative, not an integer, or not known.
    """
    if is_number(value):
        number = plain(value)
        if isinstance(number, int) and not isinstance(number, bool):
            if number < 0:
                raise TEError(f"Expected a non-negative extent of {what}, got {number}.")
            return number
    if isinstance(value, Constant):
        return as_extent(value.value, what)
    name = getattr(value, "name", None)
    if name is not None:
        raise TEError(
            f"The extent '{name}' of {what} is symbolic: shapes must be known, give an int."
        )
    raise TEError(f"Expected an int as extent of {what}, got '{value!r}'.")


def as_shape(shape: object, what: str) -> tuple[int, ...]:
    """A shape, given as a sequence of extents or as one extent, as a tuple of ints."""
    extents = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    return tuple(as_extent(e, what) for e in extents)


def placeholder(
    shape: object,
    dtype: DType | str | None = None,
    name: str | None = None,
    *,
    name_hint: str = "placeholder",
) -> Tensor:
    """An input tensor.

    Args:
        shape: The extents; 0 is allowed, and so is an empty shape.
        dtype: The type of its elements, by default float32.
        name: A name that is unique in its program.
        name_hint: What it is called, numbered where taken, if `name` is not given.
    """
    label = name or name_hint
    extents = as_shape(shape, f"tensor '{label}'")
    return Tensor(PlaceholderOp(label, extents, (as_dtype(dtype or "float32"),), name is not None))


def compute(
    shape: object,
    fcompute: Callable[..., object],
    name: str | None = None,
    tag: str = "",
    attrs: Mapping[str, object] | None = None,
    varargs_names: Sequence[str] | None = None,
    *,
    name_hint: str = "compute",
) -> Tensor:
    """A tensor, or a tuple of tensors, given by a formula for its elements.

    Args:
        shape: The extents.
        fcompute: Takes an index for each dimension; returns the element there, or a tuple with an
            element for each output. The names of its parameters become those of the axes.
        name: A name that is unique in its program.
        tag: A word that says what kind of operation this is.
        attrs: Annotations, among them those that the auto-scheduler understands.
        varargs_names: Names of the axes that a `*args` parameter takes.
        name_hint: What it is called, numbered where taken, if `name` is not given.

    Returns:
        A tensor; for several outputs a tuple of tensors.

    Raises:
        TEError: the formula has not one index for each dimension, returns no value, or
            returns reductions beside other values.
    """
    label = name or name_hint
    extents = as_shape(shape, f"tensor '{label}'")
    axes = _axes(fcompute, extents, label, varargs_names)
    result = fcompute(*axes)
    several = isinstance(result, (tuple, list))
    body = tuple(as_expr(e) for e in (result if isinstance(result, (tuple, list)) else (result,)))
    if not body:
        raise TEError(f"The formula of tensor '{label}' returned no value.")
    _check_reductions(body, label)
    pairs = tuple((str(k), v) for k, v in (attrs or {}).items())
    dtypes = tuple(e.dtype for e in body)
    op = ComputeOp(label, extents, dtypes, axes, body, tag, pairs, name is not None)
    if several and len(body) > 1:
        return tuple(op.output(o) for o in range(len(body)))  # type: ignore[return-value]
    return op.output()


def _axes(
    fcompute: Callable[..., object],
    shape: tuple[int, ...],
    label: str,
    varargs_names: Sequence[str] | None,
) -> tuple[IterVar, ...]:
    parameters = inspect.signature(fcompute).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = len(shape) - len(names)
    taken = len(names)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) and rest >= 0:
        names += varargs_names or [f"i{d}" for d in range(rest)]
    if len(names) != len(shape):
        raise TEError(
            f"Expected a formula of {len(shape)} indices for tensor '{label}' "
            f"of shape {shape}, got one of {len(names)}."
        )
    return tuple(
        IterVar(n, Range(0, e), "spatial", named=d < taken or varargs_names is not None)
        for d, (n, e) in enumerate(zip(names, shape, strict=True))
    )


def _check_reductions(body: tuple[Expr, ...], label: str) -> None:
    reductions = [e for e in body if isinstance(e, Reduction)]
    if not reductions:
        return
    first = reductions[0]
    outputs = tuple(e.output for e in reductions)
    if (
        any(e.sources is not first.sources for e in reductions)
        or len(reductions) != len(body)
        or outputs != tuple(range(len(first.sources)))
    ):
        raise TEError(
            f"Expected the outputs of tensor '{label}' to be those of one reduction, in order, "
            f"got {len(body)} outputs of which {len(reductions)} are reductions."
        )
