"""Where a plan moves its subject, and how it gets there."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from laser_cli.controls.aid import slerp
from laser_cli.controls.carry import EDGE, STAYING
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import Frame, SamplingParams
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import Direction, animate, compose
from laser_cli.stages.carrying import OWN, carried_detail, carrying, nfe, placeless, shift_to, subject_mask
from laser_cli.stages.invert import invert_picture, to_array, to_tensor
from laser_cli.storybook.look import SHIPPED
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.world import caption_of, draw_with_masks

BALL = Scene()
CARRIED = Direction(carry=True)


@pytest.fixture(scope="module")
def ball():
    """A red ball's picture, its mask [1, h, w] and its caption."""
    pictures, masks = draw_with_masks([BALL], look=SHIPPED)
    return to_array(pictures[0]), masks[0], caption_of(BALL)


@pytest.fixture(scope="module")
def inversion(storybook, ball):
    return invert_picture(storybook, ball[0], ball[2], 8)


def plan(ball, *prompts, **more):
    segments = tuple(Segment(prompt=prompt, frames=3, **({"control": "motion"} | more)) for prompt in prompts)
    return Plan(source=ball[2], segments=segments)


def on_the(side, ball):
    return ball[2].replace("ball", f"ball on the {side}")


def within(mask):
    """Where a subject keeps its noise to the full."""
    for _ in range(EDGE + 1):
        mask = -F.max_pool2d(-mask, 3, 1, 1)
    return mask


def test_the_words_for_the_subject_look_where_it_is(storybook, ball, inversion):
    mask = subject_mask(storybook, inversion)[0, 0] > 0
    true = F.adaptive_max_pool2d(ball[1], mask.shape)[0] > 0.5
    assert (mask & true).sum() / true.sum() > 0.85 and (mask & true).sum() / (mask | true).sum() > 0.4


def test_a_subject_gets_where_it_is_said_to_be_and_the_rest_stays(storybook, ball, inversion):
    asked = plan(ball, on_the("left", ball))
    drawn = [
        to_tensor(p.array)[0] for p in animate(storybook, asked, inversion, SamplingParams(3.0), direction=CARRIED)
    ]
    red = [((p[0] - p[1]) > 0.3).float().sum(0) for p in drawn]  # a ball, and grass and sky that are not
    at = [float((row * torch.linspace(0, 1, len(row))).sum() / row.sum()) for row in red]
    assert at[0] == pytest.approx(0.5, abs=0.05) and at[1] < at[0] - 0.05 and at[2] < at[1] - 0.05
    assert at[2] == pytest.approx(0.26, abs=0.08)
    assert (drawn[2] - drawn[0])[..., -40:].abs().mean() < 0.02


def test_the_shift_keeps_a_subject_in_the_picture_unless_it_was_cut_off():
    mask = torch.zeros(1, 1, 8, 32)
    mask[..., 2:6, 10:22] = 1
    assert shift_to(mask, 0.5) == 0
    assert shift_to(mask, 0.375) == pytest.approx(-4)
    assert -12 <= shift_to(mask, 0.05) <= -10 and 10 <= shift_to(mask, 0.95) <= 12
    cut = torch.zeros(1, 1, 8, 32)
    cut[..., 0:8, 0:12] = 1
    assert shift_to(cut, 0.1) == pytest.approx(-1.78) and shift_to(cut, 0.5) == pytest.approx(10)


def test_only_what_moves_is_carried(storybook, ball, inversion):
    night = ball[2].replace("noon", "night")
    assert carrying(storybook, plan(ball, night), inversion) is None
    assert carrying(storybook, plan(ball, on_the("left", ball), control="hold", strength=0), inversion) is None
    assert (
        carrying(storybook, plan(ball, on_the("left", ball).replace("ball", "cat"), control="hybrid"), inversion)
        is None
    )
    found = carrying(
        storybook, plan(ball, on_the("right", ball), on_the("right", ball).replace("noon", "night"), ball[2]), inversion
    )
    source, there, at_night, back = found.keyframes
    assert source.shift == 0 < there.shift == at_night.shift and back.shift == 0
    assert there.around and not at_night.around
    assert there.held > 0 == at_night.held  # by night a ball is not what it was by day
    blue = carrying(storybook, plan(ball, on_the("right", ball).replace("red", "blue")), inversion).keyframes[1]
    assert blue.shift == there.shift and (blue.held, blue.around) == (0.0, False) and there.held > 0


def test_a_moved_keyframe_reads_no_layout(storybook, ball, inversion):
    spec = compose(storybook, plan(ball, on_the("left", ball), control="texture", strength=0.8), inversion, CARRIED)
    assert spec.keyframes[1].strengths == {"motion": 0.8} and spec.keyframes[1].carried.shift < 0
    plain = compose(storybook, plan(ball, on_the("left", ball), control="texture", strength=0.8), inversion)
    assert plain.carry is None and all(k.carried == STAYING for k in plain.keyframes)
    assert placeless({"texture": 0.4, "motion": 0.6}, {}) == ({"motion": 0.6}, {"motion": 0.0})


def test_strengths_are_scaled_and_the_source_needs_no_guidance(storybook, ball, inversion):
    night = plan(ball, ball[2].replace("noon", "night"), control="texture", strength=0.8)
    spec = compose(storybook, night, inversion, Direction(strength_scale=0.5, guidance_base=0.4))
    assert spec.keyframes[1].strengths == {"texture": 0.4}
    assert [k.blank for k in spec.keyframes] == [0.0, 0.4] and spec.base is spec.keyframes[0].conditioning
    away = compose(storybook, night, inversion, Direction("a cat", guidance_base=0.4))
    assert away.blank is None and [k.blank for k in away.keyframes] == [0.0, 0.0]


