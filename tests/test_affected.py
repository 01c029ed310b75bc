"""Tests are found by what a change touches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import affected
from tests.affected import ROOT, changed_files, nearness, ordered


def test_a_verb_comes_before_its_neighbours() -> None:
    found = nearness(["lazyomics/pp/binarize.py"])
    assert found["lazyomics/pp/binarize.py"] == 0
    assert found["tests/pp/test_binarize.py"] == found["tests/io/test_mudata_memory.py"] == 1
    assert found["tests/pp/test_pca.py"] == affected.FARTHEST
    assert "tests/pl/test_violins.py" not in found
    names = ordered(["lazyomics/pp/binarize.py"])
    assert names[0] == "lazyomics/pp/binarize.py"
    assert names[1 + len(affected.ALWAYS)] == "tests/pp/test_binarize.py"
    assert all((ROOT / name).exists() for name in names)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("tests/pp/test_log1p.py", "tests/pp/test_log1p.py"),
        ("tests/io/encodings/conftest.py", "tests/io/encodings/test_sparse.py"),
        ("tests/blocks/block_cases.py", "tests/blocks/test_block_reduce.py"),
        ("lazyomics/kernels/gram.py", "tests/pp/test_pca.py"),
        ("lazyomics/blocks/index.py", "tests/blocks/test_block_index.py"),
        ("docs/architecture.md", "tests/test_links.py"),
        ("Makefile", "tests/test_makefile.py"),
        ("examples/demo.py", "tests/test_examples.py"),
    ],
)
def test_what_is_near(changed: str, expected: str) -> None:
    assert expected in nearness([changed])
    assert "tests/test_architecture.py" in nearness([changed])


def test_deleted_files_are_no_tests() -> None:
    assert "tests/test_gone.py" not in nearness(["tests/test_gone.py", "lazyomics/gone.py"])


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(affected, "ROOT", tmp_path)
    for words in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "0"]):
        run_git(tmp_path, *words)
    save(tmp_path, "one.py")
    return tmp_path


def run_git(folder: Path, *words: str) -> None:
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


def save(folder: Path, file: str) -> None:
    (folder / file).write_text(file)
    run_git(folder, "add", file)
    run_git(folder, "commit", "-q", "-m", file)


def test_without_a_change_it_is_the_last_commit(checkout: Path) -> None:
    assert changed_files() == ["one.py"]


def test_a_branch_and_what_is_not_committed(checkout: Path) -> None:
    run_git(checkout, "switch", "-q", "-c", "topic")
    save(checkout, "two.py")
    (checkout / "one.py").write_text("changed")
    (checkout / "a new one.py").write_text("")
    assert changed_files() == ["a new one.py", "one.py", "two.py"]
    assert changed_files("main~1") == ["a new one.py", "one.py", "two.py"]


def test_after_the_time_tests_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "test_slow.py"
    file.write_text("def test_a(): pass\ndef test_b(): assert 0\n")
    run = [sys.executable, "-m", "pytest", "-p", "tests.affected", "-q", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*run, str(file)],
        cwd=ROOT,
        env={**os.environ, affected.SECONDS: "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 skipped" in done.stdout
