"""Machine code that several processes compile, keep and load at the same time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import json, sys, time
import numpy as np
from lazyomics.compiled import compiled
sys.path.insert(0, sys.argv[1])
from summed import total

start = float(sys.argv[2])
time.sleep(max(0, start - time.time()))
found = [total(np.array([1, 2, 3], dtype)) for dtype in sys.argv[3:]]
stats = total._machine_code.stats
print(json.dumps([found, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""

MODULE = """
from lazyomics.compiled import compiled

@compiled
def total(values):
    out = 0.0
    for value in values:
        out += value
    return out
"""


@pytest.fixture
def start(tmp_path):
    """``start("float32", …)`` starts a process that sums values of these types."""
    (tmp_path / "summed.py").write_text(MODULE, encoding="utf-8")
    cache = tmp_path / "cache"
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": root}

    def begin(*dtypes: str, at: float = 0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(at), *dtypes]
        return subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    begin.cache = cache
    return begin


def result(process) -> list:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return json.loads(output)


@pytest.mark.slow
def test_processes_with_an_empty_cache(start) -> None:
    at = time.time() + 2  # both have imported what they need by then
    running = [start("float32", "int32", at=at), start("int32", "float32", at=at)]
    assert [result(p)[0] for p in running] == [[6.0, 6.0]] * 2
    assert result(start("float32", "int32"))[0] == [6.0, 6.0]  # whatever they left behind


@pytest.mark.slow
def test_code_for_other_types_is_not_taken(start) -> None:
    """The state that two processes leave which numbered their files alike, made on purpose."""
    assert result(start("float32", "int32")) == [[6.0, 6.0], 0, 2]
    first, second = sorted(start.cache.rglob("*.nbc"))
    shutil.copy(first, second)
    found, _, compiled_again = result(start("int32", "float32"))
    assert found == [6.0, 6.0]
    assert compiled_again == 2
    assert result(start("float32", "int32")) == [[6.0, 6.0], 2, 0]  # and then it is mended
