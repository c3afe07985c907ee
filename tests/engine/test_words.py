"""Renders whose controls read how prompts relate: Prompt-to-Prompt and its local blend."""

from dataclasses import replace

import torch

from laser_cli.controls import words as words_control
from laser_cli.controls.registry import find_controls
from laser_cli.controls.words import align
from laser_cli.engine.router import RowGroup
from laser_cli.engine.spec import (
    Frame,
    Keyframe,
    RenderSpec,
    SamplingParams,
    words_between,
    words_of,
)
from tests.engine.toy import close, finished, keyframe, told, went_on

TOKENS = 5
WORDS = {"words": 1.0, "words.layout": 1.0}
FREE = SamplingParams(guidance=1.0, warmup=0.0)


def edited(seed, strengths, target=(1, 3), frames=(), pinned=True):
    """A source of two words, and a keyframe of the source's noise under another prompt."""
    source = replace(keyframe(0, pinned=pinned, **strengths), words=align([1, 2], [1, 2], TOKENS))
    end = Keyframe(source.noise, told(seed), None, strengths, align([1, 2], list(target), TOKENS))
    return RenderSpec([source, end], list(frames), source.conditioning, source=0)


def test_the_same_words_under_the_same_prompt_are_the_source(tiny):
    spec = edited(0, WORDS, target=(1, 2), pinned=False)
    keyframes, _ = finished(tiny, spec, FREE)
    assert close(keyframes[:1], keyframes[1:])


def test_words_steer_another_prompt_and_a_strength_of_nothing_does_not(tiny):
    ends = [finished(tiny, edited(1, dict.fromkeys(WORDS, s)), SamplingParams(2.0, 0.0))[0][1] for s in (1.0, 0.5, 0.0)]
    plain = finished(tiny, edited(1, {}), SamplingParams(2.0, 0.0))[0][1]
    assert torch.equal(ends[2], plain)
    assert not close(ends[:1], ends[1:2]) and not close(ends[1:2], [plain])


def test_local_blend_keeps_the_source_where_no_changed_word_looks(tiny, monkeypatch):
    monkeypatch.setattr(words_control, "COVERED", 0.95)  # maps of a random network are nearly even
    strengths = {**WORDS, "words.local": 1.0}
    spec = edited(1, strengths, frames=[Frame(0, 0.5)])
    keyframes, frames = finished(tiny, spec, SamplingParams(3.0, 0.0))
    for made in (keyframes[1], frames[0]):
        kept = (made == keyframes[0]).all(0)
        assert kept.any() and not kept.all()
    # where no word changes, nothing is held
    free = edited(1, strengths, target=(1, 2))
    plain = edited(1, WORDS, target=(1, 2))
    assert close(finished(tiny, free, FREE)[0], finished(tiny, plain, FREE)[0])


def test_batches_do_not_change_the_pictures(tiny):
    spec = edited(1, {**WORDS, "words.local": 0.7}, frames=[Frame(0, t / 4) for t in (1, 2, 3)])
    one, all_ = (finished(tiny, spec, SamplingParams(2.0, 0.5, size)) for size in (1, 12))
    assert close(one[0], all_[0]) and close(one[1], all_[1])


def test_a_render_that_goes_on_comes_to_the_same_pictures(tiny):
    spec, params = edited(1, {**WORDS, "words.local": 1.0}, frames=[Frame(0, 0.5)]), SamplingParams(2.0, 0.5)
    _, whole = finished(tiny, spec, params)
    assert torch.equal(went_on(tiny, spec, params, 2), whole[0])


def test_frames_stand_between_the_words_of_their_keyframes():
    spec = edited(1, WORDS)
    between = words_between(spec, 0, torch.tensor([0.0, 0.25]))
    assert between.changed[:, 2].tolist() == [0, 0.25]
    assert words_of(spec.keyframes).changed.shape == (2, TOKENS) and words_of([keyframe(0)]) is None
    assert words_between(replace(spec, keyframes=[keyframe(0), *spec.keyframes[1:]]), 0, torch.zeros(1)) is None


def test_unprompted_rows_are_left_as_they_are_by_controls_of_the_prompted():
    group = RowGroup(slice(0, 4), 2, strengths={"words": torch.ones(4), "texture": torch.ones(4)})
    words, texture = find_controls(["words", "texture"])
    assert group.strength(words).tolist() == [0, 0, 1, 1] and group.strength(texture).tolist() == [1] * 4
    assert group.strengths["words"].tolist() == [1] * 4
