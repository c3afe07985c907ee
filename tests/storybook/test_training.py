"""Training in miniature: its parts, one by one; and that it learns, stops, goes on and leaves a standard pipeline."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from laser_cli.storybook.classifier import AttributeClassifier, load_classifier
from laser_cli.storybook.draw import draw
from laser_cli.storybook.look import SECOND
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.train import __main__, cache, classifier, common, learner, pack, text, unet, vae
from laser_cli.storybook.train.common import Clock, learning_rate
from laser_cli.storybook.train.install import install
from laser_cli.storybook.train.muon import Muon, optimizers, orthogonalise
from laser_cli.storybook.train.report import v_errors
from laser_cli.storybook.train.tokens import build
from laser_cli.storybook.words import Voice

WEIGHTS = Path(vae.__file__).parent.parent / "weights"
TINY_UNET = unet.unet_config("S1A", 4, 16) | {"block_out_channels": (16, 16, 16, 32), "cross_attention_dim": 8}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# optimizer and schedule


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (40, 8)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    out = orthogonalise(torch.randn(shape, generator=seeded()))
    values = torch.linalg.svdvals(out)
    assert out.shape == shape and values.min() > 0.3 and values.max() < 1.3


@pytest.mark.parametrize("workers", [0, 2])
def test_muon_in_stacks_is_muon_one_by_one(workers):
    shapes = [(6, 10), (6, 10), (4, 3, 3, 3), *[(5, 5)] * 11]
    params = [torch.nn.Parameter(torch.randn(shape, generator=seeded(i))) for i, shape in enumerate(shapes)]
    expected, momenta = [p.detach().clone() for p in params], [torch.zeros(shape) for shape in shapes]
    optimizer = Muon(params, lr=0.01, momentum=0.9, weight_decay=0.1, workers=workers)
    for step in range(3):
        for i, p in enumerate(params):
            p.grad = torch.randn(p.shape, generator=seeded(100 * step + i))
            momenta[i] = 0.9 * momenta[i] + 0.1 * p.grad
            update = orthogonalise((0.1 * p.grad + 0.9 * momenta[i]).flatten(1)).view_as(p)
            scale = 0.2 * max(p.flatten(1).shape) ** 0.5
            expected[i] = expected[i] * (1 - 0.01 * 0.1) - 0.01 * scale * update
        optimizer.step()
    assert all(torch.allclose(p, e, atol=1e-5) for p, e in zip(params, expected, strict=True))


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    assert learning_rate(0.0) == 0 and learning_rate(0.01) == 1 and learning_rate(1.0) == pytest.approx(0)
    assert learning_rate(0.3, level=0.6) == learning_rate(0.6, level=0.6) == 1 > learning_rate(0.7, level=0.6)
    assert Clock(steps=10, minutes=None).progress(5) == 0.5


def test_time_in_which_a_training_lay_still_does_not_count(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    clock = Clock(steps=100, minutes=2)
    now = 12.0
    assert clock.elapsed == pytest.approx(0.2)
    now = 4000.0
    assert clock.elapsed == pytest.approx(0.2 + Clock.LONGEST / 60)


@pytest.fixture
def float32(monkeypatch):
    """Full precision, also on CPUs whose bfloat16 kernels leave gradients of 1 x 1 maps unset."""
    monkeypatch.setattr(common, "fast_bfloat16", lambda: False)


def test_reports_and_checkpoints_are_due_at_their_times(tmp_path, monkeypatch):
    model = torch.nn.Linear(2, 2)
    run = common.Run(
        tmp_path / "model.pt", {"model": model}, [torch.optim.SGD(model.parameters(), 0.1)], 0.9, Clock(9, 9)
    )
    run.clock.before += common.SAVE_EVERY + 1
    assert not run.due() and run.path.is_file()
    run.path.unlink()
    assert not run.due() and not run.path.is_file()
    run.clock.before += common.REPORT_EVERY
    assert run.due() and not run.due()


@torch.no_grad()
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 3e38])
def test_a_gradient_that_is_no_number_is_not_followed(tmp_path, wrong):
    model = torch.nn.Linear(2, 2)
    before = model.weight.detach().clone()
    run = common.Run(tmp_path / "m.pt", {"model": model}, optimizers([model], 1.0, 1.0), 0.9, Clock(10, None))
    assert run.going()
    model.weight.grad, model.bias.grad = torch.full((2, 2), wrong), torch.zeros(2)
    run.descend()
    assert torch.equal(model.weight, before) and run.step == 1 and model.weight.grad is None
    run.step = 5
    assert run.going()
    model.weight.grad, model.bias.grad = torch.ones(2, 2), torch.zeros(2)
    run.descend()
    assert not torch.equal(model.weight, before)


def test_a_training_told_to_stop_writes_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(common.Run, "learn", lambda run, loss: common.STOP.set())
    look = replace(SECOND, size=64)
    try:
        classifier.train(tmp_path, steps=10**9, batch=3, look=look, first=64, shown=4)
    finally:
        common.STOP.clear()
    assert (tmp_path / "classifier.pt").is_file() and not (tmp_path / "critic").exists()


@pytest.mark.skipif(not hasattr(__import__("os"), "SCHED_IDLE"), reason="the system has no such class")
def test_a_training_in_the_background_stands_back():
    code = (
        "import os, torch; from laser_cli.storybook.train.process import keep_memory, stand_back; keep_memory();"
        "stand_back(); print(os.sched_getscheduler(0) == os.SCHED_IDLE, torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1"]


@pytest.mark.parametrize(
    "argv", [["all"], ["vae", "--shape", "S1"], ["classifier", "--replicas", "2"], ["unet", "--shape", "S9"]]
)
def test_options_that_would_be_ignored_are_refused(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        __main__.main(argv)
    assert stopped.value.code == 2 and "error" in capsys.readouterr().err


def test_an_option_of_nothing_counts_and_one_that_is_not_given_does_not():
    chosen = __main__.parser().parse_args(["unet", "--focus", "0", "--samples", "64"])
    assert __main__._given(chosen, "focus", "samples", "twins", "shape") == {"focus": 0.0, "samples": 64}


# VAE


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


def test_training_the_decoder_alone_leaves_the_latents_as_they_are():
    torch.manual_seed(0)
    model = AutoencoderKL(**vae.CONFIG)
    vae.freeze_latents(model)
    pictures = torch.rand(2, 3, 32, 32, generator=seeded()) * 2 - 1
    before = model.encode(pictures).latent_dist.mean
    optims = optimizers([model], 1e-2, 1e-2)
    (model.decode(before).sample - pictures).square().mean().backward()
    old = model.decoder.conv_in.weight.clone()
    for o in optims:
        o.step()
    assert torch.equal(model.encode(pictures).latent_dist.mean, before)
    assert not torch.equal(model.decoder.conv_in.weight, old)


def test_crispness_counts_how_much_edge_there_is_in_a_place_and_not_where_in_it():
    truth = torch.zeros(1, 1, 32, 32)
    truth[..., 15:] = 1
    shifted = truth.roll(1, -1)
    shifted[..., 0] = 0
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(truth, (2, 2, 0, 0), "replicate"), (1, 5), 1)

    def crispness(out):
        return float(vae.reconstruction_loss(out, truth, 0.5, 1.0) - vae.reconstruction_loss(out, truth, 0.5))

    assert crispness(truth) == 0 and 0 < crispness(shifted) < 0.6 * crispness(blurred)


def test_the_decoder_learns_from_latents_with_noise_in_proportion_to_their_spread():
    z = torch.randn(64, 2, 16, 16, generator=seeded()) * torch.tensor([1.0, 5.0]).view(1, 2, 1, 1)
    noise = vae.disturbed(z, seeded(1)) - z
    amounts = noise.std((2, 3)) / z.std((0, 2, 3))
    assert torch.allclose(amounts[:, 0], amounts[:, 1], atol=0.05)
    assert amounts.max() < vae.NOISE * 1.15 and amounts.min() < 0.03


def test_the_divergence_of_latents_is_the_librarys():
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    moments = torch.randn(3, 8, 4, 4, generator=seeded())
    mean, logvar = moments.chunk(2, 1)
    assert vae.kl(mean, logvar) == pytest.approx(float(DiagonalGaussianDistribution(moments).kl().mean()), rel=1e-5)


# cache


def rows(serial):
    """Rows that tell which they are: item i of the stream has the value i everywhere."""
    at = torch.arange(cache.AT_ONCE) + serial * cache.AT_ONCE
    wide = at.view(-1, 1, 1, 1)
    return {
        "latents": wide.expand(-1, 2, 4, 4).half(),
        "masks": (wide % 256).expand(-1, 1, 4, 4).byte(),
        "ids": torch.stack([at, -at], 1)[..., None].expand(-1, 2, 3).short(),
    }


def test_a_cache_grows_goes_on_and_replaces_the_oldest(tmp_path):
    kept = cache.Cache(tmp_path, 3 * cache.AT_ONCE + 5, "a", rows)
    assert len(kept) == 0
    for _ in range(2):
        kept.grow()
    again = cache.Cache(tmp_path, 3 * cache.AT_ONCE + 5, "a", rows)
    assert len(again) == 2 * cache.AT_ONCE
    for _ in range(2):
        again.grow()
    assert len(again) == 3 * cache.AT_ONCE
    first = again.take(torch.tensor([0, cache.AT_ONCE]), "latents", "ids")
    assert first["latents"][:, 0, 0, 0].tolist() == [3 * cache.AT_ONCE, cache.AT_ONCE]
    assert first["ids"][1, :, 0].tolist() == [cache.AT_ONCE, -cache.AT_ONCE]
    other = cache.Cache(tmp_path, 3 * cache.AT_ONCE, "b", rows)
    assert len(other) == 0 and other.discarded == 3 * cache.AT_ONCE, "made with other models"


@pytest.mark.parametrize(("capacity", "values"), [(2, [3, 4]), (3, [3, 4, 2]), (5, [3, 1, 2, 4])])
def test_a_cache_of_another_size_keeps_what_fits(tmp_path, capacity, values):
    kept = cache.Cache(tmp_path, 3 * cache.AT_ONCE, "a", rows)
    for _ in range(4):
        kept.grow()
    again = cache.Cache(tmp_path, capacity * cache.AT_ONCE, "a", rows)
    again.grow()
    first = again.take(torch.arange(0, len(again), cache.AT_ONCE), "latents")["latents"][:, 0, 0, 0]
    assert (first / cache.AT_ONCE).tolist() == values


@pytest.fixture
def kept(tmp_path):
    full = cache.Cache(tmp_path, cache.AT_ONCE, "a", rows)
    full.grow()
    return full


def test_captions_of_untold_items_are_empty_and_others_one_of_their_own(kept):
    at, untold = torch.arange(64), torch.arange(64) % 4 == 0
    said = learner.captions(kept, at, untold, torch.full((3,), 999), seeded(), "ids")
    assert said.dtype == torch.long and (said[untold] == 999).all()
    told = said[~untold][:, 0]
    assert torch.equal(told.abs(), at[~untold]) and (told > 0).any() and (told < 0).any()


def test_a_batch_of_twins_holds_both(kept):
    pairs = learner.sample_batch(kept, 200, seeded(), twins=True)
    assert torch.equal(pairs.others[:, 0, 0, 0].long(), pairs.rows ^ 1)
    assert torch.equal(pairs.told, pairs.rows % 2 == 1)
    assert pairs.told.float().mean() == pytest.approx(learner.TOLD, abs=0.1)


# loss


def test_noisy_latents_lead_to_the_told_picture_whichever_twin_they_show():
    told = torch.arange(800) % 2 == 1
    z = torch.randn(800, 2, 4, 4, generator=seeded())
    alphas = DDIMScheduler(**unet.SCHEDULE).alphas_cumprod
    pairs = learner.Batch(torch.arange(800), z, torch.zeros(800, 1, 4, 4), z + 1000, told)
    task = learner.noised(pairs, alphas, seeded(1), focus=0.0, twins=True)
    a, b = alphas[task.t].sqrt().view(-1, 1, 1, 1), (1 - alphas[task.t]).sqrt().view(-1, 1, 1, 1)
    assert torch.allclose(a * task.noisy - b * task.v, z, atol=1e-2)
    swapped = (task.noisy / a).mean((1, 2, 3)) > 500
    assert not swapped[~told].any() and not swapped[task.untold].any() and not swapped[task.t < learner.LEAST].any()
    free = told & ~task.untold & (task.t >= learner.LEAST)
    assert swapped[free].float().mean() == pytest.approx(learner.SWAPPED, abs=0.1)
    assert torch.allclose(task.weight.mean((1, 2, 3)), torch.tensor(1 + learner.CHANGE))
    # twins that differ by an eighth of the usual at most
    faint = learner.noised(pairs._replace(others=z + 0.1), alphas, seeded(1), focus=0.0, twins=True)
    pulled = (faint.weight.mean((1, 2, 3)) - 1) / learner.CHANGE
    assert torch.allclose(pulled, torch.where(swapped & (task.t < learner.CERTAIN), 8.0, 1.0), rtol=1e-3)
    assert task.untold.float().mean() == pytest.approx(0.1, abs=0.04)


def test_subjects_weigh_more_by_the_focus():
    masks = torch.zeros(4, 1, 2, 2)
    masks[:, :, 0, 0] = 0.5
    pairs = learner.Batch(
        torch.arange(4), torch.randn(4, 2, 2, 2), masks, torch.zeros(4, 2, 2, 2), torch.zeros(4).bool()
    )
    task = learner.noised(pairs, DDIMScheduler(**unet.SCHEDULE).alphas_cumprod, seeded(), focus=4.0, twins=False)
    assert torch.equal(task.weight, 1 + 4 * masks.square())


def tiny_task(count=6):
    g = seeded(3)
    return learner.Task(
        torch.randn(count, 4, 16, 16, generator=g),
        torch.randint(1000, (count,), generator=g),
        torch.randn(count, 4, 16, 16, generator=g),
        torch.rand(count, 1, 16, 16, generator=g),
        torch.randn(count, 5, 8, generator=g),
        torch.randn(count, 3, 8, 8, generator=g),
    )


def tiny_learner():
    torch.manual_seed(0)
    return learner.Learner(unet.new_unet(TINY_UNET), 3)


def test_replicas_give_the_gradient_of_the_whole_batch(float32):
    alone, shared = tiny_learner(), tiny_learner()
    task = tiny_task(7)
    loss = learner.Replicas(alone, 1).backward(task)
    crew = learner.Replicas(shared, 3)
    for _ in range(2):  # the second time from gradients set to None, as the optimizers leave them
        shared.zero_grad(set_to_none=True)
        assert crew.backward(task) == pytest.approx(loss, rel=1e-5)
    for p, q in zip(alone.parameters(), shared.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-5)
    with torch.no_grad():
        next(shared.parameters()).add_(1.0)
    assert all(torch.equal(next(twin.parameters()), next(shared.parameters())) for twin in crew.copies)


def test_features_are_aligned_with_the_classifiers_maps(float32):
    model, task = tiny_learner(), tiny_task()
    plain = model(task, align=0.0)
    with torch.no_grad():
        v = model.unet(task.noisy, task.t, task.words).sample
        told = model.head(model.seen)
        apart = 1 - torch.nn.functional.cosine_similarity(told, task.maps, dim=1).mean()
    assert plain.item() == pytest.approx(float(((v - task.v).square() * task.weight).mean()), rel=1e-5)
    assert model(task, align=0.5).item() == pytest.approx(plain.item() + 0.5 * float(apart), rel=1e-5)


def test_held_out_errors_are_nothing_for_who_knows_the_answer():
    alphas = DDIMScheduler(**unet.SCHEDULE).alphas_cumprod
    latents, weight = torch.randn(3, 2, 4, 4, generator=seeded()), torch.rand(3, 1, 4, 4, generator=seeded())

    class Answer:
        def __init__(self, off):
            self.off = off

        def __call__(self, x, t, states):
            a, b = alphas[t].sqrt().view(-1, 1, 1, 1), (1 - alphas[t]).sqrt().view(-1, 1, 1, 1)
            self.sample = (a * x - latents) / b + self.off
            return self

    errors = v_errors(Answer(0.0), latents, weight, torch.zeros(3, 1, 1), alphas)
    assert all(everywhere < 1e-4 and there < 1e-4 for everywhere, there in errors.values())
    errors = v_errors(Answer(2.0), latents, weight, torch.zeros(3, 1, 1), alphas)
    assert all(pair == pytest.approx((4.0, 4.0), rel=1e-3) for pair in errors.values())


@pytest.mark.parametrize("shape", unet.SHAPES)
def test_shapes_attend_at_their_second_level_on_the_way_up_alone_or_not_at_all(shape):
    config = unet.unet_config(shape, 8, 32)
    assert config["down_block_types"][:2] == ("DownBlock2D",) * 2 and config["up_block_types"][-1] == "UpBlock2D"
    assert (config["up_block_types"][-2] == "CrossAttnUpBlock2D") == shape.endswith("A")
    assert config["sample_size"] == 32 and config["in_channels"] == 8


@pytest.mark.parametrize("shape", unet.SHAPES)
def test_the_features_that_are_aligned_have_the_classifiers_resolution(shape):
    model = learner.Learner(unet.new_unet(unet.unet_config(shape, 8, 32)), 3)
    with torch.no_grad():
        model.unet(torch.zeros(1, 8, 32, 32), 5, torch.zeros(1, 4, unet.WIDTH))
    assert model.seen is not None and model.seen.shape[-2:] == (learner.MAPS, learner.MAPS)


def test_a_unet_begins_with_the_first_weights_of_its_own_shape(tmp_path):
    torch.manual_seed(1)
    unet.new_unet(TINY_UNET | {"block_out_channels": (16, 16, 16, 16)}).save_pretrained(tmp_path / "other" / "unet")
    known = unet.new_unet(TINY_UNET)
    known.save_pretrained(tmp_path / "same" / "unet")
    begun = unet.new_unet(TINY_UNET, tmp_path / "none", None, tmp_path / "other", tmp_path / "same")
    assert all(torch.equal(p, q) for p, q in zip(begun.parameters(), known.parameters(), strict=True))


# words


def test_any_text_tokenises(tmp_path):
    tokenizer = build(tmp_path, captions=200)
    for words in ("a red ball", "naïve café", "雪の夜", "🎉 <b>", "x" * 500):
        ids = tokenizer(words).input_ids
        assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
        assert tokenizer.eos_token_id not in ids[1:-1]
    assert tokenizer.decode(tokenizer("雪 a red ball", add_special_tokens=False).input_ids).strip() == "雪 a red ball"


def test_states_of_one_kind_are_drawn_together_and_others_apart():
    states = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    sorted_out = text.contrast(states, torch.tensor([0, 0, 1, 1]))
    assert sorted_out < text.contrast(states, torch.tensor([0, 1, 0, 1])) and torch.isfinite(sorted_out)


def test_a_caption_for_the_text_encoder_holds_the_phrase_where_its_start_ends():
    rng, voice = random.Random(0), Voice(random.Random(0))
    for phrase in (p for phrases in text.PHRASES for p in phrases):
        words, start = text.saying(rng, voice, phrase)
        assert words.startswith(start) and start.endswith(f", {phrase}")


def test_words_are_those_of_the_folder_then_of_the_start(tmp_path):
    tokenizer, encoder = unet.words(tmp_path, WEIGHTS)
    assert tokenizer("a red ball").input_ids and (tmp_path / "tokenizer" / "vocab.json").is_file()
    with torch.no_grad():
        encoder.get_input_embeddings().weight.zero_()
    encoder.save_pretrained(tmp_path / "text_encoder")
    again = unet.words(tmp_path, WEIGHTS)[1]
    assert not again.get_input_embeddings().weight.any()


# packs


def test_a_pack_is_small_files_that_unpack_to_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "LARGEST", 1000)
    there = tmp_path / "there"
    values = {f"layer.{i}": torch.randn(10, 20, generator=seeded(i)).half().float() for i in range(9)}
    for name, file in pack.MODELS.items():
        (there / name).mkdir(parents=True)
        save_file(values, there / name / file)
        (there / name / "config.json").write_text(json.dumps({"name": name}))
    (there / "tokenizer").mkdir()
    (there / "tokenizer" / "vocab.json").write_text('{"雪": 1}')
    (there / "pipeline" / "model_index.json").write_text("{}")
    assert pack.pack(there, tmp_path / "pack") == list(pack.MODELS)
    assert len(list((tmp_path / "pack").iterdir())) > 8
    assert set(pack.unpack(tmp_path / "pack", tmp_path / "back")) == set(pack.MODELS)
    for name, file in pack.MODELS.items():
        back = load_file(tmp_path / "back" / name / file)
        assert all(torch.equal(back[k].float(), v) for k, v in values.items())
        assert json.loads((tmp_path / "back" / name / "config.json").read_text()) == {"name": name}
    assert (tmp_path / "back" / "pipeline" / "tokenizer" / "vocab.json").read_text() == '{"雪": 1}'


@pytest.mark.slow
def test_training_goes_on_where_it_stopped_and_installs_a_standard_pipeline(tmp_path, float32):
    look = replace(SECOND, size=64)
    small = {"batch": 2, "crop": 32, "look": look, "shown": 2, "start": WEIGHTS}
    vae.train(tmp_path, steps=2, **small)
    vae.train(tmp_path, steps=4, **small)
    steps = [json.loads(line) for line in (tmp_path / "vae.log").read_text().splitlines()]
    assert [s["step"] for s in steps] == [2, 4]
    classifier.train(tmp_path, steps=2, batch=6, look=look, start=WEIGHTS, first=64, shown=4)
    options = {"batch": 4, "look": look, "start": WEIGHTS, "items": 128, "first": 64, "held": 64, "shown": 2}
    unet.train(tmp_path, steps=2, learn_text=True, **options)
    taught = load_file(tmp_path / "text_encoder" / "model.safetensors")
    assert any(
        not torch.equal(v, taught[k]) for k, v in load_file(WEIGHTS / "text_encoder" / "model.safetensors").items()
    )
    text.train(tmp_path, steps=1, batch=20)
    unet.train(tmp_path, steps=2, **options)
    folder = unet.train(tmp_path, steps=3, replicas=2, workers=1, **options)
    unet.train(tmp_path, steps=4, twins=True, **options)
    after = torch.load(tmp_path / "unet.pt", weights_only=False)
    assert after["step"] == 4 and (tmp_path / "unet.png").is_file() and folder == tmp_path / "pipeline"
    figures = [json.loads(line) for line in (tmp_path / "unet.log").read_text().splitlines()]
    assert all(f["v last"] < 2 and f["v average, subjects"] < 4 for f in figures)
    assert install(tmp_path, tmp_path / "weights") == ["pipeline", "attribute classifier"]
    assert load_classifier(tmp_path / "weights" / "critic").config == AttributeClassifier().config
    settings = [tmp_path / "weights" / "model_index.json", *(tmp_path / "weights").glob("*/config.json")]
    assert len(settings) == 5 and not any(str(tmp_path) in file.read_text() for file in settings)
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "weights", safety_checker=None)
    picture = pipe("a red ball", num_inference_steps=1, height=64, width=64, output_type="pt").images
    assert picture.shape == (1, 3, 64, 64) and torch.isfinite(picture).all()
