"""What interpolations are measured on and by: pairs of one aspect, evenness, the nearest true in-between, the table."""

import random
from dataclasses import fields
from itertools import pairwise

import pytest
import torch

from laser_cli.engine.render import nfe
from laser_cli.errors import NotFoundError, UsageError
from laser_cli.measure.interpolations import bench as interpolations
from laser_cli.measure.interpolations.bench import (
    METHODS,
    SPACINGS,
    bench_interpolations,
    needed_classifier,
    read_methods,
    rendered,
)
from laser_cli.measure.interpolations.cost import endpoints_of, memory, published, schedule_of
from laser_cli.measure.interpolations.pairs import ASPECTS, PORTRAIT, sample_pair, sample_pairs
from laser_cli.measure.interpolations.scores import GRID, Score, apart, best_match, gini, is_clear, maps_of, score
from laser_cli.storybook.classifier import FOLDER, AttributeClassifier, load_classifier, save_classifier
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.traits import truth
from laser_cli.storybook.world import blend_items, draw


@pytest.fixture(scope="module")
def classifier():
    """The shipped one, or where there is none an untrained one, whose distances are distances all the same."""
    if (FOLDER / "config.json").is_file():
        return load_classifier()
    torch.manual_seed(0)
    return AttributeClassifier().eval()


@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_pair_differs_in_its_aspect_and_in_nothing_else(aspect):
    for seed in range(10):
        pair = sample_pair(random.Random(seed), aspect)
        assert isinstance(pair.a, Puppet) == isinstance(pair.b, Puppet) == (aspect in PORTRAIT)
        differing = {f.name for f in fields(pair.a) if getattr(pair.a, f.name) != getattr(pair.b, f.name)}
        assert differing and differing <= set(ASPECTS[aspect])
        assert pair.prompts[0] != pair.prompts[1]


def test_pairs_take_turns_and_are_the_same_however_many():
    pairs = sample_pairs(25, seed=3)
    assert [pair.aspect for pair in pairs[:10]] == list(ASPECTS)
    assert sample_pairs(12, seed=3) == pairs[:12] and sample_pairs(12, seed=4) != pairs[:12]


def test_gini_of_known_ways():
    assert gini([2.0, 2.0, 2.0]) == 0 and gini([0.0, 0.0]) == 0
    assert gini([0.0, 1.0]) == pytest.approx(0.5)
    # |1-2| + |1-3| + |2-3|, each twice, by 2 * 9 * 2
    assert gini([1.0, 2.0, 3.0]) == pytest.approx(8 / 36)
    assert gini([10.0, 20.0, 30.0]) == pytest.approx(gini([3.0, 1.0, 2.0]))


def test_a_jump_is_told_by_the_largest_over_the_median():
    def way(*gaps):
        return Score(gaps, (), (), torch.zeros(0, 1))

    assert way(1, 1, 1).largest == 1 and way(1, 2, 6, 1, 1).largest == 6
    assert way(0, 0, 1).largest == float("inf") and way(0, 0, 0).largest == 1
    assert way(1, 2, 6).consistency == 3


def test_distances_are_the_roots_of_the_classifiers(classifier):
    a, b = draw([sample_pairs(1)[0].a] * 2, 64), draw([pair.b for pair in sample_pairs(2)], 64)
    table = apart(maps_of(classifier, a), maps_of(classifier, b))
    assert table.shape == (2, 2)
    for i in range(2):
        assert torch.allclose(table[i], classifier.distance(a[i].expand_as(b), b).sqrt(), atol=1e-4)


@pytest.mark.parametrize("aspect", ["colour", "pose", "size"])
def test_the_worlds_own_in_betweens_match_themselves(classifier, aspect):
    pair = sample_pair(random.Random(1), aspect)
    seen = maps_of(classifier, pair.truth(GRID, 128))
    wanted = [0, 5, 11, 16]
    apart_by, at = best_match(maps_of(classifier, pair.truth([GRID[i] for i in wanted], 128)), seen)
    assert at == wanted and max(apart_by) < 1e-2


