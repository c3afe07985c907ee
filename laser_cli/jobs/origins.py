"""Where each setting of a job comes from: what `laser config` shows."""

from __future__ import annotations

from typing import Any, NamedTuple

from laser_cli.jobs.animate import AnimateJob
from laser_cli.jobs.build_animate import plan_layer
from laser_cli.jobs.fields import Frozen
from laser_cli.jobs.interpolate import InterpolateJob
from laser_cli.jobs.inversion import inversion_layer
from laser_cli.jobs.merge import Layer, merge, ordered
from laser_cli.jobs.model import settling
from laser_cli.jobs.presets import chosen_preset, preset_layer
from laser_cli.jobs.rerun import read_job
from laser_cli.jobs.settings import AnimateSettings, FrameSettings
from laser_cli.jobs.sources import AnimateSources, Sources

DEFAULT = "default"


class Origin(NamedTuple):
    """A setting in force: `source` is default, model, config, preset, record, plan, inversion, variable or flag.

    `at` names the file with its line, or the variable.
    """

    value: Any
    source: str
    at: str


def origins(kind: type[Frozen], *layers: Layer | None) -> dict[str, Origin]:
    """Every setting of this kind under the layers, the last of which says it; errors as of `merge`."""
    merged = merge(kind, *layers)
    found = {key: Origin(getattr(merged, key), DEFAULT, "") for key in kind.model_fields}
    for layer in ordered(*layers):
        for key in layer.values:
            source = "variable" if key in layer.variables else layer.source
            found[key] = Origin(getattr(merged, key), source, "" if source == "flag" else layer.at(key))
    return found


def layers_of(kind: type[FrameSettings], sources: Sources, said: Layer) -> list[Layer]:
    """The layers that the settings of a job are merged from, the lowest first; nothing is planned or drawn."""
    plan = inversion = None
    chosen = chosen_preset(sources.preset, sources.rerun)
    if isinstance(sources, AnimateSources):
        from laser_cli.plan.files import read_plan

        plan = plan_layer(read_plan(str(sources.plan_file)), sources.plan_file) if sources.plan_file else None
        inversion = inversion_layer(sources.inversion) if sources.inversion else None
    if sources.rerun is None:
        return settling(kind, preset_layer(chosen, kind), plan, inversion, said)
    job = AnimateJob if issubclass(kind, AnimateSettings) else InterpolateJob
    return settling(kind, read_job(sources.rerun, job, kind).layer, plan, inversion, said.alone)
