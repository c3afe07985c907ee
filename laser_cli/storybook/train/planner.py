"""Trains the embedded planner: a small Llama on fresh tasks, on the tokens of their answers alone."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from laser_cli.storybook.planner_tasks import Task, answer_text, sample_task
from laser_cli.storybook.train.common import Clock, Run, log, mixed
from laser_cli.storybook.train.muon import optimizers
from laser_cli.storybook.train.planner_file import write_planner
from laser_cli.storybook.train.planner_tokens import END, build, encode, prompt_of

SIZES = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4}
"""About 5 million weights."""
LONGEST = 1024
SAVED = 10.0
"""Minutes between two checkpoints: the answers that each is judged by take their time."""
IGNORED = -100
"""The target of a token that the model is told, not asked."""


def new_model(tokenizer: Tokenizer, **sizes: int) -> Any:
    """A fresh model for this vocabulary; its output is tied to its embedding."""
    end = tokenizer.token_to_id(END)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        **(SIZES | sizes),
    )
    return LlamaForCausalLM(config)


def batches(tokenizer: Tokenizer, seed: int, count: int, at_once: int = 16) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless tokens and targets, [count, length] each; tasks of like lengths share a batch, to pad little."""
    rng = random.Random(f"tasks {seed}")
    end = tokenizer.encode(END).ids[0]
    while True:
        drawn = [encode(tokenizer, sample_task(rng)) for _ in range(count * at_once)]
        drawn = sorted((d for d in drawn if len(d[0]) <= LONGEST), key=lambda d: len(d[0]))
        cuts = [drawn[i : i + count] for i in range(0, len(drawn), count)]
        rng.shuffle(cuts)
        for cut in cuts:
            tokens = torch.full((len(cut), max(len(ids) for ids, _ in cut)), end)
            target = torch.full_like(tokens, IGNORED)
            for row, (ids, told) in enumerate(cut):
                tokens[row, : len(ids)] = torch.tensor(ids)
                target[row, told - 1 : len(ids) - 1] = torch.tensor(ids[told:])
            yield tokens[:, :-1], target[:, :-1]


def loss(model: Any, tokens: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of the answers' tokens; only they go through the output layer.

    Padding comes last and is never looked at, so that no mask is needed.
    """
    states = model.model(input_ids=tokens, use_cache=False).last_hidden_state
    asked = target != IGNORED
    return F.cross_entropy(model.lm_head(states[asked]).float(), target[asked])


@torch.no_grad()
def exact(model: Any, tokenizer: Tokenizer, tasks: list[Task]) -> float:
    """The share of tasks whose likeliest answer is right to the letter."""
    right = 0
    device = model.lm_head.weight.device
    end = tokenizer.token_to_id(END)
    for task in tasks:
        told = torch.tensor([tokenizer.encode(prompt_of(task)).ids], device=device)
        wanted = [*tokenizer.encode(answer_text(task.answer)).ids, end]
        made = model.generate(told, attention_mask=torch.ones_like(told), max_new_tokens=len(wanted), do_sample=False)
        right += made[0, told.shape[1] :].tolist() == wanted
    return right / max(len(tasks), 1)


def train(
    out: Path,
    steps: int = 8000,
    minutes: float | None = None,
    seed: int = 0,
    batch: int = 32,
    start: Path | None = None,
    device: str = "cpu",
    vocabulary: int = 1500,
    read: int = 8000,
    held: int = 24,
    **sizes: int,
) -> Path:
    """Trains, or goes on with, a planner in ``out``; returns the GGUF file of the averaged one.

    A new one learns its ``vocabulary`` from ``read`` tasks; ``start`` is the folder of an earlier training whose
    vocabulary and averaged weights to begin with. Of ``held`` tasks with a seed of their own the log tells the share
    that is right to the letter.
    """
    torch.manual_seed(seed)
    place = out / "planner" / "tokenizer.json"
    if start and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(start / "planner" / place.name, place)
    tokenizer = Tokenizer.from_file(str(place)) if place.exists() else build(place, vocabulary, read)
    model = new_model(tokenizer, **sizes).to(device)
    if start:
        model.load_state_dict(
            torch.load(start / "planner.pt", map_location=device, weights_only=False)["model_average"]
        )
    run = Run(out / "planner.pt", {"model": model}, optimizers([model], 4e-3, 3e-3), 0.998, Clock(steps, minutes))
    mean = run.means["model"].model
    rng = random.Random("held")
    shown = [sample_task(rng) for _ in range(held)]

    def checkpoint() -> Path:
        run.save()
        path = write_planner(mean, tokenizer, out / "planner" / "planner.gguf")
        log(out / "planner.log", step=run.step, minutes=run.clock.elapsed, exact=exact(mean, tokenizer, shown))
        return path

    running, count, due = 0.0, 0, run.clock.elapsed + SAVED
    stream = batches(tokenizer, seed + run.step, batch)
    while run.going():
        tokens, target = (t.to(device) for t in next(stream))
        with mixed(device):
            error = loss(model, tokens, target)
        run.learn(error)
        count += 1
        running += (error.item() - running) / min(count, 50)
        if run.step % 25 == 0:
            log(out / "planner.log", step=run.step, minutes=run.clock.elapsed, loss=running)
        if run.clock.elapsed > due:
            checkpoint()
            due = run.clock.elapsed + SAVED
    return checkpoint()
