"""`laser animate`: a picture and a sentence (or a plan) to a video."""

from __future__ import annotations

import typer

from laser_cli.cli import animate_options as a
from laser_cli.cli import planning as p
from laser_cli.cli.console import Console
from laser_cli.cli.options import Json, Quiet


def animate(
    context: typer.Context,
    arguments: a.Arguments = None,
    out: a.Out = None,
    plan_file: a.PlanFile = None,
    rerun: a.From = None,
    preset: a.Preset = None,
    inversion_file: a.InversionFile = None,
    prompt: a.Prompt = None,
    dry_run: a.DryRun = False,
    frames: a.Frames = None,
    steps: a.Steps = None,
    guidance: a.Guidance = None,
    warmup: a.Warmup = None,
    easing: a.Easing = None,
    control: a.Control = None,
    strength: a.Strength = None,
    method: a.Method = None,
    size: a.Size = None,
    seed: a.Seed = None,
    chunk: a.Chunk = None,
    exact_first: a.ExactFirst = None,
    even_pace: a.EvenPace = None,
    distance: a.Distance = None,
    waypoints: a.Waypoints = None,
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
    keyframes: p.Keyframes = None,
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
    """Animate a picture from a sentence.

    Frame 0 is the picture; the rest move smoothly to what was asked. Without IMAGE the first picture is drawn from the
    source prompt. Example: laser animate cottage.png "summer turns to a snowy night" -o cottage.mp4
    """
    from laser_cli.cli import animation
    from laser_cli.cli.animate_outputs import read_outputs
    from laser_cli.cli.produce import produce
    from laser_cli.cli.request import read_request

    console = Console(quiet=quiet and not verbose, json=json)
    outputs = read_outputs(context.params)
    produce(console, read_request(context.params, console), outputs, animation, context.params)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("animate")(animate)
