from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from laser_cli.batch.spool import Spool
from laser_cli.batch.tasks import Task
from laser_cli.jobs.job import Job
from laser_cli.terminal import clock_text


def costs_of(spool: Spool) -> dict[str, Any]:
    """Jobs, evaluations, bytes of memory and seconds of what is still to be drawn, one job after the other.

    Jobs of the same settings and sizes cost the same and are counted once. What no job tells is None.
    """
    known: dict[str, Mapping[str, Any]] = {}
    told: dict[str, Any] = {"jobs": len(spool), "finished": sum(spool.finished), "waiting_plans": sum(spool.waiting)}
    evaluations, memory, seconds, measured = 0, [], 0.0, True
    for place, task in enumerate(spool):
        if spool.finished[place]:
            continue
        job = task.read_job()
        key = _kind(task, job)
        if key not in known:
            known[key] = job.steps.costs(job)
        one = known[key]
        evaluations += one["evaluations"]["total"]
        memory += [one["memory"]["at_least"]] if one["memory"] else []
        seconds += one["time"]["seconds"] if one["time"] else 0.0
        measured = measured and bool(one["time"] and one["time"]["measured"])
    return {
        **told,
        "evaluations": evaluations,
        "memory": max(memory, default=None),
        "time": {"seconds": round(seconds, 1), "measured": measured},
    }


def lines_of(costs: Mapping[str, Any]) -> list[str]:
    """The costs for people."""
    left = costs["jobs"] - costs["finished"]
    lines = [f"jobs: {costs['jobs']}" + (f", {costs['finished']} of them done already" if costs["finished"] else "")]
    if costs["waiting_plans"]:
        lines.append(f"plans that a model will make: {costs['waiting_plans']}; the figures are of plans by rules")
    lines.append(f"U-Net evaluations: {costs['evaluations']:,}")
    if costs["memory"] is not None:
        lines.append(f"memory: at least {costs['memory'] / 2**20:.0f} MiB at a time, libraries not counted")
    seconds = costs["time"]["seconds"]
    by = "by earlier runs on this machine" if costs["time"]["measured"] else "very roughly, by the models' sizes"
    lines.append(f"time: about {clock_text(seconds)} for {left} jobs one after the other, {by}")
    return lines


def _kind(task: Task, job: Job) -> str:
    """What decides a job's costs: its settings but the seed, the lengths of its segments, its model and size."""
    settings = job.settings.model_dump(mode="json", exclude={"seed", "seeds"})
    plan = getattr(job, "plan", None)
    segments = [segment.frames for segment in plan.segments] if plan else len(getattr(job, "stops", ()))
    drawn = getattr(job, "image", None) is None, getattr(job, "inversion", None) is None
    return json.dumps([task.verb, task.group, settings, segments, drawn], sort_keys=True)
