"""Noise levels from a model's own scheduler, for every scheduler of the library that an ODE solver can follow.

A scheduler contributes where its levels lie and what the network is told there. The steps between them are always the
deterministic ones of `NoiseLevel.step`, and each leads to exactly the level at which the next one begins.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.base import NoiseLevel, Prediction

Kind = Literal["alphas", "sigmas", "edm", "flow"]
"""How a scheduler writes a level: alphas_cumprod[t]; sigma = noise / signal; EDM's sigma; sigma = noise."""

DDIM, EULER, FLOW = "DDIMScheduler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"
FOLLOWED: dict[str, tuple[Kind, str]] = {
    DDIM: ("alphas", DDIM),
    "DDIMParallelScheduler": ("alphas", DDIM),
    "DDPMScheduler": ("alphas", DDIM),
    "DDPMParallelScheduler": ("alphas", DDIM),
    "PNDMScheduler": ("alphas", DDIM),
    "LCMScheduler": ("alphas", "LCMScheduler"),
    "TCDScheduler": ("alphas", "TCDScheduler"),
    EULER: ("sigmas", EULER),
    "EulerAncestralDiscreteScheduler": ("sigmas", EULER),
    "LMSDiscreteScheduler": ("sigmas", EULER),
    "HeunDiscreteScheduler": ("sigmas", EULER),
    "KDPM2DiscreteScheduler": ("sigmas", EULER),
    "KDPM2AncestralDiscreteScheduler": ("sigmas", EULER),
    "DPMSolverSDEScheduler": ("sigmas", EULER),
    "DPMSolverMultistepScheduler": ("sigmas", "DPMSolverMultistepScheduler"),
    "DPMSolverSinglestepScheduler": ("sigmas", "DPMSolverSinglestepScheduler"),
    "DEISMultistepScheduler": ("sigmas", "DEISMultistepScheduler"),
    "SASolverScheduler": ("sigmas", "SASolverScheduler"),
    "UniPCMultistepScheduler": ("sigmas", "UniPCMultistepScheduler"),
    "EDMEulerScheduler": ("edm", "EDMEulerScheduler"),
    "EDMDPMSolverMultistepScheduler": ("edm", "EDMDPMSolverMultistepScheduler"),
    FLOW: ("flow", FLOW),
    "FlowMatchHeunDiscreteScheduler": ("flow", FLOW),
    "FlowMatchLCMScheduler": ("flow", "FlowMatchLCMScheduler"),
}
"""Scheduler classes by name: how they write levels, and the class that lays the levels of a first-order solver.

Those of higher order put midpoints between the levels, so a first-order class with their configuration lays them.
"""

PREDICTIONS: dict[str, Prediction] = {
    "epsilon": "epsilon",
    "v_prediction": "v_prediction",
    "sample": "sample",
    "flow_prediction": "flow",
    "flow": "flow",
}

SHAPING = (
    "_class_name",
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
    "prediction_type",
    "timestep_spacing",
    "timestep_type",
    "steps_offset",
    "set_alpha_to_one",
    "original_inference_steps",
    "interpolation_type",
    "final_sigmas_type",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
    "flow_shift",
    "lambda_min_clipped",
    "sigma_min",
    "sigma_max",
    "sigma_data",
    "sigma_schedule",
    "rho",
    "shift",
    "use_dynamic_shifting",
    "base_shift",
    "max_shift",
    "base_image_seq_len",
    "max_image_seq_len",
    "shift_terminal",
    "time_shift_type",
)
"""The settings of a scheduler that decide where its levels lie."""


