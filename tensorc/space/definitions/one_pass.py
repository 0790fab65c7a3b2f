"""Chains of reductions that read their data once from memory: softmax, variance.

    before:  A(i) = max over k of x(i, k)
             B(i) = Σ over k of exp(x(i, k) - A(i))
    after:   a(i, c) = max over part c of x        for parts that stay in a cache,
             b(i, c) = Σ over part c of exp(x - a(i, c))    one behind the other
             p(i, c) = a(i, c), b(i, c)
             A(i) = max over c of p.a(i, c)
             B(i) = Σ over c of p.b(i, c) · exp(p.a(i, c) - A(i))
             r(i) = A(i), B(i)    where others need both

Both sums over a part can be computed inside the loops of `p`, which nothing else reads. What stood
between the two reductions is computed again where others read it, and not kept.

It pays where the terms of an element, and what else is kept of each of them, do not fit the caches:
each is then read once less. From the last cache they come as fast as they are computed with. Of
parts that have no finite element the lowest number is the reference.

All such reductions of a program are one definition: each with and without the others would be many,
of the same error, for a search that has to measure them all.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tensorc import te
from tensorc.arith.affine import substitute_expr
from tensorc.ir.affine import variable
from tensorc.ir.expr import BinaryOp, Const, Expr, Read, Select, dtype_of
from tensorc.ir.visit import rewrite_expr, walk_expr
from tensorc.space.definitions.chains import (
    COUNT,
    PARTIAL,
    REFERENCE,
    Chain,
    chain_of,
    may_begin,
    with_values,
    written_into,
)
from tensorc.space.definitions.definition import Definition
from tensorc.space.definitions.parts import Parts, parts_of, size_of
from tensorc.space.definitions.splice import used
from tensorc.support.names import fresh
from tensorc.target import Target
from tensorc.te.dag import HOLDS_RESULTS, ComputeDAG
from tensorc.te.op import Op

# By how much parts of exponentials are shorter than those of squares.
_SHORTER: Final = 4


@dataclass(frozen=True, slots=True)
class OnePass:
    """Compute a reduction and the sums that need its result part by part.

    Attributes:
        least: How much of the last cache the terms of an element have to fill.
        cache: How much of the first-level cache a part fills. Of exponentials it is a quarter of
            that: while they are computed, memory has nothing to do but to fetch what is near.
    """

    least: float = 0.5
    cache: float = 0.5

    def apply(self, dag: ComputeDAG, tolerance: float, target: Target) -> Iterator[Definition]:
        """Return a definition with parts for all chains whose data leaves the caches."""
        if target.is_gpu:
            return
        new, done = dag, []
        for name in [op.name for op in dag.ops if self._is_large(op, target)]:
            # Of a chain that is rewritten, the stages of these names reduce what parts have given.
            first = new.by_name.get(name)
            chain = None
            if first is not None and self._is_large(first, target):
                chain = chain_of(new, first)
            if chain is None:
                continue
            share = self.cache if chain.is_sum else self.cache / _SHORTER
            parts = parts_of(new, chain.first, target, int(share * target.l1_bytes))
            if parts is not None:
                new = _rewritten(new, chain, parts)
                done.append(", ".join([name, *(f.stage for f in chain.followers)]))
        if done:
            yield Definition(f"one pass for {' and '.join(done)}", new)

    def _is_large(self, op: Op, target: Target) -> bool:
        """Whether it is a reduction that a chain may begin with, of so much data."""
        least = self.least * (target.l3_bytes or target.l2_bytes)
        return may_begin(op) and _bytes_read(op) >= least


def _bytes_read(op: Op) -> int:
    """The bytes of the terms of an element, of everything that is read for them."""
    total = 0
    for read in {x for e in op.body for x in walk_expr(e) if isinstance(x, Read)}:
        along = set(read.variables())
        moving = [extent for axis, extent in op.reduce_axes if axis in along]
        if moving:
            total += read.dtype.itemsize * math.prod(map(size_of, moving))
    return total


def _rewritten(dag: ComputeDAG, chain: Chain, parts: Parts) -> ComputeDAG:
    new = _Stages(dag, chain, parts, set(dag.by_name)).all()
    ops = [*(op for op in dag.ops if op.name not in {n.name for n in new}), *new]
    changed = dag.with_ops(_sorted(ops, dag))
    between = {name for f in chain.followers for name in f.written_out}
    short = _inlined(dag.with_ops(used(changed)), between)
    results = [chain.first.name, *(f.stage for f in chain.followers)]
    return _together(short, results, {op.name for op in new})


@dataclass(frozen=True, slots=True, eq=False)
class _Stages:
    """Makes the operations that take the place of a chain.

    Attributes:
        dag: The program.
        chain: What is computed.
        parts: By which parts.
        taken: The names of operations.
    """

    dag: ComputeDAG
    chain: Chain
    parts: Parts
    taken: set[str] = field(default_factory=set)

    def all(self) -> list[Op]:
        """The operations, two of which have the names of the chain's."""
        first, followers = self.chain.first, self.chain.followers
        partial = self._partial(first, first.body[0])
        stages, reference = self._reference(partial, self._read(partial))
        stages.insert(0, partial)
        sums = [
            self._partial(self.dag.by_name[f.stage], with_values(f.term, {REFERENCE: reference}))
            for f in followers
        ]
        together = replace(
            self._elementwise(f"{first.name}_parts", [self._read(op) for op in (partial, *sums)]),
            attrs=((HOLDS_RESULTS, 1),),
        )
        stages += [*sums, together]
        stages.append(self._whole(first, self._read(together)))
        again, of_part = self._reference(partial, self._read(together))
        stages += again
        for number, f in enumerate(followers, 1):
            op = self.dag.by_name[f.stage]
            values = {
                REFERENCE: of_part,
                PARTIAL: self._read(together, number),
                COUNT: self.parts.count(first.dtype),
            }
            scaled = self._elementwise(f"{op.name}_scaled", [with_values(f.whole, values)])
            stages += [scaled, self._whole(op, self._read(scaled))]
        return stages

    def _reference(self, partial: Op, result: Expr) -> tuple[list[Op], Expr]:
        """What stands for the first result in a part, and the stage it needs."""
        dtype = partial.dtype
        if not self.chain.is_sum:
            return [], BinaryOp("max", result, Const(te.min_value(dtype).value, dtype))
        mean = self.parts.mean(result, dtype)
        if not isinstance(mean, Select):
            return [], mean
        # A stage of its own is not computed for each term again.
        stage = self._elementwise(f"{partial.name}_mean", [mean])
        return [stage], self._read(stage)

    def _partial(self, op: Op, term: Expr) -> Op:
        """The reduction of a term, in terms of the first one's axes, over parts."""
        parts, reducer = self.parts, op.reducer
        assert reducer is not None
        body = substitute_expr(term, {parts.axis: parts.index})
        if parts.conditions:
            body = Select(parts.conditions, body, reducer.identity[0])
        return replace(
            self._elementwise(f"{op.name}_part", [body]),
            reduce_axes=((parts.step, parts.steps),),
            reducer=reducer,
        )

    def _whole(self, op: Op, result: Read) -> Op:
        """A reduction of the chain, over what parts have given."""
        names = dict(zip(self.chain.first.axes, op.axes, strict=True))
        sizes, taken = dict(self.parts.axes), set(op.axes)
        for name in self.parts.inside:
            names[name] = fresh(name, taken)
            taken.add(names[name])
        body = substitute_expr(result, {old: variable(new) for old, new in names.items()})
        inside = tuple((names[name], sizes[name]) for name in self.parts.inside)
        return replace(op, reduce_axes=inside, body=(body,), attrs=(), tag="")

    def _elementwise(self, name: str, body: Sequence[Expr]) -> Op:
        """An operation on the axes of parts."""
        name = fresh(name, self.taken)
        self.taken.add(name)
        axes, shape = zip(*self.parts.axes, strict=True)
        return Op(name, shape, tuple(map(dtype_of, body)), axes, body=tuple(body))

    def _read(self, op: Op, output: int = 0) -> Read:
        return Read(op.name, tuple(map(variable, op.axes)), op.dtypes[output], output)


