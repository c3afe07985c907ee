"""What animations are measured on and by: edits with a truth, what stands still, the scores, the table, the folder."""

import csv
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from math import inf, isnan

import numpy as np
import pytest
import torch

from laser_cli.errors import UsageError
from laser_cli.jobs.merge import flags
from laser_cli.jobs.model import settle
from laser_cli.jobs.settings import AnimateSettings, ModelChoice
from laser_cli.measure.animation import driven, processes
from laser_cli.measure.animation.asked import KINDS, NAMES, OURS, TRUE, Amount, check_kinds, check_methods
from laser_cli.measure.animation.bench import Drawn, Measure, drawn, figures, planned, rows_of, task_of
from laser_cli.measure.animation.driven import by_drive
from laser_cli.measure.animation.edits import FIELDS, SAMPLERS, Edit, changed, joined, sample_edits, still
from laser_cli.measure.animation.methods import METHODS
from laser_cli.measure.animation.page import Folder
from laser_cli.measure.animation.processes import side_by_side
from laser_cli.measure.animation.published import as_published, segment_spec
from laser_cli.measure.animation.scores import (
    Score,
    flicker,
    gradient_distance,
    score,
    summary,
    truth_of,
)
from laser_cli.measure.animation.table import COLUMNS, as_figures, table
from laser_cli.measure.figures import Figure
from laser_cli.stages.distances import rms
from laser_cli.stages.invert import invert_picture
from laser_cli.storybook.classifier import AttributeClassifier, load_classifier
from laser_cli.storybook.look import FIRST, SECOND, SHIPPED, look_of
from laser_cli.storybook.puppets import EXPRESSIONS, Puppet, wearing
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.traits import READ
from laser_cli.storybook.world import draw

FROZEN = (
    ("colour", "it becomes yellow"),
    ("pattern", "it turns chequered"),
    ("weather", "clouds gather"),
    ("season", "snow covers the ground"),
    ("hour", "the sun sets"),
    ("style", "the picture turns into a watercolour"),
    ("subject", "a large teal balloon on a street at dusk, deep in snow, turns into a blossom"),
    ("size", "a white car in the city at sunset becomes large"),
    ("place", "the star slowly moves to the right"),
    ("expression", "he becomes astonished"),
    ("two stages", "the tree floats to the right, and then it turns striped."),
    (
        "three stages",
        "first the balloon travels to the meadow. After that, morphs into a star; then the yellow star grows.",
    ),
)
ATTRIBUTE = {"hour": "time", "season": "weather", "expression": "face"}
RED, BLUE = Scene(), Scene().with_colour("blue")
MOVED = replace(RED, place=1.0)


@pytest.fixture(scope="module")
def classifier() -> AttributeClassifier:
    """The shipped one."""
    return load_classifier()


def edit_of(*stages, kind="colour"):
    return Edit(kind, 0, "a red ball", "it changes", stages)


def test_edits_are_frozen():
    assert tuple((e.kind, e.sentence) for e in sample_edits(len(KINDS))) == FROZEN


def test_edits_take_turns_and_are_the_same_however_many():
    edits = sample_edits(26, seed=3)
    assert [e.kind for e in edits] == [*KINDS, *KINDS, *list(KINDS)[:2]] and edits[24].number == 2
    assert sample_edits(13, seed=3) == edits[:13] and sample_edits(13, seed=4) != edits[:13]
    assert sample_edits(2, kinds=("place",), seed=3)[1] == edits[20]


def test_halves_share_no_edit():
    halves = [{e.stages for e in sample_edits(24, half)} for half in ("development", "report")]
    assert not halves[0] & halves[1] and all(len(half) == 24 for half in halves)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_changes_what_its_kind_says_and_nothing_else(kind):
    for edit in sample_edits(4, "development", kinds=(kind,)):
        assert len({type(item) for item in edit.stages}) == 1
        if "stages" in kind:
            assert len(edit.asked) == {"two": 2, "three": 3}[kind.split()[0]]
            assert sum(map(len, edit.asked)) == len(frozenset().union(*edit.asked))
        else:
            assert edit.asked == ({ATTRIBUTE.get(kind, kind)},)
        family = "puppet" if isinstance(edit.stages[0], Puppet) else "scene"
        assert edit.kept | frozenset().union(*edit.asked) == set(READ[family])
        assert not edit.kept & frozenset().union(*edit.asked)


