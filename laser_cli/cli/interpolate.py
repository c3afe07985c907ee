"""`laser interpolate`: what lies between prompts and pictures."""

from __future__ import annotations

import typer

from laser_cli.cli import animate_options as a
from laser_cli.cli import interpolate_options as o
from laser_cli.cli import planning as p
from laser_cli.cli.console import Console
from laser_cli.cli.options import Json, Quiet


def interpolate(
    context: typer.Context,
    stops: o.Stops = None,
    out: a.Out = None,
    rerun: a.From = None,
    preset: a.Preset = None,
    prompts: o.Prompts = None,
    dry_run: o.DryRun = False,
    approach: o.Method = None,
    fused: o.Fused = None,
    guides: o.Guides = None,
    warmup: o.Warmup = None,
    embeddings: o.Embeddings = None,
    latents: o.Latents = None,
    ip_adapter: o.Adapter = None,
    ip_scale: o.AdapterScale = None,
    image_prompt: o.ImagePrompts = None,
    frames: o.Frames = None,
    at: o.At = None,
    spacing: o.Spacing = None,
    distance: a.Distance = None,
    alpha: o.Alpha = None,
    beta: o.Beta = None,
    steps: o.Steps = None,
    guidance: a.Guidance = None,
    size: a.Size = None,
    seeds: o.Seeds = None,
    chunk: a.Chunk = None,
    exact_first: o.Exact = None,
    fps: a.Fps = None,
    loop: a.Loop = None,
    bounce: a.Bounce = None,
    hold_first: a.HoldFirst = None,
    hold_last: a.HoldLast = None,
    quality: a.Quality = None,
    palette: a.Palette = None,
    codec: a.Codec = None,
    still: a.Still = None,
    format: a.Format = None,
    frames_dir: a.FramesDir = None,
    sheet: a.Sheet = None,
    report: a.Report = None,
    depfile: a.Depfile = None,
    no_clobber: a.NoClobber = False,
    skip_existing: a.SkipExisting = False,
    resume: a.Resume = False,
    preview: a.Preview = None,
    planner: p.PlannerName = None,
    planner_timeout: p.PlannerTimeout = None,
    planner_gpu_layers: p.GpuLayers = None,
    model: a.ModelName = None,
    device: a.Device = None,
    dtype: a.Dtype = None,
    offload: a.Offload = None,
    verbose: a.Verbose = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw what lies between prompts and pictures.

    A chain of stops is one animation without a cut. Example:
    laser interpolate "a red ball in a meadow" "a blue cube in a meadow" cottage.png -o out.mp4
    """
    from laser_cli.cli import interpolation
    from laser_cli.cli.animate_outputs import read_outputs
    from laser_cli.cli.interpolate_request import read_request
    from laser_cli.cli.produce import produce

    console = Console(quiet=quiet and not verbose, json=json)
    outputs = read_outputs(context.params)
    produce(console, read_request(context.params, console), outputs, interpolation, context.params)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("interpolate")(interpolate)
