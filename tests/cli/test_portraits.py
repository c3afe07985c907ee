"""Portraits driven by tracks, videos and sentences, with adapters of random weights for the embedded model."""

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from diffusers import MotionAdapter as AnimateDiff
from PIL import Image

from laser_cli.controls.knit.find import Adapters
from laser_cli.controls.knit.load import point_channels
from laser_cli.controls.knit.motion import MotionAdapter, SKMotion
from laser_cli.controls.knit.own import AdapterSettings, as_nets, base_probe, new_adapters, save_adapters
from laser_cli.models.find import WEIGHTS
from laser_cli.output.ffmpeg import executable
from laser_cli.output.record import read_record
from laser_cli.presets_dir import presets_folder
from laser_cli.stages.invert import to_array
from laser_cli.storybook.driving import PLACE
from laser_cli.storybook.look import SHIPPED
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.world import draw

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = ["--steps", "1", "--dtype", "float32", "--guidance", "1"]
LOOKS = "a portrait of a person with short red hair"


@pytest.fixture(scope="module")
def adapters(storybook, tmp_path_factory):
    torch.manual_seed(0)
    unet = storybook.unet
    blocks = tuple(unet.config.block_out_channels)
    settings = AdapterSettings(blocks=blocks, base=base_probe(unet), pixels=storybook.scale, place=PLACE)
    reference, control = new_adapters(settings)
    for part in (reference, control):
        for name, parameter in part.named_parameters():
            if "maps" in name or "proj.weight" in name:
                parameter.data.add_(torch.randn_like(parameter) * 0.05)
    folder = tmp_path_factory.mktemp("portraits")
    save_adapters(folder, settings, reference, control)
    return folder


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    file = tmp_path_factory.mktemp("face") / "portrait.png"
    Image.fromarray(to_array(draw([Puppet(hair_colour=(("red", 1.0),))])[0])).save(file)
    return file


@pytest.fixture
def track(tmp_path):
    """Half a second of an opening mouth and a turn, 12 frames a second; it begins at rest."""
    file = tmp_path / "track.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["time", "jawOpen", "yaw"])
        rows.writerows([f"{i / 12:.6f}", i / 6, 4 * i] for i in range(7))
    return file


@pytest.fixture
def film(tmp_path):
    """A second of a talking puppet with sound that begins after half of it, 12 frames a second."""
    frames = [to_array(draw([Puppet(yaw=25, expression=(("jawOpen", (i % 4) / 3),))])[0]) for i in range(12)]
    iio.imwrite(tmp_path / "silent.mp4", np.stack(frames), fps=12, plugin="FFMPEG", macro_block_size=1)
    sound = "aevalsrc='if(gt(t,0.5),0.5*sin(2000*t),0)':d=1:s=16000"
    command = [executable(), "-v", "error", "-i", "silent.mp4", "-f", "lavfi", "-i", sound, "-c:v", "copy", "talk.mp4"]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    return tmp_path / "talk.mp4"


def pictures(folder):
    return [iio.imread(file) for file in sorted(folder.glob("*.png"))]


def test_a_track_moves_a_portrait(laser, tmp_path, portrait, adapters, track):
    out, frames, report = tmp_path / "a.gif", tmp_path / "frames", tmp_path / "a.html"
    drive = ["--drive", track, "--portrait-adapter", adapters, "-p", LOOKS]
    to = ["-o", out, "--frames-dir", frames, "--report", report]
    code, stdout, stderr = laser("animate", portrait, *drive, *to, *QUICK, "--json")
    assert code == 0, stderr
    told = json.loads(stdout)
    drawn = pictures(frames)
    # the track begins as the portrait is held: no way to it is drawn
    assert told["frames"] == len(drawn) == 7 and told["evaluations"] == 7 + 2 + 1
    assert np.array_equal(drawn[0], np.asarray(Image.open(portrait).convert("RGB")))
    assert all(np.abs(a.astype(int) - b).mean() > 0.1 for a, b in pairwise(drawn))
    record = read_record(out)["settings"]
    assert record["drive"]["clip"]["name"] == "track.csv" and record["plan"]["segments"][0]["prompt"] == LOOKS
    page = json.loads(re.search(r'id="frames">(.*?)</script>', report.read_text("utf-8"), re.DOTALL)[1])
    assert len(page["drives"]) == len(page["pictures"]) == 7 and len(set(page["drives"])) == 7
    assert '<img id="drive"' in report.read_text("utf-8")

    # run again from its record, beside which the track and the portrait lie
    shutil.copy(portrait, tmp_path / portrait.name)
    again = ["animate", "--from", out, "--portrait-adapter", adapters, "--frames-dir", tmp_path / "again", *QUICK]
    code, _, stderr = laser(*again)
    assert code == 0, stderr
    assert all(np.array_equal(a, b) for a, b in zip(drawn, pictures(tmp_path / "again"), strict=True))


