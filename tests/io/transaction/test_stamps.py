"""Saves that say which time stamp the file shall carry, and several saves under one lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import pytest

import lazyomics
from lazyomics.io.files import open_for_reading, open_for_saving
from lazyomics.io.transaction import (
    atomic_replace,
    disk,
    exclusively,
    saving,
    temporary_sibling,
)
from lazyomics.io.transaction import (
    session as commit,
)
from tests.io.transaction.changes import change, make_file
from tests.io.transaction.crashes import elements
from tests.io.transaction.test_locks import HOLD, finish, start
from tests.processes.test_permissions import open_folder

STAMP = 1_234_567_890_123_456_789


def stamp_of(path: Path) -> int:
    return path.stat().st_mtime_ns


def _save(path: Path, stamp: object) -> None:
    with open_for_saving(path, stamp=stamp) as file:
        change(file)


def _save_beside_a_reader(path: Path, stamp: object) -> None:
    inode = path.stat().st_ino
    with h5py.File(path, "r"):
        _save(path, stamp)
    assert path.stat().st_ino != inode


def _save_nothing(path: Path, stamp: object) -> None:
    with saving(path, stamp=stamp):
        pass


def _replace(path: Path, stamp: object) -> None:
    with atomic_replace(path, stamp=stamp) as file:
        file["mine"] = 1


def _write_new(path: Path, stamp: object) -> None:
    path.unlink()
    _replace(path, stamp)


def _beside(path: Path, stamp: object) -> None:
    with temporary_sibling(os.path.realpath(path), replace=True, stamp=stamp) as file:
        file["mine"] = 1


ROUTES = [_save, _save_beside_a_reader, _save_nothing, _replace, _write_new, _beside]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("asked", [False, True], ids=["given", "asked for"])
def test_the_file_carries_the_stamp(any_file, route, asked) -> None:
    route(any_file, (lambda: STAMP) if asked else STAMP)
    assert stamp_of(any_file) == STAMP
    assert [p.name for p in any_file.parent.iterdir()] == [any_file.name]
    with saving(any_file) as file:  # the next one is as always
        file["more"] = 1
    assert stamp_of(any_file) != STAMP


def test_the_stamp_is_asked_for_when_all_is_written(small_file) -> None:
    known: list[int] = []
    with saving(small_file, stamp=lambda: known[0]) as file:
        change(file)
        known.append(STAMP + 1)
    assert stamp_of(small_file) == STAMP + 1
    with saving(small_file, stamp=lambda: None) as file:
        change(file, 2)
    assert abs(stamp_of(small_file) - small_file.stat().st_ctime_ns) < 1e9


@pytest.mark.parametrize("route", [r for r in ROUTES if r is not _write_new])
def test_a_stamp_that_cannot_be_told_leaves_the_file(small_file, route) -> None:
    def refuse() -> int:
        raise KeyError("mine")

    content, stamp = small_file.read_bytes(), stamp_of(small_file)
    with pytest.raises(KeyError, match="mine"):
        route(small_file, refuse)
    assert small_file.read_bytes() == content
    assert [p.name for p in small_file.parent.iterdir()] == [small_file.name]
    assert stamp_of(small_file) == stamp


@pytest.mark.parametrize("call", ["write", "sync", "remove", "sync_folder"])
def test_a_save_that_is_finished_later_sets_the_stamp_too(small_file, monkeypatch, call) -> None:
    """Put in place by another one, or by a second attempt."""
    before = elements(small_file)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        real = disk.rename, disk.sync_folder

        def rename(source: str, target: str) -> None:
            real[0](source, target)
            patch.setattr(disk, "sync_folder", sync_folder)

        def sync_folder(path: str) -> None:
            real[1](path)
            patch.setattr(disk, call, fail)  # from here on the save counts

        patch.setattr(disk, "rename", rename)
        with pytest.raises(OSError, match="is saved, but"):
            _save(small_file, STAMP)
    with open_for_reading(small_file):
        pass
    assert elements(small_file) != before
    assert stamp_of(small_file) == STAMP


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("beside_a_reader", [False, True])
def test_the_stamp_of_another_users_file(tmp_path, beside_a_reader, request) -> None:
    """In place only the owner may set it, which is no error."""
    folder = open_folder(request)
    path = make_file(folder / "a.h5")
    path.chmod(0o666)
    folder.chmod(0o777)
    code = (
        "import os, sys, h5py\n"
        "from lazyomics.io.transaction import saving\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "reader = h5py.File(sys.argv[1]) if sys.argv[3] == 'True' else None\n"
        "with saving(sys.argv[1], stamp=int(sys.argv[2])) as file: file['k'] = 1\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path), str(STAMP), str(beside_a_reader)],
        capture_output=True,
        text=True,
        cwd=Path(lazyomics.__file__).parent.parent,
    )
    assert ran.returncode == 0, ran.stderr
    assert "k" in elements(path)
    assert (stamp_of(path) == STAMP) == beside_a_reader


@pytest.mark.parametrize("link", [False, True], ids=["by its name", "by a link"])
def test_several_steps_under_one_lock(any_file, tmp_path, link) -> None:
    before = elements(any_file)
    name = any_file
    if link:
        name = tmp_path / "link.h5"
        name.symlink_to(any_file)
    with exclusively(any_file, timeout=1) as names:
        assert names.file == os.path.realpath(any_file)
        with open_for_reading(name) as file:
            assert len(file) == len(before["/"][0])
        for seed in range(2):
            with open_for_saving(name, timeout=1) as file:
                change(file, seed)
            with h5py.File(any_file, "r+"):
                pass  # no lock of the save is left
            with open_for_reading(name) as file:
                assert file["uns/deep/k"][()] == seed
        with (
            exclusively(name, timeout=1),
            open_for_reading(name) as file,
            atomic_replace(any_file, timeout=1) as new,
        ):
            file.copy("obs", new)
        with open_for_reading(name) as file:
            assert list(file) == ["obs"]
        with saving(any_file, timeout=1) as file:
            file["mine"] = 1
    assert [p.name for p in any_file.parent.iterdir()] == [any_file.name]
    assert set(elements(any_file)["/"][0]) == {"obs", "mine"}
    finish(start(HOLD, any_file))  # and others may save


def test_others_wait_for_all_of_the_steps(small_file) -> None:
    order: list[str] = []

    def save() -> None:
        with saving(small_file) as file:
            order.append("other")
            assert file["k"][()] == 1

    other = threading.Thread(target=save)
    with exclusively(small_file):
        other.start()
        for k in range(2):
            with saving(small_file) as file:
                if "k" in file:
                    del file["k"]
                file["k"] = k
            order.append(f"step {k}")
            with pytest.raises(BlockingIOError, match="is being saved by process"):
                _in_a_thread(lambda: _save_at_once(small_file))
    other.join(60)
    assert order == ["step 0", "step 1", "other"]


def _save_at_once(path: Path) -> None:
    with saving(path, timeout=0):
        pass


def _in_a_thread(task) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            task()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    for error in raised:
        raise error


def test_a_save_inside_a_save_is_refused_at_once(small_file) -> None:
    def nest() -> None:
        with saving(small_file) as file:
            change(file)
            with saving(small_file):
                pass

    content = small_file.read_bytes()
    with pytest.raises(BlockingIOError, match="by this thread itself"):
        nest()
    assert small_file.read_bytes() == content


def test_a_step_that_was_interrupted_is_finished_by_the_next(small_file, monkeypatch) -> None:
    """Also by reading, which does not wait for the lock that its own thread has."""
    for finishing in (open_for_reading, saving):
        with exclusively(small_file):
            with monkeypatch.context() as patch:

                def fail(*_: object) -> None:
                    raise OSError(5, "Input/output error")

                patch.setattr(commit, "apply", fail)
                with pytest.raises(OSError, match="is saved, but"), saving(small_file) as file:
                    file[finishing.__name__] = 1
            with finishing(small_file) as file:
                assert finishing.__name__ in file
    assert [p.name for p in small_file.parent.iterdir()] == [small_file.name]
