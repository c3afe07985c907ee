"""Words about a face, for pictures that show none: «she smiles», said of a house."""

from __future__ import annotations

import re

from laser_cli.plan.rules.clauses import Clause
from laser_cli.plan.rules.verbs import base_of_ing
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.phrases import noun_phrases, noun_value, singular

SOMEBODY, FACE_VERBS, FACE_PARTS, FACELESS = map(lex.word_set, ("somebody", "face_verbs", "face_parts", "faceless"))


def is_faceless(prompt: str) -> bool:
    """Whether a prompt names things only, and all of them without a face."""
    heads = [phrase.head for phrase in noun_phrases(prompt)]
    known = FACELESS | lex.SETTINGS.keys() | lex.TIME_NOUNS.keys() | lex.SCENERY | lex.AIR_NOUNS | lex.UNCOUNTED
    return bool(heads) and all(head in known or singular(head) in known or noun_value(head) in known for head in heads)


def needs_face(clause: Clause) -> bool:
    """Whether a clause speaks of somebody, or of what only a face does, without naming whose it is."""
    who = re.findall(r"[a-z]+", clause.who.lower())
    if who and (who[0] in SOMEBODY or (len(who) <= 2 and who[-1] in SOMEBODY | FACE_PARTS)):
        return True
    doing = re.match(r"([a-z]+ing)\b", clause.what)
    acts = clause.how == "pose" and doing is not None and base_of_ing(doing[1]) in FACE_VERBS
    return acts and (not who or who == ["it"])
