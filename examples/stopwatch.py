"""Time and peak memory of the steps of a script."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def peak_memory() -> float:
    """Peak resident memory of this process so far, in MB."""
    try:
        # Where a process is started from a large one, getrusage reports the parent's peak.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        kilobyte = 1024 if sys.platform == "darwin" else 1
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / kilobyte


class Stopwatch:
    """Collects and prints a line for each step."""

    def __init__(self) -> None:
        self.laps: list[tuple[str, float, float]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.laps.append((name, time.perf_counter() - start, peak_memory()))
        print(line(*self.laps[-1]), flush=True)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.laps), encoding="utf-8")


def line(name: str, seconds: float, peak: float) -> str:
    return f"[{name:<28} {seconds:7.2f} s   peak {peak:5.0f} MB]"
