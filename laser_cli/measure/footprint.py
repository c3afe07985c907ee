"""Peak memory by --chunk, --offload and --free-text-encoders, each measured in a process of its own.

``python -m laser_cli.measure.footprint SETTINGS``, as JSON: draws two prompts and frames between them, prints the peak.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from laser_cli.engine.spec import SamplingParams
from laser_cli.measure.figures import Figure
from laser_cli.measure.library import SOURCE, TARGET
from laser_cli.measure.memory import peak_mib
from laser_cli.models.load import load_model
from laser_cli.models.options import ModelOptions
from laser_cli.stages.interpolate import Endpoint, InterpolationParams, interpolate, prepare
from laser_cli.stages.spacing import uniform

Say = Callable[[str], object]


def footprints(
    model: str, device: str = "auto", dtype: str = "auto", chunk: int = 12, say: Say = lambda text: None
) -> list[Figure]:
    """Peaks of two chunks' sizes, and of the larger one with what frees memory; decoding included."""
    on = {"model": model, "device": device, "dtype": dtype}
    ways: dict[str, dict[str, Any]] = {f"--chunk {size}": {"chunk": size} for size in dict.fromkeys((1, chunk))}
    ways[f"--chunk {chunk} --free-text-encoders"] = {"chunk": chunk, "free_text_encoders": True}
    ways[f"--chunk {chunk} --offload"] = {"chunk": chunk, "offload": True}
    figures = []
    for name, settings in ways.items():
        say(f"memory: {name}")
        call = [sys.executable, "-m", __name__, json.dumps(on | settings)]
        told = json.loads(subprocess.run(call, stdout=subprocess.PIPE, check=True, text=True).stdout)
        figures += [Figure(f"peak memory, {name}", told["peak_mib"], "MiB")] if told["peak_mib"] else []
    return figures


def _main(settings: dict[str, Any]) -> None:
    """One step with attention interpolation, which is when most is held; on a CPU nothing can be offloaded."""
    options = ModelOptions(free_text_encoders=settings.get("free_text_encoders", False))
    offload = settings.get("offload", False)
    model = load_model(settings["model"], settings["device"], settings["dtype"], offload, options=options)
    if offload and model.device.type == "cpu":
        print(json.dumps({"peak_mib": None}))
        return
    chunk = settings["chunk"]
    params = InterpolationParams(steps=1, sampling=SamplingParams(warmup=1.0, batch_size=chunk))
    asked = [Endpoint(SOURCE), Endpoint(TARGET)]
    endpoints = prepare(model, asked, params, (0,), (model.size, model.size))
    for _ in interpolate(model, endpoints, params, uniform(chunk + 2, 1)):
        pass
    print(json.dumps({"peak_mib": peak_mib(model.device)}))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
