"""`laser plan` and `laser animate` with a model as planner: the same llama.cpp, on a tiny model."""

import json

import pytest

from laser_cli.plan.files import parse_plan, read_plan
from tests.tiny_gguf import write_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", says=("a red ball at night",))


@pytest.fixture(autouse=True)
def no_planner(monkeypatch):
    monkeypatch.delenv("LASER_PLANNER", raising=False)


def test_plan_with_a_model(laser, tiny, tmp_path, monkeypatch):
    words = ("plan", "night falls", "-p", "a red ball", "--frames", "12")
    code, out, err = laser(*words, "--planner", tiny, "-v", "--explain", "--seed", "3", "--temperature", "0")
    plan = parse_plan(out)
    assert code == 0 and (plan.planner.name, plan.planner.seed, plan.total_frames) == ("tiny.gguf", 3, 12)
    assert "[system]\nYou plan short animations" in err and "[assistant]\n0. a red ball\n1." in err
    assert "keyframe 1 …" in err and " tokens in " in err
    monkeypatch.setenv("LASER_PLANNER", str(tiny))
    code, out, err = laser(*words, "--quiet", "-o", tmp_path / "p.yaml", "--keyframes", "1")
    assert (code, err) == (0, "") and read_plan(tmp_path / "p.yaml").planner.attempts == 1


def test_animate_plans_in_one_go(laser, tiny):
    words = ("animate", "night falls", "-p", "a red ball", "--dry-run", "--json", "--seed", "4", "--keyframes", "1")
    code, out, err = laser(*words, "--planner", tiny, "--planner-timeout", "60", "--planner-gpu-layers", "0")
    plan = json.loads(out)["plan"]
    assert code == 0 and plan["planner"]["name"] == "tiny.gguf" and plan["planner"]["seed"] == 4
    assert len(plan["segments"]) == 1 and "keyframe 1 of 1 …" in err


def test_the_picture_tells_what_it_shows(laser, tmp_path):
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text("parameters", "a red ball in a meadow\nSteps: 20")
    Image.new("RGB", (8, 8)).save(tmp_path / "ball.png", pnginfo=about)
    code, out, _ = laser("plan", "night falls", "--image", tmp_path / "ball.png")
    assert code == 0 and parse_plan(out).source == "a red ball in a meadow"
    assert laser("plan", "night falls", "--image", tmp_path / "none.png")[0] == 5


def test_the_rules_explain_themselves_and_say_what_they_do_not_hear(laser):
    code, out, err = laser(
        "plan", "the ball turns blue, then night falls", "-p", "a red ball", "--explain", "--retries", "1"
    )
    assert code == 0 and parse_plan(out).planner.name == "rules"
    assert "stage 2: night falls" in err and "the ball: become blue" in err
    assert "--retries: for models" in err
    assert (
        "2, not 3" in laser("plan", "the ball turns blue, then night falls", "-p", "a red ball", "--keyframes", "3")[2]
    )


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--planner", "none.gguf"], 3, "no such file"),
        (["--planner", "hf:nothing"], 3, "owner/name"),
        (["--planner", "none.gguf", "--keyframes", "7"], 2, "from 1 to 6"),
        (["--planner", "none.gguf", "--keyframes", "4", "--frames", "3"], 5, "too few"),
        (["--planner", "none.gguf", "--planner-gpu-layers", "many"], 2, "auto"),
        (["--planner", "none.gguf", "--timeout", "0"], 2, "timeout"),
    ],
)
def test_failures(laser, options, code, told):
    found, out, err = laser("plan", "night falls", "-p", "a red ball", *options)
    assert (found, out) == (code, "") and told in err


def test_models_of_the_hub(monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    from laser_cli.errors import NotFoundError
    from laser_cli.plan.llm import find

    names = [
        "README.md",
        "mmproj-f16.gguf",
        "m-Q8_0.gguf",
        "m-Q4_K_M-00001-of-00002.gguf",
        "m-Q4_K_M-00002-of-00002.gguf",
    ]
    assert find.best(names) == names[3] and find.best(names[:2]) is None
    asked, notes = [], []
    monkeypatch.setattr(find, "cached", dict)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda self, repository: names)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda r, name: asked.append(name) or str(tmp_path / name))
    assert find.find("hf:a/b", notes.append) == tmp_path / names[3]
    assert asked == names[3:] and "downloading" in notes[0]
    assert find.find("hf:a/b:m-Q8_0.gguf", notes.append) == tmp_path / names[2]
    (tmp_path / names[2]).touch()
    monkeypatch.setattr(find, "cached", lambda: {"hf:a/b:m-Q8_0.gguf": tmp_path / names[2]})
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", None)
    assert find.find("hf:a/b", notes.append) == tmp_path / names[2]

    network = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")

    def lost(*_):
        raise network("no network")

    monkeypatch.setattr(find, "cached", dict)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lost)
    with pytest.raises(NotFoundError, match="cannot get the planner a/b"):
        find.find("hf:a/b", notes.append)


