"""What TVM's programs take from `tir`: the functions of te under the names they have there."""

from tensorc.te import operators
from tensorc.te.expr import Expr, IterVar
from tensorc.te.operators import *  # noqa: F403 (they have a list of their own)
from tensorc.te.reduce import all, any, comm_reducer, max, min, sum

And = operators.logical_and
Div = operators.div
FloorDiv = operators.floordiv
FloorMod = operators.floormod
Max = max
Min = min
Not = operators.logical_not
Or = operators.logical_or
PrimExpr = Expr
Select = operators.select
pow = operators.power

__all__ = [
    "And",
    "Div",
    "Expr",
    "FloorDiv",
    "FloorMod",
    "IterVar",
    "Max",
    "Min",
    "Not",
    "Or",
    "PrimExpr",
    "Select",
    "all",
    "any",
    "comm_reducer",
    "max",
    "min",
    "pow",
    "sum",
]
__all__ += operators.__all__
