"""Which peers take part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tensorc.cli.peers.peer import Peer
from tensorc.cli.peers.with_jax import JaxPeer
from tensorc.cli.peers.with_metaschedule import MetaSchedulePeer
from tensorc.cli.peers.with_numpy import NumPyPeer
from tensorc.cli.peers.with_onnxruntime import OnnxRuntimePeer
from tensorc.cli.peers.with_openvino import OpenVinoPeer
from tensorc.cli.peers.with_torch import InductorPeer, TorchPeer
from tensorc.support.optional import is_installed


@dataclass(frozen=True, slots=True)
class _Entry:
    """A peer that can be asked for.

    Attributes:
        make: Makes it, with so many threads.
        modules: What has to be installed.
        slow: Whether a case takes it seconds or minutes to prepare.
    """

    make: Callable[[int], Peer]
    modules: tuple[str, ...]
    slow: bool = False


_PEERS: Final[dict[str, _Entry]] = {
    "numpy": _Entry(NumPyPeer, ("numpy",)),
    "torch": _Entry(TorchPeer, ("torch",)),
    "onnxruntime": _Entry(OnnxRuntimePeer, ("onnxruntime", "onnx")),
    "openvino": _Entry(OpenVinoPeer, ("openvino", "onnx")),
    "jax": _Entry(JaxPeer, ("jax",)),
    "inductor": _Entry(InductorPeer, ("torch",), slow=True),
    "metaschedule": _Entry(MetaSchedulePeer, ("tvm",), slow=True),
}

NAMES: Final = tuple(_PEERS)


def installed(*, slow: bool = False) -> tuple[str, ...]:
    """Return the names of the peers whose libraries are there; the `slow` ones only if wanted."""
    return tuple(
        name
        for name, entry in _PEERS.items()
        if all(map(is_installed, entry.modules)) and (slow or not entry.slow)
    )


def load(names: tuple[str, ...], threads: int) -> tuple[Peer, ...]:
    """Return the peers of these names, with so many threads each.

    Raises:
        MissingDependencyError: The library of one of them is not installed.
    """
    return tuple(_PEERS[name].make(threads) for name in names)
