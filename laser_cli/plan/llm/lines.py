"""The lines form: numbered prompts and nothing else, which small models fill in best.

Line 0 is the picture. Controls, strengths, shares and easings come from tables by what changes between two lines.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from laser_cli.plan.llm.controls import control_between
from laser_cli.plan.llm.draft import Draft, DraftKeyframe, Unreadable
from laser_cli.plan.llm.face_lines import FACE_RULES, LONGEST_FACE, face_question, read_face
from laser_cli.plan.llm.forms import AnswerForm, Message, worked_examples
from laser_cli.plan.llm.goals import content_words, stem
from laser_cli.plan.llm.repair import repair
from laser_cli.plan.request import PlanRequest
from laser_cli.plan.schema import STRENGTHS
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.phrases import main_phrase, noun_phrases

LONGEST = 220
"""Characters of a line."""
NEAR = 1
"""Worked examples that are chosen for a request, beside those that are always there."""


class LinesForm(AnswerForm):
    """Numbered lines; a source that is given is written for the model."""

    version = "lines2"

    def examples(self, request: PlanRequest) -> list[tuple[PlanRequest, str]]:
        """The worked examples that are always there, and the nearest of the others."""
        return [(_question(row), _answer(row)) for row in self._chosen(request)]

    def shared(self, messages: list[Message]) -> tuple[int, ...]:
        """The instructions and the worked examples that are always there, and these with the one that is chosen."""
        always = 1 + 2 * sum(bool(row.get("always")) for row in worked_examples(self.version))
        return always, always + 2 * NEAR

    def opening(self, request: PlanRequest) -> str:
        """Line 0 as far as it is given, and the number of what the model writes first."""
        return f"0. {request.source}\n1." if request.source else "0."

    def question(self, request: PlanRequest) -> str:
        """The request, and what to say of the face where one is meant."""
        return super().question(request) + (f"\n{face_question(self.version)}" if request.face else "")

    def grammar(self, request: PlanRequest) -> str:
        """The GBNF grammar of what follows the opening: as many lines as are asked for or allowed."""
        most, exact = request.most, request.keyframes
        first = 1 if request.source else 0
        face = " face" if request.face else ""
        rules = [f'root ::= " " text {"more" + str(first + 1) if first < most else ""}{face}']
        for number in range(first + 1, most + 1):
            following = f" more{number + 1}" if number < most else ""
            needed = exact is not None or number == 1
            line = f'"\\n{number}. " text{following}'
            rules.append(f"more{number} ::= {line if needed else f'({line})?'}")
        rules.append(f"text ::= [^\\n\\r]{{3,{LONGEST}}}")
        return "\n".join((*rules, FACE_RULES) if face else rules)

    def longest(self, request: PlanRequest) -> int:
        """The most tokens that an answer may have."""
        return 24 + 80 * (request.most + 1) + (LONGEST_FACE if request.face else 0)

    def keyframes_begun(self, answer: str) -> int:
        """How many lines after line 0 the answer has begun."""
        return len(re.findall(r"^[1-9]\d*\.", answer, re.MULTILINE))

    def read(self, answer: str, request: PlanRequest) -> Draft:
        """The draft in an answer, repaired and with its problems. Raises Unreadable if it has no numbered lines."""
        lines = [match[1] for line in answer.splitlines() if (match := re.match(r"\s*\d+[.):]\s*(.*\S)", line))]
        if len(lines) < 2:
            raise Unreadable("it needs line 0, and at least one line after it")
        source = request.source or lines[0]
        prompts = [" ".join(line.split()) for line in lines[1:]]
        keyframes = tuple(DraftKeyframe(prompt) for prompt in prompts)
        draft = repair(Draft(source, keyframes), request)
        if request.face:
            face, repairs = read_face(answer, request)
            draft = replace(draft, face=face, repairs=(*draft.repairs, *repairs))
        problems = (*draft.problems, *self._borrowed(draft, request))
        return Draft(draft.source, _controlled(draft), draft.face, draft.repairs, problems)

    def _chosen(self, request: PlanRequest) -> list[dict[str, Any]]:
        rows = worked_examples(self.version)
        said = _stems(f"{request.description} {request.source or ''}")
        others = [row for row in rows if not row.get("always") and ("face" in row) == request.face]
        others.sort(key=lambda row: -_nearness(row, said))
        return [row for row in rows if row.get("always")] + others[:NEAR][::-1]

    def _borrowed(self, draft: Draft, request: PlanRequest) -> list[str]:
        """Things of the worked examples that the request does not speak of."""
        said = _stems(f"{request.description} {request.source or ''}")
        common = lex.TIME_NOUNS.keys() | lex.SCENERY | lex.GENERIC | lex.FACES
        shown = [row["source"] or row["named"] for row in self._chosen(request)]
        theirs = {phrase.head for source in shown for phrase in noun_phrases(source)} - common
        strange = {stem(word): word for word in theirs if stem(word) not in said}
        found = [strange[s] for k in draft.keyframes for s in sorted(_stems(k.prompt)) if s in strange]
        return [f"the request does not speak of {word!r}" for word in dict.fromkeys(found)]


def _controlled(draft: Draft) -> tuple[DraftKeyframe, ...]:
    """The keyframes with the controls that their changes need."""
    made, before = [], draft.source
    for keyframe in draft.keyframes:
        control = control_between(before, keyframe.prompt)
        made.append(DraftKeyframe(keyframe.prompt, control, STRENGTHS[control], keyframe.share, keyframe.easing))
        before = keyframe.prompt
    return tuple(made)


def _question(row: dict[str, Any]) -> PlanRequest:
    return PlanRequest(row["description"], row["source"])


def _answer(row: dict[str, Any]) -> str:
    lines = [f"{number}. {line}" for number, line in enumerate([row["source"] or row["named"], *row["answer"]])]
    return "\n".join([*lines, *row.get("face", ())])


def _nearness(row: dict[str, Any], said: set[str]) -> float:
    """How much a worked example is like a request: shared words, and being of its language."""
    words = _stems(f"{row['description']} {row['source'] or ''}")
    return len(words & said) / max(len(words), 1) ** 0.5


def _stems(text: str) -> set[str]:
    words = {stem(word) for word in content_words(text)}
    main = main_phrase(text)
    return words | ({stem(main.head)} if main else set())