def test_fresh_noise_grows_with_the_distance_from_the_source(storybook, ball, inversion):
    noon, dusk, night = ball[2], ball[2].replace("noon", "dusk"), ball[2].replace("noon", "night")
    way = [
        Segment(prompt=dusk, frames=3, via=True),
        Segment(prompt=night, frames=3),
        Segment(prompt=noon, frames=3),
    ]
    story = Plan(source=noon, segments=tuple(way))
    spec = compose(storybook, story, inversion, Direction(fresh=0.8, seed=5))
    own, (source, half, whole, back) = inversion.trajectory.noise, (k.noise for k in spec.keyframes)
    new = noise_like(tuple(own.shape[1:]), 5)[None]
    assert torch.equal(source, own) and torch.equal(back, own)
    assert torch.equal(half, slerp(own, new, 0.4)) and torch.equal(whole, slerp(own, new, 0.8))
    assert all(torch.equal(k.noise, own) for k in compose(storybook, story, inversion).keyframes)


def test_a_story_that_moves_its_subject_has_fresh_noise_where_more_changes(storybook, ball, inversion):
    there = on_the("right", ball)
    story = plan(ball, there, there.replace("noon", "night"), ball[2])
    spec = compose(storybook, story, inversion, Direction(carry=True, fresh=0.8, seed=5))
    source, moved, at_night, back = spec.keyframes
    assert [k.carried.fresh for k in spec.keyframes] == [0.0, 0.0, 0.8, 0.0]
    new = noise_like(tuple(source.noise.shape[1:]), 5)[None]
    assert torch.equal(back.noise, source.noise) and torch.equal(spec.carry.fresh, new)
    subject = spec.carry.there(at_night.carried.shift)
    inside, elsewhere = within(subject), 1 - subject
    for noise, share in ((at_night.noise, 0.8), (spec.noise(Frame(1, 0.5)), 0.4)):
        assert torch.allclose(noise * elsewhere, slerp(moved.noise, new, share) * elsewhere, atol=1e-5)
        kept = slerp(moved.noise, new, (1 - OWN) * share)
        assert inside.any() and torch.allclose(noise * inside, kept * inside, atol=1e-5)


def test_a_subject_keeps_its_noise_in_another_scene(storybook, ball, inversion):
    night, blue = (ball[2].replace(*words) for words in (("noon", "night"), ("red", "blue")))
    how = Direction(carry=True, fresh=0.8, seed=5)
    spec = compose(storybook, plan(ball, night, ball[2]), inversion, how)
    assert all(k.carried.own == OWN and not k.carried.shift for k in spec.keyframes)
    own, at_night, back = (k.noise for k in spec.keyframes)
    mask, new = spec.carry.mask, noise_like(tuple(own.shape[1:]), 5)[None]
    inside, elsewhere = within(mask), 1 - mask
    assert torch.equal(own, back) and inside.any() and elsewhere.any()
    for where, share in ((inside, (1 - OWN) * 0.8), (elsewhere, 0.8)):
        assert torch.allclose(at_night * where, slerp(own, new, share) * where, atol=1e-5)
    for other in (plan(ball, blue), plan(ball, night, control="hold", strength=0)):
        assert compose(storybook, other, inversion, how).carry is None
    assert compose(storybook, plan(ball, night), inversion, Direction(fresh=0.8, seed=5)).carry is None


def test_the_search_for_the_subject_is_counted(storybook, ball, inversion):
    for asked in (plan(ball, ball[2].replace("noon", "night")), plan(ball, ball[2].replace("red", "blue"))):
        before = storybook.nfe
        compose(storybook, asked, inversion, Direction(carry=True, fresh=0.8))
        assert storybook.nfe - before == nfe(asked, ball[2], True, inversion.steps)
    assert nfe(plan(ball, on_the("left", ball)), ball[2], False, 14) == 3 and nfe(asked, ball[2], True, 14) == 0


def test_the_detail_that_is_given_back_goes_with_the_subject(storybook, ball, inversion):
    spec = compose(storybook, plan(ball, on_the("left", ball)), inversion, CARRIED)
    (frame,), scale = spec.frames, storybook.scale
    shift = round(spec.carried(frame).shift * scale) / scale  # whole pixels, to compare
    end = spec.keyframes[1]
    end = replace(end, carried=end.carried._replace(shift=shift / frame.t))
    spec = replace(spec, keyframes=[spec.keyframes[0], end])
    given = torch.randn(3, storybook.size, storybook.size, generator=torch.Generator().manual_seed(0))
    moved = carried_detail(spec, frame, scale, given)
    mask = spec.carry.mask[0, 0].repeat_interleave(scale, 0).repeat_interleave(scale, 1) > 0
    there = torch.roll(mask, round(shift * scale), 1)
    assert torch.allclose(moved[:, there], torch.roll(given, round(shift * scale), 2)[:, there], atol=1e-3)
    assert not moved[:, mask & ~there].any() and torch.equal(moved[:, ~mask & ~there], given[:, ~mask & ~there])
    assert carried_detail(compose(storybook, plan(ball, on_the("left", ball)), inversion), frame, scale, given) is given
