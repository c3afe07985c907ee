"""The figures of the storybook models."""

from laser_cli.measure.storybook import crisp, generated_reading, shares, true_reading
from laser_cli.storybook.traits import truth
from laser_cli.storybook.world import items


def test_shares_count_only_those_that_show_an_attribute():
    assert shares([{"a": True, "b": False}, {"a": False}]) == {"a": 50.0, "b": 0.0}


def test_a_perfect_reader_meets_every_bar():
    stream = items(3, 0.5)
    some = [next(stream) for _ in range(60)]
    figures = true_reading([truth(item) for item in some], some)
    assert len(figures) > 12 and all(f.holds for f in figures)
    told = crisp(80, 5)
    figures = generated_reading([truth(item) for item in told], told)
    assert len(figures) == 19 + 2 and all(f.holds for f in figures)  # all attributes, and the two faint expressions


def test_without_puppets_no_error_of_faces_is_told():
    stream = items(3, 0.0)
    some = [next(stream) for _ in range(4)]
    faces = [f for f in true_reading([truth(item) for item in some], some) if f.name.endswith("mean error")]
    assert len(faces) == 2 and all(f.holds is None for f in faces)
