"""Settings: one merge, presets that say where they are wrong, records that run again, costs told before the work."""

import json
import struct
from functools import partial

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from laser_cli.errors import BadInputError, LaserError, NotFoundError, UsageError
from laser_cli.jobs import presets as folders
from laser_cli.jobs.animate import AnimateJob, directed
from laser_cli.jobs.estimate import memory, parameters, read_header, read_shape
from laser_cli.jobs.merge import Layer, fitted, flags
from laser_cli.jobs.merge import merge as merge_of
from laser_cli.jobs.model import asked_by
from laser_cli.jobs.model import settle as settle_of
from laser_cli.jobs.outputs import look_of
from laser_cli.jobs.presets import all_presets, find_preset, preset_layer, read_preset
from laser_cli.jobs.progress import Progress
from laser_cli.jobs.rerun import read_job
from laser_cli.jobs.settings import AnimateSettings as Settings
from laser_cli.jobs.settings import InterpolateSettings
from laser_cli.plan.schema import STRENGTHS, Plan, Segment

merge, settle = partial(merge_of, Settings), partial(settle_of, Settings)

PLAN = Plan(
    source="a ball",
    segments=(
        Segment(prompt="a cube", frames=5, control="hybrid", strength=0.5, easing="ease-in"),
        Segment(prompt="a star", frames=4),
    ),
)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder for the user's own presets."""
    folder = tmp_path / "presets"
    folder.mkdir()
    monkeypatch.setattr(folders, "user_folder", lambda: folder)
    return folder


def test_later_layers_override_earlier_ones_and_all_override_the_defaults():
    preset = Layer("p.yaml", {"steps": 10, "frames": 12, "fps": 6, "easing": "linear"})
    plan = Layer("plan.yaml", {"frames": 9, "easing": None})
    merged = merge(preset, plan, flags({"fps": 24.0, "steps": None, "bounce": False}))
    assert (merged.steps, merged.frames, merged.fps, merged.easing) == (10, 9, 24.0, None)
    assert merged.guidance == Settings().guidance
    assert merge() == Settings()


@pytest.mark.parametrize(
    ("values", "says", "hint"),
    [
        ({"stepps": 3}, "mine.yaml, line 7: unknown key 'stepps'", "did you mean 'steps'?"),
        ({"zzzzzz": 3}, "unknown key 'zzzzzz'", "the keys are frames, steps"),
        ({"steps": 0}, "line 7: steps cannot be 0", ""),
        ({"steps": "12"}, "steps cannot be '12'", ""),
        ({"bounce": "yes"}, "bounce cannot be 'yes'", ""),
        ({"size": True}, "size cannot be True", ""),
        ({"loop": "never"}, "loop cannot be 'never'", ""),
        ({"fps": float("nan")}, "fps cannot be nan", ""),
        ({"control": "textur"}, "control cannot be 'textur'", ""),
    ],
)
def test_what_cannot_be_names_its_file_line_and_key_even_where_a_flag_overrides_it(values, says, hint):
    layer = Layer("mine.yaml", values, dict.fromkeys(values, 7))
    with pytest.raises(BadInputError) as caught:
        merge(layer, flags({"steps": 5, "size": 64, "loop": "3"}))
    assert says in caught.value.what and hint in caught.value.hint
    with pytest.raises(UsageError):
        merge(flags(values))


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
LIKELY = {
    "frames": st.integers(2, 100),
    "steps": st.integers(1, 50),
    "guidance": st.floats(1, 30),
    "easing": st.sampled_from(["linear", "ease", "ease-in", "ease-out"]),
    "control": st.sampled_from(["texture", "motion", "hybrid", "hold"]),
    "strength": st.floats(0, 1),
    "loop": st.sampled_from(["forever", "none", "3", 2]),
    "bounce": st.booleans(),
    "hold_last": st.floats(0, 3),
    "palette": st.sampled_from(["global", "per-frame"]),
    "seed": st.integers(0, 9),
}
LAYERS = st.fixed_dictionaries({}, optional=LIKELY)
WRONG = st.dictionaries(st.sampled_from(sorted(Settings.model_fields)) | st.text(max_size=12), ANYTHING, max_size=4)


