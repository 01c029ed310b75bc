"""The project's commands are there, and CI runs the same ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = {"help", "demo", "test", "test-latest", "lint", "type", "docs", "bench", "clean"}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_lists_every_target():
    text = subprocess.run(
        ["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert set(re.findall(r"^  make (\S+)", text, re.MULTILINE)) >= TARGETS


def test_ci_runs_targets_and_ends_with_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    words = re.findall(r"^make (\S+)", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert {"lint", "type", "test"} <= set(words) <= TARGETS
    assert words[-1] == "test"
