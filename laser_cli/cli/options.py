"""Options that several commands share, and the small steps behind them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laser_cli.errors import BadInputError, NotFoundError, UsageError
from laser_cli.settings.inputs import sha256 as sha256

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.console import Console
    from laser_cli.models.model import Model
    from laser_cli.stages.invert import Inversion


def option(panel: str | None, help: str, *names: str, **limits: Any) -> Any:
    """A Typer option in a panel of the help that shows no default: None means that it was not given."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel, **limits)


class Method(str, Enum):
    """Inversion methods (engine.invert.METHODS, named here so that --help needs no torch)."""

    ddim = "ddim"
    direct = "direct"
    fixed_point = "fixed-point"


class Easing(str, Enum):
    """Easings (plan.easing)."""

    linear = "linear"
    ease = "ease"
    ease_in = "ease-in"
    ease_out = "ease-out"


class Control(str, Enum):
    """Controls (plan.schema)."""

    texture = "texture"
    motion = "motion"
    hybrid = "hybrid"
    hold = "hold"


MODEL = typer.Option(
    "--model",
    envvar="LASER_MODEL",
    help="storybook (embedded, the default), a folder or a hub id in the standard diffusers layout.",
    show_default=False,
    rich_help_panel="Model",
)
DEVICE = typer.Option(
    envvar="LASER_DEVICE", help="auto (default), cuda, mps or cpu.", show_default=False, rich_help_panel="Model"
)
DTYPE = typer.Option(
    envvar="LASER_DTYPE",
    help="auto (default), float32, bfloat16 or float16.",
    show_default=False,
    rich_help_panel="Model",
)
QUIET = typer.Option(
    "--quiet", "-q", envvar="LASER_QUIET", help="No progress, hints or warnings.", rich_help_panel="Console"
)

ModelName = Annotated[str, MODEL]
Device = Annotated[str, DEVICE]
Dtype = Annotated[str, DTYPE]
Offload = Annotated[
    bool,
    typer.Option(
        "--offload", help="Keep text encoder and VAE off the device until they work.", rich_help_panel="Model"
    ),
]
Size = Annotated[
    int | None, typer.Option(min=32, max=4096, help="Longer side in px; the model's own size if not given.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all noise.")]
Quiet = Annotated[bool, QUIET]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout instead of paths.", rich_help_panel="Console")
]


def open_model(console: Console, name: str, device: str, dtype: str, offload: bool = False) -> Model:
    """Loads the model and says what it runs on."""
    from laser_cli.models.load import load_model

    model = load_model(name, device, dtype, offload)
    console.note(f"model {model.name} on {model.device.type}, {str(model.dtype).removeprefix('torch.')}")
    return model


FAR = 22.0
"""dB of a round trip below which a picture is none of storybook's: its own stand at 26 to 36."""
OTHER_MODEL = "for anything else pass a real checkpoint to --model"


def warn_prompts(console: Console, model: Model, prompts: tuple[str, ...]) -> None:
    """Says what of each prompt the text encoder will not see, and which words the embedded model never met."""
    for prompt in dict.fromkeys(prompts):
        if cut := model.cut_off(prompt):
            console.warn(f"a prompt is longer than the model reads; it will not see: … {cut}")
    if model.embedded and (strange := model.strange_words(prompts)):
        console.warn(f"the storybook model does not know: {', '.join(strange)}; {OTHER_MODEL}")


def warn_picture(console: Console, model: Model, inversion: Inversion, picture: np.ndarray) -> None:
    """Says when a picture is far from all that the embedded model can show."""
    from laser_cli.measure.pictures import psnr
    from laser_cli.stages.invert import to_tensor

    if not model.embedded:
        return
    seen = psnr(model.decode(inversion.trajectory.latents[:1]).cpu(), to_tensor(picture))
    if seen < FAR:
        console.warn(f"this is no storybook picture (the model can show it at {seen:.0f} dB only); {OTHER_MODEL}")


def source_prompt(console: Console, given: str | None, image: Path, picture: np.ndarray, model: str) -> str:
    """What a picture shows: as given, else from its metadata, else, for the embedded model, as its critic reads it.

    BadInputError says what to pass where nobody knows.
    """
    from laser_cli.models.find import STORYBOOK
    from laser_cli.output.frames import picture_prompt

    prompt = given if given is not None else picture_prompt(image)
    if prompt is None and model == STORYBOOK:
        prompt = _read_by_critic(picture)
        if prompt:
            console.note(f"{image.name} carries no prompt; read from the picture: {prompt}")
    if not prompt or not prompt.strip():
        raise BadInputError(
            f"what does {image.name} show?",
            why="the picture carries no prompt of its own",
            hint='--prompt "a red ball in a meadow at noon"',
        )
    return prompt


def _read_by_critic(picture: np.ndarray) -> str | None:
    """The storybook critic's caption of a picture; None where no critic is installed."""
    from laser_cli.stages.invert import to_tensor
    from laser_cli.storybook.critic import load_critic
    from laser_cli.storybook.describe import describe

    try:
        return describe(load_critic(), to_tensor(picture)[0])
    except NotFoundError:
        return None


def words_of(text: str | None) -> tuple[str | None, Path | None]:
    """A text as given, or what stands in FILE for ``@FILE``, and that file."""
    if text is None or not text.startswith("@"):
        return text, None
    path = Path(text[1:])
    try:
        return " ".join(path.read_text("utf-8").split()), path
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInputError(
            f"cannot read {path}", why=why or "", hint="@FILE takes the words from a text file"
        ) from error


ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic")


def is_picture(text: str) -> bool:
    """Whether a word of the command line is a file, or is named like a picture, and no prompt."""
    try:
        return Path(text).suffix.lower() in ENDINGS or Path(text).exists()
    except (OSError, ValueError):  # longer than a name can be, or with letters that none has
        return False


def positionals(arguments: list[str], plan: Path | None) -> tuple[Path | None, str | None]:
    """[IMAGE] [DESCRIPTION]: of one word alone, a file (or what is named like one) is the picture."""
    if len(arguments) > 2:
        raise UsageError(
            "too many arguments",
            why=f"{len(arguments)} were given; a picture and a description are expected",
            hint="put the description in quotes",
        )
    if not arguments:
        return None, None
    first = Path(arguments[0])
    pictured = len(arguments) == 2 or plan is not None or is_picture(arguments[0])
    return (first, arguments[1] if len(arguments) == 2 else None) if pictured else (None, arguments[0])
