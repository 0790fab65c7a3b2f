"""Recipes as LLVM text.

The text of a recipe for a number of lanes is made once, with `@0`, `@1` for its arguments and `#`
for what makes its names unique; a call is then two or three replacements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from tensorc.codegen.llvm.types import constant, register_type, vector
from tensorc.codegen.llvm.writer import Writer
from tensorc.codegen.recipes import Recipe, Step
from tensorc.ir.dtype import DType
from tensorc.target import Target

_FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_SHIFTS = {"shr": "lshr", "sar": "ashr"}
_TESTS = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_INTEGER_TESTS = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}
_INTRINSICS = {
    "fma": "fma", "abs": "fabs", "sqrt": "sqrt", "copysign": "copysign", "floor": "floor",
    "ceil": "ceil", "trunc": "trunc", "round": "roundeven",
}  # fmt: skip
_CASTS = {"bits": "bitcast", "from_bits": "bitcast", "to_int": "fptosi", "to_float": "sitofp"}

# Numbers of a table, and lanes of a vector, for an instruction that looks up.
_TABLE: Final = 16


@dataclass(frozen=True, slots=True)
class _Template:
    text: str
    result: str
    declarations: frozenset[str]


def fuses(target: Target) -> bool:
    """Whether the target multiplies and adds in one instruction."""
    return any(feature in target.features for feature in ("fma", "avx512f", "neon"))


def has_scale(target: Target, dtype: DType, lanes: int) -> bool:
    """Whether one instruction multiplies a vector by powers of two (`vscalefps`).

    LLVM takes vectors apart that are longer than the target's, but not in this intrinsic.
    """
    size = dtype.bits * lanes
    if size > 8 * target.vector_bytes:
        return False
    wide = size == 512 and "avx512f" in target.features
    return wide or (size == 256 and "avx512vl" in target.features)


def has_lookup(target: Target, dtype: DType, lanes: int) -> bool:
    """Whether one instruction takes each lane from a table of sixteen numbers (`vpermps`)."""
    return (
        dtype.bits == 32
        and lanes == _TABLE
        and target.vector_bytes >= 64
        and "avx512f" in target.features
    )


def call_recipe(w: Writer, recipe: Recipe, lanes: int, args: tuple[str, ...]) -> str:
    """Write the steps of a recipe here and return the name of its result."""
    template = _template(recipe, lanes, fuses(w.module.target))
    unique = f"%m{w.number()}."
    text, result = template.text.replace("#", unique), template.result.replace("#", unique)
    for i, arg in enumerate(args):
        text, result = text.replace(f"@{i}@", arg), result.replace(f"@{i}@", arg)
    if text:
        w.lines.append(text)
    w.module.declarations.update(template.declarations)
    return result


class _Text:
    """The lines of one template."""

    def __init__(self, lanes: int, fuse: bool) -> None:
        self.lanes = lanes
        self.fuse = fuse
        self.lines: list[str] = []
        self.declarations: set[str] = set()

    def line(self, text: str) -> str:
        name = f"#{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def intrinsic(self, name: str, dtype: DType, args: list[str]) -> str:
        of = register_type(dtype, self.lanes)
        suffix = ("" if self.lanes == 1 else f"v{self.lanes}") + f"f{dtype.bits}"
        symbol = f"@llvm.{name}.{suffix}"
        self.declarations.add(f"declare {of} {symbol}({', '.join([of] * len(args))})")
        return self.line(f"call {of} {symbol}({', '.join(f'{of} {arg}' for arg in args)})")


@cache
def _template(recipe: Recipe, lanes: int, fuse: bool) -> _Template:
    text = _Text(lanes, fuse)
    names: list[str] = []
    for number, step in enumerate(recipe.steps):
        if step.op == "param":
            names.append(f"@{number}@")
        elif step.op == "const":
            names.append(constant(step.value, step.dtype, lanes))
        else:
            args = [names[a] for a in step.args]
            names.append(_step(text, step, args, recipe.steps[step.args[0]].dtype))
    return _Template("\n".join(text.lines), names[recipe.result], frozenset(text.declarations))


def _step(text: _Text, step: Step, args: list[str], source: DType) -> str:
    of = register_type(step.dtype, text.lanes)
    match step.op:
        case "select":
            test = vector("i1", text.lanes)
            return text.line(f"select {test} {args[0]}, {of} {args[1]}, {of} {args[2]}")
        case "lt" | "le" | "gt" | "ge" | "eq" | "ne":
            test = (
                f"fcmp {_TESTS[step.op]}" if source.is_float else f"icmp {_INTEGER_TESTS[step.op]}"
            )
            return text.line(f"{test} {register_type(source, text.lanes)} {args[0]}, {args[1]}")
        case "bits" | "from_bits" | "to_int" | "to_float" | "widen" | "narrow":
            return text.line(
                f"{_cast(step, source)} {register_type(source, text.lanes)} {args[0]} to {of}"
            )
        case _ if step.dtype.is_float:
            return _float_step(text, step, args, of)
        case "not":
            return text.line(f"xor {of} {args[0]}, {constant(-1, step.dtype, text.lanes)}")
        case _:
            return text.line(f"{_SHIFTS.get(step.op, step.op)} {of} {args[0]}, {args[1]}")


def _cast(step: Step, source: DType) -> str:
    match step.op:
        case "widen":
            return "fpext" if source.is_float else "sext"
        case "narrow":
            return "fptrunc" if source.is_float else "trunc"
        case _:
            return _CASTS[step.op]


def _float_step(text: _Text, step: Step, args: list[str], of: str) -> str:
    if step.op == "neg":
        return text.line(f"fneg {of} {args[0]}")
    if step.op == "fma" and not text.fuse:
        product = text.line(f"fmul {of} {args[0]}, {args[1]}")
        return text.line(f"fadd {of} {product}, {args[2]}")
    if step.op == "lookup":
        return _lookup(text, step, args[0])
    if step.op == "scale":
        return _scale(text, step.dtype, args, of)
    if step.op in _INTRINSICS:
        return text.intrinsic(_INTRINSICS[step.op], step.dtype, args)
    return text.line(f"{_FLOAT_OPS[step.op]} {of} {args[0]}, {args[1]}")


def _scale(text: _Text, dtype: DType, args: list[str], of: str) -> str:
    """All lanes, rounded as ever: a full mask, and no rounding mode of its own."""
    size, kind = dtype.bits * text.lanes, "ps" if dtype.bits == 32 else "pd"
    mask = f"i{max(text.lanes, 8)}"
    rounding = ("i32",) if size == 512 else ()
    symbol = f"@llvm.x86.avx512.mask.scalef.{kind}.{size}"
    text.declarations.add(f"declare {of} {symbol}({', '.join([of, of, of, mask, *rounding])})")
    mode = [f"{word} 4" for word in rounding]
    listed = ", ".join([f"{of} {args[0]}", f"{of} {args[1]}", f"{of} poison", f"{mask} -1", *mode])
    return text.line(f"call {of} {symbol}({listed})")


def _lookup(text: _Text, step: Step, index: str) -> str:
    symbol = "@llvm.x86.avx512.permvar.sf.512"
    text.declarations.add(f"declare <16 x float> {symbol}(<16 x float>, <16 x i32>)")
    numbers = ", ".join(f"float {constant(x, step.dtype)}" for x in step.table)
    return text.line(f"call <16 x float> {symbol}(<16 x float> <{numbers}>, <16 x i32> {index})")
