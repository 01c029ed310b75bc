"""The project's commands are there, and CI, workflows and hooks run the same ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = {
    *("help", "demo", "check", "test", "test-latest", "test-oldest", "coverage"),
    *("lint", "type", "examples", "docs", "bench", "release", "clean"),
}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_lists_every_target():
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert set(re.findall(r"^  make (\S+)", listed, re.MULTILINE)) >= TARGETS


def test_ci_runs_targets_and_ends_with_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    words = re.findall(r"^make (\S+)", text(".ci/run"), re.MULTILINE)
    assert {"lint", "type", "test"} <= set(words) <= TARGETS
    assert words[-1] == "test"


@pytest.mark.skipif(not (ROOT / ".github").exists(), reason="not part of a source distribution")
def test_workflows_run_targets() -> None:
    workflow = text(".github/workflows/ci.yml")
    words = re.findall(r"run: make ([a-z-]+)", workflow)
    words += re.findall(r"target: \[?([a-z-]+)", workflow)
    assert {"lint", "type", "test", "test-oldest", "test-latest", "coverage"} <= set(words)
    assert set(words) <= TARGETS


@pytest.mark.skipif(not (ROOT / ".github").exists(), reason="not part of a source distribution")
def test_hooks_run_the_ruff_of_make_lint() -> None:
    (revision,) = re.findall(r"ruff-pre-commit\n +rev: v(\S+)", text(".pre-commit-config.yaml"))
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    (pinned,) = (name.removeprefix("ruff==") for name in extras["dev"] if "ruff" in name)
    assert revision.startswith(pinned.removesuffix("*"))


def test_every_extra_of_users_is_in_all() -> None:
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    (every,) = extras["all"]
    named = every.removeprefix("lazyomics[").removesuffix("]").split(",")
    # harmonypy and fa2-modified are under the GPL, PyTorch takes gigabytes, and pandas stores text
    # in another way where there is pyarrow: who wants them asks for them by name
    asked_for = {"integration", "fa2", "torch", "parquet"}
    assert set(named) == set(extras) - {"all", "test", "docs", "dev"} - asked_for
