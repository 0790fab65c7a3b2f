"""Runs of a command in processes of their own, one after the other.

Some libraries read once how many threads they may have: XLA when its client starts, TVM when its
pool does. A process can compare with them on one number of threads only.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

from tensorc.support.errors import TensorcError

Order = TypeVar("Order")


def all_apart(run: Callable[[Order], bool], orders: Sequence[Order]) -> bool:
    """Run each order in a fresh process; return whether all went well.

    An interrupt reaches the process that runs, which ends as it likes; no other is started.
    """
    context = multiprocessing.get_context("spawn")
    good = True
    for order in orders:
        process = context.Process(target=_run, args=(run, order))
        process.start()
        try:
            process.join()
        except KeyboardInterrupt:
            process.join()
            return False
        good = good and process.exitcode == 0
    return good


def _run(run: Callable[[Order], bool], order: Order) -> None:
    """Run in this process; the exit code is 1 if it does not go well.

    Raises:
        SystemExit: It does not go well; with the sentence of an error.
    """
    try:
        good = run(order)
    except TensorcError as error:
        raise SystemExit(f"Error: {error}") from error
    if not good:
        raise SystemExit(1)
