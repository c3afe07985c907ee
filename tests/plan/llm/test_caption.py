"""Captions by models that see: in llama.cpp with a projector, behind servers, and what becomes of their answers."""

import base64
import io
import threading

import numpy as np
import pytest
from PIL import Image

from laser_cli.errors import BadInputError, NotFoundError
from laser_cli.plan.llm import find
from laser_cli.plan.llm.backends.template import chat_of
from laser_cli.plan.llm.backends.vision import Chunks
from laser_cli.plan.llm.caption import CaptionForm
from laser_cli.plan.planners import find_planner, make_caption, sees
from laser_cli.plan.request import PlanCallbacks, PlanRequest
from tests.plan.llm.test_openai import Server
from tests.tiny_gguf import CHATML, write_tiny, write_tiny_eyes

ASKED = PlanRequest("")
SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


@pytest.fixture
def red():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[..., 0] = 220
    return picture


@pytest.fixture
def server():
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def seeing(tmp_path):
    """A tiny model with its projector beside it."""
    write_tiny_eyes(tmp_path / "mmproj-tiny-f16.gguf")
    return write_tiny(tmp_path / "tiny.gguf", says=("a red house in a meadow",))


def test_a_model_with_its_projector_sees(seeing, red, monkeypatch):
    read, counts = Chunks.read, []
    monkeypatch.setattr(Chunks, "read", lambda self, *told: counts.append(self.count) or read(self, *told))
    assert sees(str(seeing)) and find_planner(str(seeing)).sees()
    assert make_caption(str(seeing), red, ASKED) == "a red house in a meadow"
    # 16 embeddings of the picture stand among the question's letters
    letters = len(CHATML.split("{")[0]) + len(CaptionForm().question(ASKED))
    assert len(counts) == 1 and counts[0] > letters + 16


def test_what_it_sees_changes_what_it_thinks(seeing, red, monkeypatch):
    import llama_cpp

    seen, read = [], Chunks.read

    def listen(self, context, batch):
        done = read(self, context, batch)
        seen.append(np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), (300,)).copy())
        return done

    monkeypatch.setattr(Chunks, "read", listen)
    for picture in (red, red, red[..., ::-1].copy()):
        make_caption(str(seeing), picture, ASKED)
    assert np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize("template", [CHATML, SMOLVLM, None])
def test_chat_templates_of_multimodal_models(tmp_path, red, template):
    write_tiny_eyes(tmp_path / "mmproj.gguf")
    model = write_tiny(tmp_path / "tiny.gguf", says=("a red house",), template=template)
    assert make_caption(str(model), red, ASKED) == "a red house"


def test_contents_in_parts_come_through():
    said = [{"role": "user", "content": "what is it?"}]
    assert chat_of("m", SMOLVLM, "", "", said).render(said) == (
        "<|im_start|>User: what is it?<end_of_utterance>\nAssistant:"
    )


def test_models_that_see_nothing(tmp_path, red):
    model = write_tiny(tmp_path / "tiny.gguf")
    assert not sees(str(model)) and not sees("rules") and not sees(None) and not sees("hf:nobody/nothing")
    with pytest.raises(NotFoundError, match="sees no pictures") as caught:
        make_caption(str(model), red, ASKED)
    assert "mmproj" in caught.value.why
    with pytest.raises(NotFoundError, match="'rules' sees no pictures"):
        make_caption("rules", red, ASKED)
    write_tiny_eyes(tmp_path / "mmproj.gguf", width=64)
    with pytest.raises(NotFoundError, match="no projector for this model"):
        make_caption(str(model), red, ASKED)


def test_the_projector_is_the_one_named_like_the_model_and_never_the_model(tmp_path):
    for name in ("mmproj-alpha-f16.gguf", "mmproj-beta-f16.gguf", "beta-Q4_K_M.gguf", "alpha-Q4_K_M.gguf"):
        (tmp_path / name).touch()
    assert find.projector(tmp_path / "beta-Q4_K_M.gguf").name == "mmproj-beta-f16.gguf"
    assert find.projector(tmp_path / "alpha-Q4_K_M.gguf").name == "mmproj-alpha-f16.gguf"
    assert find.find(str(tmp_path), print).name == "alpha-Q4_K_M.gguf"


