"""Servers of the OpenAI API: a small one of the test's own, and llama-cpp-python's where it is installed."""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.plan.files import parse_plan, plan_text
from laser_cli.plan.llm.backends.openai import address_of
from laser_cli.plan.llm.guide import guides_by_model
from laser_cli.plan.llm.planner import plan_by_model
from laser_cli.plan.planners import make_plan
from laser_cli.plan.request import PlanCallbacks, PlanRequest
from tests.tiny_gguf import write_tiny

HOUSE = "a red house in a meadow"
NIGHT = PlanRequest("night falls", HOUSE)
GOOD = f"0. {HOUSE}\n1. {HOUSE} at sunset\n2. {HOUSE} at night"


class Server(ThreadingHTTPServer):
    """Answers with what it is told to; keeps the requests that it got."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.keys = [], [], []
        self.models = ["tiny:latest"]
        self.sees = False

    @property
    def name(self):
        return f"openai:http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.keys.append(self.headers.get("Authorization"))
        if self.server.models is None:
            return self.send_error(404)
        told = {"capabilities": ["completion", "multimodal"]} if self.server.sees else {}
        self.send({"data": [{"id": name} | told for name in self.server.models]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        answer = self.server.answers.pop(0) if self.server.answers else GOOD
        if isinstance(answer, int):
            return self.send({"error": {"message": f"failed with {answer}"}}, answer)
        self.send_response(200)
        self.end_headers()
        for i in range(0, len(answer), 7):
            self.event({"choices": [{"delta": {"content": answer[i : i + 7]}}]})
        if not answer.startswith("torn"):
            finish = "length" if answer.startswith("long") else "stop"
            self.event({"choices": [{"delta": {}, "finish_reason": finish}]})
            self.wfile.write(b"data: [DONE]\n\n")
        if answer.startswith("slow"):
            time.sleep(3)

    def event(self, value):
        self.wfile.write(b": a comment\ndata: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()

    def send(self, value, code=200):
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server():
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("LASER_PLANNER_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_server_plans(server, monkeypatch):
    monkeypatch.setenv("LASER_PLANNER_KEY", "secret")
    notes = []
    plan, told = plan_by_model(server.name, PlanRequest("night falls", HOUSE, seed=7), PlanCallbacks(notes.append))
    assert plan.prompts[1:] == (f"{HOUSE} at sunset", f"{HOUSE} at night") and told == ()
    assert plan.planner.name == f"{server.name}/v1#tiny:latest" and plan.planner.prompts == "lines2"
    assert parse_plan(plan_text(plan)) == plan and "secret" not in plan_text(plan)
    path, body = server.asked[0]
    assert path == "/v1/chat/completions" and (body["model"], body["seed"]) == ("tiny:latest", 7)
    assert server.keys == ["Bearer secret"] and notes[1:] == ["keyframe 1 …", "keyframe 2 …"]
    assert make_plan(server.name, NIGHT, intermediate=False).plan.prompts == plan.prompts


def test_the_full_form_asks_for_json_and_does_without_where_a_server_cannot(server):
    segment = {"prompt": f"{HOUSE} at night", "control": "texture", "strength": 80, "share": 1, "easing": "ease"}
    answer = json.dumps({"reasoning": "r", "source": HOUSE, "segments": [segment]})
    server.answers = [400, 422, f"```json\n{answer}\n```"]
    plan, _ = plan_by_model(server.name, PlanRequest("night falls", HOUSE, form="full"), PlanCallbacks())
    assert plan.prompts[1:] == (f"{HOUSE} at night",) and plan.planner.prompts == "full2"
    (_, first), (_, second), (_, third) = server.asked
    assert first["response_format"]["json_schema"]["schema"]["required"][0] == "reasoning"
    assert second["response_format"]["schema"]["required"][0] == "reasoning" and "response_format" not in third


def test_lines_are_asked_for_under_a_grammar_where_a_server_takes_one(server):
    from llama_cpp import LlamaGrammar

    server.answers = [400, GOOD, GOOD]
    assert plan_by_model(server.name, NIGHT, PlanCallbacks()).plan.planner.attempts == 1
    (_, first), (_, second) = server.asked
    assert first["grammar"].startswith('root ::= "0. a red house') and "grammar" not in second
    assert LlamaGrammar.from_string(first["grammar"], verbose=False)


@pytest.mark.parametrize(
    ("answers", "asked", "why"),
    [
        ([500, GOOD], 2, None),
        (["Sure! I will.", GOOD], 2, None),
        (["torn", "torn", "torn"], 2, "in the middle"),
        (["long", "long", "long"], 3, "did not come to an end"),
        ([401], 1, "HTTP 401: failed with 401"),
        ([400, 400], 1, "HTTP 400"),
        ([503, 503, 503], 3, "HTTP 503"),
    ],
)
def test_failures_are_asked_again_or_left_to_the_rules(server, answers, asked, why):
    server.answers = [*answers]
    plan, notes = plan_by_model(server.name, NIGHT, PlanCallbacks())
    if why is None:
        assert plan.planner.attempts == asked and not plan.planner.instead_of
    else:
        assert plan.planner.name == "rules" and why in plan.planner.instead_of and "the rules planned" in notes[0]
    assert len(server.asked) >= min(asked, len(answers))


def test_a_server_that_takes_too_long(server):
    server.answers = ["slow"]
    begin = time.monotonic()
    plan, _ = plan_by_model(server.name, PlanRequest("night falls", HOUSE, timeout=0.2, retries=0), PlanCallbacks())
    assert plan.planner.name == "rules" and time.monotonic() - begin < 2.5


def test_guides_by_a_server(server):
    server.answers = [json.dumps({"reasoning": "r", "guide": "a lynx"})]
    (made,) = guides_by_model(server.name, [("a lion", "a cat")], PlanRequest(""), PlanCallbacks())
    assert made.prompt == "a lynx" and made.planner.name.startswith("openai:")


def test_models_of_a_server(server):
    assert plan_by_model(f"{server.name}#tiny", NIGHT, PlanCallbacks()).plan.planner.name.endswith("#tiny")
    with pytest.raises(NotFoundError, match="no model 'other'") as caught:
        plan_by_model(f"{server.name}#other", NIGHT, PlanCallbacks())
    assert "tiny:latest" in caught.value.why
    server.models = None  # a server without a list
    assert plan_by_model(f"{server.name}#other", NIGHT, PlanCallbacks()).plan.planner.name.endswith("#other")
    with pytest.raises(NotFoundError, match="cannot use the server"):
        plan_by_model(server.name, NIGHT, PlanCallbacks())


def test_servers_that_are_not_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotFoundError, match="cannot use the server"):
        plan_by_model(f"openai:http://127.0.0.1:{port}", NIGHT, PlanCallbacks())
    for wrong in ("openai:", "openai:http://", "openai:http://x:y"):
        with pytest.raises(UsageError, match="no address"):
            plan_by_model(wrong, NIGHT, PlanCallbacks())
    assert address_of("openai:localhost:8080") == ("http://localhost:8080/v1", "")
    assert address_of("openai:https://h/api/v1/#m/n") == ("https://h/api/v1", "m/n")


@pytest.mark.slow
def test_llama_cpps_own_server(tmp_path):
    pytest.importorskip("llama_cpp.server.app")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = write_tiny(tmp_path / "tiny.gguf")
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--port", str(port), "--n_ctx", "8192"]
    running = subprocess.Popen([*command, "--n_threads", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).read()
                break
            except OSError:
                time.sleep(0.2)
        request = PlanRequest("night falls", HOUSE, form="full", temperature=0, retries=0)
        plan, _ = plan_by_model(f"openai:http://127.0.0.1:{port}", request, PlanCallbacks())
        # a random model under the schema: it has the form, whatever it says
        said = plan.planner.instead_of or ""
        assert not any(failure in said for failure in ("HTTP", "the server failed", "JSON"))
    finally:
        running.terminate()
        running.wait(30)
