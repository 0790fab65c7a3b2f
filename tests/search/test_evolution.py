"""Evolution finds what the model likes, and proposes nothing twice."""

import numpy as np
import pytest

from tensorc.search.cost_model import RandomCostModel
from tensorc.search.evolution import EvolutionOptions, Measured, foresee, propose
from tests.search.fakes import GridSpace

NOTHING = np.empty((0, 0), np.int64)


class Oracle:
    """A trained model that knows the machine."""

    is_trained = True

    def predict(self, features):
        return -features[:, 0, features.shape[2] // 2 :].sum(1).astype(np.float64)

    def promise(self, features):
        return self.predict(features)

    def update(self, samples):
        pass


def chosen(space, model=None, count=16, measured=None, seed=0, **options):
    rng = np.random.default_rng(seed)
    settings = EvolutionOptions(**options)
    return propose([space], measured or {}, model or Oracle(), count, rng, settings)


def test_the_hidden_optimum_is_found():
    space = GridSpace()
    found = chosen(space, population=512, generations=16)
    assert np.array_equal(found[0].row, space.hidden)


@pytest.mark.parametrize("generations", [1, 4, 12])
def test_more_generations_are_not_worse(generations):
    space = GridSpace(width=8)
    few = chosen(space, population=256, generations=0)[0].score
    assert chosen(space, population=256, generations=generations)[0].score > few


def test_nothing_is_proposed_twice():
    keys = [c.key for c in chosen(GridSpace(width=2), count=100)]
    assert len(keys) == len(set(keys)) == 100


def test_what_was_measured_is_not_proposed_again():
    space = GridSpace()
    first = frozenset(c.key for c in chosen(space))
    again = chosen(space, measured={0: Measured(first, NOTHING)})
    assert not first & {c.key for c in again}


def test_a_small_space_is_used_up_and_then_empty():
    space = GridSpace(width=1, base=8)
    everything = chosen(space, count=50)
    assert len(everything) == 8
    known = {0: Measured(frozenset(c.key for c in everything), NOTHING)}
    assert chosen(space, count=50, measured=known) == []


def test_measured_rows_seed_the_first_generation():
    space = GridSpace(width=8)
    near = space.hidden.copy()
    near[0] = (near[0] + 1) % space.base
    known = {0: Measured(frozenset(space.keys(near[None]).tolist()), near[None])}
    found = chosen(space, measured=known, population=64, generations=4)
    assert np.abs(found[0].row - space.hidden).sum() <= 2


def test_an_untrained_model_gives_a_random_choice_over_all_spaces():
    spaces = [GridSpace(seed=s) for s in range(3)]
    model = RandomCostModel(np.random.default_rng(0))
    found = propose(spaces, {}, model, 12, np.random.default_rng(0))
    assert [sum(c.space == n for c in found) for n in range(3)] == [4, 4, 4]


def test_a_share_is_random_whatever_the_model_says():
    found = chosen(GridSpace(), count=20, eps_greedy=0.2)
    assert sum(np.isnan(c.score) for c in found) == 4


def test_the_same_seed_proposes_the_same():
    first, second = (chosen(GridSpace(), seed=5) for _ in range(2))
    assert [c.key for c in first] == [c.key for c in second]


def test_the_sketches_with_the_fastest_candidates_evolve():
    spaces = [GridSpace(seed=s) for s in range(6)]
    known = {n: Measured(frozenset(), NOTHING, float(n)) for n in range(6)}
    options = EvolutionOptions(population=64, generations=1, focus=2, eps_greedy=0.0)
    found = propose(spaces, known, Oracle(), 32, np.random.default_rng(0), options)
    evolved = {c.space for c in found if not np.isnan(c.score)}
    assert {0, 1} <= evolved
    assert len(evolved) == 3


def estimate(features):
    """Knows half of the digits: the logarithm of a speed."""
    return -np.log(1.0 + features[:, 0, features.shape[2] // 2 :][:, :3].sum(1).astype(np.float64))


def screened(spaces, count=24, model=None, **options):
    rng, settings = np.random.default_rng(0), EvolutionOptions(**options)
    return propose(spaces, {}, model or RandomCostModel(rng), count, rng, settings, estimate)


def test_an_estimate_chooses_most_of_the_first_candidates():
    space = GridSpace()
    found = screened([space])
    assert len({c.key for c in found}) == 24
    scores = estimate(space.features(np.stack([c.row for c in found])))
    usual = estimate(space.features(space.sample(512, np.random.default_rng(9))))
    assert (scores > np.quantile(usual, 0.9)).sum() >= 18
    assert sum(np.isnan(c.score) for c in found) == 6


def test_each_space_has_a_first_candidate_whatever_the_estimate_says():
    found = screened([GridSpace(seed=seed) for seed in range(8)])
    assert {c.space for c in found} == set(range(8))


def test_a_trained_model_is_asked_instead_of_the_estimate():
    space = GridSpace()
    found = screened([space], model=Oracle(), population=512, generations=16)
    assert np.array_equal(found[0].row, space.hidden)


class Curious(Oracle):
    """Hopes for the last digit to be high, whatever it knows."""

    def promise(self, features):
        return 100.0 * features[:, 0, features.shape[2] // 2 - 1].astype(np.float64)


def test_candidates_are_chosen_by_what_they_may_be_at_best():
    found = chosen(GridSpace(), Curious(), eps_greedy=0.0)
    assert {int(c.row[-1]) for c in found[:-1]} == {15}


class Believer(Oracle):
    """Likes every candidate of the space of six digits better than any other."""

    def predict(self, features):
        return features[:, 0, 0] + 100.0 * (features.shape[2] == 12)


def parts(spaces, count, seed=0, **options):
    """How many candidates of each space are chosen by their scores."""
    rng, settings = np.random.default_rng(seed), EvolutionOptions(eps_greedy=0.0, **options)
    found = propose(spaces, {}, Believer(), count, rng, settings)
    return [sum(c.space == number for c in found[: count - 1]) for number in range(len(spaces))]


def test_each_sketch_that_evolves_has_a_part_of_a_round_whatever_the_model_says():
    spaces = [GridSpace(width=width) for width in (6, 5, 4)]
    assert parts(spaces, 24, least_share=0.0) == [23, 0, 0]
    assert parts(spaces, 24) == [19, 2, 2]


def test_in_a_small_round_the_parts_are_a_third_together_and_each_has_one_at_times():
    spaces = [GridSpace(width=width) for width in (6, 5, 4, 3)]
    found = np.array([parts(spaces, 8, seed) for seed in range(12)])
    assert (found.sum(1) == 7).all()
    assert (found[:, 1:].sum(1) <= 2).all()
    assert (found.max(0) >= 1).all()


def test_neighbours_of_the_fastest_are_chosen_by_their_score_and_are_as_many_as_wanted():
    space = GridSpace(width=8)
    best = space.sample(2, np.random.default_rng(5))
    rng, known = np.random.default_rng(0), {0: Measured(frozenset(), best, 1e-3)}
    found = propose([space], known, Curious(), 8, rng, near=8)
    assert len(found) == 8
    assert all(min((c.row != b).sum() for b in best) == 1 for c in found)
    assert all(c.score == Oracle().predict(space.features(c.row[None]))[0] for c in found)


def test_what_an_estimate_likes_is_foreseen_without_a_measurement():
    spaces = [GridSpace(seed=seed) for seed in range(3)]
    found = foresee(spaces, {}, estimate, 8, np.random.default_rng(0))
    assert len({(c.space, c.key) for c in found}) == 8
    assert found[0].score == max(c.score for c in found)
    usual = np.concatenate(
        [estimate(s.features(s.sample(2048, np.random.default_rng(9)))) for s in spaces]
    )
    assert found[0].score >= usual.max()


def test_the_first_of_the_first_candidates_is_the_best_of_an_evolution():
    space = GridSpace()
    scores = [estimate(space.features(c.row[None]))[0] for c in screened([space])]
    usual = estimate(space.features(space.sample(2048, np.random.default_rng(9))))
    assert max(scores) >= usual.max()
