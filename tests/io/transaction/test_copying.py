"""Saves while other programs keep the file open: a changed copy takes its place."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections import namedtuple
from pathlib import Path

import h5py
import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import StaleFileError
from lazyomics.io.files import open_for_reading
from lazyomics.io.transaction import disk, recovery, saving
from tests.io.transaction.changes import change
from tests.io.transaction.crashes import elements
from tests.io.transaction.test_crashes import pending_save
from tests.io.transaction.test_locks import OPEN, finish, start

RE_READ = """
import sys, h5py, hashlib
def digest(file):
    found = []
    file.visititems(lambda name, o: found.append((name, o[()].tobytes() if o.dtype.kind != "O"
        else repr(o[()])) if isinstance(o, h5py.Dataset) else name))
    return hashlib.md5(repr(found).encode()).hexdigest()
with h5py.File(sys.argv[1], "r", rdcc_nbytes=0) as file:
    before = digest(file)
    print("open", flush=True)
    for line in sys.stdin:
        print(digest(file) == before, flush=True)
"""
Usage = namedtuple("Usage", "total used free")


def only_the_file(path: Path) -> bool:
    return [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_program_goes_on_reading_the_old_state(any_file) -> None:
    size = any_file.stat().st_size
    reader = start(RE_READ, any_file)
    with saving(any_file) as file:
        change(file)
    after = elements(any_file)
    assert "new" in after["obs"][0]
    reader.stdin.write("again\n")
    reader.stdin.flush()
    assert reader.stdout.readline() == "True\n"
    with saving(any_file) as file:  # and once more
        change(file, seed=2)
    answer, _ = reader.communicate("again\n", timeout=60)
    assert answer == "True\n"
    assert elements(any_file)["uns/deep/k"] != after["uns/deep/k"]
    assert only_the_file(any_file)
    assert any_file.stat().st_size < 3 * size


@pytest.mark.parametrize("library", ["anndata", "h5py", "here"])
def test_an_object_is_usable_after_it_was_saved_to_a_copy(tmp_path, library) -> None:
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.arange(12.0).reshape(4, 3), obs={"n": [1, 2, 3, 4]}).write_h5ad(path)
    adata = lo.read_h5ad(path)
    part, twice = adata[1:3], adata.X * 2
    if library == "anndata":
        code = "import sys, anndata\na = anndata.read_h5ad(sys.argv[1], backed='r')\n"
        code += "print('open', flush=True)\nsys.stdin.readline()\nassert 'k' not in a.obs\n"
        pytest.importorskip("anndata")
        other = start(code + "assert a.X[:].sum() == 66", path)
    elif library == "h5py":
        other = start(OPEN, path, "r")
    else:
        other = h5py.File(path, "r")
    inode = path.stat().st_ino
    for k in range(2):
        adata.obs["k"] = [k] * 4
        adata.layers["third"] = adata.X / 3
        adata.write()
    assert path.stat().st_ino != inode
    assert adata.X.sum().compute() == 66
    assert part.X.sum().compute() == 33
    assert twice.sum().compute() == 132
    assert adata.layers["third"].sum().compute() == pytest.approx(22)
    assert list(lo.read_h5ad(path).obs["k"]) == [1] * 4
    if library == "here":
        assert "k" not in other["obs"]
        other.close()
    else:
        finish(other)
    assert only_the_file(path)


def test_others_are_told_that_the_file_was_replaced(tmp_path) -> None:
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.ones((4, 3))).write_h5ad(path)
    x = lo.read_h5ad(path).X
    other = start(OPEN, path, "r")
    code = (
        "import sys, lazyomics as lo\n"
        "adata = lo.read_h5ad(sys.argv[1]); adata.obs['k'] = [1] * 4; adata.write(); print('done')"
    )
    finish(start(code, path))
    finish(other)
    with pytest.raises(StaleFileError, match="open it again"):
        x.sum().compute()


def test_permissions_and_attributes_stay(small_file) -> None:
    small_file.chmod(0o640)
    attributes = {}
    try:
        os.setxattr(small_file, "user.note", b"mine")
        attributes["user.note"] = b"mine"
    except OSError:
        pass  # this file system has none
    with h5py.File(small_file, "r"), saving(small_file) as file:
        change(file)
    assert small_file.stat().st_mode & 0o777 == 0o640
    for name, value in attributes.items():
        assert os.getxattr(small_file, name) == value


def test_without_room_for_a_copy_the_holder_is_named(small_file, monkeypatch) -> None:
    before = elements(small_file)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10, 10, 5))
    other = start(OPEN, small_file, "r")
    expected = f"kept open by process {other.pid}.*A copy could take its place, but needs"
    with pytest.raises(BlockingIOError, match=expected), saving(small_file, timeout=0.7) as file:
        change(file)
    finish(other)
    assert elements(small_file) == before
    assert only_the_file(small_file)


@pytest.mark.parametrize("name", ["write", "sync", "rename", "create_new"])
def test_a_copy_that_cannot_be_written(small_file, monkeypatch, name) -> None:
    """Whatever fails: old or new, and nothing is left beside the file."""
    before, seen = elements(small_file), set()
    monkeypatch.setattr(recovery, "_LEAST_SECONDS", 0.02)
    for k in range(8):
        with monkeypatch.context() as patch:
            real, left = getattr(disk, name), [k]

            def fail(*args, real=real, left=left):
                left[0] -= 1
                if left[0] == -1:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return real(*args)

            patch.setattr(disk, name, fail)
            with h5py.File(small_file, "r"):
                try:
                    with saving(small_file) as file:
                        file.attrs["k"] = k
                        file[f"values{k}"] = np.arange(2000)
                except OSError as error:
                    assert elements(small_file) == before
                    kept = "is as it was before" in str(error) or "cannot save" in str(error)
                    seen.add("old" if kept else str(error))
                else:
                    before = elements(small_file)
                    seen.add("new")
        assert only_the_file(small_file)
    assert seen == {"old", "new"}


def test_an_interrupted_save_is_finished_in_a_copy(small_file, tmp_path) -> None:
    path, _, after = pending_save(small_file, tmp_path, "torn")
    with h5py.File(path, "r"):  # opened the mixture, and keeps it
        with open_for_reading(path):
            assert elements(path) == after
        with saving(path) as file:
            file["mine"] = 1
    assert elements(path).keys() == {*after, "mine"}
    assert only_the_file(path)


def test_ctrl_c_while_the_copy_is_made(small_file, monkeypatch) -> None:
    before = elements(small_file)
    monkeypatch.setattr(recovery, "_PIECE", 4096)
    real = recovery._copy_piece

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return real(*args)

    monkeypatch.setattr(recovery, "_copy_piece", interrupted)

    def save() -> None:
        with h5py.File(small_file, "r"), saving(small_file) as file:
            change(file)

    with pytest.raises(KeyboardInterrupt):
        save()
    assert elements(small_file) == before
    assert only_the_file(small_file)
