"""Driven portraits in the render loop, on the embedded model with adapters of its width."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from laser_cli.controls.knit.backbone import HALF, driven, knitted, undriven
from laser_cli.controls.knit.control import ControlV3
from laser_cli.controls.knit.driven import FaceMotion, face_motion
from laser_cli.controls.knit.insertion import ATTRIBUTE
from laser_cli.controls.knit.load import Nets
from laser_cli.controls.knit.portrait import predict, read_reference
from laser_cli.controls.knit.pose import HeadPose
from laser_cli.controls.knit.reference import ReferenceAdapter, STKReference
from laser_cli.controls.knit.versions import VERSIONS
from laser_cli.engine.render import nfe
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.engine.workers import Workers
from laser_cli.errors import BadInputError
from laser_cli.models.model import Model
from laser_cli.models.unet import UNetBackbone
from laser_cli.stages import pacing
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.distances import rms
from laser_cli.stages.invert import to_array, to_tensor
from laser_cli.stages.portrait import OWN as OWN_TONES
from laser_cli.stages.portrait import draw_portrait
from laser_cli.stages.profile import Gap, time_at
from laser_cli.stages.sitting import READ, Said, Words
from laser_cli.stages.tone import Tones
from laser_cli.tracks.schema import FaceTrack

WORDS = Words("a portrait of a person with red hair")
STEPS, FRAMES = 2, 4
OWN = HeadPose(np.zeros((1, 3)), np.array([[0, 0, -4.5]]))


@pytest.fixture(scope="module")
def storybook(storybook: Model) -> Model:
    """The embedded model around a random U-Net of four levels, which published adapters are made for; 128 px."""
    torch.manual_seed(2)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(48, 96, 192, 192),
        layers_per_block=1,
        cross_attention_dim=256,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    for name, part in unet.named_modules():
        if name.endswith("attn2.to_out.0"):  # words are heard
            part.weight.data.mul_(8)
    unet.conv_out.weight.data.mul_(6)
    return replace(storybook, backbone=UNetBackbone(unet.eval().requires_grad_(False), "v_prediction", storybook.scale))


@pytest.fixture(scope="module")
def untrained() -> Nets:
    torch.manual_seed(0)
    reference = ReferenceAdapter(STKReference, up=(192, 192, 192, 96)).eval().requires_grad_(False)
    control = ControlV3((16, 96, 192, 192, 192), 32, down=(48, 96)).eval().requires_grad_(False)
    for projection in (control.conv_up1_down1, control.conv_up2_down0):
        torch.nn.init.zeros_(projection.weight)
    return Nets(replace(VERSIONS["v5b"], name="test"), reference, control)


@pytest.fixture(scope="module")
def nets(untrained) -> Nets:
    """Every weight random, so that drive and reference both show."""
    torch.manual_seed(1)
    reference = ReferenceAdapter(STKReference, up=(192, 192, 192, 96))
    control = ControlV3((16, 96, 192, 192, 192), 32, down=(48, 96))
    for module in (reference, control):
        for parameter in module.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.03)
        for name, part in module.named_modules():
            # sharp attention: a uniform one says nothing of what it reads
            if name.endswith(("to_q", "to_k")):
                part.weight.data.mul_(8)
            if name.endswith(".proj") and isinstance(part, torch.nn.Conv2d):
                part.weight.data.mul_(6)
        module.eval().requires_grad_(False)
    return replace(untrained, reference=reference, control=control)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    from laser_cli.stages.invert import to_array
    from laser_cli.storybook.puppets import Puppet
    from laser_cli.storybook.world import draw

    return to_array(draw([Puppet(hair_colour=(("red", 1.0),))], 128)[0])


def motion(frames: int = FRAMES):
    t = np.linspace(0, 1, frames)
    return face_motion(FaceTrack.of(12, ("jawOpen", "yaw"), np.stack([t, 30 * t], 1)), OWN)


def draw(model, nets, face, frames=FRAMES, **given):
    how = {"params": SamplingParams(guidance=2.0), "steps": STEPS, "seed": 4, "words": WORDS, **given}
    return list(draw_portrait(model, nets, face, motion(frames), **how))


def apart(one, other) -> int:
    return max(int(np.abs(a.array.astype(int) - b.array.astype(int)).max()) for a, b in zip(one, other, strict=True))


def test_untrained_adapters_leave_the_model_alone(storybook, untrained, face):
    drawn = draw(storybook, untrained, face)
    told = storybook.encode_prompts(["", WORDS.prompt])
    noise = noise_like(tuple(storybook.encode_picture(to_tensor(face)).shape[1:]), 4)[None]
    levels = storybook.schedule.levels(STEPS)
    with torch.inference_mode():
        plain = last(denoise(storybook.backbone, noise, levels, told.select([1]), told.select([0]), 2.0))
        picture = storybook.decode(plain)[0]
    for one in drawn:
        assert np.abs(one.array / 255 - picture.permute(1, 2, 0).numpy()).max() < 2 / 255


def test_frames_come_in_order_and_follow_the_drive(storybook, nets, face):
    drawn = draw(storybook, nets, face)
    assert [one.index for one in drawn] == list(range(FRAMES))
    steps = [np.abs(a.array.astype(float) - b.array).mean() for a, b in pairwise(drawn)]
    assert min(steps) > 0.2


def test_a_frame_in_the_loop_is_the_frame_alone(storybook, nets, face):
    drawn = draw(storybook, nets, face)
    told = storybook.encode_prompts(["", WORDS.prompt])
    latents = storybook.encode_picture(to_tensor(face))
    portrait = read_reference(storybook.unet, nets, latents, told.prompt_embeds)
    with torch.inference_mode():
        x = noise_like(tuple(latents.shape[1:]), 4)[None]
        drive = motion().drive([2], *face.shape[:2])
        for level in storybook.schedule.levels(STEPS):
            out = predict(storybook.unet, portrait, drive, x, level.timestep, told.prompt_embeds, 2.0)
            x0, eps = _parts(storybook, out, x, level)
            x = level.step(x0, eps)
        picture = storybook.decode(x)[0].permute(1, 2, 0).numpy()
    assert np.abs(drawn[2].array / 255 - picture).max() < 2 / 255


def _parts(model, out, x, level):
    from laser_cli.models.base import to_x0_eps

    return to_x0_eps(out, x, level, model.backbone.prediction)


def test_neither_batches_nor_workers_change_the_pictures(storybook, nets, face):
    whole = draw(storybook, nets, face)  # sums in another order: the last bits differ, and a crisp decoder shows them
    assert apart(whole, draw(storybook, nets, face, params=SamplingParams(guidance=2.0, batch_size=2))) <= 3
    shared = replace(storybook, workers=Workers(2))
    assert apart(whole, draw(shared, nets, face, params=SamplingParams(guidance=2.0, batch_size=1))) <= 3


def test_seeds_decide_everything(storybook, nets, face):
    assert apart(draw(storybook, nets, face), draw(storybook, nets, face)) == 0
    assert apart(draw(storybook, nets, face), draw(storybook, nets, face, seed=5)) > 10


def test_the_reference_is_seen(storybook, nets, face):
    assert apart(draw(storybook, nets, face), draw(storybook, nets, face[:, ::-1].copy())) > 10


def test_a_model_that_the_adapters_do_not_fit(storybook, nets, face):
    wide = replace(nets, reference=ReferenceAdapter(STKReference, up=(192, 192, 192, 192)))
    with pytest.raises(BadInputError, match="does not fit this model"):
        draw(storybook, wide, face)


@pytest.mark.parametrize("frames", [1, 2])
def test_the_shortest_drives(storybook, nets, face, frames):
    assert [one.index for one in draw(storybook, nets, face, frames)] == list(range(frames))


def test_evaluations(storybook, nets, face):
    before, told = storybook.nfe, []
    draw(storybook, nets, face, report=told.append)
    # the reference's pass is the U-Net's own, beside the backbone's count
    assert sum(told) - 2 == storybook.nfe - before == nfe(FRAMES, STEPS, 2.0)
    before = storybook.nfe
    draw(storybook, nets, face, params=SamplingParams(guidance=1.0))
    assert storybook.nfe - before == nfe(FRAMES, STEPS, 1.0) == FRAMES * STEPS


def test_the_unet_is_as_before(storybook, nets, face):
    drawing = draw_portrait(storybook, nets, face, motion(), WORDS, SamplingParams(), STEPS)
    next(drawing)
    assert ATTRIBUTE in storybook.unet.__dict__
    drawing.close()
    assert ATTRIBUTE not in storybook.unet.__dict__
    assert not any(block._forward_hooks for block in storybook.unet.down_blocks)


def test_words_change_while_the_face_moves(storybook, nets, face):
    blonde = "a portrait of a person with blonde hair, on a green background"
    words = Words(WORDS.prompt, parts=(Said(WORDS.prompt, 2), Said(blonde, 3)))
    assert words.places(FRAMES) == [0, 1, 3]
    plain, told = draw(storybook, nets, face), draw(storybook, nets, face, words=words)
    apart_by_frame = [apart([a], [b]) for a, b in zip(plain, told, strict=True)]
    assert max(apart_by_frame[:2]) <= 1 and apart_by_frame[2] > 3 and apart_by_frame[3] > 3
    with pytest.raises(ValueError, match="words for 4 frames, a motion of 3"):
        words.places(3)


def test_frame_0_can_be_the_picture_itself(storybook, nets, face):
    plain, faded = draw(storybook, nets, face), draw(storybook, nets, face, fade=3)
    assert np.array_equal(faded[0].array, face) and not np.array_equal(plain[0].array, face)
    # its tones stay, less and less of what else was lost comes back, and nothing after that
    tones = Tones.between(to_tensor(plain[0].array)[0], to_tensor(face)[0])
    toned = [replace(one, array=to_array(tones.put_right(to_tensor(one.array)[0]))) for one in plain]
    assert apart(plain[3:], faded[3:]) > 2 >= apart(toned[3:], faded[3:])
    assert apart(toned[1:2], faded[1:2]) > apart(toned[2:3], faded[2:3]) > 2


def test_frames_can_come_from_the_portraits_own_noise(storybook, nets, face):
    """Inverted under its own face it draws the picture again, at a guidance of 1; fresh noise comes with the fade."""
    at_rest = face_motion(FaceTrack.of(12, ("jawOpen",), np.zeros((5, 1))), OWN)
    how = {"params": SamplingParams(guidance=1.0), "steps": 16, "own": motion(1), "seed": 4}

    def drawn(**given):
        return list(draw_portrait(storybook, nets, face, at_rest, WORDS, **how, **given))

    def distances(frames):
        return [float(np.abs(one.array.astype(float) - face).mean()) for one in frames]

    inverted, fresh = drawn(fresh=0.0), drawn()
    own, half = distances(inverted), distances(drawn(fresh=0.5))
    assert max(own) < 0.5 * min(distances(fresh)) and max(own) < min(half) < min(distances(fresh))
    before, told = storybook.nfe, []
    turning = drawn(fresh=1 - 1e-6, fade=2, report=told.append)
    # frame 0 is the picture, frame 1 half way, and then all is fresh, in tones of which frame 0 tells a part
    apart = distances(turning)
    tones = Tones.between(to_tensor(inverted[0].array)[0], to_tensor(face)[0], OWN_TONES)
    toned = [to_array(tones.put_right(to_tensor(one.array)[0])) for one in fresh[2:]]
    assert apart[0] == 0 and apart[1] < apart[2]
    assert (
        max(np.abs(one.array - array.astype(float)).mean() for one, array in zip(turning[2:], toned, strict=True)) < 0.5
    )
    assert sum(told) - 2 == storybook.nfe - before == 16 + 5 * 16


def test_only_wanted_frames_are_drawn_as_they_are_among_all(storybook, nets, face):
    whole, before = draw(storybook, nets, face, 6), storybook.nfe
    some = draw(storybook, nets, face, 6, wanted={0, 2, 3})
    # the last one is a keyframe, which is drawn in any case
    assert [one.index for one in some] == [0, 2, 3] and storybook.nfe - before == nfe(4, STEPS, 2.0)
    assert apart(some, [whole[0], whole[2], whole[3]]) <= 3


def test_an_even_pace_lays_the_moments_of_the_motion_anew(storybook, nets, face, monkeypatch):
    whole, asked, drive = draw(storybook, nets, face, 6), set(), FaceMotion.drive

    def spied(self, frames, *size):
        asked.update(round(float(moment), 3) for moment in frames)
        return drive(self, frames, *size)

    monkeypatch.setattr(FaceMotion, "drive", spied)
    monkeypatch.setattr(pacing, "_rounds", lambda *args: [1])
    profile = [Gap(0.0, 0.5, 1.0), Gap(0.5, 1.0, 3.0)]  # the second half changes three times as fast
    monkeypatch.setattr(pacing, "measure_profiles", lambda *args: [profile])
    even = draw(storybook, nets, face, 6, pace=rms)
    assert [one.index for one in even] == list(range(6)) and apart(even[::5], whole[::5]) <= 3
    assert asked == {round(5 * time_at(profile, k / 5), 3) for k in range(6)} and sorted(asked)[1] > 2
    assert apart(draw(storybook, nets, face, 6, pace=rms, wanted={2}), even[2:3]) <= 3


def test_what_drafts_cost_is_told(storybook, nets, face):
    told, before, count = [], storybook.nfe, 12
    draft = pacing.nfe(1, count, STEPS, 2.0, unguided=0)
    drawn = draw(storybook, nets, face, count, pace=rms, report=told.append)
    assert len(drawn) == count and sum(told) - READ == storybook.nfe - before  # what reads the face is counted outside
    assert nfe(count, STEPS, 2.0) < sum(told) - READ <= nfe(count, STEPS, 2.0) + draft


def test_a_render_that_was_broken_off_goes_on(storybook, nets, face, tmp_path):
    whole, ticks = draw(storybook, nets, face), iter(range(0, 10_000, 100))
    saving = Checkpointer(tmp_path / "render", "mine", clock=lambda: next(ticks))
    half = draw_portrait(
        storybook, nets, face, motion(), WORDS, SamplingParams(guidance=2.0), STEPS, seed=4, checkpointer=saving
    )
    next(half), next(half)  # frame 0 is finished a step ahead of those that follow
    half.close()
    told: list[int] = []
    again = draw(storybook, nets, face, checkpointer=Checkpointer(tmp_path / "render", "mine"), report=told.append)
    assert apart(whole, again) <= 1 and sum(told) < nfe(FRAMES, STEPS, 2.0)


def test_another_model_may_read_the_portrait(storybook, nets, face):
    def turned(latents):
        return storybook.encode_picture(latents.flip(3))

    class Reader:
        unet, encode_prompts, encode_picture = storybook.unet, storybook.encode_prompts, staticmethod(turned)

    mirrored = draw(storybook, nets, face[:, ::-1].copy())
    assert apart(draw(storybook, nets, face, reader=Reader()), mirrored) <= 1


def test_v5c_asks_for_the_portraits_own_face(storybook, nets, face):
    v5c = replace(nets, version=VERSIONS["v5c"])
    with pytest.raises(BadInputError, match="own face"):
        draw(storybook, v5c, face)
    assert apart(draw(storybook, v5c, face, own=motion(1)), draw(storybook, nets, face)) > 2


def test_rows_without_a_drive_are_the_models_own(storybook, nets, face):
    told, side = storybook.encode_prompts([WORDS.prompt]), storybook.size // storybook.scale
    portrait = read_reference(storybook.unet, nets, torch.zeros(1, 8, side, side), told.expand(2).prompt_embeds)
    x, level = torch.randn(1, 8, side, side), storybook.schedule.levels(STEPS)[0]
    with torch.inference_mode(), knitted(storybook.backbone, portrait) as backbone:
        assert backbone.attentions == storybook.backbone.attentions
        for ours, plain in zip(
            backbone.predict(x, level, told), storybook.backbone.predict(x, level, told), strict=True
        ):
            assert torch.equal(ours, plain)


def test_guidance_leads_away_from_no_drive_at_all():
    from laser_cli.models.conditioning import Conditioning

    words = Conditioning(torch.zeros(1, 2, 4), spatial={"other": torch.ones(1, 1)})
    rows = driven(words, motion().drive([1, 2], 32, 32))
    away = undriven(Conditioning(torch.zeros(1, 2, 4)), motion().drive([0], 32, 32)).beside(rows)
    assert len(away) == 2 and (away.spatial[HALF] == 0).all() and (away.spatial["knit.coefficients"] == 0).all()
    assert (away.spatial["other"] == 1).all()


def test_a_drive_travels_by_row():
    from laser_cli.models.conditioning import Conditioning

    words = Conditioning(torch.zeros(1, 2, 4))
    drive = motion().drive([0, 3], 32, 32)
    both = Conditioning.cat([undriven(words, drive).expand(2), driven(words, drive)])
    assert both.spatial[HALF].flatten().tolist() == [0, 0, 1, 1]
    assert (both.spatial["knit.condition"][:2] == -1).all()
    assert torch.equal(both.select([3]).spatial["knit.coefficients"], drive.coefficients[1:])