@given(LAYERS, LAYERS, LAYERS)
@effort(max_examples=60, deadline=None)
def test_any_layers_of_good_values_merge_to_the_last_that_speaks(preset, plan, said):
    merged = merge(Layer("p", preset), Layer("q", plan), flags(said))
    for key, value in {**preset, **plan, **said}.items():
        assert getattr(merged, key) == (3 if value == "3" else value)
    assert look_of(merged).shown(merged.frames) >= merged.frames
    try:
        assert directed(PLAN, merged).total_frames == merged.frames
    except BadInputError:
        assert merged.frames < 3


@given(WRONG, WRONG, WRONG)
@effort(max_examples=150, deadline=None)
def test_any_layers_at_all_raise_nothing_but_a_laser_error(preset, plan, said):
    try:
        merged = merge(Layer("p", preset), Layer("q", plan), flags(said))
    except LaserError as error:
        assert error.render().startswith("error: ")
    else:
        assert merge(Layer("record", json.loads(merged.model_dump_json()))) == merged


@given(st.text())
@effort(max_examples=100, deadline=None)
def test_any_text_is_a_preset_or_a_laser_error(text):
    try:
        values, lines = folders._parse(text, "mine.yaml")
    except LaserError:
        return
    assert set(lines) >= {key for key in values if key in Settings.model_fields}


def test_every_packaged_preset_can_be_used_and_the_default_is_the_defaults(mine):
    packaged = {preset.name: preset for preset in all_presets()}
    assert set(packaged) >= {"draft", "default", "smooth", "texture", "motion", "portrait"}
    for preset in packaged.values():
        assert preset.description and not preset.own
        for kind in (Settings, InterpolateSettings):
            merge_of(kind, fitted(preset.layer, kind)[0])
    assert merge(fitted(packaged["default"].layer, Settings)[0]) == Settings()


def test_a_users_preset_overrides_one_of_the_same_name_and_a_file_can_be_named(mine, tmp_path):
    (mine / "draft.yaml").write_text("description: mine\nsteps: 3\n")
    assert find_preset("draft").layer.values == {"steps": 3} and find_preset("draft").own
    (tmp_path / "other.yaml").write_text("fps: 24\n")
    assert find_preset(str(tmp_path / "other.yaml")).layer.values == {"fps": 24}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: 5\nframse: 3\n", "line 2: unknown key 'framse'"),
        ("steps: 5\nsteps: 6\n", "line 2: the key 'steps' is there twice"),
        ("steps: 5\n: : x: [\n", "line 2, column 1: not valid YAML"),
        ("- steps\n", "is not a preset"),
        ("", "is not a preset"),
        ("? [a]\n: 3\n", "preset"),
        ("description: [1]\n", "line 1: the description should be text"),
        ("when: 2001-99-99\n", "is not a preset"),
    ],
)
def test_a_preset_that_is_wrong_says_where(tmp_path, text, says):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadInputError) as caught:
        read_preset(file)
    assert says in caught.value.what and "mine.yaml" in caught.value.what


def test_a_preset_speaks_to_every_job_and_what_means_nothing_to_one_is_told(tmp_path):
    class Told(Progress):
        notes: list[str] = []  # noqa: RUF012

        def note(self, message):
            self.notes.append(message)

    (tmp_path / "mine.yaml").write_text(
        "even_pace: false\nseed: 7\nalpha: 3.0\nmethod: fixed-point\ncontrol: hold\nfps: 5\n"
    )
    preset = read_preset(tmp_path / "mine.yaml")
    said = preset_layer(preset, InterpolateSettings, Told())
    assert said and said.values == {"spacing": "uniform", "seeds": (7,), "alpha": 3.0, "fps": 5}
    said = preset_layer(preset, Settings, Told())
    assert said and said.values == {
        "even_pace": False, "seed": 7, "method": "fixed-point", "control": "hold", "fps": 5
    }  # fmt: skip
    assert Told.notes == [
        "the preset mine also sets method, control, which only animations have",
        "the preset mine also sets alpha, which only interpolations have",
    ]
    (tmp_path / "mine.yaml").write_text("method: magic\n")
    with pytest.raises(BadInputError, match="line 1: method cannot be 'magic'"):
        read_preset(tmp_path / "mine.yaml")


