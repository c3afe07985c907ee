"""`laser animate --dry-run`: what would be done and what it costs; no weights are loaded, nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laser_cli.cli.animate_outputs import look_of

if TYPE_CHECKING:
    from laser_cli.cli.console import Console
    from laser_cli.cli.request import Request


def tell(console: Console, request: Request) -> None:
    """Prints the costs of a request: text on stderr, or one object on stdout."""
    costs = costs_of(request)
    if console.json:
        console.json_object({"paths": [], "dry_run": True, **costs})
        return
    for line in lines(costs):
        console.note(line)


def costs_of(request: Request) -> dict[str, Any]:
    """Plan, pictures, evaluations, memory and time; the last two are None where the model is not on this machine."""
    from laser_cli.cli.produce import placed, size_of
    from laser_cli.settings import estimate, timing

    found = estimate.cached_model(request.settings.model)
    shape = estimate.read_shape(found[0]) if found else None
    settings = placed(request.settings, found[0] if found else None)
    size, memory, time = None, None, None
    evaluations = estimate.evaluations(
        settings, request.plan, drawn_first=request.image is None, inverted=request.inversion is None
    )
    if found and shape and settings.size:
        size = size_of(request.picture, settings.size, shape.scale)
        memory = estimate.memory(found[0], shape, settings, size, len(request.plan.segments))
        seconds = timing.estimate(timing.kind_of(settings, size), evaluations)
        measured = seconds is not None
        if seconds is None:
            places = (size[0] // shape.scale) * (size[1] // shape.scale)
            parameters = estimate.parameters(found[0] / "unet")
            seconds = timing.guess(parameters, places, settings.device, evaluations["total"])
        time = {"seconds": round(seconds, 1), "measured": measured}
    return {
        "plan": request.plan.model_dump(mode="json"),
        "frames": request.plan.total_frames,
        "shown": look_of(settings).shown(request.plan.total_frames),
        "evaluations": evaluations,
        "size": size,
        "memory": memory,
        "time": time,
        "settings": settings.model_dump(mode="json"),
        "model_revision": found[1] if found else None,
    }


def lines(costs: dict[str, Any]) -> list[str]:
    """The costs for people."""
    from laser_cli.cli.console import clock_text

    plan, evaluations, memory, time, settings = (
        costs[key] for key in ("plan", "evaluations", "memory", "time", "settings")
    )
    told = [f"from: {plan['source']}"]
    told += [
        f"to: {s['prompt']} ({s['control']} {s['strength']:g}, {s['easing']}, {s['frames']} frames)"
        for s in plan["segments"]
    ]
    size = "{} x {} px".format(*costs["size"]) if costs["size"] else "size not known"
    told.append(f"frames: {costs['frames']} ({costs['shown']} shown in one pass), {size}, {settings['fps']:g} a second")
    stages = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in evaluations.items() if n and name != "total")
    told.append(f"U-Net evaluations: {evaluations['total']} ({stages})")
    told.append(f"model: {settings['model']} on {settings['device']}, {settings['dtype']}")
    if memory is None or time is None:
        why = "the model is not on this machine or not complete"
        return [*told, f"memory: not known, {why}", f"time: not known, {why}"]
    parts = ", ".join(f"{name.replace('_', ' ')} {n / 2**20:.0f}" for name, n in memory.items() if name != "at_least")
    told.append(f"memory: at least {memory['at_least'] / 2**20:.0f} MiB ({parts}), libraries not counted")
    if time["measured"]:
        return [*told, f"time: about {clock_text(time['seconds'])}, by earlier runs on this machine"]
    return [*told, f"time: very roughly {clock_text(time['seconds'])}, by the model's size; a run will measure it"]
