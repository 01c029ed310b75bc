"""Medians of benchmarks in a file, and a picture of them.

python tests/bench/results.py RESULTS.json docs/benchmarks.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

COLORS = {"lazyomics": "#1b6ca8"}
OTHERS = ("#c44e52", "#dd8452", "#8c8c8c", "#937860")


def add_results(path: Path, results: list[dict[str, Any]]) -> None:
    """Add results ``{"job": …, "seconds": {program: …}}``; those of the same job are replaced."""
    known = json.loads(path.read_text()) if path.exists() else []
    new = {result["job"] for result in results}
    kept = [result for result in known if result["job"] not in new]
    path.write_text(json.dumps([*kept, *results], indent=1, ensure_ascii=False) + "\n")


def draw(results: list[dict[str, Any]], target: Path) -> None:
    """Draw a group of bars for each job, in seconds of the whole process, logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    programs = list(dict.fromkeys(p for result in results for p in result["seconds"]))
    colors = {p: COLORS.get(p, OTHERS[k % len(OTHERS)]) for k, p in enumerate(programs)}
    rows = [(r["job"], p, s) for r in results for p, s in r["seconds"].items()]
    fig, ax = plt.subplots(figsize=(8, 0.24 * len(rows) + 0.22 * len(results) + 1))
    at, ticks, seen = 0.0, [], set()
    for result in results:
        start = at
        for program, seconds in result["seconds"].items():
            label = None if program in seen else program
            seen.add(program)
            ax.barh(at, seconds, height=0.9, color=colors[program], label=label)
            ax.text(seconds * 1.04, at, f"{seconds:.1f}", va="center", fontsize=7)
            at += 1
        ticks.append(((start + at - 1) / 2, result["job"]))
        at += 1
    ax.set_yticks([t for t, _ in ticks], [job for _, job in ticks], fontsize=8)
    ax.invert_yaxis()
    ax.margins(y=0.01)
    ax.set_xscale("log")
    ax.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"], minor=False)
    ax.minorticks_off()
    ax.set_xlabel("seconds, whole process (imports included)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(
        frameon=False,
        fontsize=8,
        loc="lower center",
        bbox_to_anchor=(0.4, 1.0),
        ncols=len(programs),
    )
    fig.tight_layout()
    fig.savefig(target, metadata={"Date": None})


def draw_file(results: Path, target: Path) -> None:
    """Draw the results of a file."""
    draw(json.loads(results.read_text()), target)


if __name__ == "__main__":
    draw_file(Path(sys.argv[1]), Path(sys.argv[2]))
