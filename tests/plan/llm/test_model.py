"""Real llama.cpp on a tiny model that the test makes: plans, fallbacks, and files that cannot be used."""

import subprocess
import sys
from dataclasses import replace

import pytest

from laser_cli.errors import MemoryExhausted, NotFoundError, UsageError
from laser_cli.plan.files import parse_plan, plan_text
from laser_cli.plan.llm import gguf
from laser_cli.plan.llm.backends import llama_cpp as backend
from laser_cli.plan.llm.backends.generate import Generator, ThreadChoice
from laser_cli.plan.llm.backends.vocabulary import Grammar
from laser_cli.plan.llm.find import digest
from laser_cli.plan.llm.planner import plan_by_model
from laser_cli.plan.planners import find_planner
from laser_cli.plan.request import PlanCallbacks, PlanRequest
from tests.tiny_gguf import CHATML, write_tiny

ASKED = PlanRequest("night falls", "a red house in a meadow")
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf")


def heard():
    notes = []
    return notes, PlanCallbacks(notes.append)


def test_a_real_model_plans(tiny):
    notes, callbacks = heard()
    plan, told = plan_by_model(str(tiny), ASKED, callbacks)
    assert (plan.source, plan.total_frames) == (ASKED.source, 24)
    assert "a red house" in plan.segments[0].prompt and "night" in plan.segments[-1].prompt
    planner = plan.planner
    assert (planner.name, planner.sha256, planner.seed) == ("tiny.gguf", digest(tiny), 0)
    assert (planner.prompts, planner.attempts) == ("lines2", 1) and planner.version.startswith("llama-cpp-python ")
    assert notes == ["the planner reads the request …", "keyframe 1 …"]
    assert told == ()
    assert parse_plan(plan_text(plan)) == plan
    assert plan_by_model(str(tiny), ASKED, callbacks).plan == plan


def test_the_number_of_keyframes_and_what_the_source_holds_are_kept(tiny):
    request = PlanRequest("it changes in the meadow", 'a "häuschen" \\ {x} $y 😀', keyframes=3, temperature=1.2, seed=5)
    notes, callbacks = heard()
    plan, _ = plan_by_model(str(tiny), request, callbacks)
    assert plan.source == request.source and len(plan.segments) == 3
    assert notes[1:4] == [f"keyframe {i} of 3 …" for i in (1, 2, 3)]


@pytest.mark.parametrize(("template", "note"), [(None, "has no chat template"), (NO_SYSTEM, None)])
def test_templates_that_are_missing_or_know_no_system_role(tmp_path, template, note):
    notes, callbacks = heard()
    plan, _ = plan_by_model(str(write_tiny(tmp_path / "m.gguf", template=template)), ASKED, callbacks)
    assert plan.planner.name == "m.gguf"
    assert any(note in said for said in notes) if note else notes[0].startswith("the planner reads")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (THINKING, "is a thinking model"),
        ("{{ raise_exception('never') }}", "never"),
        ("{% for %}", "template of m.gguf fails"),
        ("hello", "does not come through"),
    ],
)
def test_templates_that_cannot_be_used(tmp_path, template, told):
    with pytest.raises(NotFoundError) as caught:
        plan_by_model(str(write_tiny(tmp_path / "m.gguf", template=template)), ASKED, PlanCallbacks())
    assert told in caught.value.render() and "instruct model" in caught.value.hint


def test_a_model_that_never_ends_or_takes_too_long(tmp_path, tiny):
    endless = write_tiny(tmp_path / "endless.gguf", ends=False)
    plan, told = plan_by_model(
        str(endless), PlanRequest("night falls", "a house", keyframes=1, retries=0), PlanCallbacks()
    )
    assert plan.planner.name == "rules" and "endless.gguf gave no plan, asked once" in plan.planner.instead_of
    assert "did not come to an end" in told[0] and "the rules planned instead" in told[0]
    plan, told = plan_by_model(str(tiny), PlanRequest("night falls", "a house", timeout=0.0), PlanCallbacks())
    assert plan.segments[-1].prompt == "a house at night" and "no answer within 0 s" in told[0]
    assert parse_plan(plan_text(plan)) == plan


