"""Finding, checking and loading a version's files; the nets are narrowed, so that files are small."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from laser_cli.controls.knit import load as loading
from laser_cli.controls.knit.control import ControlV2
from laser_cli.controls.knit.control_base import ControlBase, MapV5, ProjectedControl
from laser_cli.controls.knit.find import find_adapters
from laser_cli.controls.knit.load import LAYOUTS, Nets, check_base, load, status
from laser_cli.controls.knit.motion import MotionAdapter, MotionV5
from laser_cli.controls.knit.places import places, places_file, recall, remember
from laser_cli.controls.knit.reference import (
    ReferenceAdapter,
    SKReference,
    STKReference,
    reference_v1,
    reference_v3,
)
from laser_cli.controls.knit.versions import FILE, VERSIONS, find_version, is_hellomeme, lacking
from laser_cli.errors import BadInputError, NotFoundError

WIDE = (32, 32, 32, 32)
NARROW = {
    "v1_reference": lambda: ReferenceAdapter(SKReference, down=WIDE, mid=32, up=WIDE[1:], first_up=1),
    "v2_reference": lambda: ReferenceAdapter(SKReference, up=WIDE[1:], first_up=1),
    "v5b_reference": lambda: ReferenceAdapter(STKReference, up=WIDE),
    "v2_control": lambda: ControlV2(pdfgc=False, channels=(8, 16, 32, 32, 32), context=32),
    "v2_control2": lambda: ControlV2(pdfgc=True, channels=(8, 16, 32, 32, 32), context=32),
    "v5_control_base": lambda: ControlBase(stored_positions=False, mid=(8, 16, 32), out=8, context=32),
    "v5_control_proj": lambda: MapV5(8, 32),
    "v5_motion": lambda: MotionAdapter(MotionV5, down=WIDE, up=WIDE),
}


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    for layout, build in NARROW.items():
        monkeypatch.setitem(LAYOUTS, layout, build)


@pytest.fixture
def folder(tmp_path):
    """All of v5b and v2, one of them as a bare file, without position tables."""
    torch.manual_seed(0)
    for net in (*VERSIONS["v5b"].nets, *VERSIONS["v2"].nets):
        if net.layout in NARROW:
            write(tmp_path, net, NARROW[net.layout]().state_dict())
    (tmp_path / "hm2_control" / FILE).rename(tmp_path / "hm2_control.safetensors")
    return tmp_path


def write(folder, net, weights):
    (folder / net.repo).mkdir(exist_ok=True)
    kept = {key: x.half().contiguous() for key, x in weights.items() if not key.endswith(".pe")}
    save_file(kept, folder / net.repo / FILE)


def net_of(version: str, role: str):
    return next(net for net in VERSIONS[version].nets if net.role == role)


def test_a_version_loads_from_a_folder(folder):
    nets = load("hellomeme:v5b", folder)
    assert nets.version.name == "v5b" and nets.motion is None
    assert isinstance(nets.control, ProjectedControl) and set(nets.reference.points) == {f"up_{i}" for i in range(4)}
    weights = list(nets.reference.parameters())
    assert all(w.dtype == torch.float32 and not w.requires_grad and not w.is_meta for w in weights)


def test_motion_modules_come_with_videos(folder):
    assert set(load("hellomeme:v5b", folder, video=True).motion.points) == {
        *(f"down_{i}" for i in range(4)),
        *(f"up_{i}" for i in range(4)),
    }
    with pytest.raises(NotFoundError, match="v5c has no motion modules"):
        load("hellomeme:v5c", folder, video=True)


def test_position_tables_that_a_file_leaves_out_are_computed(folder):
    nets = load("hellomeme:v2", folder, dtype=torch.bfloat16)
    table = nets.reference.reference_modules_up[0].pos_embed.pe
    assert table.dtype == torch.bfloat16 and not table.is_meta
    assert torch.equal(table, SKReference(32).pos_embed.pe.bfloat16())


def test_a_route_has_its_own_control_net_in_v2(folder):
    assert hasattr(load("hellomeme:v2", folder).control, "exp_proj")
    assert hasattr(load("hellomeme:v2", folder, route="pdfgc").control, "emo_proj")


def test_a_file_that_is_not_there(folder):
    (folder / "hm5b_reference" / FILE).unlink()
    with pytest.raises(NotFoundError, match="hm5b_reference is not in") as caught:
        load("hellomeme:v5b", folder)
    assert "songkey/hm5b_reference" in caught.value.hint and caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("reference_modules_up.2.norm.bias"), "1 of 45 tensors are missing"),
        (lambda w: w.update(extra=torch.zeros(1)), "1 tensors do not belong there, extra first"),
        (lambda w: w.update({"reference_modules_up.0.norm.bias": torch.zeros(8)}), "is [8], not [32]"),
    ],
)
def test_every_tensor_is_checked(folder, change, said):
    weights = NARROW["v2_reference"]().state_dict()
    change(weights)
    write(folder, net_of("v2", "reference"), weights)
    with pytest.raises(NotFoundError) as caught:
        load("hellomeme:v2", folder)
    assert said in caught.value.render()


def test_the_reference_of_v1_is_not_taken_for_v2s(folder):
    write(folder, net_of("v2", "reference"), NARROW["v1_reference"]().state_dict())
    with pytest.raises(NotFoundError, match="is not hm2_reference") as caught:
        load("hellomeme:v2", folder)
    assert caught.value.hint == "it holds the net v1_reference"
    write(folder, net_of("v1", "reference"), NARROW["v2_reference"]().state_dict())
    with pytest.raises(NotFoundError, match="is not hm_reference"):
        load("hellomeme:v1", folder)


def test_a_file_cut_short(folder):
    file = folder / "hm2_reference" / FILE
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(NotFoundError, match="cannot be read"):
        status("hellomeme:v2", folder)


def test_what_is_said_of_a_version(folder):
    (folder / "hm5_motion" / FILE).unlink()
    found = status("hellomeme:v5b", folder)
    said = "\n".join(found.notes)
    assert found.draws and "missing: hm5_motion, for motion" in said
    assert "without its motion modules frames are drawn one by one" in said
    assert "hello_face_det" in said and "laser track" in said
    (folder / "hm5_control_proj" / FILE).unlink()
    assert not status("v5b", folder).draws
    assert [net.role for net in status("v5b", folder).absent] == ["projector", "motion"]


def test_a_file_that_only_videos_need_may_be_broken(folder):
    (folder / "hm5_motion" / FILE).write_bytes(b"cut")
    found = status("v5b", folder)
    assert found.draws and "hm5_motion" in found.notes[0] and "motion" not in found.files
    with pytest.raises(NotFoundError, match="hm5_motion"):
        load("v5b", folder, video=True)


def test_only_what_frames_need_is_downloaded(folder, monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda repo, file: asked.append(repo) or folder / repo[8:] / file
    )
    assert status("v5b", download=True).draws
    assert "songkey/hm5_motion" not in asked and len(asked) == 3


def test_clips_are_drawn_where_motion_modules_are(folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    remember("hellomeme:v5b", folder)
    clips, frames = find_adapters("hellomeme:v5b", "storybook"), find_adapters("hellomeme:v5b", "storybook", False)
    assert clips.clips and not frames.clips and clips.digest != frames.digest
    assert find_adapters("hellomeme:v5b", "storybook", True) == clips
    (folder / "hm5_motion" / FILE).unlink()
    assert find_adapters("hellomeme:v5b", "storybook") == frames
    with pytest.raises(NotFoundError, match="v5b cannot draw clips"):
        find_adapters("hellomeme:v5b", "storybook", True)
    remember("hellomeme:v2", folder)
    assert not find_adapters("hellomeme:v2", "storybook").clips


def test_motion_modules_are_downloaded_when_asked_for(folder, monkeypatch, laser):
    asked = []
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda repo, file: asked.append(repo) or folder / repo[8:] / file
    )
    assert laser("models", "add", "hellomeme:v5b", "--clips")[0] == 0
    assert "songkey/hm5_motion" in asked and len(asked) == 4
    code, _, err = laser("models", "add", "hellomeme:v2", folder, "--clips")
    assert code == 3 and "no motion modules" in err


def test_one_route_is_enough(folder):
    (folder / "hm2_control2" / FILE).unlink()
    assert status("hellomeme:v2", folder).draws
    (folder / "hm2_control.safetensors").unlink()
    assert not status("hellomeme:v2", folder).draws
    assert [net.role for net in lacking(VERSIONS["v2"], ["reference"])] == ["control_arkit", "control_pdfgc"]


def test_the_hub_is_asked_for_what_no_folder_holds(folder, monkeypatch):
    asked = []

    def download(repo, file):
        asked.append(repo)
        return str(folder / repo.split("/")[1] / file)

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    load("hellomeme:v5b")
    assert asked == ["songkey/hm5b_reference", "songkey/hm5_control_base", "songkey/hm5_control_proj"]


def test_a_folder_is_named_once(folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    assert not status("hellomeme:v5b").draws
    remember("hellomeme:v5b", folder)
    remember("hellomeme:v2", folder / "hm2_reference")
    assert status("hellomeme:v5b").draws and load("v5b").version.name == "v5b"
    assert places() == {"hellomeme:v5b": str(folder), "hellomeme:v2": str(folder / "hm2_reference")}
    remember("hellomeme:v5b", folder / "hm5_motion")
    assert recall("hellomeme:v5b") == folder / "hm5_motion" and recall("hellomeme:v1") is None
    places_file().write_text("[]")
    with pytest.raises(BadInputError, match="cannot be read"):
        load("hellomeme:v5b")


def test_the_command(folder, monkeypatch, laser):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    assert laser("models", "verify", "hellomeme:v5b")[0] == 3
    (folder / "hm5_motion" / FILE).unlink()
    code, out, err = laser("models", "add", "hellomeme:v5b", folder)
    assert code == 0 and len(out.split()) == 3 and "missing: hm5_motion" in err
    code, out, _ = laser("models", "verify", "hellomeme:v5b", "--json")
    told = json.loads(out)
    assert code == 0 and told["missing"] == ["hm5_motion"] and set(told["files"]) == {"reference", "base", "projector"}
    (folder / "hm5_control_base" / FILE).write_bytes(b"cut")
    code, _, err = laser("models", "verify", "hellomeme:v5b")
    assert code == 3 and "hm5_control_base" in err
    for name, place, said in (
        ("hellomeme:v6", folder, "there is no hellomeme:v6"),
        ("hellomeme:v5b", folder / "gone", "there is no folder"),
        ("stable", folder, "not an adapter for portraits"),
    ):
        code, out, err = laser("models", "add", name, place)
        assert (code, out) == (3, "") and said in err


@pytest.fixture
def laser(monkeypatch, capfd):
    """Runs the command in this process: (exit code, stdout, stderr)."""
    from laser_cli.cli import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["laser", *map(str, arguments)])
        code = main.exit_code(main.app)
        told = capfd.readouterr()
        return code, told.out, told.err

    return run


def test_no_network(monkeypatch):
    def offline(*_):
        raise OSError("no route to the hub")

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(NotFoundError, match="cannot get songkey/hm5b_reference") as caught:
        load("hellomeme:v5b")
    assert caught.value.why == "no route to the hub" and "folder" in caught.value.hint


def test_names():
    assert is_hellomeme("hellomeme:v1") and not is_hellomeme("storybook")
    assert find_version("hellomeme:v5c").reference_control
    with pytest.raises(NotFoundError) as caught:
        find_version("hellomeme:v5a")
    assert "hellomeme:v5" in caught.value.hint


def test_what_a_version_can_be_put_into():
    def unet(*channels, text=768):
        return SimpleNamespace(config=SimpleNamespace(block_out_channels=channels, cross_attention_dim=text))

    sd15 = unet(320, 640, 1280, 1280)
    with torch.device("meta"):
        v1, v3 = (Nets(VERSIONS[name], build(), dict) for name, build in (("v1", reference_v1), ("v3", reference_v3)))
    v5b = replace(v3, version=VERSIONS["v5b"])
    check_base(v1, sd15, 512, 512)
    check_base(v5b, sd15, 768, 512)
    with pytest.raises(BadInputError, match="at most 512 pixels a side, not 512x768"):
        check_base(v3, sd15, 768, 512)
    for other in (unet(320, 640, 1280), unet(48, 96, 192, 192), unet(320, 640, 1280, 1280, text=1024)):
        with pytest.raises(BadInputError, match="v3 does not fit this model") as caught:
            check_base(v3, other, 512, 512)
        assert str(list(other.config.block_out_channels)) in caught.value.why


def test_nothing_is_loaded_to_know_the_shapes(monkeypatch):
    assert loading.shapes("v5b_reference")["reference_modules_up.0.attn.norm.weight"] == [32]
