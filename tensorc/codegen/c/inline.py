"""Inline functions of the C that is written: one for each operation, element type and lanes.

A vector operation that C has no operator for is an x86 intrinsic where there is one for the type,
else a loop over its lanes, which compilers turn into vector code where they can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tensorc.codegen.c.module import Module
from tensorc.codegen.c.types import SCALARS, bits_of, integer, is_float, unsigned

# Intrinsics by element and lanes: the macro that says they exist, prefix, suffix, and vector type.
_X86: Final = {
    ("f32", 4): ("__SSE4_1__", "_mm", "ps", "__m128"),
    ("f32", 8): ("__AVX__", "_mm256", "ps", "__m256"),
    ("f32", 16): ("__AVX512F__", "_mm512", "ps", "__m512"),
    ("f64", 2): ("__SSE4_1__", "_mm", "pd", "__m128d"),
    ("f64", 4): ("__AVX__", "_mm256", "pd", "__m256d"),
    ("f64", 8): ("__AVX512F__", "_mm512", "pd", "__m512d"),
}
_ROUNDING: Final = {"round": 8, "floor": 9, "ceil": 10, "trunc": 11}
_BUILTIN: Final = {
    "round": "rint", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "sqrt": "sqrt",
    "fma": "fma", "abs": "fabs", "copysign": "copysign",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inline:
    """Names of the inline functions for one element type and number of lanes."""

    module: Module
    element: str
    lanes: int

    @property
    def type(self) -> str:
        """The type of a value."""
        return self.module.type(self.element, self.lanes)

    @property
    def suffix(self) -> str:
        """What makes the names of functions of this type unique."""
        return self.element if self.lanes == 1 else f"{self.element}x{self.lanes}"

    def function(self, name: str, params: str, body: str, result: str | None = None) -> str:
        """Define `tc_NAME_SUFFIX` unless it is there, and return its name."""
        full = f"tc_{name}_{self.suffix}"
        head = f"TC_INLINE {result or self.type} {full}({params})"
        return self.module.define(full, lambda: f"{head} {{\n{body}}}\n")

    def values(self, *names: str) -> str:
        """Parameters of this type."""
        return ", ".join(f"{self.type} {name}" for name in names)

    def by_lane(self, expression: str, result: str | None = None) -> str:
        """The body of a function that computes each lane `l` alone."""
        of = result or self.type
        return (
            f"    {of} r;\n    for (int l = 0; l < {self.lanes}; ++l) r[l] = {expression};\n"
            "    return r;\n"
        )

    def with_intrinsic(self, call: str, body: str, needs: str = "") -> str:
        """A body that is one intrinsic where the machine has it."""
        macro, prefix, *_ = _X86[self.element, self.lanes]
        self.module.has_intrinsics = True
        self.module.has_intrinsics_512 |= prefix == "_mm512"
        test = f"defined({macro})" + (f" && defined({needs})" if needs else "")
        return f"#if {test}\n    return ({self.type}){call};\n#else\n{body}#endif\n"

    # ---- making, loading and storing vectors

    def splat(self) -> str:
        """A scalar in every lane."""
        lanes = ", ".join(["x"] * self.lanes)
        body = f"    return ({self.type}){{{lanes}}};\n"
        return self.function("splat", f"{SCALARS[self.element]} x", body)

    def ramp(self, stride: int) -> str:
        """The constant vector `0, stride, 2·stride …`."""
        return f"({self.type}){{{', '.join(str(lane * stride) for lane in range(self.lanes))}}}"

    def gather(self) -> str:
        """Elements `stride` apart."""
        lanes = ", ".join(f"p[{lane} * stride]" if lane else "p[0]" for lane in range(self.lanes))
        body = f"    return ({self.type}){{{lanes}}};\n"
        return self.function("gather", f"const {SCALARS[self.element]} *p, int64_t stride", body)

    def scatter(self) -> str:
        """Store elements `stride` apart."""
        body = f"    for (int l = 0; l < {self.lanes}; ++l) p[l * stride] = x[l];\n"
        params = f"{SCALARS[self.element]} *p, int64_t stride, {self.type} x"
        return self.function("scatter", params, body, "void")

    def load_live(self) -> str:
        """The first `n` neighbours; the other lanes are 0."""
        body = (
            f"    {self.type} r = {{0}};\n"
            "    __builtin_memcpy(&r, p, (size_t)n * sizeof *p);\n    return r;\n"
        )
        _, prefix, suffix, _ = _X86.get((self.element, self.lanes), ("", "", "", ""))
        if prefix == "_mm512":
            body = self.with_intrinsic(f"{prefix}_maskz_loadu_{suffix}((1u << n) - 1, p)", body)
        return self.function("load_live", f"const {SCALARS[self.element]} *p, int n", body)

    def store_live(self) -> str:
        """Store the first `n` lanes."""
        body = "    __builtin_memcpy(p, &x, (size_t)n * sizeof *p);\n"
        return self.function(
            "store_live", f"{SCALARS[self.element]} *p, int n, {self.type} x", body, "void"
        )

    # ---- choosing

    def select(self) -> str:
        """Lane by lane `a` where a mask of `i32` lanes is -1, else `b`."""
        bits = bits_of(self.element)
        mask = self.module.type("i32", self.lanes)
        wide = self.module.type(f"i{bits}", self.lanes)
        resized = "m" if bits == 32 else f"__builtin_convertvector(m, {wide})"
        body = f"    {wide} w = {resized};\n"
        chosen = f"    return ({self.type})((w & ({wide})a) | (~w & ({wide})b));\n"
        if (
            is_float(self.element)
            and (self.element, self.lanes) in _X86
            and bits * self.lanes < 512
        ):
            _, prefix, suffix, of = _X86[self.element, self.lanes]
            call = f"{prefix}_blendv_{suffix}(({of})b, ({of})a, ({of})w)"
            chosen = self.with_intrinsic(call, chosen)
        return self.function("select", f"{mask} m, {self.values('a', 'b')}", body + chosen)

    def extreme(self, op: str) -> str:
        """`min` or `max`: `a` where it is surely less or greater, else `b`."""
        sign = "<" if op == "min" else ">"
        if self.lanes == 1:
            body = f"    return a {sign} b ? a : b;\n"
            return self.function(op, self.values("a", "b"), body)
        wide = self.module.type(integer(self.element), self.lanes)
        body = (
            f"    {wide} w = ({wide})(a {sign} b);\n"
            f"    return ({self.type})((w & ({wide})a) | (~w & ({wide})b));\n"
        )
        if (self.element, self.lanes) in _X86:
            _, prefix, suffix, of = _X86[self.element, self.lanes]
            # These, too, give the second operand where one is NaN.
            body = self.with_intrinsic(f"{prefix}_{op}_{suffix}(({of})a, ({of})b)", body)
        return self.function(op, self.values("a", "b"), body)

    def any(self) -> str:
        """Whether a mask has a lane set."""
        body = (
            f"    int32_t r = 0;\n    for (int l = 0; l < {self.lanes}; ++l) r |= m[l];\n"
            "    return r != 0;\n"
        )
        return self.function("any", f"{self.type} m", body, "int32_t")

    # ---- functions of floats

    def rounding(self, op: str) -> str:
        """One of `floor`, `ceil`, `trunc`, `round` (to even), `sqrt`."""
        builtin = f"__builtin_{_BUILTIN[op]}{'f' if self.element == 'f32' else ''}"
        if self.lanes == 1:
            return self.function(op, self.values("x"), f"    return {builtin}(x);\n")
        body = self.by_lane(f"{builtin}(x[l])")
        if (self.element, self.lanes) in _X86:
            _, prefix, suffix, of = _X86[self.element, self.lanes]
            name = "roundscale" if prefix == "_mm512" else "round"
            call = f"{prefix}_{name}_{suffix}(({of})x, {_ROUNDING.get(op)})"
            if op == "sqrt":
                call = f"{prefix}_sqrt_{suffix}(({of})x)"
            body = self.with_intrinsic(call, body)
        return self.function(op, self.values("x"), body)

    def absolute(self) -> str:
        """The magnitude of a float, or of an integer (the least one wraps to itself)."""
        if not is_float(self.element):
            of, zero = self.module.type(unsigned(self.element), self.lanes), "0"
            if bits_of(self.element) < 32 and self.lanes > 1:
                of = self.module.type(f"u{bits_of(self.element)}", self.lanes)
            if self.lanes == 1:
                body = f"    return x < 0 ? ({self.type})({zero} - ({of})x) : x;\n"
            else:
                body = f"    {of} s = ({of})(x >> {bits_of(self.element) - 1});\n"
                body += f"    return ({self.type})((({of})x ^ s) - s);\n"
            return self.function("abs", self.values("x"), body)
        if self.lanes == 1:
            suffix = "f" if self.element == "f32" else ""
            return self.function(
                "abs", self.values("x"), f"    return __builtin_fabs{suffix}(x);\n"
            )
        wide = self.module.type(integer(self.element), self.lanes)
        most = "INT32_MAX" if self.element == "f32" else "INT64_MAX"
        body = f"    return ({self.type})(({wide})x & {most});\n"
        return self.function("abs", self.values("x"), body)

    def copysign(self) -> str:
        """The magnitude of `a` with the sign of `b`."""
        if self.lanes == 1:
            suffix = "f" if self.element == "f32" else ""
            body = f"    return __builtin_copysign{suffix}(a, b);\n"
            return self.function("copysign", self.values("a", "b"), body)
        wide = self.module.type(integer(self.element), self.lanes)
        most = "INT32_MAX" if self.element == "f32" else "INT64_MAX"
        body = f"    return ({self.type})((({wide})a & {most}) | (({wide})b & ~{most}));\n"
        return self.function("copysign", self.values("a", "b"), body)

    def fma(self) -> str:
        """`a·b + c`, rounded once where the machine can."""
        if self.lanes == 1:
            suffix = "f" if self.element == "f32" else ""
            body = (
                "#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)\n"
                f"    return __builtin_fma{suffix}(a, b, c);\n"
                "#else\n    return a * b + c;\n#endif\n"
            )
        else:
            body = "    return a * b + c;\n"
            if (self.element, self.lanes) in _X86:
                _, prefix, suffix, of = _X86[self.element, self.lanes]
                call = f"{prefix}_fmadd_{suffix}(({of})a, ({of})b, ({of})c)"
                body = self.with_intrinsic(call, body, "__FMA__")
        return self.function("fma", self.values("a", "b", "c"), body)

    def rounded(self) -> str:
        """A product as such, which compilers must not merge with a sum that it goes into."""
        size = bits_of(self.element) // 8 * self.lanes
        widest = {64: "__AVX512F__", 32: "__AVX__"}.get(size, "__SSE2__")
        constraint = "v" if size == 64 else "x"
        arm = '\n#elif defined(__aarch64__)\n    __asm__("" : "+w"(x));' if size <= 16 else ""
        barrier = f'#if defined({widest})\n    __asm__("" : "+{constraint}"(x));{arm}\n#endif\n'
        body = (barrier if size <= 64 else "") + "    return x;\n"
        return self.function("rounded", self.values("x"), body)

    def library(self, symbol: str, count: int) -> str:
        """A function of the C library, lane by lane."""
        names = ("a", "b")[:count]
        if self.lanes == 1:
            body = f"    return __builtin_{symbol}({', '.join(names)});\n"
        else:
            body = self.by_lane(f"__builtin_{symbol}({', '.join(f'{n}[l]' for n in names)})")
        return self.function(symbol, self.values(*names), body)

    # ---- integer division

    def division(self, op: str) -> str:
        """`//`, `%`, `truncdiv` or `truncmod` of integers; never traps."""
        name = {"//": "floordiv", "%": "floormod"}.get(op, op)
        if self.lanes > 1:
            one = Inline(self.module, self.element, 1).division(op)
            return self.function(name, self.values("a", "b"), self.by_lane(f"{one}(a[l], b[l])"))
        if self.element[0] == "u":
            sign = "/" if op in ("//", "truncdiv") else "%"
            body = f"    return a {sign} (b ? b : 1);\n"
            return self.function(name, self.values("a", "b"), body)
        wide = SCALARS[unsigned(self.element)]
        # A divisor of -1 is replaced too: the least integer has no negative.
        lines = [f"{self.type} d = b == 0 || b == -1 ? 1 : b;"]
        if op in ("//", "truncdiv"):
            lines.append(f"{self.type} q = b == -1 ? ({self.type})(0 - ({wide})a) : a / d;")
        if op != "truncdiv":
            lines.append(f"{self.type} r = a % d;")
        wrong = "r != 0 && (r < 0) != (b < 0)"
        lines.append(
            {
                "//": f"return ({self.type})(q - ({wrong}));",
                "%": f"return ({self.type})({wrong} ? r + b : r);",
                "truncdiv": "return q;",
                "truncmod": "return r;",
            }[op]
        )
        body = "".join(f"    {line}\n" for line in lines)
        return self.function(name, self.values("a", "b"), body)

    def popcount(self) -> str:
        """How many bits are set."""
        of = SCALARS[f"u{bits_of(self.element)}"]
        if self.lanes == 1:
            body = f"    return ({self.type})__builtin_popcountll(({of})x);\n"
        else:
            body = self.by_lane(f"__builtin_popcountll(({of})x[l])")
        return self.function("popcount", self.values("x"), body)