def test_seasons_are_snow_on_the_ground_and_weather_is_not():
    for kind, comes_or_goes in (("season", True), ("weather", False)):
        for edit in sample_edits(5, kinds=(kind,)):
            assert (edit.stages[0].snow != edit.stages[1].snow) is comes_or_goes


def test_every_attribute_that_is_judged_has_its_fields():
    assert set(FIELDS) == {name for family in READ.values() for name in family}
    assert changed(RED, BLUE) == {"colour"} and changed(Puppet(), Puppet(yaw=9.0, hat=(("cap", 1.0),))) == {
        "pose",
        "hat",
    }


def test_the_truth_runs_through_all_stages():
    edit = edit_of(RED, BLUE, replace(BLUE, hour=0.0))
    course = edit.truth([0.0, 0.5, 1.0], FIRST)
    assert torch.equal(course, draw(edit.stages, look=FIRST))
    half = edit.truth([0.25], FIRST)[0]
    assert 0 < float((half - course[0]).abs().mean()) < float((course[1] - course[0]).abs().mean())


def test_what_stands_still_is_where_no_true_in_between_differs():
    quiet = still(edit_of(RED, MOVED).truth([i / 8 for i in range(9)], FIRST))
    assert quiet is not None and quiet[0].all() and not quiet.all()
    # half-way the ball is where neither end has it
    ends = still(edit_of(RED, MOVED).truth([0.0, 1.0], FIRST))
    assert ends is not None and ends.sum() > quiet.sum()
    assert still(edit_of(RED, replace(RED, hour=0.0)).truth([0.0, 1.0], FIRST)) is None


def test_looks_by_the_size_of_a_models_pictures():
    assert look_of(128) == FIRST and look_of(256) == SECOND and look_of(64) == replace(SHIPPED, size=64)


def test_a_dissolve_through_keyframes():
    black, white = torch.zeros(3, 2, 2), torch.ones(3, 2, 2)
    faded = joined([black, white, black], [0, 4, 8], (0, 2, 4, 6, 8))
    assert faded[:, 0, 0, 0].tolist() == [0, 0.5, 1, 0.5, 0]


def test_gradients_and_flicker_count_where_nothing_should_change():
    quiet = torch.zeros(4, 4, dtype=torch.bool)
    quiet[:, :2] = True
    ramp = torch.linspace(0, 1, 4).expand(1, 3, 4, 4)
    loud = ramp.clone()
    loud[..., 3] = 0  # outside, also of the differences
    assert gradient_distance(loud, ramp, quiet) == 0 and gradient_distance(0 * ramp, ramp, quiet) == pytest.approx(100)
    course = torch.stack([torch.full((3, 4, 4), v) for v in (0.0, 0.1, 0.2, 0.1)])
    assert flicker(course, quiet) == pytest.approx(255 * (0.0 + 0.2) / 2, abs=1e-4)


def test_the_truth_is_the_ceiling_and_no_change_the_floor(classifier):
    edit, shown = edit_of(RED, BLUE), (0, 4, 8)
    truth = truth_of(edit, FIRST, classifier, shown, trip=30.0)
    ceiling = score(classifier, edit.truth([0, 0.5, 1], FIRST), truth)
    assert all(ceiling.reached) and all(ceiling.kept) and ceiling.untrue == pytest.approx([0], abs=1e-4)
    assert ceiling.sharp == pytest.approx([100]) and ceiling.first == 60 and ceiling.lost == 0
    assert ceiling.psnr == 60 and ceiling.ssim == pytest.approx(1) and ceiling.gradient == 0 and ceiling.flicker == 0
    floor = score(classifier, edit.truth([0, 0, 0], FIRST), truth)
    assert not any(floor.reached) and all(floor.kept) and floor.largest == 1
    worse = score(classifier, (edit.truth([0, 0.5, 1], FIRST) + 0.1).clamp(0, 1), truth)
    assert worse.psnr < 25 and worse.lost > 5 and worse.ssim < 1