def test_the_projector_of_a_model_of_the_hub_is_downloaded(tmp_path, monkeypatch):
    listed, got, notes = ["m-Q4_K_M.gguf", "mmproj-m-Q8_0.gguf", "mmproj-m-f16.gguf"], [], []
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", lambda self, repository: listed)

    def download(repository, file):
        got.append((repository, file))
        (tmp_path / file).touch()
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    model = tmp_path / "m-Q4_K_M.gguf"
    assert find.find_projector("hf:me/m", model, notes.append).name == "mmproj-m-f16.gguf"
    assert got == [("me/m", "mmproj-m-f16.gguf")] and "downloading mmproj-m-f16.gguf" in notes[0]
    find.find_projector("hf:me/m", model, notes.append)  # now it lies beside the model
    model.touch()
    monkeypatch.setattr(find, "cached", lambda: {"hf:me/m:m-Q4_K_M.gguf": model})
    assert sees("hf:me/m") and sees("hf:me/m:m-Q4_K_M.gguf") and not sees("hf:me/other")
    listed[:] = ["m-Q4_K_M.gguf"]
    (tmp_path / "mmproj-m-f16.gguf").unlink()
    with pytest.raises(NotFoundError, match="sees no pictures"):
        find.find_projector("hf:me/m", model, notes.append)
    assert len(got) == 1


def test_a_server_is_shown_the_picture(server, red):
    server.answers = ["The image shows A red house in a meadow."]
    assert make_caption(server.name, red, ASKED) == "a red house in a meadow"
    (_, body), *_ = server.asked
    (message,) = body["messages"]
    shown, told = message["content"]
    data = base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.array(Image.open(io.BytesIO(data))), red)
    assert told["text"].startswith("Describe this picture") and body["grammar"].startswith("root ::= [^")


def test_large_pictures_are_made_smaller(server):
    server.answers = ["a wall"]
    make_caption(server.name, np.zeros((400, 1600, 3), np.uint8), ASKED)
    url = server.asked[0][1]["messages"][0]["content"][0]["image_url"]["url"]
    assert Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size == (768, 192)


def test_servers_that_say_that_they_see(server, monkeypatch):
    assert not sees(server.name)  # it does not say
    with monkeypatch.context() as patch:
        rows = {"data": [{"id": "m"}], "models": [{"name": "m", "capabilities": ["completion", "multimodal"]}]}
        patch.setattr("tests.plan.llm.test_openai.Handler.do_GET", lambda self: self.send(rows))
        assert sees(server.name)
    monkeypatch.setattr(
        "tests.plan.llm.test_openai.Handler.do_POST", lambda self: self.send({"capabilities": ["completion", "vision"]})
    )
    assert sees(server.name)
    assert not sees("openai:http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("A red house in a meadow.", "a red house in a meadow"),
        ("The image shows a red house. It is noon.", "a red house"),
        ('"This picture depicts two cats on a sofa"\nSecond line', "two cats on a sofa"),
        ("Here is a caption: an old man in the rain", "an old man in the rain"),
        ("<think>hm, a dog</think>\nA dog on a beach", "a dog on a beach"),
        ("a picture of a ship at sea", "a ship at sea"),
        ("Paris at night", "Paris at night"),
        ("a photo of a boy", "a photo of a boy"),
    ],
)
def test_what_is_said_around_a_caption_is_left_out(answer, caption):
    draft = CaptionForm().read(answer, ASKED)
    assert (draft.source, draft.problems) == (caption, ())


@pytest.mark.parametrize("answer", ["", "...", "I'm sorry, I cannot see any image.", "<think>endless"])
def test_no_caption(answer):
    assert CaptionForm().read(answer, ASKED).problems


def test_a_model_that_gives_none_is_asked_again_and_then_an_error(server, red):
    server.answers = ["I cannot see images", "a red wall"]
    assert make_caption(server.name, red, ASKED) == "a red wall"
    server.answers = ["I cannot see images"] * 3
    with pytest.raises(BadInputError, match="gave no caption") as caught:
        make_caption(server.name, red, ASKED, PlanCallbacks())
    assert "--prompt" in caught.value.hint
