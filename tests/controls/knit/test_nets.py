"""Every net gives what the published class gives under the same weights, and has its tensors at full width."""

import json

import pytest
import torch

from laser_cli.controls.knit.control import ControlV1, ControlV2, ControlV3
from laser_cli.controls.knit.control_base import MAPS, ControlBase, MapV5, Projector
from laser_cli.controls.knit.cross import SKCross, STKCross
from laser_cli.controls.knit.drive import COEFFICIENTS, Drive, no_parts
from laser_cli.controls.knit.load import LAYOUTS, shapes
from laser_cli.controls.knit.motion import MotionV5, SKMotion
from laser_cli.controls.knit.reference import SKReference, SKReferenceV5, STKReference

from .conftest import FOLDER, close, filled, read, rows

RENAMED = {"v3v4_reference": "v3_reference", "v3_control_mix": "v3_control", "v3v4_motion": "v3_motion"}
KEYS = {
    RENAMED.get(name.split()[0], name.split()[0]): tensors
    for name, tensors in json.loads((FOLDER / "keys.json").read_text()).items()
}


@pytest.mark.parametrize("layout", KEYS)
def test_the_tensors_are_the_published_ones(layout):
    assert shapes(layout) == KEYS[layout]


def test_every_layout_is_checked():
    assert set(KEYS) == set(LAYOUTS)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("sk_reference_v1_v4", lambda: SKReference(32)),
        ("sk_reference_v5", lambda: SKReferenceV5(32, time_channels=64)),
        ("stk_reference_v5b_v5c", lambda: STKReference(32)),
    ],
)
def test_reference(name, module):
    weights, given, out = read(name)
    net = filled(module(), weights)
    close(net(given["hidden"], net.prepare(given["ref"])), out["y"])


def test_a_reference_of_v5_reads_maps_that_are_not_square():
    # the published v5 takes the length of a column from that of a row, and can only read squares
    torch.manual_seed(0)
    net = filled(SKReferenceV5(32, time_channels=64), read("sk_reference_v5").weights)
    assert net(torch.randn(1, 32, 4, 6), torch.randn(1, 32, 4, 6)).shape == (1, 32, 4, 6)


def test_cross_attention_of_v1_to_v3():
    weights, given, out = read("sk_cross_v1_v3")
    close(filled(SKCross(16, 32, 24), weights)(given["x"], given["tokens"]), out["y"])


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_cross_attention_of_v4_and_v5(version):
    weights, given, out = read(f"stk_cross_{version}")
    net = filled(STKCross(16, 24, stored_positions=version == "v4"), weights)
    close(net(given["x"].flatten(0, 1), given["tokens"].flatten(0, 1)), out["y"].flatten(0, 1))


def drive(route: str, condition: str = "condition") -> Drive:
    given = read("control_inputs").inputs
    shown = rows(given[condition])
    if route == "arkit":
        return Drive(shown, coefficients=given["drive_coeff"][0], parts=given["face_parts"][0])
    return Drive(shown, pdfgc=given["emo_embedding"][0])


@pytest.mark.parametrize("route", ["arkit", "pdfgc"])
@pytest.mark.parametrize(
    ("version", "net", "channels", "point"),
    [("v1", ControlV1, (8, 16, 32, 32), "down{}_"), ("v2", ControlV2, (8, 16, 32, 32, 32), "up{}_v2_")],
)
def test_control_nets_of_v1_and_v2(version, net, channels, point, route):
    second = "2" if route == "pdfgc" else ""
    weights, _, out = read(f"control{second or 1}_{version}")
    maps = filled(net(pdfgc=bool(second), channels=channels, context=32), weights)(drive(route))
    assert len(maps) == len(out)
    for ours, x in maps.items():
        close(x, rows(out[point.format(second) + ours[-1]]))


@pytest.mark.parametrize("route", ["arkit", "pdfgc"])
def test_control_net_of_v3(route):
    weights, _, out = read("control_v3")
    maps = filled(ControlV3((8, 16, 32, 32, 32), 32, down=(8, 16)), weights)(drive(route))
    assert len(maps) == 8
    for point, x in maps.items():
        close(x, rows(out[f"{route}.{point.replace('_', '3_')}"]))


