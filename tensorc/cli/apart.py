"""Runs of a command in processes of their own, one after the other.

Some libraries read once how many threads they may have: XLA when its client starts, TVM when its
pool does. A process can compare with them on one number of threads only.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from tensorc.measure.isolate import end_with_parent
from tensorc.support.errors import TensorcError

Order = TypeVar("Order")


def all_apart(run: Callable[[Order], bool], orders: Sequence[Order]) -> bool:
    """Run each order in a fresh process; return whether all went well.

    An interrupt reaches the process that runs, which ends as it likes; no other is started. If this
    process is killed, the other ends, too.
    """
    context = multiprocessing.get_context("spawn")
    good, interrupted = True, False
    for order in orders:
        process = context.Process(target=_run, args=(run, order, os.getpid()))
        process.start()
        try:
            process.join()
        except KeyboardInterrupt:
            interrupted = True
            process.join()
        good = good and process.exitcode == 0
        if interrupted:
            break
    return good


def _run(run: Callable[[Order], bool], order: Order, parent: int) -> None:
    """Run in this process; the exit code is 1 if it does not go well.

    Raises:
        SystemExit: It does not go well; with the sentence of an error.
    """
    try:
        end_with_parent(parent)
        good = run(order)
    except TensorcError as error:
        raise SystemExit(f"Error: {error}") from error
    if not good:
        raise SystemExit(1)