def test_files_that_are_no_whole_model(tmp_path, tiny):
    whole = tiny.read_bytes()
    cases = {
        "cut.gguf": (whole[:-1000], "is truncated"),
        "head.gguf": (whole[:500], "ends within its header"),
        "empty.gguf": (b"", "it is empty"),
        "page.gguf": (b"<!DOCTYPE html><html>", "web page"),
        "lfs.gguf": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        "zip.gguf": (b"PK\x03\x04" + bytes(99), "is not a GGUF model"),
        "old.gguf": (b"GGUF\x01\x00\x00\x00" + bytes(99), "version 1"),
        "big.gguf": (b"GGUF\x00\x00\x00\x03" + bytes(99), "big-endian"),
        "none.gguf": (None, "there is no planner"),
        "m-00001-of-00002.gguf": (whole, "m-00002-of-00002.gguf"),
        "strange.gguf": (whole.replace(b"llama", b"xlama"), "llama.cpp cannot load"),
    }
    for name, (data, told) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(NotFoundError) as caught:
            plan_by_model(str(tmp_path / name), ASKED, PlanCallbacks())
        assert told in caught.value.render(), name


def test_block_sizes_are_those_of_the_format():
    from gguf import GGML_QUANT_SIZES

    assert {int(kind): size for kind, size in GGML_QUANT_SIZES.items() if int(kind) in gguf.BLOCKS} == gguf.BLOCKS


def test_what_is_too_large_or_has_no_room(tmp_path, tiny, monkeypatch):
    small = write_tiny(tmp_path / "short.gguf", context=512)
    with pytest.raises(NotFoundError, match="context of short"):
        plan_by_model(str(small), ASKED, PlanCallbacks())
    monkeypatch.setattr(backend, "usable_memory", lambda: 10**6)
    with pytest.raises(MemoryExhausted, match="too large"):
        plan_by_model(str(tiny), ASKED, PlanCallbacks())
    monkeypatch.setattr("llama_cpp.llama_supports_gpu_offload", lambda: False)
    with pytest.raises(UsageError, match="gpu-layers"):
        plan_by_model(str(tiny), PlanRequest("night falls", "a house", layers=3), PlanCallbacks())


