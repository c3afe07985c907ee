"""Finding models: folders, files, the digest of their weights, and a hub that is a server of this test's own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from laser_cli.errors import NotFoundError
from laser_cli.models.find import find_model, missing_files, weights_key
from laser_cli.models.layout import choose_weights, missing_shards, weight_files

UNET = "diffusion_pytorch_model"


@pytest.mark.parametrize(
    ("names", "variant", "expected"),
    [
        ([f"{UNET}.safetensors", f"{UNET}.fp16.safetensors"], None, [f"{UNET}.safetensors"]),
        ([f"{UNET}.safetensors", f"{UNET}.fp16.safetensors"], "fp16", [f"{UNET}.fp16.safetensors"]),
        ([f"{UNET}.fp16.safetensors", f"{UNET}.non_ema.safetensors"], None, [f"{UNET}.fp16.safetensors"]),
        ([f"{UNET}.bin", f"{UNET}.fp16.safetensors"], None, [f"{UNET}.fp16.safetensors"]),
        (["pytorch_model.bin", "model.safetensors"], None, ["model.safetensors"]),
        (["pytorch_model.bin", "pytorch_model.fp16.bin"], "fp16", ["pytorch_model.fp16.bin"]),
        (["model.safetensors"], "fp16", None),
        (["config.json", "flax_model.msgpack", "openvino_model.bin"], None, None),
        (
            [f"{UNET}-00001-of-00002.safetensors", f"{UNET}-00002-of-00002.safetensors"],
            None,
            [f"{UNET}-00001-of-00002.safetensors", f"{UNET}-00002-of-00002.safetensors"],
        ),
        (
            [f"{UNET}.fp16-00001-of-00001.safetensors", f"{UNET}-00001-of-00002.safetensors"],
            None,
            [f"{UNET}.fp16-00001-of-00001.safetensors"],
        ),
    ],
)
def test_weights_are_chosen_by_variant_and_kind(names, variant, expected):
    chosen = choose_weights(names, variant)
    assert (list(chosen.names) if chosen else None) == expected


def test_a_shard_that_is_not_there_is_named(tmp_path):
    (tmp_path / f"{UNET}-00001-of-00003.safetensors").touch()
    (tmp_path / f"{UNET}.safetensors.index.json").write_text(
        json.dumps({"weight_map": {c: f"{UNET}-0000{i}-of-00003.safetensors" for i, c in enumerate("abc", 1)}})
    )
    lost = [f"{UNET}-00002-of-00003.safetensors", f"{UNET}-00003-of-00003.safetensors"]
    assert missing_shards(tmp_path) == lost and not weight_files(tmp_path)


@pytest.mark.parametrize(
    "file",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "text_encoder_2/model.safetensors",
        "tokenizer/vocab.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
    ],
)
def test_the_digest_covers_every_file_that_shapes_a_picture(sdxl_copy, file):
    before = weights_key(sdxl_copy)
    data = bytearray((sdxl_copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (sdxl_copy / file).write_bytes(data)
    assert weights_key(sdxl_copy) != before


def test_the_digest_covers_pickles_and_not_what_is_beside(sd_copy):
    import torch
    from safetensors.torch import load_file

    safe = sd_copy / "unet" / f"{UNET}.safetensors"
    torch.save(load_file(safe), safe.with_suffix(".bin"))
    safe.unlink()
    before = weights_key(sd_copy)
    (sd_copy / "README.md").write_text("read me")
    assert weights_key(sd_copy) == before
    data = bytearray(safe.with_suffix(".bin").read_bytes())
    data[len(data) // 2] ^= 1
    safe.with_suffix(".bin").write_bytes(data)
    assert weights_key(sd_copy) != before


def test_the_digest_of_a_large_file_notices_a_change_in_its_middle(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(bytes(40 * 2**20))
    before = weights_key(file)
    with file.open("r+b") as data:
        data.seek(20 * 2**20)
        data.write(b"other" * 2**18)
    assert weights_key(file) != before


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "nowhere", "models/not-here.safetensors"])
def test_a_missing_model_is_an_error_that_says_so(name):
    with pytest.raises(NotFoundError, match="no model"):
        find_model(name)


def test_a_relative_path_with_one_slash_is_a_file_and_no_hub_id(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sd15.safetensors").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    assert find_model("models/sd15.safetensors").path == Path("models/sd15.safetensors")


@pytest.mark.parametrize("ending", ["ckpt", "pt", "pth", "bin"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(tmp_path, ending):
    (tmp_path / f"m.{ending}").touch()
    with pytest.raises(NotFoundError) as error:
        find_model(str(tmp_path / f"m.{ending}"))
    assert "pickle" in error.value.why and "save_file" in error.value.hint


def test_missing_files_tells_what_a_broken_download_left_out(sdxl_copy):
    assert missing_files(sdxl_copy) == []
    shutil.rmtree(sdxl_copy / "tokenizer_2")
    (sdxl_copy / "text_encoder_2" / "model.safetensors").unlink()
    (sdxl_copy / "scheduler" / "scheduler_config.json").unlink()
    told = missing_files(sdxl_copy)
    expected = {"tokenizer_2: no vocabulary", "text_encoder_2: no weights", "scheduler/scheduler_config.json"}
    assert set(told) == expected


class Hub(BaseHTTPRequestHandler):
    """The few answers of a model hub that its client asks for when it downloads a repository."""

    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body):
        files: dict[str, Path] = self.server.files  # type: ignore[attr-defined]
        self.server.asked.append((self.command, self.path))  # type: ignore[attr-defined]
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/some/model/tree"):
            told = [{"type": "file", "path": name, "oid": "0", "size": f.stat().st_size} for name, f in files.items()]
            return self._send(json.dumps(told).encode(), {"Content-Type": "application/json"}, body)
        if path.startswith("/api/models/some/model"):
            about = {"id": "some/model", "sha": self.COMMIT, "siblings": [{"rfilename": name} for name in files]}
            return self._send(json.dumps(about).encode(), {"Content-Type": "application/json"}, body)
        name = path.partition("/resolve/")[2].partition("/")[2]
        if name not in files:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if "some/model" in path else "RepoNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        data = files[name].read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": self.COMMIT}
        return self._send(data, headers, body)

    def _send(self, data, headers, body):
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(sd_copy, tmp_path):
    """`ask(name, **options)` finds a model in a fresh process whose hub is a server here, that has a tiny model."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(name="some/model", offline=False, address=None, **options):
        server.files = {  # type: ignore[attr-defined]
            file.relative_to(sd_copy).as_posix(): file for file in sorted(sd_copy.rglob("*")) if file.is_file()
        }
        address = address or f"http://127.0.0.1:{server.server_port}"
        told = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        told |= {"HF_HUB_OFFLINE": "1"} if offline else {}
        code = (
            "import sys; from laser_cli.errors import LaserError; from laser_cli.models.find import find_model\n"
            f"try: print(*find_model({name!r}, **{options!r}), sep='\\n')\n"
            "except LaserError as error: print(error.render()); sys.exit(error.exit_code)"
        )
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **told})

    ask.folder, ask.server = sd_copy, server  # type: ignore[attr-defined]
    yield ask
    server.shutdown()