@dataclass(frozen=True)
class Schedule:
    """A model's noise schedule; `levels(n)` are n steps along it."""

    config: Mapping[str, Any]
    kind: Kind
    layer: str
    """The library's class that lays the levels."""
    prediction: Prediction

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schedule:
        """From a scheduler's configuration; NotFoundError for schedulers that no ODE solver can follow."""
        import diffusers

        name = str(config.get("_class_name") or DDIM).removeprefix("Flax")
        if name not in FOLLOWED:
            known = ", ".join(sorted(each.removesuffix("Scheduler") for each in FOLLOWED))
            raise NotFoundError(
                f"the model's scheduler is {name}, which laser cannot follow",
                why="its noise levels are not those of an ODE in the latents, or its class is not known",
                hint=f"in scheduler/scheduler_config.json use one that fits the model, of: {known}",
            )
        kind, layer = FOLLOWED[name]
        told = str(config.get("prediction_type") or "epsilon")
        if told not in PREDICTIONS:
            raise NotFoundError(
                f"the model's scheduler predicts {told!r}",
                why=f"laser knows {', '.join(sorted(PREDICTIONS))}",
                hint="correct prediction_type in scheduler/scheduler_config.json",
            )
        prediction = PREDICTIONS[told]
        if kind == "flow":
            prediction = "flow"
        elif kind == "edm":
            prediction = "edm" if prediction == "epsilon" else prediction
        elif config.get("use_flow_sigmas") or prediction == "flow":
            kind, prediction = "flow", "flow" if prediction == "epsilon" else prediction
            config = {**config, "use_flow_sigmas": True}
        # defaults differ between classes, so they are filled in by the class that the configuration names
        own = inspect.signature(getattr(diffusers, name).__init__).parameters
        defaults = {key: told.default for key, told in own.items() if told.default is not inspect.Parameter.empty}
        return cls({**defaults, **config, "_class_name": name}, kind, layer, prediction)

    @property
    def latent_scale(self) -> float:
        """What latents are multiplied by, beside the VAE's factor, so that signal^2 + noise^2 = 1 for EDM too."""
        return 1 / float(self.config.get("sigma_data") or 0.5) if self.kind == "edm" else 1.0

    @property
    def key(self) -> str:
        """Equal for schedules with the same levels: what an inversion depends on."""
        told = {name: self.config[name] for name in SHAPING if self.config.get(name) not in (None, False)}
        return json.dumps(told | {"prediction_type": self.prediction}, sort_keys=True, default=str)

    def levels(self, steps: int, tokens: int | None = None) -> list[NoiseLevel]:
        """From the noisiest step to the cleanest; UsageError if the schedule cannot be divided into so many.

        ``tokens``: of a transformer, how many stand for the picture; dynamic shifting depends on it.
        """
        try:
            timesteps, scales = self._scales(steps, tokens)
        except ImportError as error:
            raise NotFoundError("the model's noise schedule needs another package", why=str(error)) from error
        except (ValueError, IndexError, ZeroDivisionError) as error:
            raise self._undivided(steps, str(error).splitlines()[0]) from error
        if len(scales) != len(timesteps) + 1 or not all(a[1] > b[1] for a, b in pairwise(scales)):
            raise self._undivided(steps, f"its {steps} levels do not get cleaner one by one")
        if steps == 1 and scales[0][1] < 0.5 and self.config.get("timestep_spacing") != "trailing":
            # spacings that count from the clean end have it alone then, where there is nothing to denoise
            return replace(self, config={**self.config, "timestep_spacing": "trailing"}).levels(1, tokens)
        steps = len(timesteps)
        ways = enumerate(zip(timesteps, scales[:-1], scales[1:], strict=True))
        return [NoiseLevel(t, *here, *after, i / steps, (i + 1) / steps) for i, (t, here, after) in ways]

    def _scales(self, steps: int, tokens: int | None) -> tuple[list[float], list[tuple[float, float]]]:
        """Timesteps, and (signal, noise) at each of them and at the end."""
        import diffusers

        made = getattr(diffusers, self.layer)
        # settings that only stochastic or clipping samplers act upon, or that _shifting has put into others
        known = inspect.signature(made.__init__).parameters.keys() - {"thresholding", "clip_sample"}
        config = {**self.config, "use_dynamic_shifting": False, **self._shifting(tokens)}
        scheduler = made.from_config({key: value for key, value in config.items() if key in known})
        if self.kind == "flow" and self.config.get("use_dynamic_shifting") and self.layer.startswith("FlowMatch"):
            scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])  # as the pipelines do that shift so
        else:
            scheduler.set_timesteps(steps)
        timesteps = [t if t != int(t) else int(t) for t in scheduler.timesteps.tolist()]
        if self.kind == "alphas":
            alphas = scheduler.alphas_cumprod.double()
            if min(timesteps) < 0 or max(timesteps) >= len(alphas):
                raise ValueError(f"it was trained on {len(alphas)} levels, step 1 would be at {max(timesteps)}")
            final = float(scheduler.final_alpha_cumprod)
            kept = [float(alphas[int(t)]) for t in timesteps]
            kept.append(1.0 if final == kept[-1] else final)  # linspace ends at t = 0, where some put the end as well
            return timesteps, [(alpha**0.5, (1 - alpha) ** 0.5) for alpha in kept]
        sigmas = scheduler.sigmas.double().tolist()
        if math.isclose(sigmas[-1], sigmas[-2], rel_tol=1e-3):  # some repeat the last level, where others end clean
            sigmas[-1] = 0.0
        return timesteps, [self._of_sigma(sigma) for sigma in sigmas]

    def _of_sigma(self, sigma: float) -> tuple[float, float]:
        """Signal and noise; EDM's of latents divided by sigma_data (see `latent_scale`)."""
        if self.kind == "flow":
            return 1 - sigma, sigma
        data = float(self.config.get("sigma_data") or 0.5) if self.kind == "edm" else 1.0
        length = (sigma**2 + data**2) ** 0.5
        return data / length, sigma / length

    def _shifting(self, tokens: int | None) -> dict[str, Any]:
        """Dynamic shifting of flow matching as a fixed shift: exp(mu), with mu linear in the number of tokens."""
        if not self.config.get("use_dynamic_shifting"):
            return {}
        value = {
            name: float(self.config.get(name) or default)
            for name, default in (
                ("base_image_seq_len", 256),
                ("max_image_seq_len", 4096),
                ("base_shift", 0.5),
                ("max_shift", 1.15),
            )
        }
        least, most = value["base_image_seq_len"], value["max_image_seq_len"]
        share = ((tokens if tokens is not None else most) - least) / (most - least)
        mu = value["base_shift"] + share * (value["max_shift"] - value["base_shift"])
        shift = mu if self.config.get("time_shift_type") == "linear" else math.exp(mu)
        return {"shift": shift, "flow_shift": shift}

    def _undivided(self, steps: int, why: str) -> UsageError:
        trained = int(self.config.get("num_train_timesteps") or 1000)
        most = int(self.config.get("original_inference_steps") or trained - 1)
        return UsageError(
            f"the model's noise schedule cannot be divided into {steps} steps",
            why=why,
            hint=f"--steps at most {most}" if steps > most else "another number of --steps, such as 25",
        )
