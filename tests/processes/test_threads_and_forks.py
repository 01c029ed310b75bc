"""One object in many threads, and in processes that are forked or started with it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io import files
from lazyomics.io.transaction.locks import is_mismatch
from tests.open_files import OPEN, open_files

ROOT = Path(lo.__file__).parent.parent
SECONDS = 60
PROGRAM = """
import multiprocessing, sys, warnings
from queue import Empty
import lazyomics as lo
warnings.simplefilter("ignore")  # Python warns of forks beside threads
path, how = sys.argv[1:]

def total(adata):
    return float(adata.X.sum().compute()) + float(lo.read_h5ad(path).obs["n"].sum())

def child(adata, queue):
    queue.put(total(adata))

if __name__ == "__main__":
    adata = lo.read_h5ad(path)
    expected, hung = total(adata), 0
    context = multiprocessing.get_context("spawn" if how == "spawn" else "fork")
    for _ in range(1 if how == "spawn" else 8):
        queue = context.Queue()
        process = context.Process(target=child, args=(adata, queue))
        process.start()
        try:
            assert queue.get(timeout=40) == expected
            process.join(40)
            assert process.exitcode == 0
        except Empty:
            process.kill()
            hung += 1
    assert not hung, f"{hung} processes did not answer"
    print("done")
"""


@pytest.fixture
def path(tmp_path) -> Path:
    found = tmp_path / "a.h5ad"
    x = sp.random(2000, 300, 0.1, format="csr", random_state=0)
    lo.AnnData(x, obs={"n": np.arange(2000)}).write_h5ad(found, compression="gzip")
    return found


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_processes_that_are_started_with_an_opened_object(path, how) -> None:
    if how != "spawn" and not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    program = path.with_name("program.py")
    program.write_text(PROGRAM)
    ran = subprocess.run(
        [sys.executable, str(program), str(path), how],
        capture_output=True,
        text=True,
        timeout=8 * SECONDS,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.stdout == "done\n", ran.stderr


def test_eight_threads_compute_on_one_object(path) -> None:
    adata = lo.read_h5ad(path)
    x = adata.to_memory().X
    lo.pp.normalize_total(adata)
    expected = adata.to_memory().X
    half = adata[::2]
    adata.layers["again"] = adata.X

    def work(k: int) -> bool:
        for _ in range(5):
            rows = np.sort(np.random.default_rng(k).choice(2000, 50, replace=False))
            part = adata[rows].X.compute()
            np.testing.assert_array_equal(part.toarray(), expected[rows].toarray())
            np.testing.assert_allclose(half.X.sum().compute(), expected[::2].sum())
            assert len(adata.obs) == 2000
            opened = lo.read_h5ad(path)
            assert opened.X.sum().compute() == pytest.approx(x.sum())
        return True

    pool = ThreadPoolExecutor(8)
    results = [pool.submit(work, k) for k in range(8)]
    try:
        assert all(r.result(timeout=SECONDS) for r in results)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def test_threads_compute_while_one_saves(path) -> None:
    """The object that is saved and those opened before go on: X did not change."""
    adata, others = lo.read_h5ad(path), [lo.read_h5ad(path) for _ in range(3)]
    total, stop = float(adata.X.sum().compute()), threading.Event()

    def read(opened: lo.AnnData) -> int:
        count = 0
        while not stop.is_set():
            assert float(opened.X.sum().compute()) == total
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        results = [pool.submit(read, opened) for opened in others]
        for k in range(10):
            adata.obs["k"] = np.full(2000, k)
            adata.layers["k"] = adata.X * k
            adata.write()
        stop.set()
        assert all(r.result(timeout=SECONDS) > 0 for r in results)
    assert float(adata.layers["k"].sum().compute()) == pytest.approx(9 * total)


def test_objects_pickle_by_path(path, tmp_path) -> None:
    adata = lo.read_h5ad(path)
    lo.pp.normalize_total(adata)
    adata.obsm["E"] = np.ones((2000, 2))
    part = adata[adata.obs["n"] % 3 == 0, :100]
    mu_path = tmp_path / "a.h5mu"
    lo.MuData({"rna": lo.read_h5ad(path), "few": lo.read_h5ad(path)[:, :5]}).write_h5mu(mu_path)
    mdata = lo.read_h5mu(mu_path)
    expected = [
        float(adata.X.sum().compute()),
        float(part.X.sum().compute()),
        float(mdata["few"].X.sum().compute()),
    ]
    content = pickle.dumps((adata, part, mdata, mdata[:100]))
    assert len(content) < 600_000  # tables and embeddings, but no matrix
    code = (
        "import pickle, sys\n"
        "adata, part, mdata, few = pickle.load(sys.stdin.buffer)\n"
        "for x in (adata.X, part.X, mdata['few'].X): print(repr(float(x.sum().compute())))\n"
        "assert few.shape[0] == 100 and part.shape == (667, 100)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr.decode()
    assert list(map(float, ran.stdout.split())) == pytest.approx(expected)


@pytest.mark.skipif(not OPEN.exists(), reason="counts handles in /proc")
def test_handles_do_not_leak(path) -> None:
    def held() -> tuple[int, int]:
        with open("/proc/self/maps") as maps:
            mapped = sum(path.name in line for line in maps)
        return len(open_files(path.parent)), mapped

    def work(times: int) -> None:
        for _ in range(times):
            adata = lo.read_h5ad(path)
            adata[:20].X.sum().compute()
            adata.obs["n"].sum()

    work(10)  # threads are made
    before = held()
    work(int(os.environ.get("LAZYOMICS_OPENS", "200")))
    assert held() == before
    assert before[1] == 0


def test_other_threads_open_the_file_with_other_locks(path, monkeypatch) -> None:
    """HDF5 refuses two handles of one process that differ in this; others close theirs soon."""
    with (
        h5py.File(path, locking=True),
        pytest.raises(OSError, match="locking") as refused,
        h5py.File(path, locking=False),
    ):
        pass
    assert is_mismatch(refused.value)
    attempts, real = [], files._SharedFile

    def opened(*arguments, locking):
        attempts.append(locking)
        if len(attempts) < 10:  # each time another thread has it open, with another setting
            raise refused.value
        return real(*arguments, locking=locking)

    monkeypatch.setattr(files, "_SharedFile", opened)
    with files.open_for_reading(path) as file:
        assert "X" in file
    assert len(attempts) == 10
    with h5py.File(path, locking=True), files.open_for_reading(path) as file:
        assert "X" in file
