"""Permission that is lost between opening and saving, and media that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.io.files import open_for_reading
from lazyomics.io.transaction import saving
from tests.io.transaction.changes import make_file
from tests.io.transaction.crashes import elements
from tests.io.transaction.test_crashes import pending_save

ROOT = Path(lo.__file__).parent.parent
LOSE = """
import os, sys, numpy as np, lazyomics as lo
import lazyomics.lazy.execute  # now: the next user may not see where packages are
path, what = sys.argv[1:]
os.setgid(65534)
os.setuid(65534)
adata = lo.read_h5ad(path)
adata.obs["k"] = [1, 2, 3, 4]
names = {"file": (path, 0o444, 0o644), "folder": (os.path.dirname(path), 0o555, 0o755)}
name, closed, opened = names[what]
os.chmod(name, closed)
other = lo.AnnData(np.ones((2, 2)))
for attempt in (adata.write, lambda: other.write_h5ad(path), lambda: lo.repack(path)):
    try:
        attempt()
    except PermissionError as error:
        assert path in str(error), error
        print("refused")
assert list(adata.obs["k"]) == [1, 2, 3, 4]
assert adata.X.sum().compute() == 12
assert "k" not in lo.read_h5ad(path).obs or what == "file"
os.chmod(name, opened)
adata.write()
assert list(lo.read_h5ad(path).obs["k"]) == [1, 2, 3, 4]
assert os.listdir(os.path.dirname(path)) == ["a.h5ad"]
"""


def open_folder(request) -> Path:
    """A folder where every user may look."""
    folder = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(folder))
    folder.chmod(0o755)
    return folder


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_permission_is_lost_after_opening(request, what) -> None:
    folder = open_folder(request)
    path = folder / "a.h5ad"
    lo.AnnData(np.ones((4, 3))).write_h5ad(path)
    os.chown(folder, 65534, 65534)
    os.chown(path, 65534, 65534)
    ran = subprocess.run(
        [sys.executable, "-c", LOSE, str(path), what], capture_output=True, text=True, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "refused\n" * 3


@pytest.fixture
def read_only(tmp_path):
    """Put files on a medium that cannot be written; returns the new path of the one asked for."""
    folder = tmp_path / "medium"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(options, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted")

    def put(path: Path) -> Path:
        for file in path.parent.iterdir():
            shutil.copy2(file, folder)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        return folder / path.name

    yield put
    subprocess.run(["umount", str(folder)], check=True)


def refused(path: Path) -> None:
    with pytest.raises(OSError, match=r"the folder .* does not allow that"), saving(path):
        pass


def test_a_read_only_medium(tmp_path, read_only) -> None:
    (tmp_path / "a").mkdir()
    path = read_only(make_file(tmp_path / "a" / "a.h5"))
    with open_for_reading(path) as file:
        assert len(file) == 4
    refused(path)
    with pytest.raises(OSError, match=r"the folder .* does not allow that"):
        lo.AnnData(np.ones((4, 3))).write_h5ad(path.with_name("new.h5ad"))


@pytest.mark.parametrize("mode", ["everything", "torn"])
def test_a_pending_save_on_a_read_only_medium(tmp_path, read_only, mode) -> None:
    """The old state, where none of the save was in the file; a clear message, where some was."""
    (tmp_path / "a").mkdir()
    pending, before, _ = pending_save(make_file(tmp_path / "a" / "a.h5"), tmp_path, mode)
    path = read_only(pending)
    if mode == "torn":
        with pytest.raises(OSError, match=r"the last save was interrupted.*needs permission"):
            open_for_reading(path)
    else:
        with open_for_reading(path) as file:
            assert "new" not in file["obs"]
        assert elements(path) == before
    refused(path)
