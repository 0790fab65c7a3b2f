"""Loop IR: data types, affine indices, expressions, statements, functions, and their text.

Decision: nodes are frozen, slotted dataclasses in closed unions, dispatched by `match` and
`assert_never`; `Affine` is the only index form. Why: substitution, bounds, hoisting and common
subexpressions are then dictionary work. Refused: visitor classes, registries, general index trees.
"""