@pytest.mark.parametrize("route", ["arkit", "pdfgc"])
@pytest.mark.parametrize("version", ["v4", "v5"])
def test_control_base(version, route):
    weights, _, out = read(f"control_base_{version}")
    net = filled(ControlBase(stored_positions=version == "v4", mid=(8, 16, 32), out=8, context=32), weights)
    for i, feature in enumerate(net(drive(route, "condition_v4_v5"))):
        close(feature, rows(out[f"{route}.feat_{i}"]))


def test_control_base_of_a_picture_of_odd_latents():
    # 72 pixels are 9 latents, which the U-Net halves to 5, 3 and 2: the published net takes multiples of 64 alone
    net = filled(
        ControlBase(stored_positions=False, mid=(8, 16, 32), out=8, context=32), read("control_base_v5").weights
    )
    features = net(Drive(torch.zeros(1, 3, 72, 72), torch.zeros(1, 51), no_parts(1)))
    assert [tuple(feature.shape[2:]) for feature in features] == [(2, 2), (3, 3), (5, 5), (9, 9)]


def test_projector_of_v5():
    weights, given, out = read("control_proj_v5")
    close(filled(MapV5(8, 32), weights)(rows(given["x"])), rows(out["y"]))


def test_projector_of_v4_is_a_convolution_for_each_point():
    with torch.device("meta"):
        net = Projector(attend=False)
        features = [torch.zeros(2, c, s, s) for c, s in ((1280, 2), (640, 4), (320, 8), (320, 16))]
        maps = {point: tuple(x.shape) for point, x in net(features).items()}
    assert maps == {
        **{"up_0": (2, 1280, 2, 2), "up_1": (2, 1280, 4, 4), "up_2": (2, 1280, 8, 8), "up_3": (2, 640, 16, 16)},
        **{"down_0": (2, 320, 8, 8), "down_1": (2, 640, 4, 4), "down_2": (2, 1280, 2, 2), "down_3": (2, 1280, 2, 2)},
    }
    assert set(MAPS) == set(maps)


def test_motion_of_v3():
    weights, given, out = read("motion_v3_v4")
    net = filled(SKMotion(32, time_channels=48), weights)
    close(net(given["hidden"], given["temb"], 3, given["pad"]), out["y"])
    assert torch.equal(net(given["hidden"], given["temb"], 3), given["hidden"])


def test_motion_of_v5():
    weights, given, out = read("motion_v5")
    net = filled(MotionV5(32), weights)
    close(net(given["hidden"], None, 3, given["pad"]), out["with_pad"])
    close(net(given["hidden"], None, 3), out["without"])


@pytest.mark.parametrize("module", [SKReference, STKReference])
def test_an_untrained_reference_changes_nothing(module):
    torch.manual_seed(0)
    hidden, net = torch.randn(2, 32, 4, 4), module(32)
    assert torch.equal(net(hidden, net.prepare(torch.randn(1, 32, 4, 4))), hidden)


def test_control_is_the_same_for_a_frame_whatever_it_is_drawn_with():
    net = filled(ControlV3((8, 16, 32, 32, 32), 32, down=(8, 16)), read("control_v3").weights)
    both = drive("arkit")
    second = Drive(both.condition[1:], both.coefficients[1:], both.parts[1:])
    for point, x in net(second).items():
        close(x, net(both)[point][1:])


def test_the_unconditional_half():
    empty = drive("arkit").unconditional()
    assert (empty.condition == -1).all() and not empty.coefficients.any() and not empty.parts.any()
    own = torch.rand(548)
    assert torch.equal(drive("pdfgc").unconditional(own).pdfgc[1], own)
    assert not drive("pdfgc").unconditional().pdfgc.any()


def test_a_drive_has_one_route():
    shown = torch.zeros(1, 3, 8, 8)
    for given in ({}, {"coefficients": torch.zeros(1, 51)}, {"parts": no_parts(1)}):
        with pytest.raises(ValueError, match="either"):
            Drive(shown, **given)
    with pytest.raises(ValueError, match="either"):
        Drive(shown, torch.zeros(1, 51), no_parts(1), torch.zeros(1, 548))


def test_the_coefficients_are_arkits_without_the_tongue():
    assert len(COEFFICIENTS) == 51 and list(COEFFICIENTS) == sorted(COEFFICIENTS)
