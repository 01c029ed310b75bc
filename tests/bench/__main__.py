"""Run all benchmarks on the same files, one after the other.

    python -m tests.bench [--cells 100000] [--runs 3] [--only pipeline subset] [--folder F]

Counts are simulated into the folder, bench_output, if they are not there yet (100,000 cells
take two minutes). What the benchmarks print is also written to ``results.md`` there, the medians of
those that have peers to ``results.json``, a picture of these to ``results.svg``. All of it takes
about an hour on 4 cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench.counts import write_counts
from tests.bench.results import draw_file

REPOSITORY = Path(__file__).resolve().parents[2]


class Files(NamedTuple):
    """What benchmarks read, and where they leave their results."""

    folder: Path
    n_cells: int

    def counts(self, share: int = 1, compression: str = "gzip") -> str:
        """A file with all cells, or one in so many; simulated if there is none."""
        n_cells = self.n_cells // share
        path = self.folder / f"counts_{n_cells}_{compression}.h5ad"
        if not path.exists():
            print(f"simulating {n_cells:,} cells: {path}", flush=True)
            write_counts(path, n_cells, compression)
        return str(path)

    @property
    def json(self) -> str:
        return str(self.folder / "results.json")


def pipeline(files: Files, runs: str) -> list[list[str]]:
    def run(compression: str, label: str) -> list[str]:
        path = files.counts(compression=compression)
        return ["bench_pipeline.py", path, "--runs", runs, "--json", files.json, "--label", label]

    return [run("gzip", "gzip"), run("none", "uncompressed")]


def subset(files: Files, runs: str) -> list[list[str]]:
    return [["bench_subset.py", files.counts(), "--runs", runs, "--json", files.json]]


def decode(files: Files, runs: str) -> list[list[str]]:
    paths = [files.counts(compression=c) for c in ("gzip", "none")]
    return [["bench_decode.py", path, "--repeats", runs] for path in paths]


def peaks(files: Files, runs: str) -> list[list[str]]:
    numbers = [str(k * files.n_cells) for k in (1, 3, 10)]
    return [["bench_peaks.py", str(files.folder), "--peaks", *numbers]]


def pca_all_genes(files: Files, runs: str) -> list[list[str]]:
    command = ["bench_pca_all_genes.py", files.counts(share=2)]
    return [command, *([*command, "--memory", budget] for budget in ("512MiB", "200MiB"))]


def graph(files: Files, runs: str) -> list[list[str]]:
    few = ["bench_graph.py", "--n-obs", str(files.n_cells // 5), "--runs", runs]
    many = ["bench_graph.py", "--n-obs", str(files.n_cells), "--runs", "1"]
    return [[*command, "--json", files.json] for command in (few, many)]


def verbs(files: Files, runs: str) -> list[list[str]]:
    return [["bench_verbs.py", files.counts(), "--runs", runs, "--json", files.json]]


JOBS: dict[str, Callable[[Files, str], list[list[str]]]] = {
    "start": lambda files, runs: [["bench_start.py", "--runs", runs]],
    "pipeline": pipeline,
    "subset": subset,
    "graph": graph,
    "verbs": verbs,
    "floor": lambda files, runs: [["bench_floor.py", files.counts(), "--runs", runs]],
    "decode": decode,
    "storage": lambda files, runs: [["bench_storage.py", files.counts(), "--runs", runs]],
    "genes": lambda files, runs: [["bench_genes.py", files.counts()]],
    "scaling": lambda files, runs: [["bench_scaling.py", "--runs", runs]],
    "pca_all_genes": pca_all_genes,
    "peaks": peaks,
    "remote": lambda files, runs: [["bench_remote.py", files.counts()]],
    "block": lambda files, runs: [["bench_block.py", "--repeat", runs]],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "bench_output")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    files = Files(given.folder.resolve(), given.cells)
    for name in given.only:
        for command in JOBS[name](files, str(given.runs)):
            run(command, files.folder / "results.md")
    if os.path.exists(files.json):
        draw_file(Path(files.json), files.folder / "results.svg")
    print(f"Results are in {files.folder}")


def run(command: list[str], log: Path) -> None:
    """Run a benchmark; show what it prints, and keep it."""
    script, *arguments = command
    title = f"\n## {' '.join([script, *(Path(a).name for a in arguments)])}\n\n"
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / script), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    with log.open("a", encoding="utf-8") as kept, process:
        assert process.stdout is not None
        for line in (title, *process.stdout):
            print(line, end="", flush=True)
            kept.write(line)
    if process.returncode:
        raise SystemExit(f"{script} failed with exit status {process.returncode}")


if __name__ == "__main__":
    main()
