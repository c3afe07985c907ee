"""Completion of commands, options and values, in the shells themselves where they are installed; the manual's pages."""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from laser_cli.cli import man
from laser_cli.cli.complete import VALUES, completer, whole_words
from laser_cli.cli.main import COMMANDS

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
CASES = [
    ("laser an", ["animate"]),
    ("laser animate --preset d", ["default", "draft"]),
    ("laser animate --distance fe", ["features"]),
    ("laser animate --control te", ["texture"]),
    ("laser plan --planner ru", ["rules"]),
    ("laser models show st", ["storybook"]),
    ("laser animate --progress js", ["json"]),
]


@pytest.fixture
def path(tmp_path):
    """A PATH on which `laser` is this checkout's, and a home of its own."""
    script = tmp_path / "bin" / "laser"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m laser_cli "$@"\n')
    script.chmod(0o755)
    return {**ENVIRONMENT, "PATH": f"{script.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}


def answers(shell, line, **more):
    """What laser tells a shell, by the protocol of Typer's scripts, and whether torch was imported for it."""
    code = (
        "import sys; from laser_cli.cli.main import run, app\n"
        "try: run(app)\n"
        "finally: print('heavy' if {'torch', 'numpy', 'PIL'} & set(sys.modules) else 'light', file=sys.stderr)"
    )
    env = {**ENVIRONMENT, "_LASER_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, **more}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stderr.split() == ["light"], done.stderr
    return done.stdout


@pytest.mark.parametrize(("line", "values"), CASES)
def test_values_are_completed_without_torch(line, values):
    words = line.split()
    bash = answers("bash", "", COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1))
    assert bash.split() == values


def test_zsh_and_fish_are_told_by_their_own_protocols():
    assert '"default"' in answers("zsh", "laser animate --preset d")
    assert answers("fish", "laser animate --preset d", _TYPER_COMPLETE_FISH_ACTION="get-args").split() == [
        "default",
        "draft",
    ]


@pytest.mark.parametrize(
    ("words", "glued", "kept"),
    [
        ("laser animate --preset d", "laser animate --preset d", ""),
        ("laser animate --preset = d", "laser animate --preset=d", ""),
        ("laser animate --preset =", "laser animate --preset=", ""),
        ("laser animate --planner hf : o/r : f", "laser animate --planner hf:o/r:f", "hf:o/r:"),
        ("laser animate --planner hf :", "laser animate --planner hf:", "hf:"),
        ("laser animate --planner = hf : o", "laser animate --planner=hf:o", "hf:"),
    ],
)
def test_words_that_bash_cuts_are_whole_again(words, glued, kept):
    env = {"COMP_WORDS": words.replace(" ", "\n"), "COMP_CWORD": str(words.count(" "))}
    assert whole_words(env) == kept
    assert env == {"COMP_WORDS": glued.replace(" ", "\n"), "COMP_CWORD": str(glued.count(" "))}


def test_what_is_amiss_completes_nothing(monkeypatch):
    def broken():
        raise OSError("no home")

    monkeypatch.setitem(VALUES, "presets", broken)
    assert completer("presets")("d") == []


def test_models_of_the_cache_are_completed(tmp_path, monkeypatch):
    for name, file in (("models--me--draws", "model_index.json"), ("models--me--talks", "talk.gguf")):
        (tmp_path / name / "snapshots" / "1").mkdir(parents=True)
        (tmp_path / name / "snapshots" / "1" / file).write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert completer("models")("") == ["storybook", "me/draws"]
    assert completer("models")("me/d") == ["me/draws"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_once_it_is_installed(path):
    done = subprocess.run(
        ["bash", "--norc", "-c", "laser --install-completion; true"], env=path, capture_output=True, text=True
    )
    assert "bash completion installed" in done.stdout, done.stderr
    script = """
source ~/.bashrc
try() { COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _laser_completion laser; echo "${COMPREPLY[@]}"; }
complete -p laser
try laser animate --preset = dr
try laser animate --distance clip :
try laser models show s
"""
    done = subprocess.run(["bash", "--norc", "-c", script], env=path, capture_output=True, text=True)
    assert done.stdout.splitlines()[1:] == ["draft", "", "storybook"], done.stderr
    assert "-F _laser_completion laser" in done.stdout


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_completes(path):
    script = 'env _LASER_COMPLETE=source_fish laser | source; complete -C "laser animate --preset dr"'
    done = subprocess.run(["fish", "--no-config", "-c", script], env=path, capture_output=True, text=True)
    assert done.stdout.split() == ["draft"], done.stderr


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_completes(path):
    import pty

    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], path)

    def until(text, seconds=120):
        told, end = b"", time.monotonic() + seconds
        while text not in told and time.monotonic() < end:
            if select.select([terminal], [], [], 1)[0]:
                told += os.read(terminal, 4096)
        return told

    os.write(
        terminal, b"autoload -Uz compinit; compinit -u -D; _LASER_COMPLETE=source_zsh laser > ~/c.zsh; source ~/c.zsh\n"
    )
    os.write(terminal, b"echo re''ady\n")
    until(b"ready")
    os.write(terminal, b"laser animate --preset dr\t")
    told = until(b"draft")
    os.write(terminal, b"\x15exit\n")
    os.waitpid(child, 0)
    assert b"--preset draft" in told


def test_every_command_and_option_has_its_place_in_the_manual():
    made = man.pages()
    assert {f"laser-{name}" for name in COMMANDS} < set(made) and "laser-bench-speed" in made
    assert "\\fB\\-\\-install\\-completion\\fR" in made["laser"]
    animate = made["laser-animate"]
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "ARGUMENTS", "OPTIONS", "OUTPUT", "ENVIRONMENT", "FILES"):
        assert f".SH {section}" in animate or f'.SH "{section}"' in animate
    assert "\\fB\\-\\-output\\fR, \\fB\\-o\\fR \\fI<path>\\fR" in animate
    macros = {".TH", ".SH", ".PP", ".TP", ".B", ".BR", ".I"}
    for text in made.values():
        assert {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))} <= macros


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_the_manual_is_sound_roff(tmp_path):
    written = man.write_pages(tmp_path)
    done = subprocess.run(["groff", "-Kutf8", "-Tutf8", "-man", "-ww", "-z", *written], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