def test_a_way_is_scored_by_its_neighbours_and_its_in_betweens(classifier):
    pair = sample_pairs(2)[1]
    pictures = pair.truth([0, 0.4, 1], 128)
    told = score(classifier, pictures, maps_of(classifier, pair.truth(GRID, 128)))
    wanted = [float(classifier.distance(a[None], b[None]).sqrt()) for a, b in pairwise(pictures)]
    assert list(told.gaps) == pytest.approx(wanted, abs=1e-4)
    assert len(told.truth) == len(told.clear) == len(told.features) == 1


def test_one_subject_is_clear_and_half_of_two_is_not():
    pair = sample_pair(random.Random(0), "subject")
    assert is_clear(truth(pair.a)) and not is_clear(truth(blend_items(pair.a, pair.b, 0.5)))
    assert is_clear(truth(sample_pair(random.Random(0), "identity").a))


def test_courses_drawn_beside_each_other_are_those_drawn_alone(storybook):
    pair, approach = sample_pairs(1)[0], METHODS["outer"]
    approach = type(approach)(steps=3)
    endpoints = endpoints_of(storybook, approach, pair.prompts)
    schedules = [schedule_of(storybook, endpoints, approach, 4, spacing) for spacing in ("uniform", "beta")]
    together = rendered(storybook, endpoints, approach, schedules)
    for schedule, way in zip(schedules, together, strict=True):
        (alone,) = rendered(storybook, endpoints, approach, [schedule])
        assert way.shape == (4, 3, storybook.size, storybook.size)
        assert float((alone - way).abs().max()) <= 2 / 255


def test_the_bench_has_a_row_for_every_method_and_spacing(storybook, classifier):
    said, before = [], storybook.nfe
    rows, figures = bench_interpolations(storybook, classifier, 2, 3, 2, ("outer", "text"), say=said.append)
    kinds = [(row.method, row.spacing) for row in rows]
    own = [("dissolve", "uniform"), ("the world's own", "uniform")]
    assert kinds == [*((name, spacing) for name in ("outer", "text") for spacing in SPACINGS), *own]
    by = dict(zip(kinds, rows, strict=True))
    world = by["the world's own", "uniform"].worth
    assert world.frechet < 1e-3 and world.truth < 0.05
    assert all(row.worth.frechet > world.frechet and row.worth.truth > world.truth for row in rows[:-1])
    assert all(0 <= row.worth.smoothness <= 1 and row.worth.largest >= 1 for row in rows)
    uniform = by["outer", "uniform"].cost
    assert uniform.evaluations == nfe(24, 2, 3.0) / 24
    assert uniform.against_published == pytest.approx(96 / published(24, 2)) and uniform.against_published < 0.4
    assert by["outer", "even"].cost.evaluations <= 1.5 * uniform.evaluations
    assert storybook.nfe > before and any("2 of 2 pairs" in text for text in said)
    names = [f.name for f in figures]
    assert "evaluations / published code: outer, uniform" in names and len(set(names)) == len(names)
    cells = interpolations.as_figures(rows)
    assert len({f.name for f in cells}) == len(cells) == 8 * 7 + 6 * 3
    assert all(name in interpolations.table(rows) for name in ("outer, beta", "dissolve", "largest"))


def test_memory_is_measured_in_processes_of_their_own():
    said = []
    ratio, short, long = memory("storybook", said.append, 3, 6)
    assert short.value > 50 and long.value > 50 and ratio.value == pytest.approx(long.value / short.value)
    assert ratio.target == 1.1 and said == ["memory at 3 frames", "memory at 6 frames"]


def test_unknown_methods_and_a_missing_classifier_are_told(tmp_path):
    assert read_methods("text, outer,text") == ("text", "outer") and read_methods(None) == tuple(METHODS)
    with pytest.raises(UsageError, match="unknown method 'outr'"):
        read_methods("outr")
    with pytest.raises(NotFoundError) as raised:
        needed_classifier(tmp_path)
    assert "bench interpolate" in raised.value.why and "train" in raised.value.hint
    torch.manual_seed(0)
    save_classifier(AttributeClassifier(), tmp_path)
    assert isinstance(needed_classifier(tmp_path), AttributeClassifier)
