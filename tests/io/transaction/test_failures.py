"""The disk is full or broken, or permission is gone, at any call of a save."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import pytest

import lazyomics
from lazyomics.io.files import open_for_reading
from lazyomics.io.transaction import disk, saving
from tests.io.transaction.changes import change
from tests.io.transaction.crashes import CHANGING, elements, is_lock, recorded
from tests.io.transaction.test_crashes import pending_save


class Failing:
    """Let the k-th changing call fail; with ``forever`` also all that follow, but removals."""

    def __init__(self, monkeypatch, k: int, error: OSError, forever: bool) -> None:
        self.left, self.error, self.forever = k, error, forever
        for name in CHANGING:
            monkeypatch.setattr(disk, name, self.wrapped(name, getattr(disk, name)))

    def wrapped(self, name, real):
        def call(*args):
            if is_lock(*args):
                return real(*args)
            self.left -= 1
            if self.left == -1 or (self.left < 0 and self.forever and name in ("write", "sync")):
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2], args[2])
                raise self.error
            return real(*args)

        return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("forever", [False, True], ids=["once", "forever"])
def test_every_call_may_fail(small_file, monkeypatch, code, forever) -> None:
    before = elements(small_file)
    content = small_file.read_bytes()
    copy = small_file.with_name("traced.h5")
    copy.write_bytes(content)
    with recorded(copy.parent) as trace, saving(copy) as file:
        change(file)
    after = elements(copy)
    copy.unlink()
    journal = small_file.with_name(f".{small_file.name}.lazyomics-journal")
    seen = set()
    for k in range(len(trace.calls)):
        small_file.write_bytes(content)
        with monkeypatch.context() as patch:
            Failing(patch, k, OSError(code, os.strerror(code)), forever)
            with pytest.raises(OSError, match=os.strerror(code)) as caught, saving(small_file) as f:
                change(f)
            assert caught.value.errno == code
            assert str(small_file) in str(caught.value)
        done = "is saved, but" in str(caught.value)
        assert done or "is as it was before" in str(caught.value)
        if not done:
            assert not journal.exists()
            assert small_file.read_bytes() == content or forever
        with open_for_reading(small_file):
            assert elements(small_file) == (after if done else before)
        with saving(small_file) as f:
            change(f)
        assert elements(small_file) == after
        assert [p.name for p in small_file.parent.iterdir()] == [small_file.name]
        seen.add(done)
    assert seen == {False, True}


def test_permission_is_gone_before_the_save(small_file, monkeypatch) -> None:
    content = small_file.read_bytes()
    real = disk.open_file

    def refuse(path: str, *, writable: bool = False) -> int:
        if writable:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(disk, "open_file", refuse)
    with pytest.raises(PermissionError), saving(small_file):
        pass
    assert small_file.read_bytes() == content
    assert [p.name for p in small_file.parent.iterdir()] == [small_file.name]


def refuse_new_files(monkeypatch) -> None:
    """What a read-only folder does; root is not stopped by permissions."""
    real = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)


def test_a_folder_that_cannot_be_written(small_file, monkeypatch) -> None:
    refuse_new_files(monkeypatch)
    with pytest.raises(PermissionError, match="make files beside it"), saving(small_file):
        pass
    with open_for_reading(small_file) as file:
        assert len(file) == 4


def test_readers_without_permission_see_the_old_state(small_file, tmp_path, monkeypatch) -> None:
    path, before, _ = pending_save(small_file, tmp_path)
    refuse_new_files(monkeypatch)
    with open_for_reading(path) as file:
        assert "new" not in file["obs"]
    assert elements(path) == before


def test_readers_without_permission_see_the_new_state(small_file, tmp_path, monkeypatch) -> None:
    path, _, after = pending_save(small_file, tmp_path)
    journal = path.with_name(f".{path.name}.lazyomics-journal")
    content = journal.read_bytes()
    with open_for_reading(path):
        pass
    journal.write_bytes(content)  # it was applied, but its removal did not reach the disk
    refuse_new_files(monkeypatch)
    with open_for_reading(path) as file:
        assert "new" in file["obs"]
    assert elements(path) == after


def test_readers_without_permission_never_see_a_mixture(small_file, tmp_path, monkeypatch) -> None:
    path, _, after = pending_save(small_file, tmp_path, "torn")
    with monkeypatch.context() as patch:
        refuse_new_files(patch)
        with pytest.raises(OSError, match="needs permission to write the file"):
            open_for_reading(path)
    with open_for_reading(path):
        assert elements(path) == after


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_another_user(small_file, tmp_path, request) -> None:
    """As above, by a real user without permission."""
    pending, _, _ = pending_save(small_file, tmp_path)
    folder = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(folder))
    for file in pending.parent.iterdir():
        shutil.copy(file, folder)
    path = folder / pending.name
    folder.chmod(0o755)
    code = (
        "import os, sys\n"
        "from lazyomics.io.files import open_for_reading, open_for_saving\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "with open_for_reading(sys.argv[1]) as file: assert 'new' not in file['obs']\n"
        "try:\n"
        "    with open_for_saving(sys.argv[1]): pass\n"
        "except PermissionError as error: print(error)\n"
    )
    root = Path(lazyomics.__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=root
    )
    assert "make files beside it" in ran.stdout, ran.stderr


def test_ctrl_c_inside_hdf5(small_file) -> None:
    """The signal comes while HDF5 works: it is raised when HDF5 is done."""
    import signal

    content = small_file.read_bytes()

    def save() -> None:
        with saving(small_file) as file:
            change(file)
            signal.raise_signal(signal.SIGINT)
            file["after"] = 1

    with pytest.raises(KeyboardInterrupt):
        save()
    assert small_file.read_bytes() == content
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with h5py.File(small_file, "r+"):
        pass  # no lock is left
