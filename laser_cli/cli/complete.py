"""Values that a shell completes: quick, without torch, and silent where something is amiss."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from laser_cli.errors import LaserError


def presets() -> Iterable[str]:
    """Names of presets, the user's too."""
    from laser_cli.jobs.presets import preset_names

    return preset_names()


def models() -> Iterable[str]:
    """The embedded model, and the hub's in its cache."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = sorted(Path(HF_HUB_CACHE).glob("models--*--*"))
    drawing = (folder for folder in cached if any(folder.glob("snapshots/*/model_index.json")))
    return ("storybook", *(folder.name.removeprefix("models--").replace("--", "/") for folder in drawing))


def planners() -> Iterable[str]:
    """Planners with a name, and the language models in the hub's cache."""
    from laser_cli.plan.llm.find import cached
    from laser_cli.plan.planners import registered

    return (*registered(), *cached())


def any_models() -> Iterable[str]:
    """Names that `laser models` takes."""
    from laser_cli.plan.llm.find import cached

    return (*models(), *cached())


def commands() -> Iterable[str]:
    """The commands of laser."""
    from laser_cli.cli.main import COMMANDS

    return COMMANDS


CUTS = (":", "=", ":=", "==", "::")
VALUES: dict[str, Callable[[], Iterable[str]]] = {
    "presets": presets,
    "models": models,
    "any models": any_models,
    "planners": planners,
    "commands": commands,
    "distances": lambda: ("auto", "pixels", "features", "critic", "lpips", "clip:"),
    "devices": lambda: ("auto", "cuda", "mps", "cpu"),
    "dtypes": lambda: ("auto", "float32", "bfloat16", "float16"),
    "loops": lambda: ("forever", "none"),
}
"""By what `jobs.fields.setting` calls them. What is one of a few fixed values is completed by Typer itself."""


def completer(name: str) -> Callable[[str], list[str]]:
    """What Typer asks for the values that begin like a word; without any the shell offers files."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [value for value in VALUES[name]() if value.startswith(incomplete)]
        except (LaserError, OSError, ImportError, RuntimeError):
            return []

    return complete


def in_bash(application: Callable[..., object], **how: Any) -> None:
    """Answer bash, which cuts words at colons and equals signs: `hf:REPO` is three to it, and it replaces the last."""
    kept = whole_words(os.environ)
    told = StringIO()
    try:
        with redirect_stdout(told):
            application(**how)
    finally:
        print("\n".join(line.removeprefix(kept) for line in told.getvalue().splitlines()))


def whole_words(env: MutableMapping[str, str]) -> str:
    """Put bash's words together again, up to the cursor's; returns what of the last value stands before its word."""
    words, at = env["COMP_WORDS"].split("\n"), int(env["COMP_CWORD"])
    words = [*words, ""][: at + 1]
    glued: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if glued and len(glued) > 1 and (word in CUTS or before in CUTS):
            glued[-1] += word
        else:
            glued.append(word)
    env["COMP_WORDS"], env["COMP_CWORD"] = "\n".join(glued), str(len(glued) - 1)
    kept = glued[-1] if words[-1] in CUTS else glued[-1].removesuffix(words[-1])
    return kept.rpartition("=")[2] if kept.startswith("-") else kept
