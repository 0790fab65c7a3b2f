"""Carry a schedule over to a DAG that computes the same under other names.

Records are found by a structural hash that knows no names, but steps speak of stages and iterators
by name. Two DAGs of one hash have the same operations with the same axes in the same order, which
gives the dictionary; names that steps derive (`C.local`, `i.0`, `i.0@j.0@`) are translated part by
part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace

from tensorc.schedule.steps import LocateStep, Step
from tensorc.te.dag import ComputeDAG

# `i.0.1` is axis `i` with the numbers of two splits.
_PART = re.compile(r"(?P<axis>[^.@]+)(?P<splits>(?:\.\d+)*)")


def rename_steps(steps: Iterable[Step], source: ComputeDAG, target: ComputeDAG) -> tuple[Step, ...]:
    """Return steps on `source` as steps on `target`, a DAG of the same structural hash."""
    stages = {a.name: b.name for a, b in zip(source.ops, target.ops, strict=True)}
    axes = {
        a.name: dict(zip(a.extents(), b.extents(), strict=True))
        for a, b in zip(source.ops, target.ops, strict=True)
    }
    if stages == {n: n for n in stages} and all(
        k == v for m in axes.values() for k, v in m.items()
    ):
        return tuple(steps)
    return tuple(_rename(step, stages, axes) for step in steps)


def _rename(step: Step, stages: Mapping[str, str], axes: Mapping[str, Mapping[str, str]]) -> Step:
    known = {f.name: getattr(step, f.name) for f in fields(step)}
    owner = (
        step.target if not isinstance(step, LocateStep) and hasattr(step, "target") else step.stage
    )
    names = axes.get(_base(owner, stages), {})
    changes: dict[str, object] = {}
    for field in ("stage", "target"):
        if field in known:
            changes[field] = _stage(known[field], stages)
    if "iterator" in known:
        changes["iterator"] = _iterator(known["iterator"], names)
    for field in ("iterators", "order"):
        if field in known and all(isinstance(x, str) for x in known[field]):
            changes[field] = tuple(_iterator(x, names) for x in known[field])
    if "readers" in known:
        changes["readers"] = tuple(_stage(x, stages) for x in known["readers"])
    return replace(step, **changes)  # type: ignore[arg-type]  # names of fields, checked above


def _base(stage: str, stages: Mapping[str, str]) -> str:
    """The operation a stage comes from: `C` of `C.local`; the longest name that fits."""
    return max(
        (name for name in stages if stage == name or stage.startswith(f"{name}.")),
        key=len,
        default=stage,
    )


def _stage(stage: str, stages: Mapping[str, str]) -> str:
    base = _base(stage, stages)
    return stages.get(base, base) + stage[len(base) :]


def _iterator(iterator: str, axes: Mapping[str, str]) -> str:
    return _PART.sub(lambda m: axes.get(m["axis"], m["axis"]) + m["splits"], iterator)
