"""A portrait drawn under a drive: the passes around the nets, and the way from a face track to them."""

import json

import numpy as np
import pytest
import torch

from laser_cli.controls.knit.drive import COEFFICIENTS, Drive, no_parts
from laser_cli.controls.knit.driven import ACROSS, DEPTH, FaceMotion, face_motion, head_pose
from laser_cli.controls.knit.insertion import Insertion, insert
from laser_cli.controls.knit.load import Nets
from laser_cli.controls.knit.portrait import controls, predict, read_reference
from laser_cli.controls.knit.pose import FOCAL, HeadPose, corners
from laser_cli.controls.knit.reference import ReferenceAdapter, STKReference
from laser_cli.controls.knit.versions import VERSIONS
from laser_cli.errors import BadInputError
from laser_cli.tracks.capture import to_track
from laser_cli.tracks.results import parse_results
from laser_cli.tracks.schema import FaceTrack

from .conftest import FOLDER, close, filled, read


@pytest.fixture(scope="module")
def adapter():
    weights = read("unet_v5b_v5c").weights
    return filled(ReferenceAdapter(STKReference, up=(32, 32, 32, 16), heads=4), weights)


def control(drive: Drive) -> dict:
    """Stands for a control net: maps that tell frames apart by their first coefficient."""
    told = drive.coefficients[:, :1, None, None] if drive.pdfgc is None else drive.pdfgc[:, :1, None, None]
    shapes = {"up_0": (32, 2, 2), "down_0": (16, 8, 8)}
    return {point: told.expand(-1, *shape) + drive.condition[:, :1, :1, :1] for point, shape in shapes.items()}


def drive(*openings: float) -> Drive:
    coefficients = torch.zeros(len(openings), 51)
    coefficients[:, 0] = torch.tensor(openings)
    return Drive(torch.zeros(len(openings), 3, 8, 8), coefficients, no_parts(len(openings)))


def nets(adapter, version="v5b") -> Nets:
    return Nets(VERSIONS[version], adapter, control)


def test_the_reference_is_read_once_with_nothing_in_the_unconditional_half(unet, base, adapter):
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    portrait = read_reference(unet, nets(adapter), latents, base.inputs["text"])
    features = {}
    with insert(unet, Insertion(), features):
        unet(torch.cat([0 * latents, latents]), 0, encoder_hidden_states=base.inputs["text"])
    for point, x in adapter.prepare(features).items():
        close(portrait.prepared[point], x)


def test_frames_drawn_together_are_those_drawn_alone(unet, base, adapter):
    torch.manual_seed(0)
    text, x = base.inputs["text"], torch.randn(3, 4, 16, 16)
    portrait = read_reference(unet, nets(adapter), torch.randn(1, 4, 16, 16), text)
    openings = (0.0, 0.4, 0.9)
    together = predict(unet, portrait, drive(*openings), x, 500, text, 1.5)
    for i, opening in enumerate(openings):
        close(predict(unet, portrait, drive(opening), x[i : i + 1], 500, text, 1.5), together[i : i + 1])
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_guidance(unet, base, adapter):
    torch.manual_seed(0)
    text, x = base.inputs["text"], torch.randn(1, 4, 16, 16)
    portrait = read_reference(unet, nets(adapter), torch.randn(1, 4, 16, 16), text)
    at = {scale: predict(unet, portrait, drive(0.5), x, 500, text, scale) for scale in (1.0, 1.00001, 2.0, 3.0)}
    # a scale of 1 is the conditional half alone, in half the rows
    close(at[1.0], at[1.00001])
    assert (at[3.0] - at[2.0] - (at[2.0] - at[1.0])).abs().max() < 1e-4


def test_the_unconditional_half_is_computed_for_one_frame(adapter):
    seen = []

    def counted(drive):
        seen.append(len(drive.condition))
        return control(drive)

    maps = controls(Nets(VERSIONS["v5b"], adapter, counted), drive(0.1, 0.2, 0.3))
    assert seen == [3, 1]
    assert maps["up_0"][:, 0, 0, 0].tolist() == pytest.approx([-1, -1, -1, 0.1, 0.2, 0.3])


def test_v5c_reads_the_reference_under_its_own_face(unet, base, adapter):
    text, latents = base.inputs["text"], torch.randn(1, 4, 16, 16)
    with pytest.raises(BadInputError, match="the portrait's own face"):
        read_reference(unet, nets(adapter, "v5c"), latents, text)
    own = read_reference(unet, nets(adapter, "v5c"), latents, text, own=drive(0.7))
    other = read_reference(unet, nets(adapter, "v5c"), latents, text, own=drive(0.1))
    assert (own.prepared["up_0"][1] - other.prepared["up_0"][1]).abs().max() > 1e-4
    close(own.prepared["up_0"][:1], other.prepared["up_0"][:1])


