"""What pictures show and what a model cannot see of it, told before it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from laser_cli.errors import BadInputError
from laser_cli.models.find import STORYBOOK

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.jobs.planning import Captioning
    from laser_cli.jobs.progress import Progress
    from laser_cli.models.model import Model
    from laser_cli.stages.invert import Inversion

FAR = 22.0
"""dB of a round trip below which a picture is none of storybook's: its own stand at 26 to 36."""
OTHER_MODEL = "for anything else pass a real checkpoint to --model"


def warn_prompts(progress: Progress, model: Model, prompts: tuple[str, ...]) -> None:
    """Say what of each prompt the text encoder will not see, and which words the embedded model never met."""
    for prompt in dict.fromkeys(prompts):
        if cut := model.cut_off(prompt):
            progress.warn(f"a prompt is longer than the model reads; it will not see: … {cut}")
    if model.embedded and (strange := model.strange_words(prompts)):
        progress.warn(f"the storybook model does not know: {', '.join(strange)}; {OTHER_MODEL}")


def warn_picture(progress: Progress, model: Model, inversion: Inversion, picture: np.ndarray) -> None:
    """Say when a picture is far from all that the embedded model can show."""
    from laser_cli.measure.pictures import psnr
    from laser_cli.stages.invert import to_tensor

    if not model.embedded:
        return
    seen = psnr(model.decode(inversion.trajectory.latents[:1]).cpu(), to_tensor(picture))
    if seen < FAR:
        progress.warn(f"this is no storybook picture (the model can show it at {seen:.0f} dB only); {OTHER_MODEL}")


def source_prompt(
    progress: Progress,
    given: str | None,
    image: Path,
    picture: np.ndarray,
    model: str,
    name: str = "",
    captioning: Captioning | None = None,
) -> str:
    """What a picture shows: as given, else from its metadata, else as a captioner sees it.

    The captioner is the one that is named, or for the embedded model its classifier. `name` is what messages call the
    picture, where that is not its path's. BadInputError says what to pass where nobody knows; others as of
    ``make_caption``.
    """
    from laser_cli.jobs.planning import Captioning, captioned
    from laser_cli.output.prompts import picture_prompt
    from laser_cli.plan.planners import find_planner

    name, captioning = name or image.name, captioning or Captioning()
    prompt = given if given is not None else picture_prompt(image)
    by_default = STORYBOOK if model == STORYBOOK and find_planner(STORYBOOK).sees() else None
    if prompt is None and (captioner := captioning.caption or by_default):
        prompt = captioned(captioner, captioning, picture, name, progress)
    if not prompt or not prompt.strip():
        raise BadInputError(
            f"what does {name} show?",
            why="the picture carries no prompt of its own",
            hint='--prompt "a red ball in a meadow at noon", or --caption with a model that sees',
        )
    return prompt
