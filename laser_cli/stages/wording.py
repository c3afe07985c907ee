"""How the prompts of a plan relate to its source's, word by word, for controls that read that (controls.words)."""

from __future__ import annotations

import re

from laser_cli.controls.base import Words
from laser_cli.controls.registry import find_controls, signal
from laser_cli.controls.words import align, cross_attentions, side_by_side
from laser_cli.models.model import Model
from laser_cli.models.prompts import parse_weights, tokenize
from laser_cli.plan.difference import only_the_subject_changes
from laser_cli.plan.schema import Plan, Segment


def reads_words(control: str) -> bool:
    """Whether a plan's signal stands for controls that read how prompts relate."""
    return any(found.reads_words for found in find_controls(signal(control)))


def words_between(model: Model, source: str, target: str) -> Words:
    """The words of a prompt beside the source's; with weights in prompts, those are the weights of their maps."""
    tokens = tokenize([source, target], model.tokenizer, model.prompts)
    end, chunks = model.tokenizer.eos_token_id, []
    for ids, weights in zip(tokens.ids.unbind(1), tokens.weights.unbind(1), strict=True):
        one, other = (row[1 : row.index(end, 1)] for row in ids.tolist())
        chunks.append(align(one, other, ids.shape[1], weights[1, 1 : 1 + len(other)].tolist()))
    return side_by_side(chunks).to(model.device)


def local_blend(model: Model, source: str, segment: Segment) -> bool:
    """Whether a segment's end is to differ from the source only where its changed words look, without being asked to.

    Nothing is kept by ``hold``, nor where the model's attentions to its words are not known.
    """
    known = segment.control != "hold" and cross_attentions(model.backbone.attentions)
    return bool(known) and only_the_subject_changes(source, segment.prompt)


def encoded_prompts(model: Model, plan: Plan) -> list[str]:
    """The segments' prompts as they are encoded: without weights where those go to the maps of words instead."""
    return [
        unweighted(segment.prompt) if model.prompts.weighted and reads_words(segment.control) else segment.prompt
        for segment in plan.segments
    ]


def unweighted(prompt: str) -> str:
    """A prompt with weights, without them: what is left reads as plain letters."""
    return "".join(re.sub(r"([()\[\]\\])", r"\\\1", fragment.text) for fragment in parse_weights(prompt))