def test_a_preset_that_is_not_there_names_the_nearest(mine):
    with pytest.raises(NotFoundError) as caught:
        find_preset("drafft")
    assert caught.value.hint == "did you mean 'draft'?"
    with pytest.raises(NotFoundError):
        find_preset("no/such/file.yaml")


def test_what_a_model_asks_for_overrides_the_defaults_alone(tmp_path):
    (tmp_path / "laser.yaml").write_text("description: keen\nguidance: 1.5\nsteps: 40\n")
    preset, said = Layer("p.yaml", {"steps": 10}), flags({"model": str(tmp_path)})
    assert (settle(said).guidance, settle(said).steps) == (1.5, 40)
    assert (settle(preset, None, said).guidance, settle(preset, said).steps) == (1.5, 10)
    assert settle(said, flags({"guidance": 4.0})).guidance == 4
    assert settle(flags({"model": "owner/name"})).guidance == Settings().guidance
    (tmp_path / "laser.yaml").unlink()
    assert settle(said) == Settings(model=str(tmp_path))


def test_the_storybook_model_asks_for_settings_that_can_be(mine):
    asked = asked_by("storybook")
    assert asked and settle() == merge(asked) != Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: 5\nguidence: 2\n", "laser.yaml, line 2: unknown key 'guidence'"),
        ("guidance: -1\n", "laser.yaml, line 1: guidance cannot be -1"),
        ("steps: 5\nmodel: storybook\n", "laser.yaml, line 2: a model cannot ask for another"),
    ],
)
def test_what_a_model_cannot_ask_for_names_its_file_and_line(tmp_path, text, says):
    (tmp_path / "laser.yaml").write_text(text)
    with pytest.raises(BadInputError) as caught:
        settle(flags({"model": str(tmp_path), "guidance": 2.0}))
    assert says in caught.value.what


def test_settings_direct_a_plan_only_where_they_have_a_say():
    assert directed(PLAN, Settings(frames=8)) == PLAN
    plan = directed(PLAN, Settings(frames=20, easing="linear", control="motion"))
    assert plan.total_frames == 20
    assert {(s.control, s.strength, s.easing) for s in plan.segments} == {("motion", STRENGTHS["motion"], "linear")}
    assert [s.strength for s in directed(PLAN, Settings(frames=8, strength=0.1)).segments] == [0.1, 0.1]


def test_a_file_without_a_record_does_not_run_again(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(BadInputError):
        read_job(tmp_path / "a.txt", AnimateJob, Settings)


def test_memory_grows_with_frames_and_chunk_and_counts_the_weights(tmp_path):
    def write(part, **config):
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(json.dumps(config))
        header = json.dumps({"a": {"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 60]}}).encode()
        (tmp_path / part / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(60))

    write("unet", block_out_channels=[8, 16], sample_size=16, layers_per_block=2)
    write("vae", block_out_channels=[8, 16, 16, 16], latent_channels=4)
    write("text_encoder")
    shape = read_shape(tmp_path)
    assert shape is not None and (shape.scale, shape.side) == (8, 128)
    assert parameters(tmp_path, "unet") == 15

    def least(**settings):
        return memory(tmp_path, shape, Settings(dtype="float32", device="cpu", **settings), (128, 128), 2)

    assert least()["weights"] == 4 * 15 * 3
    assert least(frames=100)["at_least"] - least(frames=50)["at_least"] == 50 * 4 * 16 * 16 * 4
    assert least(chunk=4)["skip_connections"] * 2 == least(chunk=8)["skip_connections"]
    for damaged in (b"", b"\xff" * 20, (tmp_path / "unet" / "model.safetensors").read_bytes()[:-1]):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(ValueError):
            read_header(tmp_path / "damaged")
    assert read_shape(tmp_path / "nowhere") is None
