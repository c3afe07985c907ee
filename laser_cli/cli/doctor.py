"""`laser doctor`: what this machine has, and what to install."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import typer

from laser_cli.cli.options import Shown, expand
from laser_cli.errors import LaserError

NEEDED = ("torch", "diffusers", "transformers", "numpy", "pillow", "imageio-ffmpeg")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `needed` for `laser animate IMAGE "…" -o out.mp4`."""

    name: str
    value: Any
    ok: bool = True
    needed: bool = False
    install: str = ""


def doctor(shown: Shown) -> None:
    """Say what this machine has for laser: versions, device, memory, encoders, models; and what to install.

    Exit code 1 if something is missing that the main job needs.
    """
    checks = [*_versions(), *_device(), *_encoders(), *_models(), *_planners(), *_plugins(), *_faces()]
    missing = [check for check in checks if check.needed and not check.ok]
    if shown.json_:
        shown.console().json_object({"ok": not missing, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            typer.echo(_line(check))
    if missing:
        raise typer.Exit(1)


def _line(check: Check) -> str:
    mark = "ok" if check.ok else "MISSING" if check.needed else "none"
    return f"{mark:<8}{check.name:<18}{check.value}" + (
        f"  ({check.install})" if not check.ok and check.install else ""
    )


def versions() -> dict[str, str]:
    """This program, Python and the libraries that decide what comes out."""
    import laser_cli
    from laser_cli.output.record import library_versions

    return {"laser": laser_cli.__version__, "python": platform.python_version(), **library_versions()}


def this_machine() -> Iterator[str]:
    """Libraries, devices and encoders, a line each: what an issue about laser should say."""
    return (_line(check) for check in (*_versions(), *_device(), *_encoders()))


def _versions() -> Iterator[Check]:
    from laser_cli.output.record import LIBRARIES

    found = versions()
    yield Check("laser", found["laser"])
    yield Check("python", found["python"])
    yield Check("system", f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors")
    for name in LIBRARIES:
        there = found.get(name, "not installed")
        yield Check(name, there, ok=name in found, needed=name in NEEDED, install=f"pip install {name}")


def _device() -> Iterator[Check]:
    try:
        import torch

        from laser_cli.models.load import choose_device, choose_dtype
    except (ImportError, OSError) as error:
        yield Check("device", str(error).splitlines()[0], ok=False, needed=True, install="pip install torch")
        return
    device = choose_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    yield Check("device", f"{device.type} {name}".strip())
    yield Check("dtype", str(choose_dtype("auto", device)).removeprefix("torch."))
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        yield Check("device memory", f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        yield Check("memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB")


def _encoders() -> Iterator[Check]:
    try:
        from laser_cli.output.video import probe_encoders

        encoders = probe_encoders()
    except (ImportError, LaserError, OSError, RuntimeError) as error:
        yield Check("encoders", str(error), ok=False, needed=True, install="pip install imageio-ffmpeg")
        return
    for name, there in encoders.items():
        value = "can be written" if there else "cannot be written"
        yield Check(f".{name}", value, ok=there, needed=name == "mp4", install="pip install -U imageio-ffmpeg pillow")


def _models() -> Iterator[Check]:
    try:
        from laser_cli.cli.models import installed, problems

        found = dict(installed())
    except ImportError as error:
        yield Check("models", str(error), ok=False, needed=True, install="pip install laser-cli")
        return
    whole = {name: problems(folder) for name, folder in found.items()}
    said = "; ".join(whole.pop("storybook", ["not installed"]))
    yield Check("storybook", said or "whole", ok=not said, needed=True, install="install laser-cli again")
    for name, wrong in whole.items():
        yield Check(name, "; ".join(wrong) or "whole", ok=not wrong, install="download it again")


def _planners() -> Iterator[Check]:
    try:
        from llama_cpp import llama_supports_gpu_offload

        from laser_cli.plan import planners
        from laser_cli.plan.llm.find import cached
        from laser_cli.plan.llm.gguf import read_model

        found = cached()
    except (ImportError, OSError, RuntimeError) as error:
        told = f"rules only: {str(error).splitlines()[0]}"
        yield Check("planners", told, ok=False, install="pip install llama-cpp-python")
        return
    place = "GPU" if llama_supports_gpu_offload() else "CPU"
    yield Check("planners", f"{', '.join(planners.names())}, and GGUF models on the {place}")
    for name, path in found.items():
        try:
            read_model(path)
        except LaserError as error:
            yield Check(name, error.what, ok=False, install="download it again")
        else:
            yield Check(name, "whole")


def _plugins() -> Iterator[Check]:
    from laser_cli import plugins

    for group, kind in plugins.GROUPS.items():
        for name, point in plugins.brought(group).items():
            broken = plugins.load(group, name).broken
            told = f"{kind} of {plugins.package_of(point)}" + (f": {broken}" if broken else "")
            yield Check(name, told, ok=not broken, install="install another version of that package")


def _faces() -> Iterator[Check]:
    from importlib.util import find_spec

    from laser_cli.tracks.video import INSTALL, TASK, find_task

    missing = [name for name, there in (("mediapipe", find_spec("mediapipe")), (TASK, find_task())) if not there]
    value = f"without {' and '.join(missing)}" if missing else "can be read from videos"
    yield Check("faces", value, ok=not missing, install=INSTALL)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(expand(doctor))