def test_stages_are_read_where_they_end(classifier):
    edit = edit_of(RED, BLUE, replace(BLUE, place=1.0), kind="two stages")
    truth = truth_of(edit, FIRST, classifier, (0, 4, 8), trip=30.0)
    assert score(classifier, edit.truth([0, 0.5, 1], FIRST), truth).reached == [True, True]
    late = score(classifier, edit.truth([0, 0, 1], FIRST), truth)
    assert late.reached == [False, True]


def test_a_wink_may_open_again_but_a_smile_has_to_last(classifier):
    for shown, lasting in (("wink left", [True]), ("smiling", [False])):
        edit = edit_of(Puppet(), Puppet(expression=wearing(EXPRESSIONS[shown])), kind="expression")
        truth = truth_of(edit, FIRST, classifier, (0, 4, 8), trip=30.0)
        assert score(classifier, edit.truth([0, 1, 0], FIRST), truth).reached == lasting
        assert score(classifier, edit.truth([0, 0, 1], FIRST), truth).reached == [True]
        assert score(classifier, edit.truth([0, 0, 0], FIRST), truth).reached == [False]


def test_a_jump_is_seen(classifier):
    truth = truth_of(edit_of(RED, MOVED), FIRST, classifier, (0, 1, 2, 3), trip=30.0)
    pictures = truth.edit.truth([0, 0.02, 0.04, 1], FIRST)
    assert score(classifier, pictures, truth).largest > 2


def made(**changes):
    ratings = {"reached": [True], "kept": [True], "clear": [True], "certain": [90.0], "sharp": [100.0]}
    still_there = dict.fromkeys(("psnr", "ssim", "gradient", "flicker"))
    told = {"first": 60.0, "lost": 0.0, "gaps": [1.0, 1.0], "untrue": [0.1], "features": torch.rand(3, 2)}
    return Score(**ratings | still_there | told | changes)


def test_rows_and_figures():
    scores = {
        OURS: {"colour": [made(gaps=[1.0, 1.0, 1.0]), made(reached=[False], gaps=[1.0, 1.0, 3.0])]},
        "text interpolation": {"colour": [made(kept=[False]), made(kept=[True, True, True])]},
        TRUE[1]: {"colour": [made(), made()]},
    }
    rows = rows_of(scores)
    ours = rows[0].all
    assert (ours.reached, ours.kept, ours.even, ours.smooth, ours.worth) == (50, 100, 50, 50, 25)
    assert rows[1].all.kept == 75 and isnan(rows[1].all.psnr)
    told = {f.name: f for f in figures(rows)}
    assert told["edit reached"].value == 50 and told["edit reached"].holds is False
    assert told["reached x kept x smooth / the best other (text interpolation)"].value == pytest.approx(1 / 3)
    assert told["reached x kept x smooth, worst kind (colour)"].value == 25
    text = table(rows)
    assert all(head in text for head, _ in COLUMNS.values()) and "nan" not in text
    cells = as_figures(rows)
    assert Figure(f"{OURS}, colour: reached", 50.0, "%") in cells and len(cells) == 3 * 2 * 21
    assert figures([row for row in rows if row.method != OURS]) == []


def test_a_jump_from_rest_is_infinite():
    assert made(gaps=[0.0, 0.0, 1.0]).largest == inf and made(gaps=[0.0, 0.0]).largest == 1
    assert summary([made(gaps=[0.0, 0.0, 1.0])], torch.rand(4, 2)).smooth == 0


