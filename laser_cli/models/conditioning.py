"""All that a backbone is told beside the latents and their noise level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """Conditioning of n rows. Rows are selected, joined, repeated and blended field by field.

    ``prompt_embeds`` [n, l, d]; ``mask`` [n, l], True where a token is read; ``pooled`` [n, p], the pooled prompt
    embedding; ``image_embeds`` [n, m, d], the tokens of an image prompt; ``spatial``: maps [n, c, h, w] by name, such
    as the residuals of a control net. ``other`` [n, l, d]: a second prompt, of whose attention ``share`` [n] is taken.
    """

    prompt_embeds: Tensor
    mask: Tensor | None = None
    pooled: Tensor | None = None
    image_embeds: Tensor | None = None
    spatial: Mapping[str, Tensor] = field(default_factory=dict)
    other: Tensor | None = None
    share: Tensor | None = None

    def __len__(self) -> int:
        return len(self.prompt_embeds)

    def select(self, rows: slice | Sequence[int]) -> Conditioning:
        """Some of the rows."""
        return self._map(lambda x: x[rows])

    def expand(self, n: int) -> Conditioning:
        """A single row n times, as views."""
        return self._map(lambda x: x.expand(n, *x.shape[1:]))

    def beside(self, other: Conditioning) -> Conditioning:
        """A single row as often as ``other`` has rows, under the same ``spatial`` if it has none of its own."""
        rows = self.expand(len(other))
        if other.other is not None and rows.other is None:
            rows = rows.reading(rows, torch.zeros_like(other.share))  # type: ignore[arg-type]
        return rows if rows.spatial else replace(rows, spatial=other.spatial)

    def to(self, device: torch.device) -> Conditioning:
        """The same on a device."""
        return self._map(lambda x: x.to(device))

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """The rows of all parts in order; ValueError where a field is set in some of them only."""
        return _join(parts, lambda *tensors: torch.cat(tensors))

    def lerp(self, other: Conditioning, t: Tensor, blend: Callable[..., Tensor] = torch.lerp) -> Conditioning:
        """Interpolation at t [n] between two single rows (or n and n); a token is read if either reads it.

        ``blend(a, b, t)``, with t [n, 1, 1], interpolates the tokens of text and image; all other fields go straight.
        """
        mask = None
        if self.mask is not None and other.mask is not None:
            mask = (self.mask.bool() | other.mask.bool()).expand(len(t), -1)
        bare = (replace(self, mask=None), replace(other, mask=None))
        mixed = _join(bare, lambda a, b: torch.lerp(a, b, _beside(t, a)))
        at = _beside(t, self.prompt_embeds)
        embeds, image = blend(self.prompt_embeds, other.prompt_embeds, at), mixed.image_embeds
        if self.image_embeds is not None and other.image_embeds is not None:
            image = blend(self.image_embeds, other.image_embeds, at)
        return replace(mixed, prompt_embeds=embeds, image_embeds=image, mask=mask)

    def reading(self, other: Conditioning, t: Tensor) -> Conditioning:
        """Both single rows (or n and n) at t [n]: prompts are read side by side, all else is interpolated.

        Between prompts of another order or number of words a blend of embeddings, token by token, means neither; their
        attentions have no order (AID-O of the cross-attention, arXiv 2403.17924). Prompts with masks are interpolated.
        """
        mixed = self.lerp(other, t)
        if mixed.mask is not None:
            return mixed
        first, second = (one.prompt_embeds.expand(len(t), -1, -1) for one in (self, other))
        return replace(mixed, prompt_embeds=first, other=second, share=t)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Conditioning:
        return _join((self,), change)


def _beside(t: Tensor, x: Tensor) -> Tensor:
    """t [n] with as many axes as x."""
    return t.to(x).view(-1, *[1] * (x.dim() - 1))


def _join(parts: Sequence[Conditioning], join: Callable[..., Tensor]) -> Conditioning:
    told: dict[str, Tensor | None] = {}
    for name in (f.name for f in fields(Conditioning) if f.name != "spatial"):
        values = [getattr(part, name) for part in parts]
        told[name] = None if all(value is None for value in values) else join(*_all_set(name, values))
    names = dict.fromkeys(name for part in parts for name in part.spatial)
    spatial = {name: join(*_all_set(name, [part.spatial.get(name) for part in parts])) for name in names}
    return Conditioning(spatial=spatial, **told)  # type: ignore[arg-type]


def _all_set(name: str, values: Sequence[Tensor | None]) -> Sequence[Tensor]:
    told = [value for value in values if value is not None]
    if len(told) != len(values):
        raise ValueError(f"{name} is set in {len(told)} of {len(values)} conditionings")
    return told
