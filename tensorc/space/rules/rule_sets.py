"""The sets of sketch rules, in the order in which they are tried at each stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tensorc.space.draft import SketchRule
from tensorc.space.rules.add_cache_read import AddCacheRead
from tensorc.space.rules.add_cache_write import AddCacheWrite
from tensorc.space.rules.add_rfactor import AddRfactor
from tensorc.space.rules.always_inline import AlwaysInline
from tensorc.space.rules.compute_in_block import ComputeInBlock
from tensorc.space.rules.cross_thread_reduction import CrossThreadReduction
from tensorc.space.rules.inline_padding import InlinePadding
from tensorc.space.rules.inline_transposition import InlineTransposition
from tensorc.space.rules.join_blocks import JoinBlocks
from tensorc.space.rules.keep_constant import KeepConstant
from tensorc.space.rules.multi_level_tiling import MultiLevelTiling
from tensorc.space.rules.multi_level_tiling_with_fusion import MultiLevelTilingWithFusion
from tensorc.space.rules.pack_across import PackAcross
from tensorc.space.rules.pack_operand import PackOperand
from tensorc.space.rules.simplify_compute_with_const_tensor import SimplifyComputeWithConstTensor
from tensorc.space.rules.skip_stage import SkipStage
from tensorc.space.rules.special_compute_location import SpecialComputeLocation
from tensorc.space.rules.split_phases import SplitPhases
from tensorc.space.rules.tile_reduction import TileReduction
from tensorc.space.rules.tile_transposition import TileTransposition
from tensorc.space.rules.vectorize_across import VectorizeAcross


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules for both kinds of machine."""

    cpu: tuple[SketchRule, ...]
    gpu: tuple[SketchRule, ...]


_CPU: Final = "SSRSRS"
_GPU: Final = "SSSRRSRS"

# Ansor's, in its order: `sketch_policy.cc`, SketchPolicy's constructor.
_ANSOR: Final = RuleSet(
    cpu=(
        AlwaysInline(),
        SimplifyComputeWithConstTensor(),
        AddRfactor(),
        AddCacheWrite(always=False),
        MultiLevelTilingWithFusion(_CPU, (1, 2), always=False),
        MultiLevelTiling(_CPU),
        SkipStage(),
    ),
    gpu=(
        AddCacheRead(),
        SpecialComputeLocation(),
        AlwaysInline(),
        SimplifyComputeWithConstTensor(),
        CrossThreadReduction(),
        AddCacheWrite(always=True),
        MultiLevelTilingWithFusion(_GPU, (3,), always=True),
        MultiLevelTiling(_GPU),
        SkipStage(),
    ),
)

# On CPUs Ansor's and what it lacks: data layout and borders are part of the space. Not all of
# Ansor's sketches are in it: partial sums that help neither cores nor lanes are left out.
_DEFAULT: Final = RuleSet(
    cpu=(
        PackAcross(),
        PackOperand(),
        KeepConstant(),
        JoinBlocks(),
        ComputeInBlock(),
        InlinePadding(),
        InlineTransposition(),
        VectorizeAcross(_CPU),
        SplitPhases(_CPU),
        TileReduction(),
        TileTransposition(),
        *(AddRfactor(wanted=True) if isinstance(r, AddRfactor) else r for r in _ANSOR.cpu),
    ),
    gpu=_ANSOR.gpu,
)

RULE_SETS: Final[Mapping[str, RuleSet]] = MappingProxyType({"ansor": _ANSOR, "default": _DEFAULT})