def test_the_unconditional_vector_of_v1_and_v2(adapter):
    told = Drive(torch.zeros(1, 3, 8, 8), pdfgc=torch.rand(1, 548))
    with pytest.raises(BadInputError, match="unconditional PD-FGC vector"):
        controls(nets(adapter, "v2"), told)
    own = torch.full((548,), 0.3)
    assert controls(nets(adapter, "v2"), told, pdfgc=own)["up_0"][0, 0, 0, 0] == pytest.approx(0.3 - 1)
    assert controls(nets(adapter, "v5b"), told)["up_0"][0, 0, 0, 0] == -1


PORTRAIT = HeadPose(np.radians([[4.0, -6.0, 2.0]]), np.array([[0.01, 0.02, -4.0]]))


def test_a_track_on_a_portrait():
    track = FaceTrack.of(30, ("jawOpen", "yaw", "x", "z"), np.array([[0.1, 0, 5, -70.0], [0.9, 30, 15, -60.0]]))
    motion = face_motion(track, PORTRAIT, ratio=0.5)
    assert np.degrees(motion.pose.angles) == pytest.approx(np.array([[4, 0, 2], [4, 30, 2]])), "what is not known stays"
    assert motion.pose.translation[0] == pytest.approx(PORTRAIT.translation[0]), "the place is relative"
    assert motion.pose.translation[1] == pytest.approx([0.01 + 5 / ACROSS, 0.02, -4 + 5 / DEPTH])
    assert motion.coefficients[1, COEFFICIENTS.index("jawOpen")] == 0.9
    assert face_motion(track, PORTRAIT, ratio=0).pose.translation[1] == pytest.approx(PORTRAIT.translation[0])


def test_a_face_shifts_by_what_it_shifts_in_the_video():
    # 40 of 512 pixels to the right, as MediaPipe's camera sees it at 70 cm
    centimetres = 40 * 70 / (256 / np.tan(np.radians(31.5)))
    own = HeadPose(np.zeros((1, 3)), np.array([[0, 0, -70 / DEPTH]]))
    track = FaceTrack.of(30, ("x",), np.array([[0.0], [centimetres]]))
    pose = face_motion(track, own, ratio=1.0).pose
    shift = FOCAL * (pose.translation[1, 0] - pose.translation[0, 0]) / -pose.translation[0, 2]
    assert shift == pytest.approx(40)
    middles = corners(pose).mean(1)
    assert middles[1, 0] - middles[0, 0] == pytest.approx(40)


def test_the_head_of_a_picture_is_where_it_is_seen():
    result = json.loads((FOLDER / "astronaut_mediapipe.json").read_text())
    points = np.array(result["landmarks"])[:, :2] * 512
    pose = head_pose(to_track(parse_results(result, "astronaut.png"))[0])
    assert np.degrees(pose.angles[0]) == pytest.approx([14.9, 0.65, -3.5], abs=0.1)
    # the published rule: a face of this extent stands so far away, and its square is drawn around its middle
    assert pose.translation[0, 2] == pytest.approx(-728 / np.ptp(points, 0).max(), rel=0.01)
    assert corners(pose)[0].mean(0) == pytest.approx((points.min(0) + points.max(0)) / 2, abs=12)
    with pytest.raises(BadInputError, match="how the head is held"):
        head_pose(FaceTrack.of(30, ("yaw",), np.zeros((1, 1))))


def test_a_face_never_comes_through_the_camera():
    track = FaceTrack.of(30, ("z",), np.array([[-70.0], [-1.0]]))
    assert (face_motion(track, PORTRAIT, ratio=5).pose.translation[:, 2] < 0).all()


def test_drives_of_some_frames():
    track = FaceTrack.of(30, ("jawOpen",), np.linspace(0, 1, 5)[:, None])
    part = face_motion(track, PORTRAIT).drive([1, 3], 64, 48)
    assert part.condition.shape == (2, 3, 64, 48)
    assert part.coefficients[:, COEFFICIENTS.index("jawOpen")].tolist() == [0.25, 0.75]


def test_moments_lie_between_frames():
    pose = HeadPose(np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.4]]), np.tile((0.0, 0.0, -2.0), (2, 1)))
    motion = FaceMotion(pose, np.stack([np.zeros(51), np.linspace(0, 1, 51)]))
    seen = []

    def maps(pose, height, width):
        seen.append(pose.angles)
        return torch.zeros(len(pose.angles), 3, height, width)

    drive = motion.drive([0, 0.25, 1], 8, 8, maps)
    assert drive.coefficients[:, -1].tolist() == [0, 0.25, 1]
    assert seen[0] == pytest.approx(np.array([[0, 0, 0], [0.05, 0, 0.1], [0.2, 0, 0.4]]))
