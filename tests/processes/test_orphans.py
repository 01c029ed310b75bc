"""Killing a program that starts others leaves none of them behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STARTS_A_WRITER = """
import subprocess, sys
from tests.faults.ending import ending_with_us
endless = "import time\\nprint('started', flush=True)\\nwhile True: time.sleep(0.05)"
subprocess.run([sys.executable, "-c", ending_with_us(endless)])
"""


def starts_and_ends(command: list[str], line: str, number: int) -> None:
    """Kill a program when it says that it has started others: they share its standard output."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
    )
    assert process.stdout is not None
    assert line in process.stdout.readline().decode()
    process.send_signal(number)
    process.communicate(timeout=30)  # not before all of them have closed it


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_endless_programs_end_with_their_parent(number) -> None:
    starts_and_ends(["-c", STARTS_A_WRITER], "started", number)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="guard processes need Linux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_guard_processes_end_with_the_campaign(tmp_path, number) -> None:
    folders = ["--folder", str(tmp_path), "--keep", str(tmp_path / "kept")]
    starts_and_ends(["-m", "tests.fuzz", "--every", "10", *folders], "10: ", number)
    if number == signal.SIGTERM:
        assert list(tmp_path.iterdir()) == []
