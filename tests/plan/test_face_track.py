"""Faces told by sentences, step by step."""

import pytest

from laser_cli.plan.rules.face_track import _table, face_track
from laser_cli.tracks.names import SHAPES


def shown(sentence):
    return [(p.expression, p.yaw, p.pitch, p.roll) for p in face_track(sentence)]


def test_what_lasts_stays_and_a_wink_comes_and_goes():
    points = face_track("she smiles, winks and turns left")
    assert [p.at for p in points] == sorted(p.at for p in points) and points[-1].at == 100
    smile = points[1].expression
    assert points[0].expression == {} and smile["mouthSmileLeft"] == smile["mouthSmileRight"] == 100
    assert any(p.expression == {**smile, "eyeBlinkLeft": 100} for p in points)
    assert points[-1].expression == smile and points[-1].yaw == -25
    assert all(p.yaw == 0 for p in points[:-1])


@pytest.mark.parametrize(
    ("sentence", "shapes", "yaw", "pitch"),
    [
        ("he turns his head slightly to the left", {}, -11.25, 0),
        ("he frowns slightly", {"mouthFrownLeft": 36, "mouthFrownRight": 36}, 0, 0),
        ("She opens her mouth, then raises her chin.", {"jawOpen": 70}, 0, 25),
        ("she opens her mouth, then closes her mouth", {"jawOpen": 0}, 0, 0),
        ("she smiles, then frowns", {"mouthFrownLeft": 80, "mouthSmileLeft": 0}, 0, 0),
        ("she turns right, then faces the camera", {}, 0, 0),
        ("she laughs, then relaxes", {"jawOpen": 0}, 0, 0),
    ],
)
def test_where_a_sentence_leads(sentence, shapes, yaw, pitch):
    last = face_track(sentence)[-1]
    assert (last.yaw, last.pitch) == (yaw, pitch)
    assert {name: last.expression.get(name, 0) for name in shapes} == shapes


@pytest.mark.parametrize("sentence", ["he nods", "she shakes her head", "he blinks", "she talks"])
def test_gestures_end_where_they_began(sentence):
    told = shown(sentence)
    assert told[0] == told[-1] == ({}, 0, 0, 0) and any(t != told[0] for t in told)


@pytest.mark.parametrize("sentence", ["night falls", "the house turns blue", "a red balloon drifts off", ""])
def test_other_sentences_move_no_face(sentence):
    assert face_track(sentence) == ()


def test_the_table_names_blendshapes():
    names = {name for kind in ("lasting", "gesture") for e in _table()[kind] for name in e.get("expression", {})}
    assert names <= set(SHAPES) and {name for group in _table()["exclusive"] for name in group} <= set(SHAPES)
