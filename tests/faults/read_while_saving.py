"""Several processes read a file while one saves it again and again.

    python -m tests.faults.read_while_saving --seconds 60

The saving process changes a column of obs, an array in obsm, an entry of uns and a layer that is
derived from X, and now and then writes everything anew; each save's values follow from its number.
Readers open the file, or keep it open, and compare: what they read at one moment must be of one
save, X as it always was, and a StaleFileError is the only error. Nothing may hang.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.ending import ending_with_us

ROOT = Path(__file__).resolve().parent.parent.parent

READY = """
def ready():
    import sys
    print("ready", flush=True)
    sys.stdin.readline()
"""
SAVER = """
import sys, time, numpy as np, lazyomics as lo
path, kind, mode = sys.argv[1:4]
seconds, big = float(sys.argv[4]), int(sys.argv[5])
opened = lo.read_h5mu(path) if kind == "h5mu" else lo.read_h5ad(path)
adata = opened.mod["rna"] if kind == "h5mu" else opened
n, k = adata.n_obs, 0
ready()
end = time.monotonic() + seconds
while time.monotonic() < end:
    k += 1
    adata.obs["round"] = np.full(n, k)
    adata.obsm["round"] = np.full((n, 3), float(k))
    adata.uns["round"] = {"k": k, "text": f"save {k}"}
    if mode == "layers":
        adata.layers["round"] = adata.X * 0 + k
        if big:
            adata.obsm["big"] = np.full((n, big), float(k))
    if mode == "anew":
        adata.X = adata.X * 1
    opened.write(overwrite_x=mode == "anew")
print(k, flush=True)
"""
READER = """
import sys, time, numpy as np, lazyomics as lo
from lazyomics.errors import StaleFileError
path, kind, total, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
keep, mode = sys.argv[5] == "keep", sys.argv[6]
def opened():
    return lo.read_h5mu(path).mod["rna"] if kind == "h5mu" else lo.read_h5ad(path)
reads = stale = 0
seen, last = set(), 0
adata = opened()
x = adata.X
float(x.sum().compute())  # what is imported and compiled takes longer than a short test
ready()
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        if not keep:
            adata = opened()
            x = adata.X
        found = float(x.sum().compute())
        assert found == total, ("X", found, total)
        if "round" in adata.layers:
            layer = adata.layers["round"]
            values = np.unique(np.asarray(layer.compute()))
            assert len(values) == 1, ("layer", values)
            last = max(last, int(values[0]))
        if not keep:
            table = adata.obs
            rounds = set(table["round"]) if "round" in table else {0}
            assert len(rounds) == 1, ("obs", rounds)
            last = max(last, *map(int, rounds))
            seen |= rounds
        reads += 1
    except StaleFileError as error:
        assert "open it again" in str(error).lower(), error
        assert mode == "anew" or "round" in str(error), error  # X did not change
        stale += 1
        adata = opened()
        x = adata.X
print(reads, stale, len(seen), flush=True)
"""


@dataclass
class Result:
    """What was read and saved."""

    saves: int = 0
    reads: int = 0
    stale: int = 0
    wrong: tuple[str, ...] = ()


def make_file(path: Path, kind: str, cells: int) -> float:
    """A file to save; returns the sum of its X."""
    import numpy as np

    import lazyomics as lo

    x = np.random.default_rng(0).integers(0, 5, (cells, 100)).astype("f8")
    adata = lo.AnnData(x)
    if kind == "h5mu":
        lo.MuData({"rna": adata, "atac": lo.AnnData(x[:, :3])}).write_h5mu(path, compression="gzip")
    else:
        adata.write_h5ad(path, compression="gzip")
    return float(x.sum())


def read_while_saving(
    path: Path, *, kind: str, mode: str, seconds: float, readers: int, cells: int, big: int = 0
) -> Result:
    """Start one saving process and readers of both sorts; returns when all are done."""
    total = make_file(path, kind, cells)
    run = [start(SAVER, path, kind, mode, seconds, big)]
    for k in range(readers):
        how = ("open", "keep")[k % 2]
        run += [start(READER, path, kind, total, seconds, how, mode)]
    watchdogs = [threading.Timer(seconds + 90, p.kill) for p in run]
    for watchdog in watchdogs:
        watchdog.start()
    ended = run_together(run)
    for watchdog in watchdogs:
        watchdog.cancel()
    wrong = tuple(errors for p, _, errors in ended if p.returncode)
    if wrong:
        return Result(wrong=wrong)
    counts = [list(map(int, out.split())) for _, out, _ in ended]
    left = [p.name for p in path.parent.iterdir() if p != path]
    return Result(
        saves=counts[0][0],
        reads=sum(c[0] for c in counts[1:]),
        stale=sum(c[1] for c in counts[1:]),
        wrong=tuple(left),
    )


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a program with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-c", ending_with_us(READY + code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run_together(run: list[subprocess.Popen[str]]) -> list[tuple[subprocess.Popen[str], str, str]]:
    """Let programs go on when all of them are ready; return what they print."""
    for program in run:
        assert program.stdout is not None
        program.stdout.readline()
    for program in run:
        assert program.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended with an error
            program.stdin.write("go\n")
            program.stdin.flush()
    return [(program, *program.communicate()) for program in run]


def main() -> None:
    """Run with the arguments of the command line, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="for each kind of save")
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--big", type=int, default=200, help="columns of a large array in obsm")
    arguments = parser.parse_args()
    failed = False
    for kind in ("h5ad", "h5mu"):
        for mode in ("tables", "layers", "anew"):
            started = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                result = read_while_saving(
                    Path(folder) / f"a.{kind}",
                    kind=kind,
                    mode=mode,
                    seconds=arguments.seconds,
                    readers=arguments.readers,
                    cells=arguments.cells,
                    big=arguments.big,
                )
            failed |= bool(result.wrong)
            print(
                f"{kind} {mode}: {result.saves} saves, {result.reads} reads, {result.stale} "
                f"StaleFileError, {len(result.wrong)} wrong, {time.monotonic() - started:.0f} s"
            )
            print(*result.wrong, sep="\n", end="\n" * bool(result.wrong))
    sys.exit(failed)


if __name__ == "__main__":
    main()
