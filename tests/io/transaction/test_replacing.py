"""New files, written in the place of others."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import dask
import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import StaleFileError
from lazyomics.io.transaction import atomic_replace, saving
from tests.io.transaction.changes import change
from tests.io.transaction.crashes import elements
from tests.io.transaction.test_crashes import pending_save
from tests.io.transaction.test_locks import HOLD, finish, start

WRITE = """
import sys
from lazyomics.io.transaction import atomic_replace
with atomic_replace(sys.argv[1]) as file:
    file["theirs"] = 1
    print("writing", flush=True)
    sys.stdin.readline()
"""


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


@pytest.mark.parametrize("program", [HOLD, WRITE], ids=["saves", "writes"])
def test_a_file_is_not_written_while_another_process_does(small_file, program) -> None:
    other = start(program, small_file)
    expected = f"being saved by process {other.pid} on {socket.gethostname()}"
    with dask.config.set({"lazyomics.lock-timeout": 0.2}):
        with pytest.raises(BlockingIOError, match=expected):
            lo.AnnData(np.ones((2, 2))).write_h5ad(small_file)
        if program is WRITE:
            with pytest.raises(BlockingIOError, match=expected), saving(small_file):
                pass
    finish(other)
    assert "theirs" in elements(small_file)
    lo.AnnData(np.ones((2, 2))).write_h5ad(small_file)
    assert lo.read_h5ad(small_file).shape == (2, 2)
    assert names(small_file) == [small_file.name]


def test_a_new_file_is_written_by_one_process(tmp_path) -> None:
    path = tmp_path / "new.h5ad"
    other = start(WRITE, path)
    with dask.config.set({"lazyomics.lock-timeout": 0.1}):
        with pytest.raises(BlockingIOError, match="lock-timeout"):
            lo.AnnData(np.ones((2, 2))).write_h5ad(path)
        assert not path.exists()
    finish(other)
    assert names(path) == ["new.h5ad"]


def test_two_processes_write_the_same_file_again_and_again(tmp_path) -> None:
    path = tmp_path / "a.h5ad"
    code = (
        "import sys, numpy as np, lazyomics as lo\n"
        "print('ready', flush=True)\n"
        "for k in range(8): lo.AnnData(np.full((50, 40), int(sys.argv[2]))).write_h5ad(sys.argv[1])"
    )
    writers = [start(code, path, k) for k in range(2)]
    while any(w.poll() is None for w in writers):
        if path.exists():
            with suppress(StaleFileError):  # replaced between opening and reading
                x = lo.read_h5ad(path).to_memory().X
                assert x.shape == (50, 40)
                assert x.min() == x.max()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert names(path) == ["a.h5ad"]


def test_an_opened_object_may_be_written_over_its_own_file(tmp_path) -> None:
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.arange(6.0).reshape(3, 2)).write_h5ad(path)
    adata = lo.read_h5ad(path)
    adata.X = adata.X * 2
    adata.write(overwrite_x=True)
    assert lo.read_h5ad(path).X.sum().compute() == 30
    adata[1:].write(overwrite_x=True)
    assert lo.read_h5ad(path).X.sum().compute() == 28
    assert names(path) == ["a.h5ad"]


def test_an_interrupted_save_is_finished_before(small_file, tmp_path) -> None:
    """So that parts that are copied from the file itself are those of a whole state."""
    path, _, after = pending_save(small_file, tmp_path, "torn")
    with atomic_replace(path) as file, h5py.File(path, "r") as old:
        for name in old:
            old.copy(name, file)
    assert {k for k in elements(path) if k.startswith("obs")} == {
        k for k in after if k.startswith("obs")
    }
    assert names(path) == [path.name]


def test_the_old_file_stays_until_the_new_one_is_complete(small_file) -> None:
    before = elements(small_file)

    def write() -> None:
        with atomic_replace(small_file) as file:
            change(file.create_group("obs").file)

    with pytest.raises(KeyError):
        write()
    assert elements(small_file) == before
    assert names(small_file) == [small_file.name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are looked for by kill(pid, 0)")
def test_what_a_killed_process_left_is_removed(small_file) -> None:
    other = start(WRITE, small_file)
    other.kill()
    other.communicate()
    left = [n for n in names(small_file) if n.endswith(".part")]
    assert len(left) == 1
    part = small_file.with_name(left[0])
    with atomic_replace(small_file) as file:
        file["mine"] = 1
    assert part.exists()  # just made: one of another machine might not be locked yet
    os.utime(part, (time.time() - 60,) * 2)
    foreign = small_file.with_name(f".{small_file.name}.important.part")
    foreign.touch()
    os.utime(foreign, (0, 0))
    with saving(small_file) as file:
        file["more"] = 1
    assert names(small_file) == sorted([small_file.name, foreign.name])


def test_what_a_living_process_writes_stays(small_file) -> None:
    program = WRITE.replace(
        "atomic_replace(sys.argv[1]", "temporary_sibling(sys.argv[1], replace=False"
    )
    other = start(program.replace("atomic_replace", "temporary_sibling"), small_file)
    part = next(p for p in small_file.parent.iterdir() if p.name.endswith(".part"))
    os.utime(part, (0, 0))
    with atomic_replace(small_file) as file:
        file["mine"] = 1
    assert part.exists()
    finish(other)
    assert names(small_file) == [small_file.name]


def test_a_folder_without_permission(tmp_path, monkeypatch) -> None:
    real = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match=f"the folder {tmp_path} does not allow"):
        lo.AnnData(np.ones((2, 2))).write_h5ad(tmp_path / "a.h5ad")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("what", ["dense", "sparse", "compressed", "layer", "whole"])
def test_a_full_disk(small_disk, what) -> None:
    """In a process of its own: HDF5 by itself ends the process when it closes such a file."""
    path = small_disk / "a.h5ad"
    code = (
        "import sys, os, numpy as np, scipy.sparse as sp, lazyomics as lo\n"
        "path, what = sys.argv[1:]\n"
        "x = np.random.default_rng(0).random((1000, 1000))\n"
        "if what != 'dense': x = sp.csr_matrix(x)\n"
        "big = lo.AnnData(x)\n"
        "if what in ('layer', 'whole'):\n"
        "    lo.AnnData(np.ones((1000, 1000), 'i1')).write_h5ad(path)\n"
        "    big = lo.read_h5ad(path)\n"
        "    if what == 'layer': big.layers['twice'] = big.X * 2.5\n"
        "    else: big.X = big.X * 2.5\n"
        "handles = len(os.listdir('/proc/self/fd'))\n"
        "for k in range(3):\n"
        "    try:\n"
        "        if what == 'layer': big.write()\n"
        "        elif what == 'whole': big.write(overwrite_x=True)\n"
        "        else: big.write_h5ad(path, compression='gzip' if what == 'compressed' else None)\n"
        "    except OSError as error: print(error)\n"
        "assert len(os.listdir('/proc/self/fd')) == handles\n"
        "if what in ('layer', 'whole'):\n"
        "    assert lo.read_h5ad(path).X.sum().compute() == 10**6\n"
        "    assert big.shape == (1000, 1000) and big.X[0].sum().compute() in (1000, 2500)\n"
        "print(sorted(os.listdir(os.path.dirname(path))))\n"
    )
    root = Path(lo.__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path), what], capture_output=True, text=True, cwd=root
    )
    assert ran.returncode == 0, ran.stderr
    *errors, left = ran.stdout.splitlines()
    assert left == ("['a.h5ad']" if what in ("layer", "whole") else "[]")
    assert len(errors) == 3
    for error in errors:
        assert "No space left on device" in error
        assert str(path) in error
        assert f"were free for the rest in {small_disk}" in error


def test_a_limit_for_files(tmp_path) -> None:
    resource = pytest.importorskip("resource", reason="limits of files are POSIX")
    del resource
    code = (
        "import sys, resource, signal, numpy as np, lazyomics as lo\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))\n"
        "try: lo.AnnData(np.random.random((1000, 1000))).write_h5ad(sys.argv[1])\n"
        "except OSError as error: print(error)\n"
    )
    root = Path(lo.__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.h5ad")],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert "File too large" in ran.stdout, ran.stderr
    assert "were written of at least" in ran.stdout
    assert list(tmp_path.iterdir()) == []
