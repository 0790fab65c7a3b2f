"""Kinds of values that options take."""

from __future__ import annotations

import click

from tensorc.support import host, options
from tensorc.support.errors import TargetError
from tensorc.target import CPU_KINDS, Target


class TargetParameter(click.ParamType):
    """A target for CPUs: 'llvm', 'c', or with fields, as in 'llvm -vector-bytes=32'."""

    name = "target"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Target:
        """Parse it; a bad one is a usage error."""
        if isinstance(value, Target):
            return value
        try:
            target = Target.parse(str(value))
        except TargetError as error:
            self.fail(str(error), param, ctx)
        if target.kind not in CPU_KINDS:
            self.fail(f"expected one of {', '.join(CPU_KINDS)}, got '{target.kind}'.", param, ctx)
        return target


def thread_count(threads: int | None) -> int:
    """Return what `--threads` says; else TENSORC_NUM_THREADS, else the cores that may be used."""
    return threads or options.NUM_THREADS.get() or host.usable_cores()
