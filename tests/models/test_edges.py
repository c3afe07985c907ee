"""Canny edges: where they are, how thin, and what is none."""

import numpy as np

from laser_cli.models.edges import canny


def square(low=0, high=255):
    picture = np.full((40, 48, 3), low, np.uint8)
    picture[10:30, 12:36] = high
    return picture


def test_a_square_has_a_thin_closed_outline_and_nothing_else():
    edges = canny(square())
    assert edges.shape == (40, 48, 3) and edges.dtype == np.uint8 and set(np.unique(edges)) == {0, 255}
    on = edges[..., 0] > 0
    rows, columns = np.nonzero(on)
    assert rows.min() in (9, 10) and rows.max() in (29, 30) and columns.min() in (11, 12) and columns.max() in (35, 36)
    assert not on[13:27, 15:33].any()
    for line in (on[20], on[:, 24]):  # across each side one pixel
        assert line.sum() == 2


def test_colours_of_the_same_brightness_have_an_edge_between_them():
    picture = np.full((20, 20, 3), (0, 130, 0), np.uint8)
    picture[:, 10:] = (255, 0, 0)
    assert canny(picture)[..., 0].any(0).nonzero()[0].tolist() in ([9], [10])


def test_even_and_faint_pictures_have_no_edges():
    assert not canny(np.full((16, 16, 3), 200, np.uint8)).any()
    assert not canny(square(100, 110)).any()


def test_a_faint_stretch_of_a_strong_edge_belongs_to_it_and_one_by_itself_does_not():
    fades = np.zeros((40, 40, 3), np.uint8)
    fades[:, 20:] = np.linspace(10, 120, 40).astype(np.uint8)[:, None, None]
    faint = fades.copy()
    faint[:, 20:] = np.minimum(faint[:, 20:], 40)
    found = canny(fades)[..., 0].any(1)
    assert found[30:].all() and found[18:].all() and not found[:4].any()
    assert not canny(faint).any()
