"""The training of portrait adapters: its data, its loss, and that it learns, stops and goes on."""

import json
import random
from types import SimpleNamespace

import pytest
import torch

from laser_cli.controls.knit.drive import Drive, no_parts
from laser_cli.controls.knit.find import find_adapters
from laser_cli.controls.knit.own import AdapterSettings, base_probe, load_own, read_settings
from laser_cli.models.model import Model
from laser_cli.storybook.driving import PLACE
from laser_cli.storybook.look import SHIPPED
from laser_cli.storybook.train import common, portrait_faces, portraits
from laser_cli.storybook.train import install as install_module
from laser_cli.storybook.train.install import install
from laser_cli.storybook.train.portrait_faces import STATES, identities, make_faces
from laser_cli.storybook.train.portraits import Adapters, Batch, loss_of
from tests.small import small_unet


def test_states_share_an_identity():
    for states in identities(random.Random(0), 5):
        assert len({(p.skin, p.hair, p.hair_colour, p.eyes, p.hat, p.background) for p in states}) == 1
        assert len({(p.yaw, p.pitch, p.roll, p.expression) for p in states}) == STATES


def test_faces_hold_what_was_drawn(storybook):
    faces = make_faces(storybook, SHIPPED, 3, 2)
    side = storybook.size // storybook.scale
    assert faces.latents.shape[:2] == (2, STATES) and faces.latents.shape[-1] == side
    assert faces.captions.shape[:2] == (2, 2) and faces.angles.abs().max() < 0.8
    # features cover a small part of the picture
    assert 0.01 < faces.masks.float().mean() < 0.3 and faces.masks.max() > 0.5
    ((first, *_),) = [identities(random.Random(3), 1)[0]]
    assert faces.angles[0, 0, 1] == pytest.approx(torch.deg2rad(torch.tensor(first.yaw)).item(), abs=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(faces, make_faces(storybook, SHIPPED, 3, 2), strict=True))


@pytest.fixture
def tiny():
    """A small U-Net as a model, adapters for it, and a batch of two references with three pictures each."""
    unet = small_unet(12)
    unet.requires_grad_(False)
    settings = AdapterSettings(blocks=(16, 32), base=base_probe(unet), pixels=8, place=PLACE)
    model = SimpleNamespace(unet=unet, device=torch.device("cpu"), schedule=SimpleNamespace(prediction="epsilon"))
    torch.manual_seed(1)
    batch = Batch(
        reference=torch.randn(2, 4, 8, 8),
        captions=torch.randn(2, 5, 12),
        kept=torch.ones(2, dtype=torch.bool),
        latents=torch.randn(6, 4, 8, 8),
        masks=torch.rand(6, 1, 8, 8),
        drive=Drive(torch.rand(6, 3, 16, 16), torch.rand(6, 51), no_parts(6)),
        t=torch.full((6,), 600),
        eps=torch.randn(6, 4, 8, 8),
    )
    return model, Adapters(settings), batch


ALPHAS = torch.linspace(0.99, 0.01, 1000)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_what_is_predicted_leads_to_the_clean_latents(tiny, prediction):
    from laser_cli.models.base import NoiseLevel, to_x0_eps

    _, _, batch = tiny
    abar = float(ALPHAS[600])
    level = NoiseLevel(600, abar**0.5, (1 - abar) ** 0.5, 1.0, 0.0)
    x0, eps = to_x0_eps(batch.target(ALPHAS, prediction), batch.noisy(ALPHAS), level, prediction)
    assert torch.allclose(x0, batch.latents, atol=1e-4) and torch.allclose(eps, batch.eps, atol=1e-4)


def test_the_loss_is_the_papers(tiny, monkeypatch):
    monkeypatch.setattr(common, "fast_bfloat16", lambda: False)
    model, adapters, batch = tiny
    with torch.no_grad():
        told = batch.captions.repeat_interleave(3, 0)
        out = model.unet(batch.noisy(ALPHAS), batch.t, encoder_hidden_states=told).sample
        error = (out - batch.eps).square().mean(1)
        seen = [(m[0] * e).sum() / (m.sum() + 1e-3) for m, e in zip(batch.masks, error, strict=True)]
        expected = error.mean() + 0.4 * sum(seen) / 6
    # untrained adapters change nothing
    assert loss_of(model, adapters, batch, ALPHAS).item() == pytest.approx(expected.item(), rel=1e-4)


def test_adapters_learn_and_the_unet_stays_as_it_is(tiny):
    model, adapters, batch = tiny
    before = {name: x.clone() for name, x in model.unet.state_dict().items()}
    optimizer, losses = torch.optim.AdamW(adapters.parameters(), 3e-3), []
    for _ in range(25):
        loss = loss_of(model, adapters, batch, ALPHAS)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(x, before[name]) for name, x in model.unet.state_dict().items())


def test_adapters_of_the_u_net_that_is_replaced_go_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(install_module, "_pipeline", lambda trained, to: None)
    trained, to = tmp_path / "trained", tmp_path / "weights"
    (trained / "pipeline").mkdir(parents=True)
    (to / "portraits").mkdir(parents=True)
    (to / "portraits" / "config.json").write_text("{}")
    assert install(trained, to) == ["pipeline"] and not (to / "portraits").exists()
    (trained / "portraits").mkdir()
    for name in ("config.json", "model.safetensors"):
        (trained / "portraits" / name).write_text("new")
    assert install(trained, to) == ["pipeline", "portrait adapters"]
    assert (to / "portraits" / "config.json").read_text() == "new"


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True])
def test_it_stops_goes_on_and_is_installed(tmp_path, monkeypatch, plain, storybook):
    for module in (portraits, portrait_faces):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(portraits, "SHOWN", 1)
    made = portraits.train(tmp_path, steps=1, batch=1, first=1, plain=plain)
    first = read_settings(made)
    assert first.plain == plain and made.name == ("portraits-plain" if plain else "portraits")
    files = sorted((tmp_path / f"faces-{portraits.digest(first.base)}").iterdir())
    portraits.train(tmp_path, steps=2, batch=1, first=1, plain=plain)
    assert sorted((tmp_path / f"faces-{portraits.digest(first.base)}").iterdir()) == files
    log = [json.loads(line) for line in (tmp_path / f"{made.name}.log").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2] and {"held out", "held out without"} <= set(log[-1])
    assert (tmp_path / f"{made.name}.png").is_file()
    assert isinstance(storybook, Model) and load_own(made, storybook.unet, torch.float32, "cpu").own
    if not plain:
        assert install(tmp_path, tmp_path / "weights") == ["portrait adapters"]
        assert find_adapters(None, str(tmp_path / "weights")).puppets