def _together(dag: ComputeDAG, results: Sequence[str], inside: Container[str]) -> ComputeDAG:
    """Let what is outside of the chain and needs several results read them from one operation.

    Several inputs without an axis of the reader are a reason to tile it; results of a row are one.
    """
    outside = [op for op in dag.ops if op.name not in inside]
    readers = [op for op in outside if len(dag.reads[op.name].keys() & set(results)) > 1]
    if not readers:
        return dag
    ops = [dag.by_name[name] for name in results]
    axes = ops[0].axes
    name = fresh(f"{results[0]}_results", dag.by_name)
    body = tuple(Read(op.name, tuple(map(variable, axes)), op.dtype) for op in ops)
    types = tuple(op.dtype for op in ops)
    both = Op(name, ops[0].shape, types, axes, body=body, attrs=((HOLDS_RESULTS, 1),))

    def rule(e: Expr) -> Expr | None:
        if not isinstance(e, Read) or e.op not in results:
            return None
        return Read(name, e.indices, e.dtype, results.index(e.op))

    new = {
        op.name: replace(op, body=tuple(rewrite_expr(e, rule) for e in op.body)) for op in readers
    }
    return dag.with_ops(_sorted([*(new.get(op.name, op) for op in dag.ops), both], dag))


def _sorted(ops: Sequence[Op], dag: ComputeDAG) -> list[Op]:
    """Operations behind what they read, otherwise in their order."""
    reads = dag.with_ops(ops).reads
    done: dict[str, Op] = {}
    left = list(ops)
    while left:
        ready = next(op for op in left if done.keys() >= reads[op.name].keys())
        done[ready.name] = ready
        left.remove(ready)
    return list(done.values())


def _inlined(dag: ComputeDAG, stages: Collection[str]) -> ComputeDAG:
    """Compute stages again where a single other operation reads them, each element once at most."""
    for name in [op.name for op in dag.ops if op.name in stages]:
        producer = dag.by_name[name]
        readers = [dag.by_name[reader] for reader in dag.read_by[name]]
        if len(readers) == 1 and not _is_reused(producer, readers[0]):
            op = readers[0]
            new = replace(op, body=tuple(written_into(e, producer) for e in op.body))
            dag = dag.with_ops([new if x is op else x for x in dag.ops if x is not producer])
    return dag


def _is_reused(producer: Op, reader: Op) -> bool:
    """Whether an operation reads more elements than there are."""
    reads = {x for e in reader.body for x in walk_expr(e) if isinstance(x, Read)}
    times = sum(x.op == producer.name for x in reads)
    each = math.prod(map(size_of, reader.extents().values()))
    return times * each > math.prod(map(size_of, producer.shape))
