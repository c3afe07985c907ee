"""The embedded planner in miniature: it learns, goes on, and llama.cpp reads its file as it was trained."""

import json
import random

import pytest
import torch
from tokenizers import Tokenizer

from laser_cli.errors import BadInputError, NotFoundError
from laser_cli.measure import planners
from laser_cli.measure.plans import by_rules
from laser_cli.plan.llm.backends import Opened
from laser_cli.plan.llm.conversation import Outcome
from laser_cli.plan.llm.find import digest
from laser_cli.plan.llm.full import Answer, Keyframe
from laser_cli.plan.llm.gguf import read_header
from laser_cli.plan.request import PlanCallbacks, PlanRequest
from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.schema import Plan, Segment
from laser_cli.storybook import planner as embedded
from laser_cli.storybook.planner_tasks import Task, Telling, answer_text, filled, sample_task, task_of
from laser_cli.storybook.train import planner
from laser_cli.storybook.train.install import install
from laser_cli.storybook.train.planner_file import write_planner
from laser_cli.storybook.train.planner_tokens import END, prompt_of

TINY = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
BALL = "a red ball in a meadow at noon"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training of a tiny model that stopped and went on: its folder and its file."""
    folder = tmp_path_factory.mktemp("train")
    for steps in (25, 60):
        path = planner.train(folder, steps=steps, batch=8, vocabulary=700, read=1500, held=1, **TINY)
    return folder, path


@pytest.fixture(scope="module")
def llama(trained):
    import llama_cpp

    made = llama_cpp.Llama(str(trained[1]), n_ctx=512, logits_all=True, verbose=False, seed=1)
    yield made
    made.close()


@pytest.fixture
def answers(monkeypatch, trained):
    """The embedded planner, with an answer in place of its own; gives the questions that it was asked."""
    asked_for = []

    def answer(*prompts, source=BALL, later=None):
        def ask(path, request, callbacks, form):
            said = later if later and asked_for else prompts
            keyframes = tuple(
                Keyframe(prompt=p, control="texture", strength=80, share=1, easing="linear") for p in said
            )
            asked_for.append(request)
            made = form.read(Answer(reasoning="", source=source, segments=keyframes).model_dump_json(), request)
            outcome = Outcome(None if made.problems else made, 1, "; ".join(made.problems))
            return outcome, Opened(None, "planner.gguf", "llama-cpp-python 0", lambda: "0" * 64)

        monkeypatch.setattr(embedded, "ask_model", ask)
        return asked_for

    monkeypatch.setattr(embedded, "EMBEDDED", trained[1])
    return answer


def test_training_learns_and_goes_on_where_it_stopped(trained):
    folder, path = trained
    lines = [json.loads(line) for line in (folder / "planner.log").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.8 * losses[0] and [line["step"] for line in lines if "exact" in line] == [25, 60]
    header = read_header(path)
    assert header.context == 4096 and header.size < 2**20
    assert install(folder, folder / "weights") == ["planner"]
    assert (folder / "weights" / "planner" / "planner.gguf").read_bytes() == path.read_bytes()


def test_only_the_answer_is_learned(trained):
    tokenizer = Tokenizer.from_file(str(trained[0] / "planner" / "tokenizer.json"))
    tokens, target = next(planner.batches(tokenizer, 0, 4, at_once=1))
    rng = random.Random("tasks 0")
    drawn = sorted((sample_task(rng) for _ in range(4)), key=lambda t: len(planner.encode(tokenizer, t)[0]))
    for row, task in enumerate(drawn):
        request = target[row][target[row] != planner.IGNORED].tolist()
        assert tokenizer.decode(request, skip_special_tokens=False) == answer_text(task.answer) + END
        told = tokenizer.encode(prompt_of(task)).ids
        assert tokens[row, : len(told)].tolist() == told


def test_llama_cpp_tokenizes_as_the_training_did(trained, llama):
    tokenizer = Tokenizer.from_file(str(trained[0] / "planner" / "tokenizer.json"))
    rng = random.Random(11)
    texts = ["", " two  spaces\n\nand\tmore ", "naïve café, 雪の夜 🎉", "it's 24 'frames'; isn't it?!", "x" * 300]
    for _ in range(100):
        task = sample_task(rng)
        texts += [prompt_of(task), answer_text(task.answer) + END]
    for text in texts:
        found = llama.tokenize(text.encode(), add_bos=False, special=True)
        assert found == tokenizer.encode(text).ids, text
    assert len(texts) > 200


@torch.no_grad()
def test_llama_cpp_says_what_the_trained_model_says(trained, llama):
    tokenizer = Tokenizer.from_file(str(trained[0] / "planner" / "tokenizer.json"))
    model = planner.new_model(tokenizer, **TINY).eval()
    model.load_state_dict(torch.load(trained[0] / "planner.pt", weights_only=False)["model_average"])
    rng, compared = random.Random(3), 0
    for _ in range(5):
        ids = planner.encode(tokenizer, sample_task(rng))[0][:256]
        logits = model(torch.tensor([ids])).logits[0]
        llama.reset()
        llama.eval(ids)
        theirs = torch.tensor(llama.scores[: len(ids)])
        assert (logits - theirs).abs().mean() < 0.05 * logits.std()
        best = logits.topk(2).values
        sure = best[:, 0] - best[:, 1] > 0.2
        assert torch.equal(logits.argmax(-1)[sure], theirs.argmax(-1)[sure])
        compared += int(sure.sum())
    assert compared > 100


def test_what_it_knows_by_heart_comes_through_the_grammar(trained, tmp_path):
    tokenizer = Tokenizer.from_file(str(trained[0] / "planner" / "tokenizer.json"))
    torch.manual_seed(0)
    model = planner.new_model(tokenizer, **TINY)
    prompts = ("a blue ball in a meadow at noon", "a blue ball in a meadow at night")
    answer = filled(BALL, [(prompt, "texture") for prompt in prompts])
    task = Task("the ball turns blue, then night falls", BALL, answer)
    ids, told = planner.encode(tokenizer, task)
    target = torch.tensor([[planner.IGNORED] * (told - 1) + ids[told:]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(100):
        error = planner.loss(model, torch.tensor([ids[:-1]]), target)
        error.backward()
        optimizer.step()
        optimizer.zero_grad()
    path = write_planner(model, tokenizer, tmp_path / "planner.gguf")
    pieces = []
    callbacks = PlanCallbacks(speed=lambda count, seconds: pieces.append(count))
    plan, notes = embedded.StorybookPlanner(path).plan(PlanRequest(task.description, BALL, temperature=0), callbacks)
    assert (plan.prompts, notes) == ((BALL, *prompts), ())
    assert [s.control for s in plan.segments] == ["texture"] * 2 and plan.planner.sha256 == digest(path)
    assert pieces[0] <= len(ids) - told


def test_its_form_is_the_request_alone(trained):
    request = PlanRequest("night falls", BALL)
    form = embedded.StorybookForm(request, embedded.world_of(trained[1]))
    asked = form.messages(request)
    assert asked == [{"role": "user", "content": f"{BALL}\nnight falls"}]
    assert form.again(asked, "x", ["wrong"]) == asked


def test_in_its_world(answers):
    request = answers("a red ball in a meadow at night", "a red ball in a meadow at night in the rain")
    goals_of = PlanRequest("nigth falls, then it starts to rain", BALL, keyframes=4)
    plan, notes = embedded.StorybookPlanner().plan(goals_of, PlanCallbacks())
    assert (plan.planner.name, plan.planner.prompts, plan.planner.attempts) == ("storybook", "storybook1", 1)
    assert plan.segments[-1].prompt.endswith("in the rain") and request[0].keyframes is None
    assert notes == ("the embedded planner makes a keyframe of every stage: 2, not 4",)
    embedded.StorybookPlanner().plan(PlanRequest(f"{BALL} turns blue"), PlanCallbacks())
    assert request[1].source is None
    with pytest.raises(BadInputError, match="does not say what the picture shows"):
        embedded.StorybookPlanner().plan(PlanRequest("night falls"), PlanCallbacks())


def test_an_answer_that_repeats_itself_gives_way_to_one_that_loses_no_stage(answers):
    night, rain = "a red ball in a meadow at night", "a red ball in a meadow at night in the rain"
    snow = f"{rain}, covered in snow"
    request = PlanRequest("night falls, then it starts to rain, then snow covers the ground", BALL, seed=5)
    asked = answers(night, night, snow, later=(night, rain, snow))
    plan, notes = embedded.StorybookPlanner().plan(request, PlanCallbacks())
    assert [segment.prompt for segment in plan.segments] == [night, rain, snow] and not notes
    assert [each.seed for each in asked] == [5, 6] and plan.planner.seed == 5
    asked.clear()
    asked = answers(night, night, snow)
    plan, notes = embedded.StorybookPlanner().plan(request, PlanCallbacks())
    assert [segment.prompt for segment in plan.segments] == [night, snow] and len(asked) == 3
    assert "nothing new" in notes[0]


@pytest.mark.parametrize(
    ("source", "claimed"),
    [
        ("a portrait of a person with pale skin", True),
        ("a face with light skin and a grey bun, smiling", True),
        ("a red house in a meadow", False),
        ("a face with seventeen moustaches", False),
        (None, False),
    ],
)
def test_it_claims_the_faces_of_its_world(source, claimed):
    assert embedded.StorybookPlanner().claims(PlanRequest("she winks", source)) is claimed


@pytest.mark.parametrize(
    ("description", "source"),
    [
        ("entropy prevails over everything", BALL),
        ("the dragon turns red", BALL),
        ("the horse turns red", "a brown horse in a meadow"),
        ("night falls", "my grandmother in the kitchen"),
        ("la nuit tombe", BALL),
        ("夜になる", BALL),
        ("a sitting wolf becomes a jumping dog", None),
    ],
)
def test_outside_its_world_the_rules_plan(answers, description, source):
    asked = answers("a red ball in a meadow at night")
    request = PlanRequest(description, source)
    plan, notes = embedded.StorybookPlanner().plan(request, PlanCallbacks())
    assert not asked and plan.segments == plan_by_rules(description, source).plan.segments
    assert "outside the storybook world" in notes[0]
    assert plan.planner.name == "rules" and plan.planner.instead_of.startswith("storybook")


def test_what_it_marks_as_outside_and_garbage_are_left_to_the_rules(answers):
    answers("the baall turns round and round")
    plan, notes = embedded.StorybookPlanner().plan(PlanRequest("the ball turns round and round", BALL), PlanCallbacks())
    assert plan.planner.name == "rules" and "outside" in notes[0]
    answers("a red baxll in a meadow at night")
    plan, notes = embedded.StorybookPlanner().plan(PlanRequest("night falls", BALL), PlanCallbacks())
    assert plan.planner.name == "rules" and "'baxll'" in plan.planner.instead_of
    answers("a blue ball", source="a green cube")
    plan, _ = embedded.StorybookPlanner().plan(PlanRequest(f"{BALL} turns blue"), PlanCallbacks())
    assert plan.planner.name == "rules" and "'a green cube'" in plan.planner.instead_of


def test_typing_errors_and_strange_words_do_not_lead_out_of_its_world(trained):
    world, rng = embedded.world_of(trained[1]), random.Random(2)
    drawn = [sample_task(rng) for _ in range(200)]
    held = [world.holds(task.description) and world.holds(task.answer.source) for task in drawn]
    inside = [is_held for is_held, task in zip(held, drawn, strict=True) if task.change]
    assert sum(inside) >= 0.97 * len(inside) and sum(held) == sum(inside)


def test_files_that_are_no_embedded_planner(tmp_path, monkeypatch):
    from tests.tiny_gguf import write_tiny

    with pytest.raises(NotFoundError, match="no embedded planner"):
        embedded.world_of(write_tiny(tmp_path / "tiny.gguf"))
    monkeypatch.setattr(embedded, "EMBEDDED", tmp_path / "none.gguf")
    with pytest.raises(NotFoundError, match="there is no planner 'storybook'"):
        embedded.StorybookPlanner().plan(PlanRequest("night falls", BALL), PlanCallbacks())


def test_the_bench_judges_both_planners():
    changes = planners.held_out(60, 5)
    right = {}
    for change in changes:
        answer = task_of(Telling(change)).answer
        segments = [Segment(prompt=k.prompt, control=k.control, frames=2) for k in answer.segments]
        right[change.description] = Plan(source=answer.source, segments=segments)
    perfect = planners.tally(lambda description, source: right[description], changes)
    assert all(perfect.share(name) == 100 for name in planners.TARGETS)
    rules = planners.tally(by_rules, changes)
    assert rules.share("scenes: final attributes right") > 80
    slipped = planners.slipped(changes, 5)
    assert [c.stages for c in slipped] == [c.stages for c in changes[::10]]
    assert all(a.description != b.description for a, b in zip(slipped, changes[::10], strict=True))
    assert all(c.description.startswith(c.source_prompt) for c in slipped if c.names_source)
    both = {"rules": by_rules, "storybook": by_rules}
    heard = []
    planners.bench_plans(both, 25, 1, lambda n, name: heard.append(n))
    assert sum(heard) == planners.count(both, 25)
    figures = {figure.name: figure for figure in planners.bench_plans(both, 5, 1)}
    assert figures["control right, storybook"].target == 90 and figures["control right, rules"].target is None
    assert figures["seconds a plan, rules"].of == 5 and "open domain: subject kept, storybook" in figures


def test_words_are_put_right_before_it_reads(trained):
    world = embedded.world_of(trained[1])
    assert world.corrected("teh baal zorby turns blue quickzly") == "the ball turns blue"
    assert world.corrected("the eyss close").startswith("the eyes")
    # a strange word is a look of what follows it, however that is spelt
    assert world.holds("the stawixnar bcakground turns pink") and not world.holds("the stawixnar turns pink")
    assert world.nearest("dragon") == "" and world.nearest("horse") == "" and world.nearest("ball") == "ball"
