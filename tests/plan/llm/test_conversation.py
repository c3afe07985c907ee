"""The conversation with whoever answers: mending, asking again, giving up; and what the rules then say."""

import json

import pytest

from laser_cli.errors import BadInputError
from laser_cli.plan.length import CLIP_TOKENS, clip_tokens, cut
from laser_cli.plan.llm.backends import Opened
from laser_cli.plan.llm.conversation import NoAnswer, converse
from laser_cli.plan.llm.draft import Unreadable
from laser_cli.plan.llm.faces import face_track
from laser_cli.plan.llm.full import LONGEST, FullForm
from laser_cli.plan.llm.goals import goals_of, says, stem
from laser_cli.plan.llm.moment import Moment
from laser_cli.plan.llm.planner import by_rules_instead, plan_of_draft, record
from laser_cli.plan.request import PlanCallbacks, PlanRequest

FULL = FullForm()
OPENED = Opened(None, "m.gguf", "llama-cpp-python 0", lambda: "0" * 64)
SOURCE = "a red house in a meadow"


def form(*prompts, source=SOURCE, **more):
    keyframe = {"control": "texture", "strength": 80, "share": 1, "easing": "ease", **more}
    return json.dumps(
        {"reasoning": "r", "source": source, "segments": [{"prompt": p, **keyframe} for p in prompts]},
        ensure_ascii=False,
    )


def mended(description, *prompts, source=SOURCE, **more):
    made = FULL.read(form(*prompts, **more), PlanRequest(description, source))
    return [k.prompt for k in made.keyframes], made


