"""Training in miniature: it learns, stops, goes on, and what it leaves behind is a standard pipeline."""

import json
import random

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline

from laser_cli.storybook.classifier import AttributeClassifier, load_classifier
from laser_cli.storybook.draw import draw
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.train import common, critic, text, unet, vae
from laser_cli.storybook.train.common import Clock, course
from laser_cli.storybook.train.install import install
from laser_cli.storybook.train.muon import orthogonalise
from laser_cli.storybook.train.pool import Batch, tokens
from laser_cli.storybook.train.tokens import build
from laser_cli.storybook.words import Voice


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (40, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    out = orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    values = torch.linalg.svdvals(out)
    assert out.shape == shape and values.min() > 0.3 and values.max() < 1.3


def test_the_learning_rate_rises_then_falls_to_nothing():
    assert course(0.0) == 0 and course(0.01) == 1 and course(1.0) == pytest.approx(0)
    assert Clock(steps=10, minutes=None).progress(5) == 0.5


def test_any_text_tokenises(tmp_path):
    tokenizer = build(tmp_path, captions=200)
    for words in ("a red ball", "naïve café", "雪の夜", "🎉 <b>", "x" * 500):
        ids = tokenizer(words).input_ids
        assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
        assert tokenizer.eos_token_id not in ids[1:-1]
    assert tokenizer.decode(tokenizer("雪 a red ball", add_special_tokens=False).input_ids).strip() == "雪 a red ball"


@torch.no_grad()
def test_normalising_a_vae_changes_its_latents_but_not_its_pictures():
    torch.manual_seed(0)
    model = AutoencoderKL(**vae.CONFIG).eval()
    pictures = draw([Scene(hour=h) for h in range(0, 24, 3)], 64) * 2 - 1
    before = model.decode(model.encode(pictures).latent_dist.mean).sample
    vae.normalise(model, pictures)
    z = model.encode(pictures).latent_dist.mean
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(z.shape[1]), atol=1e-3)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(z.shape[1]), atol=1e-2)
    assert torch.allclose(model.decode(z).sample, before, atol=1e-3)


