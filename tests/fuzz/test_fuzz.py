"""A few hundred inputs of the fuzzing campaign, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="guard processes need Linux")
def test_damaged_files_end_in_errors_of_lazyomics(tmp_path) -> None:
    """Crashes and hangs count only where h5py alone survives the file."""
    numbers = ["--seed", "3", "--inputs", "150", "--histories", "0"]
    command = [sys.executable, "-m", "tests.fuzz", *numbers]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "150 inputs" in done.stdout
    assert "0  failures" in done.stdout
