"""The command in this process, as a test calls it."""

import os
import sys

import pytest

from laser_cli.cli import main


@pytest.fixture
def laser(monkeypatch, capfd):
    """Runs the command in this process: (exit code, stdout, stderr)."""
    for name in list(os.environ):
        if name.startswith("LASER_") and name not in ("LASER_CACHE", "LASER_NO_CONFIG"):
            monkeypatch.delenv(name)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["laser", *map(str, arguments)])
        code = main.exit_code(main.app)
        told = capfd.readouterr()
        return code, told.out, told.err

    return run