def test_models_and_doctor_know_planners(laser, tiny, monkeypatch, tmp_path):
    from laser_cli.cli import doctor
    from laser_cli.plan.llm import find

    monkeypatch.setattr(find, "cached", lambda: {"hf:a/b:tiny.gguf": tiny})
    assert "hf:a/b:tiny.gguf" in laser("models")[1].splitlines()
    assert json.loads(laser("models", "--json")[1])["planners"] == [{"name": "hf:a/b:tiny.gguf", "path": str(tiny)}]
    assert laser("models", "path", "hf:a/b")[1] == f"{tiny}\n"
    assert laser("models", "verify", tiny)[:2] == (0, f"{tiny} is whole\n")
    (tmp_path / "cut.gguf").write_bytes(tiny.read_bytes()[:-9])
    code, _, err = laser("models", "verify", tmp_path / "cut.gguf")
    assert code == 3 and "truncated" in err
    assert laser("models", "path", "hf:c/d")[0] == 3
    monkeypatch.setattr(find, "cached", lambda: {"hf:a/b:cut.gguf": tmp_path / "cut.gguf"})
    checks = {check.name: check for check in doctor._planners()}
    assert checks["planners"].ok and "truncated" in checks["hf:a/b:cut.gguf"].value


def test_the_embedded_planner_is_there_or_said_to_be_missing(laser, tiny, monkeypatch, tmp_path):
    from laser_cli.storybook import planner as embedded

    monkeypatch.setattr(embedded, "EMBEDDED", tmp_path / "none.gguf")
    for words in (
        ("plan", "night falls", "-p", "a red ball"),
        ("animate", "night falls", "-p", "a red ball", "--dry-run"),
    ):
        code, out, err = laser(*words, "--planner", "storybook")
        assert (code, out) == (3, "") and "comes without its file" in err and "--planner rules" in err
    monkeypatch.setattr(embedded, "EMBEDDED", tiny)
    monkeypatch.setattr(embedded, "world_of", lambda path: embedded.World(frozenset({"red"}), frozenset()))
    code, out, err = laser("plan", "the dragon dances", "-p", "a dragon", "--planner", "storybook")
    assert code == 0 and parse_plan(out).segments[-1].prompt == "a dragon dancing"
    assert "outside the storybook world: the rules planned it" in err


PORTRAIT = "a portrait of a person with tan skin, short brown hair and blue eyes, on a green background"


@pytest.mark.parametrize(
    ("description", "source", "more", "planner"),
    [
        ("the person smiles", PORTRAIT, (), "storybook"),
        ("the person smiles", PORTRAIT, ("--planner", "rules"), "rules"),
        ("the wizard vanishes", "a portrait of a wizard", (), "rules"),
        ("night falls", "a red ball in a meadow at noon", (), "rules"),
    ],
)
def test_portraits_of_its_world_are_planned_by_the_embedded_planner(laser, description, source, more, planner):
    code, out, err = laser("plan", description, "-p", source, *more)
    plan = parse_plan(out)
    assert (code, plan.planner.name) == (0, planner) and ("planned by storybook" in err) == (planner == "storybook")
    if planner == "storybook":
        assert "smiling" in plan.prompts[-1] and "short brown hair" in plan.prompts[-1]


def test_animate_says_that_a_face_track_takes_a_portrait_and_show_tells_it(laser, tmp_path):
    from laser_cli.cli.show import lines

    path = tmp_path / "plan.yaml"
    segment = "segments:\n- {prompt: a portrait of a smiling woman, frames: 5}\n"
    path.write_text(
        f"source: a portrait of a woman\n{segment}face:\n- {{at: 90, expression: {{jawOpen: 70}}, yaw: 5}}\n"
    )
    code, out, err = laser("animate", "--plan", path, "--dry-run", "--json", "--frames", "9")
    told = json.loads(out)
    assert code == 0 and err.startswith("warning: the plan moves a face, which takes a portrait")
    assert told["frames"] == 9 and told["plan"]["face"] == [{"at": 90, "expression": {"jawOpen": 70}, "yaw": 5}]
    shown = lines({"settings": {"plan": told["plan"]}})
    assert "face 90%     jawOpen 70, yaw 5" in shown
    path.write_text(f"source: a portrait of a woman\n{segment}")
    assert "face" not in laser("animate", "--plan", path, "--dry-run")[2].replace("a portrait", "")
    assert lines({"settings": {"plan": {"face": [3, {"at": None, "expression": 4}]}}})


def test_the_bench_puts_any_planner_beside_the_rules(laser, tiny, tmp_path):
    code, out, _ = laser("bench", "plan", "--planner", tiny, "--items", "4", "--json")
    figures = {f["name"]: f for f in json.loads(out)["figures"]}
    assert code == 0
    for planner in ("rules", "tiny.gguf"):
        assert figures[f"plans made, {planner}"]["of"] == 4
        assert figures[f"open domain: all checks that apply, {planner}"]["of"] == 4
        assert figures[f"open domain: seconds a plan, {planner}"]["value"] > 0
    assert figures["plans made, rules"]["value"] == 100 and figures["plans made, tiny.gguf"]["target"] is None
    endless = write_tiny(tmp_path / "endless.gguf", ends=False)
    code, out, _ = laser("bench", "plan", "--planner", endless, "--planner-timeout", "1", "--items", "1", "--json")
    figures = {f["name"]: f["value"] for f in json.loads(out)["figures"]}
    assert code == 0 and figures["plans made, endless.gguf"] == 0  # the rules stand in, and that does not count
    for wrong, told in (("none.gguf", "no such file"), ("oracle", "no planner 'oracle'")):
        code, out, err = laser("bench", "plan", "--planner", wrong)
        assert (code, out) == (3, "") and told in err
