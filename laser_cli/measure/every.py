"""All benchmarks in turn, each in a process of its own, as one object that names weights, machine and date."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

BENCHES: Mapping[str, tuple[str, ...]] = {
    "speed": ("--model",),
    "plan": ("--items",),
    "storybook": ("--model", "--items"),
    "interpolate": ("--model", "--items"),
    "portraits": ("--model", "--items"),
    "conditions": ("--model", "--items"),
    "animate": ("--model", "--items"),
    "batch": ("--items",),
}
"""Every benchmark that needs no file of the user's, and which options of all it takes."""
WHOLE = frozenset(("speed", "interpolate", "portraits"))
"""Those that measure whole commands and long animations too, unless they are told not to."""
LIBRARIES = ("torch", "diffusers", "transformers")

Run = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


def _laser(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """`laser bench ...`; what it says on stderr is seen."""
    return subprocess.run(
        [sys.executable, "-m", "laser_cli", "bench", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )


def run_all(
    options: Mapping[str, str | None],
    say: Callable[[str], object] = lambda text: None,
    run: Run = _laser,
    whole: bool = True,
) -> Iterator[dict[str, Any]]:
    """After each benchmark all that was measured so far: what they printed under ``benches``, the names of those that
    ``failed``, which say why themselves, and of those that are ``left``.

    ``options``: --model and --items, None where the benchmark's own default holds. Without ``whole`` no long animations
    are drawn for their peak memory.
    """
    about = conditions(options.get("--model") or "storybook")
    told, failed, left = [], [], list(BENCHES)
    for name, takes in BENCHES.items():
        say(f"bench {name}")
        given = [part for option in takes if (value := options.get(option)) is not None for part in (option, value)]
        given += [] if whole or name not in WHOLE else ["--no-whole"]
        done = run([name, "--json", *given])
        left.remove(name)
        try:
            printed = json.loads(done.stdout) if done.returncode == 0 else None
        except ValueError:
            printed = None
            say(f"bench {name} printed no JSON but {done.stdout.strip()[:200]!r}")
        if printed is None:
            failed.append(name)
        else:
            told.append({key: value for key, value in printed.items() if key != "version"})
        yield {**about, "benches": [*told], "failed": [*failed], "left": [*left]}


def conditions(model: str) -> dict[str, Any]:
    """Weights, machine, versions and date: what figures depend on."""
    from laser_cli.engine.workers import available_cores
    from laser_cli.models.find import find_model

    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "model": model,
        "revision": find_model(model).revision,
        "machine": f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        "versions": versions,
    }
