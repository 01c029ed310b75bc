"""X of a modality is rewritten in its file, at size, while other processes and programs read it.

    python -m tests.faults.rewrite_x --seconds 60

The saving process adds 1 to X of a modality, derived lazily from X as it is stored, and saves it
in place with ``overwrite_x=True``; every few saves it repacks the file. Each reader checks that
what it computes of X is of one save: the sum follows from the number of saves. Readers with
lazyomics open the file anew or keep it; a StaleFileError is the only error. One opens it with
h5py, one with mudata ``backed="r"``, as anndata does: as long as they keep it open, all that they
read is of one save.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.read_while_saving import run_together, start

SAVER = """
import sys, time, warnings, numpy as np, lazyomics as lo
warnings.simplefilter("ignore")  # of unused space
path, seconds = sys.argv[1], float(sys.argv[2])
lo.read_h5mu(path).mod["rna"].X.sum().compute()  # imports and compiles
k, repacked, most = 0, 0, 0.0
ready()
end = time.monotonic() + seconds
while time.monotonic() < end:
    mdata = lo.read_h5mu(path)
    adata = mdata.mod["rna"]
    for _ in range(3):
        k += 1
        adata.X = adata.X + 1
        adata.obs["round"] = np.full(adata.n_obs, k)
        begun = time.monotonic()
        mdata.write(overwrite_x=True)
        most = max(most, time.monotonic() - begun)
    lo.repack(path)
    repacked += 1
print(k, repacked, round(most, 1), flush=True)
"""
READER = """
import sys, time, lazyomics as lo
from lazyomics.errors import StaleFileError
path, seconds, how, total, size = sys.argv[1], float(sys.argv[2]), *sys.argv[3:]
total, size = float(total), int(size)
reads, stale, last = 0, 0, 0
lo.read_h5mu(path).mod["rna"].X.sum(dtype="f8").compute()  # imports and compiles
ready()
end = time.monotonic() + seconds
x = None
while time.monotonic() < end:
    try:
        if how == "open" or x is None:
            x = lo.read_h5mu(path).mod["rna"].X
        k, rest = divmod(float(x.sum(dtype="f8").compute()) - total, size)
        assert rest == 0 and k >= last, ("mixture of saves", k, rest, last)
        last = k
        reads += 1
    except StaleFileError as error:
        assert "open it again" in str(error).lower(), error
        stale += 1
        x = None
print(reads, stale, int(last), flush=True)
"""
BACKED = """
import sys, time, warnings, h5py, numpy as np
warnings.simplefilter("ignore")
path, seconds, how, total, size = sys.argv[1], float(sys.argv[2]), *sys.argv[3:]
total, size = float(total), int(size)
if how == "mudata":
    import mudata
    def opened():
        mdata = mudata.read_h5mu(path, backed="r")
        adata = mdata.mod["rna"]
        table = adata.obs
        return adata.X, table["round"] if "round" in table else None, mdata.file.close
else:
    def opened():
        file = h5py.File(path, "r")
        rna = file["mod/rna"]
        return rna["X"], rna["obs"].get("round"), file.close
reads = refused = last = 0
ready()
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        x, rounds, close = opened()
    except BlockingIOError:  # a save is being put in place just now
        refused += 1
        time.sleep(0.01)
        continue
    found = set()
    for _ in range(3):
        step = 2000
        parts = [np.asarray(x[i : i + step]).sum(dtype="f8") for i in range(0, x.shape[0], step)]
        k, rest = divmod(sum(parts) - total, size)
        assert rest == 0, ("mixture of saves", k, rest)
        found.add(k)
        reads += 1
    assert len(found) == 1, ("several saves in one open file", found)
    if rounds is not None:
        assert set(np.asarray(rounds[:])) == found, ("table of another save", found)
    assert min(found) >= last
    last = min(found)
    close()
print(reads, refused, int(last), flush=True)
"""


@dataclass
class Result:
    """What was saved and read."""

    saves: int = 0
    repacks: int = 0
    longest: float = 0.0
    reads: int = 0
    stale: int = 0
    backed_reads: int = 0
    refused: int = 0
    wrong: tuple[str, ...] = ()


def make_file(path: Path, cells: int, genes: int) -> float:
    """A file with a large and a small modality; returns the sum of the large one's X."""
    import lazyomics as lo

    x = np.random.default_rng(0).integers(0, 5, (cells, genes)).astype("f4")
    lo.MuData({"rna": lo.AnnData(x), "few": lo.AnnData(x[:, :3])}).write_h5mu(path)
    return float(x.sum(dtype="f8"))


def rewrite_x(
    path: Path, *, seconds: float, cells: int, genes: int, backed: tuple[str, ...]
) -> Result:
    """Start a saving process and readers of all sorts; returns when all are done."""
    checks = (make_file(path, cells, genes), cells * genes)
    run = [start(SAVER, path, seconds)]
    run += [start(READER, path, seconds, how, *checks) for how in ("open", "keep")]
    run += [start(BACKED, path, seconds, how, *checks) for how in backed]
    watchdogs = [threading.Timer(seconds + 120, p.kill) for p in run]
    for watchdog in watchdogs:
        watchdog.start()
    ended = run_together(run)
    for watchdog in watchdogs:
        watchdog.cancel()
    wrong = tuple(errors or f"ended with {p.returncode}" for p, _, errors in ended if p.returncode)
    if wrong:
        return Result(wrong=wrong)
    (saved, *readers) = [out.split() for _, out, _ in ended]
    own, others = readers[:2], readers[2:]
    return Result(
        saves=int(saved[0]),
        repacks=int(saved[1]),
        longest=float(saved[2]),
        reads=sum(int(c[0]) for c in own),
        stale=sum(int(c[1]) for c in own),
        backed_reads=sum(int(c[0]) for c in others),
        refused=sum(int(c[1]) for c in others),
        wrong=tuple(p.name for p in path.parent.iterdir() if p != path),
    )


def main() -> None:
    """Run with the arguments of the command line, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2_500)
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = rewrite_x(
            Path(folder) / "a.h5mu",
            seconds=arguments.seconds,
            cells=arguments.cells,
            genes=arguments.genes,
            backed=("h5py", "mudata"),
        )
    print(
        f"X of {arguments.cells * arguments.genes * 4 / 1e6:.0f} MB: {result.saves} saves "
        f"(the longest {result.longest} s), {result.repacks} repacks; {result.reads} reads, "
        f"{result.stale} StaleFileError; {result.backed_reads} reads by h5py and mudata, "
        f"{result.refused} times refused for a moment; {len(result.wrong)} wrong, "
        f"{time.monotonic() - started:.0f} s"
    )
    print(*result.wrong, sep="\n", end="\n" * bool(result.wrong))
    sys.exit(bool(result.wrong))


if __name__ == "__main__":
    main()