def _only_fp16(folder):
    for file in [*folder.rglob("*.safetensors")]:
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))


def test_a_hub_model_is_fetched_once_and_then_found_offline(hub):
    (hub.folder / "unet" / f"{UNET}.fp16.safetensors").write_bytes(b"not fetched")
    (hub.folder / "unet" / f"{UNET}.bin").write_bytes(b"not fetched")
    first = hub()
    assert first.returncode == 0, first.stdout + first.stderr
    folder, revision = first.stdout.split()
    assert revision == Hub.COMMIT and not missing_files(Path(folder)) and first.stderr == ""
    assert not list(Path(folder).glob("unet/*.fp16.*")) and not list(Path(folder).glob("unet/*.bin"))
    asked = len(hub.server.asked)
    assert hub(offline=True).stdout == hub().stdout == first.stdout
    assert len(hub.server.asked) == asked


def test_a_repository_that_has_fp16_weights_alone_is_fetched_so(hub):
    _only_fp16(hub.folder)
    told = hub()
    assert told.returncode == 0, told.stdout + told.stderr
    assert [file.name for file in Path(told.stdout.split()[0]).glob("unet/*.safetensors")] == [
        f"{UNET}.fp16.safetensors"
    ]


def test_a_variant_is_part_of_the_revision_and_must_be_there(hub):
    shutil.copy(hub.folder / "unet" / f"{UNET}.safetensors", hub.folder / "unet" / f"{UNET}.fp16.safetensors")
    folder, revision = hub(variant="fp16").stdout.split()
    assert revision == f"{Hub.COMMIT}-fp16" and (Path(folder) / "unet" / f"{UNET}.fp16.safetensors").is_file()
    told = hub(variant="bf16")
    assert told.returncode == 3 and "has no bf16 variant" in told.stdout


def test_a_cache_left_half_full_is_completed(hub):
    folder = Path(hub().stdout.split()[0])
    lost = folder / "vae" / f"{UNET}.safetensors"
    os.unlink(os.path.realpath(lost))
    (folder / "text_encoder" / "config.json").unlink()
    shutil.rmtree(folder / "scheduler")
    told = hub(offline=True)
    assert told.returncode == 3 and "it lacks vae: no weights" in told.stdout
    assert hub().returncode == 0 and not missing_files(folder)


def test_offline_and_unreachable_are_one_message(hub):
    offline, unreachable = hub(offline=True), hub(address="http://127.0.0.1:9")
    assert offline.returncode == unreachable.returncode == 3
    assert offline.stdout == unreachable.stdout
    assert "the hub cannot be reached; it is not in the cache" in offline.stdout


def test_a_name_that_the_hub_does_not_have(hub):
    told = hub("other/model")
    assert told.returncode == 3 and "no such model" in told.stdout


def test_a_repository_of_another_layout_says_what_it_holds(hub):
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        shutil.rmtree(hub.folder / part)
    (hub.folder / "sd15.safetensors").touch()
    told = hub()
    assert told.returncode == 3 and "no unet folder" in told.stdout and "hf download some/model sd15" in told.stdout