def test_a_puppets_video_moves_another_and_its_sound_stays(laser, tmp_path, portrait, adapters, film):
    out = tmp_path / "a.mp4"
    drive = ["--drive", film, "--drive-puppet", "--drive-to", "0.8", "--portrait-adapter", adapters, "-p", LOOKS]
    code, _, stderr = laser("animate", portrait, *drive, "-o", out, *QUICK)
    assert code == 0, stderr
    # it begins turned away: half a second leads there, and the sound comes as much later
    assert "6 frames lead there" in stderr
    wave = subprocess.run(
        [executable(), "-v", "error", "-i", out, "-f", "f32le", "-ac", "1", "-ar", "8000", "-"],
        capture_output=True,
        check=True,
    ).stdout
    loud = np.abs(np.frombuffer(wave, np.float32)) > 0.1
    assert 0.95 < loud.argmax() / 8000 < 1.1
    assert iio.imread(out, plugin="FFMPEG").shape[0] == 6 + 10


def test_a_sentence_moves_a_face_and_the_portrait_needs_no_words(laser, tmp_path, portrait, adapters):
    out = tmp_path / "a.gif"
    to = ["--portrait-adapter", adapters, "-o", out, "--frames", "6", "--planner", "rules", *QUICK]
    # in the precision that is the default where a machine computes in it
    code, _, stderr = laser("animate", portrait, "she smiles and turns left", *to, "--dtype", "bfloat16")
    assert code == 0, stderr
    assert "read from the picture" in stderr
    settings = read_record(out)["settings"]
    assert settings["plan"]["face"][-1]["yaw"] == -25 and "clip" not in settings["drive"]


def test_words_and_drive_go_together(laser, tmp_path, portrait, adapters, track):
    how = ["--drive", track, "--portrait-adapter", adapters, "-p", LOOKS, "--frames", "4", "--planner", "rules"]
    code, _, stderr = laser("animate", portrait, "her hair turns blue", *how, "-o", tmp_path / "a.gif", *QUICK)
    assert code == 0, stderr
    plan = read_record(tmp_path / "a.gif")["settings"]["plan"]
    assert "blue" in plan["segments"][-1]["prompt"] and sum(s["frames"] for s in plan["segments"]) == 4


def test_a_dry_run_tells_frames_and_evaluations(laser, portrait, adapters, track):
    how = ["--drive", track, "--portrait-adapter", adapters, "-p", LOOKS, "--dry-run", "--json"]
    code, stdout, stderr = laser("animate", portrait, *how, *QUICK)
    assert code == 0, stderr
    told = json.loads(stdout)
    assert (told["frames"], told["evaluations"]["total"]) == (7, 10)
    # where nobody says, a model's own adapters draw eleven guided steps a frame
    for said, steps in (([], 11), (["--steps", "5"], 5)):
        code, stdout, stderr = laser("animate", portrait, *how, *said)
        assert code == 0, stderr
        assert json.loads(stdout)["evaluations"]["total"] == 7 * 2 * steps + 2 + steps


def test_adapters_with_motion_modules_draw_clips(laser, tmp_path, portrait, track, storybook, monkeypatch):
    blocks = tuple(storybook.unet.config.block_out_channels)
    settings = AdapterSettings(blocks=blocks, base=base_probe(storybook.unet), pixels=storybook.scale, place=PLACE)
    points = point_channels(blocks)
    torch.manual_seed(0)
    motion = MotionAdapter(
        lambda c: SKMotion(c, time_channels=4 * blocks[0]),
        down=blocks,
        up=[c for point, c in points.items() if point.startswith("up")],
    )
    for parameter in motion.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.3)
    temporal = AnimateDiff(
        block_out_channels=blocks,
        motion_layers_per_block=1,
        motion_num_attention_heads=4,
        motion_norm_num_groups=16,
        use_motion_mid_block=False,
    )
    still = as_nets(settings, *new_adapters(settings))
    moving = replace(still, motion=motion, animatediff=temporal.eval())

    def found(_asked, _model, clips):
        return Adapters("hellomeme:v3", None, "0" * 16, puppets=True, clips=clips is not False)

    monkeypatch.setattr("laser_cli.controls.knit.find._found", found)
    monkeypatch.setattr("laser_cli.controls.knit.find.load_adapters", lambda it, _: moving if it.clips else still)
    how = ["--drive", track, "-p", LOOKS, "--size", "128"]
    for name, asked in (("clip", ["--motion-modules"]), ("frames", ["--no-motion-modules"])):
        to = ["-o", tmp_path / f"{name}.gif", "--frames-dir", tmp_path / name]
        code, stdout, stderr = laser("animate", portrait, *how, *asked, *to, *QUICK, "--json")
        assert code == 0 and "kept in float32" not in stderr, stderr
        assert read_record(tmp_path / f"{name}.gif")["settings"]["drive"]["clips"] == (name == "clip")
        # the portrait's inversion, of the clip two stills, seven frames, and what is read: it and both ends, twice each
        assert json.loads(stdout)["evaluations"] == 1 + (2 + 7 + 6 if name == "clip" else 7 + 2)
    one, other = pictures(tmp_path / "clip"), pictures(tmp_path / "frames")
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(one, other, strict=True)) > 10


