"""Names from templates: every field, what cannot be one, and that values never steer a path."""

from pathlib import Path

import pytest

from laser_cli.errors import UsageError
from laser_cli.jobs import names
from laser_cli.jobs.settings import AnimateSettings, InterpolateSettings
from laser_cli.output.guard import same_names

VALUES = names.values_of(
    AnimateSettings(seed=7, guidance=1.5, model="models/anime.v2.safetensors", bounce=True),
    "animate",
    Path("shots/cottage.png"),
    "Night falls, then it snows",
    preset="presets/draft.yaml",
    n=12,
)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{stem}_{n:03}.mp4", "cottage_012.mp4"),
        ("out/{seed:08d}-{guidance:.2f}.gif", "out/00000007-1.50.gif"),
        ("{words}.mp4", "night-falls-then-it-snows.mp4"),
        ("{command}-{preset}-{model}-{steps}.webm", "animate-draft-anime.v2-25.webm"),
        ("{strength}{bounce}.png", "autoyes.png"),
        ("{{{n}}}.mp4", "{12}.mp4"),
        ("plain.mp4", "plain.mp4"),
        ("-", "-"),
    ],
)
def test_a_template_becomes_a_name(template, name):
    assert names.fill(template, VALUES) == name
    assert names.ending(template) == Path(name).suffix


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{sead}.mp4", "did you mean {seed}?"),
        ("{}.mp4", "there is no field {}"),
        ("{stem.__class__}.mp4", "there is no field {stem.__class__}"),
        ("{stem!r}.mp4", "cannot be written"),
        ("{n:{seed}}.mp4", "cannot be written"),
        ("{n:999999999}.mp4", "cannot be written"),
        ("{stem:d}.mp4", "cannot be written"),
        ("{stem.mp4", "is no name"),
        ("stem}.mp4", "is no name"),
    ],
)
def test_a_template_that_cannot_be_is_a_usage_error(template, told):
    with pytest.raises(UsageError) as error:
        names.fill(template, VALUES)
    assert told in error.value.render()


def test_what_is_known_of_a_job_is_checked_before_it_is_made():
    names.check("{stem}-{alpha}.mp4", names.fields(InterpolateSettings))
    with pytest.raises(UsageError, match=r"no field \{alpha\}"):
        names.check("{stem}-{alpha}.mp4", names.fields(AnimateSettings))
    for kind in (AnimateSettings, InterpolateSettings):
        assert set(names.values_of(kind(), "any")) == set(names.fields(kind))


@pytest.mark.parametrize("stem", ["a/b", "..", "x\ny", 'a"b', "c:d", "\\up", "."])
def test_values_add_no_folder_and_nothing_that_a_file_system_reads_otherwise(stem):
    name = names.fill("{stem}.mp4", {"stem": stem})
    assert Path(name).name == name and not set(name) & set('/\\:"\n')
    assert ".." not in names.fill("{stem}/x.mp4", {"stem": stem}).split("/")


def test_without_an_input_the_words_name_the_output():
    assert names.values_of(None, "plan", None, "The sun sets!")["stem"] == "the-sun-sets"
    assert names.values_of(None, "plan", "-", "")["stem"] == "stdin"
    assert names.values_of(None, "animate")["stem"] == "animate"
    long = names.short_words("many words " * 30)
    assert len(long) <= 60 and set(long.split("-")) == {"many", "words"}


def test_seeds_of_stops_are_one_field():
    values = names.values_of(InterpolateSettings(seeds=(3, 7)), "interpolate")
    assert names.fill("{seed}_{seeds}.mp4", values) == "3_3+7.mp4"


def test_names_that_collide_are_found_by_the_file_that_they_mean(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "link" / "a.mp4", tmp_path / "x" / ".." / "b.mp4"]
    assert same_names(paths) == [(0, 2), (1, 3)]