def test_memory_is_given_back(tiny, monkeypatch):
    import llama_cpp

    freed = []
    for name in ("llama_free", "llama_model_free"):
        free = getattr(llama_cpp, name)
        monkeypatch.setattr(llama_cpp, name, lambda pointer, name=name, free=free: (freed.append(name), free(pointer)))
    monkeypatch.setattr(backend.LlamaModel, "answer", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plan_by_model(str(tiny), ASKED, PlanCallbacks())
    assert freed == ["llama_free", "llama_model_free"]


def test_what_it_read_is_kept_and_changes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("LASER_CACHE", str(tmp_path))
    hot = PlanRequest("it changes", "a red house", keyframes=1, temperature=1.5, seed=3, retries=0)
    fresh = plan_by_model(str(tiny), hot, PlanCallbacks()).plan
    always, chosen = sorted((tmp_path / "planner").iterdir(), key=lambda state: state.stat().st_size)
    assert plan_by_model(str(tiny), hot, PlanCallbacks()).plan == fresh
    chosen.unlink()  # the worked example nearest to the request is read after those that are always there
    assert plan_by_model(str(tiny), hot, PlanCallbacks()).plan == fresh and chosen.is_file()
    for state in (chosen, always):
        state.write_bytes(b"torn")
        assert plan_by_model(str(tiny), hot, PlanCallbacks()).plan == fresh
    monkeypatch.setattr("laser_cli.plan.llm.backends.prefix.KEPT_BYTES", chosen.stat().st_size)
    always.unlink()
    plan_by_model(str(tiny), replace(hot, description="night falls"), PlanCallbacks())
    assert len([*(tmp_path / "planner").iterdir()]) == 1
    monkeypatch.setenv("LASER_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert plan_by_model(str(tiny), hot, PlanCallbacks()).plan == fresh


def test_a_second_question_reads_only_what_is_new(tiny, monkeypatch):
    read, whole = [], []
    decode, begin = Generator._decode, Generator.read
    monkeypatch.setattr(Generator, "_decode", lambda self, tokens: (read.append(len(tokens)), decode(self, tokens)))
    monkeypatch.setattr(Generator, "read", lambda self, tokens, *how: (whole.append(tokens), begin(self, tokens, *how)))
    asked = PlanRequest("it snows", "a red house in a meadow", keyframes=1, temperature=1.0, retries=1)
    plan, _ = plan_by_model(str(tiny), asked, PlanCallbacks())
    assert "asked 2 times" in plan.planner.instead_of
    second = [count for count in read if count > 1][-1]
    assert len(whole) == 2 and second < len(whole[1]) / 2


def test_threads_are_those_that_the_user_names_or_the_faster(monkeypatch):
    monkeypatch.setenv("LASER_THREADS", "3")
    assert ThreadChoice().next(1) == 3
    monkeypatch.delenv("LASER_THREADS")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(4))
    choice, tried = ThreadChoice(), []
    for _ in range(8):
        count = choice.next(1)
        tried.append(count)
        choice.took(1, count, 0.7 if count == 4 else 0.1)
    assert tried == [4, 4, 4, 1, 1, 1, 1, 1] and choice.next(100) == 4


def test_the_grammar_is_asked_about_the_drawn_token_first(tiny, monkeypatch):
    asked = []
    allowed = Grammar.allowed
    monkeypatch.setattr(Grammar, "allowed", lambda self, tokens: asked.append(len(tokens)) or allowed(self, tokens))
    plan_by_model(str(tiny), ASKED, PlanCallbacks())
    assert asked[0] == 1 and set(asked) <= {1, 256, 354 + 3} and asked.count(1) > len(asked) / 2


def test_an_embedding_model_is_no_planner(tmp_path):
    path = write_tiny(tmp_path / "nomic.gguf", architecture="nomic-bert")
    with pytest.raises(NotFoundError, match="is an embedding model"):
        plan_by_model(str(path), ASKED, PlanCallbacks())


def test_a_header_tells_the_memory_of_a_context(tiny):
    header, size = gguf.read_model(tiny)
    assert (header.context, size) == (32_768, tiny.stat().st_size)
    assert header.cache_bytes(100) == 100 * 1 * 2 * (16 + 16) * 2
    assert header.template == CHATML and gguf.usable_memory() > 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_ends_it(tmp_path):
    import signal

    endless = write_tiny(tmp_path / "endless.gguf", ends=False)
    code = "from laser_cli.cli.main import run; run()"
    command = [sys.executable, "-c", code, "plan", "night falls", "-p", "a house", "--planner", str(endless)]
    running = subprocess.Popen([*command, "--retries", "9"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "reads the request" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    out, told = running.communicate(timeout=900)
    assert (running.returncode, out) == (130, "") and "Traceback" not in told


def test_a_portrait_is_planned_under_the_grammar_of_faces(tiny, tmp_path):
    request = PlanRequest("she smiles", "a portrait of a woman")
    assert request.face
    made = {}
    for seed in range(3):  # hot enough to write points at random
        hot = PlanRequest(request.description, request.source, temperature=2.0, seed=seed, form="full")
        plan, _ = plan_by_model(str(tiny), hot, PlanCallbacks())
        assert parse_plan(plan_text(plan)) == plan and plan.planner.name in ("tiny.gguf", "rules")
        made[plan.planner.name] = plan
    said = write_tiny(tmp_path / "said.gguf", says=("a portrait of a smiling woman",))
    full = PlanRequest(request.description, request.source, form="full")
    assert plan_by_model(str(said), full, PlanCallbacks()).plan.planner.name == "said.gguf"


def test_files_without_a_suffix_and_folders_that_hold_a_model(tiny, tmp_path):
    blob, folder = tmp_path / "sha256-0a1b", tmp_path / "models"
    folder.mkdir()
    for copy in (blob, folder / "tiny.gguf"):
        copy.write_bytes(tiny.read_bytes())
    for name in (blob, folder):
        assert find_planner(str(name)).plan(ASKED, PlanCallbacks()).plan.planner.name in ("sha256-0a1b", "tiny.gguf")
    (folder / "tiny.gguf").unlink()
    with pytest.raises(NotFoundError, match="no planner in"):
        find_planner(str(folder)).plan(ASKED, PlanCallbacks())