def test_what_cannot_be_drawn_is_told_before_the_work(laser, tmp_path, portrait, adapters, track, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("laser_cli.models.load.load_model", never)
    one = tmp_path / "one.csv"
    one.write_text("time,jawOpen\n0,0.9\n")
    bare = tmp_path / "bare"
    bare.mkdir()
    drive, ours = ["--drive", track], ["--portrait-adapter", adapters]
    for arguments, expected, says in (
        ([COTTAGE, *drive, *ours], 5, "no face found in"),
        ([portrait, "--drive", tmp_path / "no.mp4", *ours], 5, "no such file"),
        ([portrait, "--drive", one, "--relative", *ours], 5, "moves nothing"),
        ([portrait, *drive, "--drive-from", "9", *ours], 5, "nothing between"),
        ([portrait, *drive, "--portrait-adapter", bare], 3, "are no portrait adapters"),
        ([portrait, *drive, "--portrait-adapter", "hellomeme:v7"], 3, "hellomeme:v7"),
        ([portrait, *drive, "--motion-modules", *ours], 3, "has no motion modules"),
        ([*drive, *ours], 2, "needs a portrait"),
        ([portrait, "she smiles", "--drive-ratio", "1"], 2, "would do nothing"),
        ([portrait, *drive, "--drive-from", "2", "--drive-to", "1", *ours], 2, "has to come after"),
    ):
        code, _, stderr = laser("animate", *arguments, "-o", tmp_path / "out.mp4", *QUICK)
        assert code == expected and says in stderr, (arguments, stderr)
        assert not (tmp_path / "out.mp4").exists()


def test_a_model_without_adapters_draws_faces_by_words_and_says_so(laser, tmp_path, portrait):
    model = tmp_path / "model"
    shutil.copytree(WEIGHTS, model, ignore=shutil.ignore_patterns("portraits", "planner"))
    plan = tmp_path / "plan.yaml"
    face = "face: [{at: 0}, {at: 100, expression: {jawOpen: 80}}]"
    plan.write_text(f"source: {LOOKS}\nsegments: [{{prompt: '{LOOKS}, smiling', frames: 3}}]\n{face}\n")
    how = ["--plan", plan, "--model", model, "-o", tmp_path / "a.gif"]
    code, _, stderr = laser("animate", portrait, *how, *QUICK)
    assert code == 0 and "has no portrait adapters: faces follow the prompts alone" in stderr, stderr
    code, _, stderr = laser("animate", portrait, "--drive", plan, *how[2:], *QUICK)
    assert code == 3 and "laser models add hellomeme" in stderr


def test_adapters_of_another_unet_are_refused(laser, tmp_path, portrait, adapters, track):
    other = tmp_path / "other"
    shutil.copytree(adapters, other)
    settings = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**settings, "base": [0.0] * len(settings["base"])}))
    how = ["--drive", track, "--portrait-adapter", other, "-p", LOOKS, "-o", tmp_path / "a.gif"]
    code, _, stderr = laser("animate", portrait, *how, *QUICK)
    assert code == 5 and "another U-Net" in stderr and not (tmp_path / "a.gif").exists()


def test_people_have_a_place_that_the_drive_moves(laser, tmp_path, portrait, adapters, track):
    """As with published adapters: the portrait's own face is found by MediaPipe, or told by a track of it."""
    people = tmp_path / "people"
    shutil.copytree(adapters, people)
    settings = json.loads((people / "config.json").read_text())
    (people / "config.json").write_text(json.dumps({**settings, "faces": "people", "place": None}))
    own, drive = tmp_path / "own.csv", tmp_path / "near.csv"
    own.write_text("time,mouthSmileLeft,pitch,yaw,roll,x,y,z\n0,0.5,0,0,0,0,0,-60\n")
    drive.write_text("time,jawOpen,x,z\n0,0,0,-60\n0.1,0.5,3,-50\n0.2,1,6,-40\n")
    how = ["--portrait-adapter", people, "--face", own, "-p", LOOKS, "--fps", "10", "--relative", *QUICK]
    drawn = {}
    for ratio in ("0", "1"):
        to = ["--drive", drive, "--drive-ratio", ratio, "--frames-dir", tmp_path / ratio]
        code, _, stderr = laser("animate", portrait, *how, *to)
        assert code == 0, stderr
        drawn[ratio] = pictures(tmp_path / ratio)
    assert np.array_equal(drawn["0"][0], drawn["1"][0]) and not np.array_equal(drawn["0"][2], drawn["1"][2])
    own.write_text("time,mouthSmileLeft,pitch,yaw,roll\n0,0.5,0,0,0\n")
    code, _, stderr = laser("animate", portrait, "--drive", drive, *how, "-o", tmp_path / "a.gif")
    assert code == 5 and "how the head is held" in stderr


def test_the_size_is_the_models(storybook):
    assert SHIPPED.size == storybook.size
