"""The command in this process, as a test calls it."""

import sys

import pytest

from laser_cli.cli import main


@pytest.fixture
def laser(monkeypatch, capfd):
    """Runs the command in this process: (exit code, stdout, stderr)."""
    for name in ("MODEL", "DEVICE", "DTYPE", "QUIET"):
        monkeypatch.delenv(f"LASER_{name}", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["laser", *map(str, arguments)])
        code = main.exit_code(main.app)
        told = capfd.readouterr()
        return code, told.out, told.err

    return run
