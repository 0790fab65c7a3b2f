"""What is known at one point of a nest that is being generated."""

from __future__ import annotations

from typing import NamedTuple

from tensorc.arith.affine import Env, Range, interval, substitute
from tensorc.arith.simplify import simplify_expr
from tensorc.ir.affine import Affine
from tensorc.ir.expr import Expr
from tensorc.ir.visit import map_affines
from tensorc.lower.predicates import conditions_in, negation, prune, status


class Scene(NamedTuple):
    """Ranges and facts of the branches around, and what is still open of one stage.

    A tuple, since every loop of every version of a nest has scenes of its own.

    `bound` are the variables around, outermost first. `domain`, `guards` and `conditions` hold
    undecided predicates only; `skip` says that a guard is surely false, `values` are the bodies
    with decided selects removed, which `pruned` says has happened. `copies` counts the versions of
    this nest so far.
    """

    env: dict[str, Range]
    bound: tuple[str, ...]
    facts: tuple[Affine, ...]
    parallel: bool
    domain: tuple[Affine, ...] = ()
    guards: tuple[Affine, ...] = ()
    values: tuple[Expr, ...] = ()
    conditions: tuple[Affine, ...] = ()
    skip: bool = False
    pruned: bool = False
    copies: int = 1

    def is_open(self, name: str) -> bool:
        """Whether a variable has more than one value."""
        low, high = self.env[name]
        return bool(low < high)


def settle(scene: Scene) -> Scene | None:
    """Decide what can be decided; None if nothing in the domain remains."""
    env, facts = scene.env, scene.facts
    domain: list[Affine] = []
    for p in scene.domain:
        verdict = status(p, env, facts)
        if verdict is False:
            return None
        if verdict is None:
            domain.append(p)
    guards: list[Affine] = []
    skip = scene.skip
    for p in scene.guards:
        verdict = status(p, env, facts)
        if verdict is None:
            guards.append(p)
        skip = skip or verdict is False
    values, conditions = scene.values, scene.conditions
    if any(status(p, env, facts) is not None for p in conditions):
        values = tuple(prune(v, env, facts) for v in values)
        conditions = conditions_in(values, env, facts)
    if (
        len(domain) == len(scene.domain)
        and len(guards) == len(scene.guards)
        and conditions is scene.conditions
    ):
        return scene
    return scene._replace(
        domain=tuple(domain),
        guards=tuple(guards),
        values=values,
        conditions=conditions,
        skip=skip,
        pruned=scene.pruned or values is not scene.values,
    )


def bare(scene: Scene) -> Scene:
    """The scene for statements that use no body: initial values, and copies of a tile."""
    return scene._replace(guards=(), values=(), conditions=(), skip=False)


def with_range(scene: Scene, name: str, known: Range, *, bind: bool = False) -> Scene | None:
    """The scene where a variable is limited to a range (and, if `bind`, from here on bound)."""
    if scene.env[name] == known:
        return scene._replace(bound=(*scene.bound, name)) if bind else scene
    bound = (*scene.bound, name) if bind else scene.bound
    return settle(scene._replace(env={**scene.env, name: known}, bound=bound))


def assume(scene: Scene, p: Affine) -> Scene | None:
    """The scene where `p ≥ 0` holds; None if nothing of the domain remains there."""
    if len(p.terms) == 1:
        ((v, c),) = p.terms
        if isinstance(v, str):
            low, high = scene.env[v]
            if c > 0:
                low = max(low, -(p.const // c))
            else:
                high = min(high, p.const // -c)
            return None if low > high else with_range(scene, v, (low, high))
    return settle(scene._replace(facts=(*scene.facts, p)))


def both_sides(scene: Scene, p: Affine) -> tuple[Scene | None, Scene | None]:
    """The scenes where a predicate holds and where it does not."""
    return assume(scene, p), assume(scene, negation(p))


def bind_lets(scene: Scene, lets: tuple[tuple[str, Affine], ...]) -> Scene | None:
    """The scene below a loop whose fused parts have just become known."""
    here: Scene | None = scene
    for name, definition in lets:
        if here is None:
            return None
        low, high = here.env[name]
        least, most = interval(definition, here.env)
        # Beyond the part's own range lies the tail of the fused loop, where nothing is stored.
        known = (max(low, least), min(high, most))
        here = None if known[0] > known[1] else with_range(here, name, known, bind=True)
    return here


def specialize(a: Affine, env: Env) -> Affine:
    """An affine with variables of one value replaced, and `//`, `%` simplified accordingly."""
    return substitute(a, {}, env)


def specialize_expr(e: Expr, env: Env) -> Expr:
    """All affines of an expression specialised."""
    return map_affines(e, lambda a: substitute(a, {}, env))


def final_values(scene: Scene) -> tuple[Expr, ...]:
    """The bodies as they stand at the innermost point."""
    if scene.pruned:  # what a select left behind may be a literal factor
        return tuple(simplify_expr(value, scene.env) for value in scene.values)
    return tuple(specialize_expr(value, scene.env) for value in scene.values)
