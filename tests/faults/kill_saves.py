"""Kill a process that saves an .h5ad file in a loop, at random moments, and look what is left.

    python -m tests.faults.kill_saves --kills 120

A saving process writes three parts that belong together: a column of obs, an array in obsm and an
entry of uns, each with the number of the save. After each kill -9 every element of the file is
compared: all three parts must be of the same save, everything else must be as it was, and another
save must work. With --plain, h5py writes the same parts in place instead, for comparison.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from tests.faults.ending import ending_with_us

ROOT = Path(__file__).resolve().parent.parent.parent
CELLS = 20_000

SAVE = """
import sys, numpy as np, lazyomics as lo
adata = lo.read_h5ad(sys.argv[1])
n, first = adata.n_obs, int(sys.argv[2])
for k in range(first, 10**9):
    adata.obs["round"] = np.full(n, k)
    adata.obsm["round"] = np.full((n, 1 + k % 3), float(k))
    adata.uns["round"] = {"k": k, "text": f"save {k}"}
    adata.write()
    if k == first:  # whatever the first save imports is there
        print("ready", flush=True)
"""
PLAIN = """
import sys, numpy as np, h5py, lazyomics
path, n = sys.argv[1], CELLS
print("ready", flush=True)
for k in range(int(sys.argv[2]), 10**9):
    with h5py.File(path, "r+") as file:
        for name, value in (("obs/round", np.full(n, k)),
                            ("obsm/round", np.full((n, 1 + k % 3), float(k))),
                            ("uns/round/k", k), ("uns/round/text", f"save {k}")):
            if name in file:
                del file[name]
            file[name] = value
""".replace("CELLS", str(CELLS))


@dataclass
class Result:
    """Kills, how many left a save to be finished, saves that were done, and files damaged."""

    kills: int = 0
    unfinished: int = 0
    saves: int = 0
    damaged: int = 0


def make_file(path: Path) -> None:
    """A file with a matrix and tables, in which round 0 is saved."""
    import lazyomics as lo

    chance = np.random.default_rng(0)
    adata = lo.AnnData(chance.poisson(0.3, (CELLS, 50)).astype("f4"))
    adata.obs["n"] = chance.random(CELLS)
    adata.obs["round"] = np.zeros(CELLS, int)
    adata.obsm["round"] = np.zeros((CELLS, 1))
    adata.uns["round"] = {"k": 0, "text": "save 0"}
    adata.write_h5ad(path, compression="gzip")


def saved_round(path: Path, x: np.ndarray, n: np.ndarray) -> int:
    """The save that the file holds; raises if it is not whole."""
    with h5py.File(path, "r") as file:
        file.visititems(lambda _, obj: obj[()] if isinstance(obj, h5py.Dataset) else None)
        np.testing.assert_array_equal(file["X"][:], x)
        np.testing.assert_array_equal(file["obs/n"][:], n)
        k = int(file["uns/round/k"][()])
        np.testing.assert_array_equal(file["obs/round"][:], np.full(CELLS, k))
        np.testing.assert_array_equal(file["obsm/round"][:], np.full((CELLS, 1 + k % 3), float(k)))
        assert file["uns/round/text"][()] == f"save {k}".encode()
    return k


def kill_saves(folder: Path, *, kills: int, seed: int, plain: bool = False) -> Result:
    """Kill the process ``kills`` times, each time with a fresh process on the same file."""
    import lazyomics as lo

    path, chance, result = folder / "killed.h5ad", random.Random(seed), Result()
    make_file(path)
    with h5py.File(path) as file:
        x, n = file["X"][:], file["obs/n"][:]
    done = 0
    for _ in range(kills):
        _kill_one(path, done + 1, chance.uniform(0.0, 0.4), plain)
        result.kills += 1
        result.unfinished += (folder / f".{path.name}.lazyomics-journal").exists()
        try:
            lo.read_h5ad(path)
            found = saved_round(path, x, n)
        except Exception as error:
            print(f"damaged: {type(error).__name__}: {str(error)[:100]}")
            result.damaged += 1
            done = 0
            path.unlink()
            make_file(path)
            continue
        assert found >= done, "a save that had been seen was lost"
        result.saves += found - done
        done = found
    return result


def _kill_one(path: Path, first: int, seconds: float, plain: bool) -> None:
    code = PLAIN if plain else SAVE
    process = subprocess.Popen(
        [sys.executable, "-c", ending_with_us(code), str(path), str(first)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.kill()
    process.wait()
    process.stdout.close()


def main() -> None:
    """Run with the arguments of the command line, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="save with plain h5py, to compare")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = kill_saves(
            Path(folder), kills=arguments.kills, seed=arguments.seed, plain=arguments.plain
        )
    print(
        f"{result.kills} kills, {result.saves} saves, {result.unfinished} left to be finished, "
        f"{result.damaged} files damaged"
    )
    sys.exit(bool(result.damaged) and not arguments.plain)


if __name__ == "__main__":
    main()
