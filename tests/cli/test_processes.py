"""Real processes: exit codes, signals, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

# The command stops in the middle of writing X, says so, and waits.
WAITING = """
import sys, time
import lazyomics.io.stream as stream
def in_order(self):
    print("writing", flush=True)
    time.sleep(60)
    yield
stream.MatrixBlocks.in_order = in_order
from lazyomics.cli.main import main
main()
"""


def test_missing_file_and_success(small):
    run = [sys.executable, "-m", "lazyomics"]
    done = subprocess.run([*run, "info", "none.h5ad"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "lazyomics: error: none.h5ad does not exist\n"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_while_writing(small, tmp_path, sent, code):
    out = tmp_path / "out.h5ad"
    out.write_text("mine")
    command = [
        "subset",
        small,
        "--obs",
        "n_genes > 0",
        "--compression",
        "gzip",
        "--overwrite",
        "-o",
        out,
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "writing\n"
        assert len(list(tmp_path.glob(".out.h5ad.*.part"))) == 1
        time.sleep(0.1)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=50)
    finally:
        process.kill()
    assert process.returncode == code
    assert errors.splitlines()[-1] in ("lazyomics: interrupted", "lazyomics: terminated")
    assert out.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["out.h5ad", "small.h5ad"]


def test_a_closed_pipe_ends_quietly(small):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "lazyomics", "export", str(small), "obs"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