def test_time_in_which_a_training_lay_still_does_not_count(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    clock = Clock(steps=100, minutes=2)
    now = 12.0
    assert clock.elapsed == pytest.approx(0.2)
    now = 4000.0
    assert clock.elapsed == pytest.approx(0.2 + Clock.LONGEST / 60)


def test_noisy_latents_lead_to_the_told_picture_whichever_twin_they_show():
    generator = torch.Generator().manual_seed(0)
    told = torch.arange(800) % 2 == 1
    z = torch.randn(800, 2, 4, 4, generator=generator)
    alphas = DDIMScheduler(**unet.SCHEDULE).alphas_cumprod
    flat, faint = torch.zeros(800, 1, 4, 4), torch.full((800, 1, 1, 1), 5.0)
    task = unet.noised(Batch(list(range(800)), z, z + 1000, flat, flat + 1, faint, told), alphas, generator)
    a, b = alphas[task.t].sqrt().view(-1, 1, 1, 1), (1 - alphas[task.t]).sqrt().view(-1, 1, 1, 1)
    assert torch.allclose(a * task.noisy - b * task.v, z, atol=1e-2)
    swapped = (task.noisy / a).mean((1, 2, 3)) > 500
    assert not swapped[~told].any() and not swapped[task.untold].any() and not swapped[task.t < unet.LEAST].any()
    free = told & ~task.untold & (task.t >= unet.LEAST)
    assert swapped[free].float().mean() == pytest.approx(unet.SWAPPED, abs=0.1)
    pulled = (task.weight.mean((1, 2, 3)) - 1) / unet.CHANGE
    assert torch.allclose(pulled, torch.where(swapped & (task.t < unet.CERTAIN), 5.0, 1.0))
    assert task.untold.float().mean() == pytest.approx(0.1, abs=0.04)


@torch.no_grad()
def test_a_training_told_to_stop_writes_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(common.Run, "learn", lambda run, loss: common.STOP.set())
    try:
        critic.train(tmp_path, steps=10**9, batch=3, first=64)
    finally:
        common.STOP.clear()
    assert (tmp_path / "critic.pt").is_file() and (tmp_path / "critic").is_dir()


def test_a_trained_text_encoder_keeps_its_words_in_a_larger_vocabulary(tmp_path):
    small, large = build(tmp_path / "small", 700, captions=200), build(tmp_path / "large", 900, captions=400)
    old, new = unet.new_models(small, 8), unet.new_models(large, 8)
    pipe = unet.assemble(AutoencoderKL(**vae.CONFIG), old[1], small, old[0], DDIMScheduler(**unet.SCHEDULE))
    pipe.save_pretrained(tmp_path / "start")
    unet.begin_with(tmp_path / "start", *new, large)
    for word in ("ball", "meadow", "x"):
        states = [m(tokens(k, [f"a {word}"])).last_hidden_state for m, k in ((old[1], small), (new[1], large))]
        if len(small(word).input_ids) == len(large(word).input_ids) == 3:
            assert torch.allclose(states[0], states[1], atol=1e-5), word


def test_states_of_one_kind_are_drawn_together_and_others_apart():
    states = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    sorted_out = text.contrast(states, torch.tensor([0, 0, 1, 1]))
    assert sorted_out < text.contrast(states, torch.tensor([0, 1, 0, 1])) and torch.isfinite(sorted_out)


def test_a_caption_for_the_text_encoder_holds_the_phrase_where_its_start_ends():
    rng, voice = random.Random(0), Voice(random.Random(0))
    for phrase in (p for phrases in text.PHRASES for p in phrases):
        words, start = text.saying(rng, voice, phrase)
        assert words.startswith(start) and start.endswith(f", {phrase}")


@pytest.mark.slow
def test_training_goes_on_where_it_stopped_and_installs_a_standard_pipeline(tmp_path):
    small = {"batch": 8, "crop": 32, "size": 64, "shown": 4}
    vae.train(tmp_path, steps=2, **small)
    vae.train(tmp_path, steps=4, **small)
    steps = [json.loads(line) for line in (tmp_path / "vae.log").read_text().splitlines()]
    assert [s["step"] for s in steps] == [2, 4]
    build(tmp_path / "tokenizer", captions=200)
    for steps in (2, 3):
        folder = unet.train(tmp_path, steps=steps, batch=4, size=64, pool=64, shown=2)
    before = torch.load(tmp_path / "unet.pt", weights_only=False)
    assert before["step"] == 3
    text.train(tmp_path, steps=1, batch=20)
    taught = torch.load(tmp_path / "unet.pt", weights_only=False)
    assert any(not torch.equal(taught["text_average"][k], v) for k, v in before["text_average"].items())
    assert taught["step"] == 3 and all(torch.equal(taught["unet"][k], v) for k, v in before["unet"].items())
    before = taught
    unet.train(tmp_path, steps=4, batch=4, size=64, pool=64, shown=2, frozen_text=True)
    after = torch.load(tmp_path / "unet.pt", weights_only=False)
    assert after["step"] == 4 and all(torch.equal(after["text"][k], v) for k, v in before["text_average"].items())
    assert any(not torch.equal(after["unet"][k], v) for k, v in before["unet"].items())
    critic.train(tmp_path, steps=2, batch=6, start=folder, first=64)
    assert install(tmp_path, tmp_path / "weights") == ["pipeline", "critic"]
    assert load_classifier(tmp_path / "weights" / "critic").config == AttributeClassifier().config
    settings = [tmp_path / "weights" / "model_index.json", *(tmp_path / "weights").glob("*/config.json")]
    assert len(settings) == 5 and not any(str(tmp_path) in file.read_text() for file in settings)
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "weights", safety_checker=None)
    picture = pipe("a red ball", num_inference_steps=1, height=64, width=64, output_type="pt").images
    assert picture.shape == (1, 3, 64, 64) and torch.isfinite(picture).all()