class Fake:
    """Answers with what it is given, three letters at a time; keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def answer(self, messages, request, seed, deadline):
        self.asked.append((messages, seed))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield from (answer[i : i + 3] for i in range(0, len(answer), 3))


def test_a_good_answer_is_taken_at_once_and_its_coming_is_told():
    notes, explained, speeds = [], [], []
    fake = Fake(form(SOURCE + " at sunset", SOURCE + " at night"))
    callbacks = PlanCallbacks(notes.append, explained.append, lambda n, s: speeds.append(n))
    outcome = converse(fake, PlanRequest("night falls", SOURCE, keyframes=2, seed=7), callbacks, FULL)
    assert (outcome.attempts, outcome.draft.repairs) == (1, ())
    assert notes == ["the planner reads the request …", "keyframe 1 of 2 …", "keyframe 2 of 2 …"]
    assert fake.asked[0][1] == 7 and len(speeds) == 1 and speeds[0] > 50
    assert explained[0].startswith("[system]\n") and explained[-1].startswith("[assistant]\n{")


def test_it_is_asked_again_with_what_was_wrong_and_the_next_seed():
    right = form(SOURCE + " at night")
    fake = Fake("no JSON", form(SOURCE), right)
    outcome = converse(fake, PlanRequest("night falls", SOURCE), PlanCallbacks(), FULL)
    assert outcome.draft.keyframes and outcome.attempts == 3
    assert [seed for _, seed in fake.asked] == [0, 1, 2]
    first, second, third = (messages for messages, _ in fake.asked)
    assert len(first) == len(second) and "not valid JSON" in second[-1]["content"]
    assert [m["role"] for m in third[-3:]] == ["user", "assistant", "user"]
    assert third[-2]["content"] == form(SOURCE) and "nothing changes" in third[-1]["content"]


@pytest.mark.parametrize(
    ("answers", "attempts", "why"),
    [
        (["x", "y", "z"], 3, "not valid JSON"),
        (["x", "x", "x"], 2, "the same answer twice"),
        ([NoAnswer("cut short"), NoAnswer("cut short"), NoAnswer("cut short")], 3, "cut short"),
        ([NoAnswer("no answer within 5 s", again=False)], 1, "no answer within 5 s"),
    ],
)
def test_when_it_gives_up(answers, attempts, why):
    request = PlanRequest("night falls", SOURCE)
    outcome = converse(Fake(*answers), request, PlanCallbacks(), FULL)
    assert outcome.draft is None and outcome.attempts == attempts and why in outcome.why
    plan, notes = by_rules_instead("m.gguf", request, outcome)
    assert (plan.planner.name, plan.segments[0].prompt) == ("rules", SOURCE + " at night")
    assert why in plan.planner.instead_of and "the rules planned instead" in notes[0]


def test_where_the_rules_cannot_stand_in_both_reasons_are_told():
    outcome = converse(Fake("x", "x"), PlanRequest("night falls"), PlanCallbacks(), FULL)
    with pytest.raises(BadInputError) as caught:
        by_rules_instead("m.gguf", PlanRequest("night falls"), outcome)
    assert "m.gguf gave no plan" in caught.value.why and "--source-prompt" in caught.value.hint


def test_a_plan_is_made_of_the_form():
    request = PlanRequest("night falls over a house", None, frames=21, easing="linear", temperature=0.5)
    answer = form("a house at sunset", "a house at night", source="a house", share=3, control="hold", strength=60)
    outcome = converse(Fake(answer), request, PlanCallbacks(), FULL)
    plan, notes = plan_of_draft(outcome.draft, request, record(OPENED, FULL, request, outcome))
    assert [(s.frames, s.strength, s.easing) for s in plan.segments] == [(11, 0.0, "linear")] * 2
    assert notes == ("taken for what the picture shows: a house",)
    assert (plan.planner.temperature, plan.planner.attempts) == (0.5, 1)


def test_repeats_are_left_out_where_enough_is_left_and_their_time_is_kept():
    prompts, made = mended(
        "night falls", SOURCE, SOURCE + " at sunset", SOURCE + " at Sunset.", "…", SOURCE + " at night"
    )
    assert prompts == [SOURCE + " at sunset", SOURCE + " at night"] and not made.problems
    assert [k.share for k in made.keyframes] == [2, 2] and "2 keyframes left out" in made.repairs[0]
    # a stage that is missing is asked for again, and not dropped
    made = mended("the house turns blue, then night falls", SOURCE, SOURCE + " at night")[1]
    assert any("keyframe 1 shows nothing new" in problem for problem in made.problems)


def test_a_hold_may_repeat_but_not_be_all():
    assert mended("it waits, then night falls", SOURCE, control="hold")[1].problems
    value = json.loads(form(SOURCE, SOURCE + " at night"))
    value["segments"][0]["control"] = "hold"
    assert len(FULL.read(json.dumps(value), PlanRequest("night falls", SOURCE)).keyframes) == 2


def test_order_is_mended_where_that_is_safe():
    night, both = SOURCE + " at night", SOURCE + " at night in falling snow"
    assert mended("night falls, then it snows", both, night)[0] == [night, both]
    wrong = mended("night falls, then it snows", SOURCE + " in falling snow", SOURCE + " at night")[1]
    assert any("the last prompt does not show" in problem for problem in wrong.problems)
    assert not mended("night falls, then it snows", night, both)[1].problems
    # a keyframe that repeats the picture is looked at after the order
    assert mended("night falls, then it snows", both, SOURCE, night)[0] == [night, both]


def test_what_is_missing_is_a_problem_and_never_glued_on():
    blue = mended("the house turns blue, then night falls", "a blue home in a meadow", "the meadow, dark")[1]
    assert [k.prompt for k in blue.keyframes] == ["a blue home in a meadow", "the meadow, dark"]
    assert any("keyframe 2 does not name the house" in problem for problem in blue.problems)
    assert any("'night'" in problem for problem in blue.problems)
    short = mended("the house turns blue, then night falls", "a house at night in a meadow")[1].problems
    assert any("2 steps" in problem for problem in short) and any("'blue'" in problem for problem in short)
    assert not mended("the house turns into a tree", "a tree in a meadow")[1].problems


@pytest.mark.parametrize(
    ("description", "prompt", "source", "problem"),
    [
        ("he takes off his helmet and smiles", "a knight with a helmet smiling", "a knight with a helmet", "still has"),
        ("he takes off his helmet and smiles", "a smiling knight", "a knight with a helmet", None),
        ("he sits down", "a man sitting on a bench", "a man on a street", None),
        ("the banana rots", "a rotting banana on a plate", "a banana on a plate", None),
        ("the sun rises", "a hill at sunset", "a hill", "does not show"),
        ("boxes fill the room", "boxes fill the room", "an empty room", "repeats the request"),
        ("la nuit tombe", "une maison dans la nuit", "a house", "not in English"),
    ],
)
def test_words_and_their_forms_are_looked_for(description, prompt, source, problem):
    made = FULL.read(form(prompt, source=source), PlanRequest(description, source))
    assert any(problem in found for found in made.problems) if problem else not made.problems


def test_lost_places_are_given_back():
    prompts, made = mended("the house turns blue", "a blue house")
    assert prompts == ["a blue house in a meadow"] and "had lost 'in a meadow'" in made.repairs[0]
    assert mended("the meadow turns into a desert", "a red house in the desert")[0] == ["a red house in the desert"]


def test_prompts_that_are_too_long():
    long = SOURCE + " at night, " + "0123456789, " * 12
    prompts, made = mended("night falls", long)
    assert clip_tokens(prompts[0]) <= CLIP_TOKENS and prompts[0].startswith(SOURCE + " at night")
    assert "longer than 77 tokens: cut before '0" in made.repairs[-1]
    assert cut("a cat") == ("a cat", "") and clip_tokens("a cat, 24 dogs") == 6
    assert clip_tokens(cut("😀" * 90)[0]) <= CLIP_TOKENS


def test_what_a_grammar_lets_through():
    text = form("a\thouse\x07 at\nnight ").replace("\\t", "\t").replace("\\u0007", "\x07").replace("\\n", "\n")
    assert FULL.draft(text).keyframes[0].prompt == "a house at night"
    for wrong in ("", "[]", "[" * 9999, form("x" * 201), form("a house", strength=55), '{"reasoning": "\\ud800"}'):
        with pytest.raises(Unreadable):
            FULL.draft(wrong)


def test_the_schema_has_nothing_that_a_grammar_would_pass_over():
    text = json.dumps(FULL.schema(PlanRequest("x", None)))
    assert "imum" not in text and "default" not in text
    made = FULL.schema(PlanRequest("x", SOURCE, keyframes=4))
    assert list(made["properties"]) == made["required"] == ["reasoning", "source", "segments"]
    assert made["properties"]["source"] == {"const": SOURCE}
    assert (made["properties"]["segments"]["minItems"], made["properties"]["segments"]["maxItems"]) == (4, 4)
    assert FULL.schema(PlanRequest("x", SOURCE, frames=3))["properties"]["segments"]["maxItems"] == 2
    assert FULL.schema(PlanRequest("x", 'a "cat"'))["properties"]["source"]["maxLength"] == LONGEST
    assert FULL.longest(PlanRequest("x", keyframes=1)) < FULL.longest(PlanRequest("x")) < 2000


def test_worked_examples_pass_their_own_checks():
    portrait = PlanRequest("she smiles", WOMAN)
    assert 2 <= len(FULL.examples(portrait)) <= 4
    for request, answer in FULL.examples(portrait):
        made = FULL.read(answer, request)
        assert (made.repairs, made.problems) == ((), ())


def test_braces_and_dollars_mean_nothing():
    request = PlanRequest("{messages} $source ${x} %s {0}", "a $cat {{ bos_token }}")
    question = FULL.messages(request)[-1]["content"]
    assert request.description in question and request.source in question


def test_stems():
    for a, b in (("snow", "snowy"), ("jumping", "jumps"), ("rots", "rotting"), ("smiles", "smiling"), ("fog", "foggy")):
        assert stem(a) == stem(b), (a, b)
    for a, b in (("sun", "sunset"), ("cat", "castle"), ("red", "reed"), ("rain", "rainbow"), ("car", "carriage")):
        assert stem(a) != stem(b), (a, b)
    assert says("a house at night in falling snow", "snows") and not says("a house", "snow")
    goals = goals_of("night falls, then it snows", SOURCE)
    assert [goal.attributes for goal in goals.stages] == [{"time": "night"}, {"snowfall": "steady"}]
    assert goals.subject == "house" and goals.stages[1].shown_by("a house in a blizzard, snowy")
    assert not goals.stages[0].shown_by("a house at noon") and goals_of("quux the frob", SOURCE).subject == ""


WOMAN = "a portrait of a woman"


def moment(at, *shapes, yaw=0, pitch=0, roll=0):
    expression = [{"name": name, "value": value} for name, value in shapes]
    return {"at": at, "expression": expression, "yaw": yaw, "pitch": pitch, "roll": roll}


def track(*moments):
    return face_track([Moment.model_validate(m) for m in moments])


def test_faces_are_asked_about_only_where_there_may_be_one():
    portrait, house = PlanRequest("she smiles", WOMAN), PlanRequest("night falls", SOURCE)
    for request, face in ((portrait, True), (house, False), (PlanRequest("the queen smiles"), True)):
        made, told = FULL.schema(request), FULL.messages(request)
        assert request.face == face and made["required"] == list(made["properties"])
        assert ("face" in made["properties"]) == face
        assert all(('"face"' in m["content"]) == face for m in told if m["role"] != "user")
    text = json.dumps(FULL.schema(portrait))
    assert "imum" not in text and "default" not in text and '"minItems": 1' in text
    assert FULL.longest(portrait) > FULL.longest(PlanRequest("x", SOURCE))
    assert not FullForm(faces=False).asks_for_face(portrait)


def test_a_face_track_goes_into_the_plan():
    request = PlanRequest("she smiles", WOMAN)
    smile = moment(100, ("mouthSmileLeft", 80), ("mouthSmileRight", 80), yaw=10)
    answer = {**json.loads(form("a portrait of a smiling woman", source=WOMAN)), "face": [moment(0), smile]}
    outcome = converse(Fake(json.dumps(answer)), request, PlanCallbacks(), FULL)
    plan, notes = plan_of_draft(outcome.draft, request, record(OPENED, FULL, request, outcome))
    assert [(p.at, p.yaw) for p in plan.face] == [(0, 0), (100, 10)] and notes == ()
    assert plan.face[1].expression == {"mouthSmileLeft": 80, "mouthSmileRight": 80}
    answer["face"] = [moment(0), moment(100)]
    assert not converse(Fake(json.dumps(answer)), request, PlanCallbacks(), FULL).draft.face  # nothing ever moves
    answer["face"] = [moment(0, ("noseWiggle", 10))]
    with pytest.raises(Unreadable, match="face"):
        FULL.draft(json.dumps(answer))


def test_a_face_track_is_put_in_order_and_range():
    face, notes = track(moment(100, yaw=40), moment(0), moment(50, ("jawOpen", 30)), moment(50, ("jawOpen", 60)))
    assert [p.at for p in face] == [0, 50, 100] and face[1].expression == {"jawOpen": 60}
    assert notes == ("the face track is put in the order of time",)
    face, notes = track(moment(-5, ("jawOpen", 250), yaw=-100), moment(200, ("jawOpen", -3)))
    assert [(p.at, p.expression, p.yaw) for p in face] == [(0, {"jawOpen": 100}, -90), (100, {}, 0)]
    assert notes == ("values of the face track were out of range: they go to its ends",)
