"""Recipes as inline functions of C, for a scalar or a vector."""

from __future__ import annotations

from tensorc.codegen.c.inline import Inline
from tensorc.codegen.c.module import Module
from tensorc.codegen.c.types import literal, register_element
from tensorc.codegen.recipes import Recipe, Step
from tensorc.ir.dtype import BOOL, DType

_OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip


def recipe_function(module: Module, recipe: Recipe, lanes: int) -> str:
    """The name of the function that a recipe is, defined if it is new."""
    name = f"tc_{recipe.name}" if lanes == 1 else f"tc_{recipe.name}_x{lanes}"
    return module.define(name, lambda: _RecipeText(module, recipe, lanes).function(name))


class _RecipeText:
    """Writes one recipe."""

    def __init__(self, module: Module, recipe: Recipe, lanes: int) -> None:
        self.module = module
        self.recipe = recipe
        self.lanes = lanes
        # Products that go into a sum, which would be contracted with it.
        self.exact = {
            a
            for step in recipe.steps
            if step.op in ("add", "sub") and step.dtype.is_float
            for a in step.args
            if recipe.steps[a].op == "mul"
        }

    def inline(self, dtype: DType) -> Inline:
        return Inline(self.module, register_element(dtype), self.lanes)

    def function(self, name: str) -> str:
        steps = self.recipe.steps
        params = ", ".join(
            f"{self.inline(dtype).type} v{i}" for i, dtype in enumerate(self.recipe.params)
        )
        lines = [
            f"    const {self.inline(step.dtype).type} v{number} = {self.step(number, step)};\n"
            for number, step in enumerate(steps)
            if step.op != "param"
        ]
        result = self.inline(steps[self.recipe.result].dtype).type
        body = "".join([*lines, f"    return v{self.recipe.result};\n"])
        return f"TC_INLINE {result} {name}({params}) {{\n{body}}}\n"

    def step(self, number: int, step: Step) -> str:
        """The value of a step."""
        inline = self.inline(step.dtype)
        args = [f"v{a}" for a in step.args]
        if step.op == "const":
            text = literal(step.value, inline.element)
            return f"{inline.splat()}({text})" if self.lanes > 1 else text
        source = self.inline(self.recipe.steps[step.args[0]].dtype)
        match step.op:
            case "select":
                return self.select(inline, args)
            case "lt" | "le" | "gt" | "ge" | "eq" | "ne":
                return self.comparison(step, source, args)
            case "bits" | "from_bits":
                return self.reinterpreted(inline, source, args[0])
            case "to_int" | "to_float" | "widen" | "narrow":
                if self.lanes == 1:
                    return f"({inline.type}){args[0]}"
                return f"__builtin_convertvector({args[0]}, {inline.type})"
            case _ if step.dtype.is_float:
                return self.float_step(number, step, inline, args)
            case _:
                return self.integer_step(step, inline, args)

    def select(self, inline: Inline, args: list[str]) -> str:
        if self.lanes == 1:
            return "{} ? {} : {}".format(*args)
        return f"{inline.select()}({', '.join(args)})"

    def comparison(self, step: Step, source: Inline, args: list[str]) -> str:
        text = f"{args[0]} {_OPERATORS[step.op]} {args[1]}"
        return text if self.lanes == 1 else mask_of(self.module, source.element, self.lanes, text)

    def reinterpreted(self, inline: Inline, source: Inline, x: str) -> str:
        if self.lanes > 1:
            return f"({inline.type}){x}"
        body = f"    {inline.type} r;\n    __builtin_memcpy(&r, &x, sizeof r);\n    return r;\n"
        return f"{inline.function('bits_as', f'{source.type} x', body)}({x})"

    def float_step(self, number: int, step: Step, inline: Inline, args: list[str]) -> str:
        match step.op:
            case "add" | "sub" | "div":
                return f"{args[0]} {_OPERATORS[step.op]} {args[1]}"
            case "mul":
                product = f"{args[0]} * {args[1]}"
                return f"{inline.rounded()}({product})" if number in self.exact else product
            case "neg":
                return f"-{args[0]}"
            case "fma":
                return f"{inline.fma()}({', '.join(args)})"
            case "abs":
                return f"{inline.absolute()}({args[0]})"
            case "copysign":
                return f"{inline.copysign()}({', '.join(args)})"
            case _:
                return f"{inline.rounding(step.op)}({args[0]})"

    def integer_step(self, step: Step, inline: Inline, args: list[str]) -> str:
        boolean = step.dtype == BOOL
        wide = Inline(self.module, f"u{inline.element[1:]}", self.lanes).type
        a, b = args[0], args[-1]
        match step.op:
            case "not":
                return f"!{a}" if boolean and self.lanes == 1 else f"~{a}"
            case "neg":
                return f"({inline.type})(-({wide}){a})"
            case "abs":
                return f"{inline.absolute()}({a})"
            case "shl" | "shr":
                sign = "<<" if step.op == "shl" else ">>"
                return f"({inline.type})(({wide}){a} {sign} ({wide}){b})"
            case "sar":
                return f"{a} >> {b}"
            case _:
                # Unsigned: a sum that wraps is no error then.
                return f"({inline.type})(({wide}){a} {_OPERATORS[step.op]} ({wide}){b})"


def mask_of(module: Module, element: str, lanes: int, comparison: str) -> str:
    """The mask, of `i32` lanes, that a comparison of vectors gives."""
    mask = module.type("i32", lanes)
    bits = element[1:]
    if bits == "32":
        return f"({mask})({comparison})"
    narrow = module.type(f"i{bits}", lanes)
    return f"__builtin_convertvector(({narrow})({comparison}), {mask})"