def test_amounts_and_methods_that_cannot_be():
    assert Amount().shown == (0, 4, 8, 12, 16, 20, 24)
    for frames, every in ((24, 4), (5, 4)):
        with pytest.raises(UsageError, match="leaves out"):
            Amount(frames=frames, every=every).check()
    Amount(frames=9, every=4).check()
    with pytest.raises(UsageError, match="stages of stories end") as told:
        Amount(frames=25, every=6).check(KINDS)
    assert told.value.hint == "--frames 37 --every 6"
    Amount(frames=25, every=6).check(["colour", "two stages"])
    for every in (1, 2, 4):
        Amount(every=every).check(KINDS)
    assert check_methods(()) == NAMES == tuple(METHODS) and check_methods(["laser"]) == ("laser", TRUE[1])
    with pytest.raises(UsageError, match="magic"):
        check_methods(["magic"])
    assert check_kinds(()) == KINDS == tuple(SAMPLERS) and check_kinds(["size", "colour"]) == ("colour", "size")
    with pytest.raises(UsageError, match="mood"):
        check_kinds(["mood"])


def test_laser_as_published_lets_go_of_the_source_evenly_and_mixes_four_fifths(storybook, red_ball):
    inversion = invert_picture(storybook, red_ball, "a red ball", 1, "ddim")
    target = storybook.encode_prompts(["a blue ball"])
    spec = segment_spec(inversion, target, "texture", [0.25, 0.5])
    assert spec.keyframes[0].strengths == {"texture": 1.0} and spec.keyframes[1].strengths == {"texture": 0.0}
    assert all(k.trajectory is None for k in spec.keyframes) and spec.blend is None
    assert spec.base is spec.keyframes[0].conditioning and [f.t for f in spec.frames] == [0.25, 0.5]
    mixed = segment_spec(inversion, target, "hybrid", []).keyframes[1]
    assert mixed.strengths == {"motion": pytest.approx(0.2)}
    wanted = torch.lerp(spec.base.prompt_embeds, target.prompt_embeds, 0.8)
    assert torch.allclose(mixed.conditioning.prompt_embeds, wanted)
    assert segment_spec(inversion, target, "hold", []).keyframes[0].strengths == {}


@pytest.fixture(scope="module")
def task(storybook):
    edit = sample_edits(1, kinds=("two stages",))[0]
    settings = settle(AnimateSettings, flags({"steps": 1, "frames": 5, "even_pace": False, "waypoints": False}))
    return task_of(storybook, edit, planned(edit, settings), settings, (0, 2, 4), rms)


def test_the_plan_is_that_of_the_sentence(task):
    assert task.plan.source == task.edit.prompt and task.plan.description == task.edit.sentence
    assert task.plan.total_frames == 5 and task.places == [0, 2, 4]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_draws_the_frames_asked_for(task, name):
    pictures = METHODS[name].draw(task)
    assert pictures.shape == (3, 3, task.model.size, task.model.size)
    assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1
    ours = torch.from_numpy(task.picture).permute(2, 0, 1) / 255
    held = (METHODS[name].inverted and name != "text interpolation") or "SDEdit" in name or name == "no change"
    assert torch.equal(pictures[0], ours) == held


def test_a_face_that_moves_is_driven_as_the_command_drives_it(storybook, monkeypatch):
    monkeypatch.setattr(driven, "OWN_SAMPLING", {"guidance": 1.0, "steps": 1, "fresh_noise": 1.0})
    settings = settle(AnimateSettings, flags({"steps": 1, "frames": 5, "even_pace": False}))
    edit = sample_edits(1, kinds=("expression",))[0]
    task = task_of(storybook, edit, planned(edit, settings), settings, (0, 2, 4), rms)
    drawn = METHODS[OURS].draw(task)
    picture = torch.from_numpy(task.picture).permute(2, 0, 1) / 255
    assert drawn.shape[0] == 3 and torch.equal(drawn[0], picture) and not torch.equal(drawn[1], drawn[2])
    # no face is told to move, or the picture shows none
    still = replace(edit, sentence="the hair becomes red")
    assert by_drive(storybook, planned(still, settings), task.picture, settings, task.shown) is None
    blank = np.full_like(task.picture, 128)
    assert by_drive(storybook, task.plan, blank, settings, task.shown) is None


