"""What one C file consists of: types and inline functions, defined when first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tensorc.codegen.c.types import SCALARS, bits_of
from tensorc.support.errors import CodegenError

_HEAD: Final = """\
#include <stddef.h>
#include <stdint.h>
"""
# All of GCC's immintrin.h takes 0.2 s to read; its parts refuse to be included without it.
_INTRINSICS: Final = """\
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define _IMMINTRIN_H_INCLUDED
#include <smmintrin.h>
#include <avxintrin.h>
#include <fmaintrin.h>
#include <f16cintrin.h>
{more}#undef _IMMINTRIN_H_INCLUDED
#elif defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif
"""
_INTRINSICS_512: Final = "#include <avx2intrin.h>\n#include <avx512fintrin.h>\n"
# GCC lets variables of different scopes share a place on the stack, even while both are in use: a
# use by an address that was computed once for several scopes is missed (its bugs 90348, 113372).
# Seen with 12.2 at -O2, where nothing is undefined; `T` and `r` share theirs:
#     for (long j = 0; j < 2; ++j) {
#         float T[32];
#         if (j == 0) for (long h = 0; h < 8; ++h) {
#             float4 r = {0}; memcpy(&r, A + 3 * h, 12); memcpy(T + 4 * h, &r, 16);
#         } else … the same from A + 6 on …
#         … sums of T …
# Other compilers do not know the pragma.
_OWN_PLACES: Final = """\
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("stack-reuse=none")
#endif
"""
# Vectors wider than the machine's are passed to inline functions only; say nothing of their ABI.
_QUIET: Final = """\
#pragma GCC diagnostic ignored "-Wpsabi"
#define TC_INLINE static inline __attribute__((always_inline, unused))
"""
_PARALLEL: Final = """\
/* Absent, parallel loops run serially. */
extern void tensorc_parallel_for(void (*body)(void *, int64_t, int64_t, int32_t), void *context,
                                 int64_t count) __attribute__((weak));
"""


@dataclass(slots=True)
class Module:
    """The parts of a C file, for a machine whose vectors have so many bytes."""

    vector_bytes: int = 64
    definitions: dict[str, str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    has_intrinsics: bool = False
    has_intrinsics_512: bool = False
    has_parallel: bool = False

    def define(self, name: str, write: Callable[[], str]) -> str:
        """Return `name`, its definition written first if it is new."""
        if name not in self.definitions:
            # What the definition needs is defined while it is written, so comes before it.
            self.definitions[name] = ""
            text = write()
            del self.definitions[name]
            self.definitions[name] = text
        return name

    def type(self, element: str, lanes: int) -> str:
        """The type of a value in registers.

        Raises:
            CodegenError: if the lanes are no power of two.
        """
        scalar = SCALARS[element]
        if lanes == 1:
            return scalar
        if lanes & (lanes - 1):
            raise CodegenError(f"Expected vectors of a power of two of lanes, got {lanes}.")
        size = bits_of(element) // 8 * lanes
        name = f"tc_{element}x{lanes}"
        return self.define(
            name, lambda: f"typedef {scalar} {name} __attribute__((vector_size({size})));\n"
        )

    def memory_type(self, element: str, lanes: int) -> str:
        """The type of a vector in memory, with the alignment of one element."""
        scalar = SCALARS[element]
        if lanes == 1:
            return scalar
        align = bits_of(element) // 8
        name = f"tc_{element}x{lanes}_memory"
        attributes = f"vector_size({align * lanes}), aligned({align}), may_alias"
        return self.define(
            name, lambda: f"typedef {scalar} {name} __attribute__(({attributes}));\n"
        )

    def text(self) -> str:
        """The whole file."""
        wide = _INTRINSICS_512 if self.has_intrinsics_512 else ""
        head = [_HEAD, _INTRINSICS.format(more=wide) if self.has_intrinsics else ""]
        head += [_OWN_PLACES, _QUIET]
        parallel = [_PARALLEL] if self.has_parallel else []
        return "\n".join(
            filter(None, [*head, *parallel, *self.definitions.values(), *self.functions])
        )
