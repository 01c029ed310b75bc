"""Press Ctrl-C at random moments of a pipeline, a computation, a write and a save.

    python -m tests.faults.interrupt_work --rounds 100

Each process does one kind of work again and again. It is sent SIGINT, sometimes twice, and must
raise KeyboardInterrupt soon, leave nothing beside its files, leave them as they were or as they
are afterwards, and go on to compute the right result with the same object.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from tests.faults.ending import ending_with_us

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = ("pipeline", "compute", "write", "save", "layer")

WORK = """
import os, sys, time, numpy as np, lazyomics as lo
path, kind, again = sys.argv[1:]
out = path + ".out.h5ad"
adata = lo.read_h5ad(path)
expected = float(sys.stdin.readline())
adata.X[:10].sum().compute()

def pipeline():
    work = lo.read_h5ad(path)
    lo.pp.normalize_total(work)
    lo.pp.log1p(work)
    lo.pp.highly_variable_genes(work, n_top_genes=20)
    lo.pp.pca(work, n_comps=5)

def compute():
    adata.X.sum(axis=0).compute()

def write():
    adata.write_h5ad(out, compression="gzip") if kind == "write" else None

def save():
    adata.obs["k"] = np.random.random(adata.n_obs)
    adata.obsm["E"] = np.random.random((adata.n_obs, 30))
    adata.write()

def layer():
    adata.layers["twice"] = adata.X * 2
    adata.write()

seconds = []
caught = ended = 0.0
try:
    print("ready", flush=True)
    while True:
        globals()[kind]()
except KeyboardInterrupt:
    caught = time.time()
    try:
        time.sleep(0.3 if again == "1" else 0)  # for the second one
    except KeyboardInterrupt:
        pass
print("caught", caught, flush=True)
assert float(adata.X.sum().compute()) == expected
adata.obs["after"] = np.arange(adata.n_obs)
adata.write()
again = lo.read_h5ad(path)
assert list(again.obs["after"]) == list(range(adata.n_obs))
assert float(again.X.sum().compute()) == expected
if "twice" in again.layers:
    assert float(again.layers["twice"].sum().compute()) == 2 * expected
if os.path.exists(out):
    assert float(lo.read_h5ad(out).X.sum().compute()) == expected
print("usable", flush=True)
"""


@dataclass
class Result:
    """Seconds until each interrupt was raised, what went wrong, and what Python itself lost.

    Python prints and drops a KeyboardInterrupt that arrives while it finalises an object; such a
    process is stopped by its second interrupt, or is sent another one, and has no seconds.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: {k: [] for k in KINDS})
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    repeated: int = 0


def make_file(path: Path, cells: int) -> float:
    """A file to work on; returns the sum of its X."""
    import lazyomics as lo

    x = sp.random(cells, 400, 0.1, format="csr", dtype="f8", random_state=0)
    x.data = np.ceil(x.data * 5)
    lo.AnnData(x).write_h5ad(path, compression="gzip")
    return float(x.sum())


def interrupt(folder: Path, *, rounds: int, seed: int, cells: int = 20_000) -> Result:
    """Interrupt each kind of work ``rounds`` times, every third time twice."""
    source, chance, result = folder / "source.h5ad", random.Random(seed), Result()
    total = make_file(source, cells)
    for k in range(rounds):
        for kind in KINDS:
            work = folder / "work"
            work.mkdir()
            path = work / "a.h5ad"
            path.write_bytes(source.read_bytes())
            _interrupt_one(path, kind, total, chance, again=k % 3 == 2, result=result)
            left = sorted(p.name for p in work.iterdir())
            if not set(left) <= {"a.h5ad", "a.h5ad.out.h5ad"}:
                result.wrong.append(f"{kind}: left {left}")
            for file in work.iterdir():
                file.unlink()
            work.rmdir()
    return result


def _interrupt_one(
    path: Path, kind: str, total: float, chance: random.Random, *, again: bool, result: Result
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ending_with_us(WORK), str(path), kind, str(int(again))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    watchdog = threading.Timer(90, process.kill)
    watchdog.start()
    try:
        process.stdin.write(f"{total}\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            result.wrong.append(f"{kind}: did not start: {process.communicate()[1]}")
            return
        time.sleep(chance.uniform(0.0, 1.2))
        sent = time.time()
        process.send_signal(signal.SIGINT)
        if again:
            time.sleep(chance.uniform(0.0, 0.1))
            process.send_signal(signal.SIGINT)
        repeated = threading.Timer(3, _send_again, (process, result))
        repeated.start()
        caught = process.stdout.readline()
        repeated.cancel()
        out, errors = process.communicate()
    finally:
        watchdog.cancel()
    lines = [caught, *out.splitlines()]
    if process.returncode or lines[-1:] != ["usable"]:
        result.wrong.append(f"{kind}: {'twice, ' * again}ended {process.returncode}: {errors}")
        return
    if "Exception ignored" in errors:
        result.lost.append(f"{kind}: {errors}")
    else:
        result.seconds[kind].append(float(lines[0].split()[1]) - sent)


def _send_again(process: subprocess.Popen[str], result: Result) -> None:
    """For a process whose only interrupt was lost."""
    result.repeated += 1
    process.send_signal(signal.SIGINT)


def main() -> None:
    """Run with the arguments of the command line, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="of one interrupt for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = interrupt(
            Path(folder), rounds=arguments.rounds, seed=arguments.seed, cells=arguments.cells
        )
    for kind, seconds in result.seconds.items():
        if seconds:
            print(
                f"{kind}: {len(seconds)} interrupts, raised after {np.median(seconds):.2f} s "
                f"(median), {max(seconds):.2f} s (longest)"
            )
    print(*result.wrong, *result.lost, sep="\n")
    print(
        f"{len(result.wrong)} went wrong, {len(result.lost)} were lost by Python while it "
        f"finalised an object, {result.repeated} had to be sent again"
    )
    sys.exit(bool(result.wrong))


if __name__ == "__main__":
    main()