def test_laser_as_published_inverts_every_picture_it_ends_in(task):
    before = task.model.nfe
    as_published(task)
    # two segments of one step: inverted, the source, and the end with guidance
    assert task.model.nfe - before == 2 * (1 + 1 + 2)


def test_the_folder_holds_sheets_a_table_and_the_worst(tmp_path, task, classifier):
    folder = Folder(tmp_path / "out")
    scores = {}
    for number, right in enumerate((True, False, True)):
        edit = replace(task.edit, number=number, sentence=f"<{number}>")
        told = {OURS: made(reached=[right]), TRUE[1]: made()}
        pictures = {name: torch.rand(3, 3, 32, 32) for name in told}
        folder.add(Drawn(edit, task.plan, task.shown, pictures, told))
        for name, one in told.items():
            scores.setdefault(name, {}).setdefault(edit.kind, []).append(one)
    rows = rows_of(scores)
    page, csv_file = folder.close(rows, figures(rows), "about it")
    lines = list(csv.DictReader(csv_file.open(encoding="utf-8")))
    assert len(lines) == 6 and lines[2]["reached"] == "0.0" and lines[0]["psnr"] == ""
    text = page.read_text("utf-8")
    order = [text.index(f"&lt;{n}&gt;") for n in (1, 0, 2)]
    assert order == sorted(order) and "<0>" not in text and "about it" in text
    assert len(list((tmp_path / "out" / "sheets").glob("two-stages-00?.png"))) == 3


def test_processes_measure_what_one_does(storybook, classifier):
    settings = settle(AnimateSettings, flags({"steps": 1}))
    how = Measure.of(settings, Amount(frames=5, every=2), ["SDEdit 0.5, dissolve", TRUE[1]])
    edits = sample_edits(3, kinds=("colour",))
    together = list(side_by_side(ModelChoice(device="cpu"), "pixels", how, edits, 2))
    assert [one.edit for one in together] == edits
    alone = drawn(storybook, classifier, rms, how, edits[1])
    for name, pictures in alone.pictures.items():
        assert torch.allclose(together[1].pictures[name], pictures, atol=0.05)
        assert together[1].scores[name].evaluations == alone.scores[name].evaluations


def test_processes_send_no_pictures_that_nobody_wants(monkeypatch):
    one = Drawn(edit_of(RED, BLUE), None, (0,), {OURS: torch.zeros(1)}, {OURS: made()})
    monkeypatch.setattr(processes, "_draw", lambda edit: one, raising=False)
    assert pickle.loads(processes._measured(one.edit, pictures=False)).pictures == {}
    assert pickle.loads(processes._measured(one.edit, pictures=True)).pictures.keys() == {OURS}


@pytest.mark.slow
def test_three_items_by_every_method(tmp_path):
    asked = [sys.executable, "-m", "laser_cli", "bench", "animate", "--items", "3", "--steps", "2", "--json"]
    done = subprocess.run([*asked, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    values = {f["name"]: f["value"] for f in told["figures"]}
    assert told["bench"] == "animate" and {f"{name}, all: reached" for name in METHODS} <= values.keys()
    assert values["the truth, all: reached"] > values["no change, all: reached"]
    assert values["the truth, all: frechet"] == pytest.approx(0, abs=1e-3)
    assert values["frame 0 below the VAE round trip"] == 0
    lines = list(csv.DictReader((tmp_path / "out" / "animations.csv").open(encoding="utf-8")))
    assert len(lines) == 3 * len(METHODS) and (tmp_path / "out" / "index.html").is_file()
    for a, b in pairwise(sorted((tmp_path / "out" / "sheets").iterdir())):
        assert a.read_bytes() != b.read_bytes()
