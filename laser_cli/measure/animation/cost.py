"""What whole animations cost, each in a process of its own: evaluations, seconds and peak memory.

Run by itself, the module measures one method: ``python -m laser_cli.measure.animation.cost MODEL METHOD FRAMES STEPS``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from laser_cli.measure.figures import Figure


def whole(
    model: str, methods: Sequence[str], frames: int, steps: int, say: Callable[[str], object] = lambda text: None
) -> list[Figure]:
    """Figures of every method on one edit, every frame drawn; the model is loaded before the clock starts."""
    figures = []
    for method in methods:
        say(f"whole animation: {method}")
        asked = ("laser_cli.measure.animation.cost", model, method, str(frames), str(steps))
        done = subprocess.run([sys.executable, "-m", *asked], stdout=subprocess.PIPE, check=True, text=True)
        told = json.loads(done.stdout)
        figures += [
            Figure(f"{method}, whole: evaluations", told["evaluations"] / frames),
            Figure(f"{method}, whole: seconds", told["seconds"], "s"),
            Figure(f"{method}, whole: peak memory", told["peak_mib"], "MiB"),
        ]
    return figures


def main(name: str, method: str, frames: int, steps: int) -> None:
    """Prints what one method's whole animation costs."""
    from laser_cli.jobs.distance import choose_distance
    from laser_cli.jobs.merge import flags
    from laser_cli.jobs.model import settle
    from laser_cli.jobs.settings import AnimateSettings
    from laser_cli.measure.animation.asked import Amount
    from laser_cli.measure.animation.bench import planned, task_of
    from laser_cli.measure.animation.edits import sample_edits
    from laser_cli.measure.animation.methods import METHODS
    from laser_cli.measure.memory import peak_mib
    from laser_cli.models.load import load_model
    from laser_cli.stages.distances import find_distance

    settings = settle(AnimateSettings, flags({"model": name, "steps": steps, "frames": frames}))
    model = load_model(name)
    edit = sample_edits(1)[0]
    distance = find_distance(choose_distance(settings.distance, name), model)
    task = task_of(model, edit, planned(edit, settings), settings, Amount(frames=frames, every=1).shown, distance)
    nfe, begin = model.nfe, time.perf_counter()
    METHODS[method].draw(task)
    told = {"evaluations": model.nfe - nfe, "seconds": time.perf_counter() - begin, "peak_mib": peak_mib(model.device)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
