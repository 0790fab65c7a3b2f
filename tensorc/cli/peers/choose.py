"""Which peers take part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tensorc.cli.peers.peer import Peer
from tensorc.cli.peers.with_numpy import NumPyPeer
from tensorc.cli.peers.with_torch import TorchPeer
from tensorc.support.optional import is_installed

_PEERS: Final[dict[str, Callable[[int], Peer]]] = {"numpy": NumPyPeer, "torch": TorchPeer}

NAMES: Final = tuple(_PEERS)


def installed() -> tuple[str, ...]:
    """Return the names of the peers whose libraries are there."""
    return tuple(name for name in NAMES if is_installed(name))


def load(names: tuple[str, ...], threads: int) -> tuple[Peer, ...]:
    """Return the peers of these names, with so many threads each.

    Raises:
        MissingDependencyError: The library of one of them is not installed.
    """
    return tuple(_PEERS[name](threads) for name in names)
