"""Several processes and programs at one file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import dask
import h5py
import pytest

import lazyomics
from lazyomics.errors import StaleFileError
from lazyomics.io.files import open_for_reading
from lazyomics.io.transaction import recovery, saving, share
from tests.io.transaction.changes import change
from tests.io.transaction.crashes import elements

HOLD = """
import sys, time
from lazyomics.io.transaction import saving
with saving(sys.argv[1]) as file:
    file["theirs"] = 1
    print("saving", flush=True)
    sys.stdin.readline()
"""
OPEN = """
import sys, h5py
with h5py.File(sys.argv[1], sys.argv[2]) as file:
    print("open", flush=True)
    sys.stdin.readline()
"""


def start(code: str, *arguments: object) -> subprocess.Popen:
    """Run a program until it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(lazyomics.__file__).parent.parent,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def finish(process: subprocess.Popen) -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def test_a_second_writer_waits_and_is_told_who_saves(small_file) -> None:
    other = start(HOLD, small_file)
    expected = f"process {other.pid} on {socket.gethostname()}"
    with pytest.raises(BlockingIOError, match=expected), saving(small_file, timeout=0.2):
        pass
    done = []

    def save() -> None:
        with saving(small_file) as file:
            done.append("theirs" in file)

    waiting = threading.Thread(target=save)
    waiting.start()
    finish(other)
    waiting.join(timeout=60)
    assert done == [True]
    assert [p.name for p in small_file.parent.iterdir()] == [small_file.name]


def test_readers_see_the_old_state_until_the_end(small_file) -> None:
    other = start(HOLD, small_file)
    started = time.monotonic()
    with open_for_reading(small_file) as file:
        assert "theirs" not in file
    with h5py.File(small_file) as file:
        assert "theirs" not in file
    assert time.monotonic() - started < 1
    finish(other)
    with open_for_reading(small_file) as file:
        assert "theirs" in file


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_the_lock_of_a_killed_process_is_gone(small_file) -> None:
    other = start(HOLD, small_file)
    other.kill()
    other.communicate()
    before = elements(small_file)
    with saving(small_file, timeout=1) as file:
        assert "theirs" not in file
        file["mine"] = 1
    assert set(elements(small_file)) == {*before, "mine"}
    assert [p.name for p in small_file.parent.iterdir()] == [small_file.name]


def test_a_save_waits_for_short_readers(small_file, monkeypatch) -> None:
    monkeypatch.setattr(recovery, "_LEAST_SECONDS", 30)
    other = start(OPEN, small_file, "r")
    inode = small_file.stat().st_ino
    threading.Timer(0.1, finish, [other]).start()
    with saving(small_file) as file:
        file["mine"] = 1
    assert "mine" in elements(small_file)
    assert small_file.stat().st_ino == inode


def test_a_program_that_writes_is_not_disturbed(small_file) -> None:
    other = start(OPEN, small_file, "r+")
    expected = f"kept open by process {other.pid}"
    with pytest.raises(BlockingIOError, match=expected), saving(small_file, timeout=0.3):
        pass
    with open_for_reading(small_file) as file:  # but it may be read
        assert "obs" in file
    finish(other)


def test_a_program_cannot_write_during_a_save(small_file) -> None:
    with saving(small_file) as file:
        change(file)
        tried = start(
            "import sys, h5py\n"
            "try: h5py.File(sys.argv[1], 'r+')\n"
            "except BlockingIOError as error: print('refused')",
            small_file,
        )
        tried.communicate()
    assert "new" in elements(small_file)["obs"][0]


@pytest.mark.parametrize("how", ["changed", "replaced"])
def test_a_program_without_locks_is_noticed(small_file, how) -> None:
    stolen = small_file.read_bytes()

    def interfere() -> None:
        if how == "replaced":
            other = small_file.with_name("other")
            other.write_bytes(stolen)
            os.replace(other, small_file)
        else:
            small_file.write_bytes(stolen + b"more")

    def save() -> None:
        with saving(small_file) as file:
            change(file)
            interfere()

    with pytest.raises(StaleFileError, match="by another program"):
        save()
    assert small_file.read_bytes() == stolen + b"more" * (how == "changed")


def test_reading_inside_a_save_sees_the_old_state(small_file) -> None:
    with saving(small_file) as file:
        change(file)
        with open_for_reading(small_file) as old:
            assert "new" not in old["obs"]


def test_shared_locks_do_not_leak(small_file) -> None:
    for _ in range(20):
        with open_for_reading(small_file):
            pass
        lock = share(small_file)
        assert lock is not None
        lock.close()
    with saving(small_file, timeout=0) as file:
        file["mine"] = 1


def test_readers_of_tables_during_many_saves(small_file) -> None:
    """Each reader sees one save as a whole: both columns of it."""
    code = (
        "import sys\n"
        "from lazyomics.io.files import open_for_reading\n"
        "print('ready', flush=True)\n"
        "seen = set()\n"
        "while 29 not in seen:\n"
        "    with open_for_reading(sys.argv[1]) as file:\n"
        "        pair = file['a'][0], file['b'][0]\n"
        "    assert pair[0] == pair[1], pair\n"
        "    seen.add(int(pair[0]))\n"
    )
    with saving(small_file) as file:
        file["a"], file["b"] = [-1] * 2000, [-1] * 2000
    readers = [start(code, small_file) for _ in range(2)]
    for k in range(30):
        with saving(small_file) as file:
            for name in "ab":
                del file[name]
                file[name] = [k] * 2000
    for reader in readers:
        reader.communicate(timeout=60)
        assert reader.returncode == 0


def second_writers(path: Path) -> list[Callable[[], object]]:
    """Everything that saves or replaces a file."""
    adata = lazyomics.read_h5ad(path)
    adata.obs["k"] = [1, 2]
    new = lazyomics.AnnData(obs={"n": [1, 2]})
    return [adata.write, partial(new.write_h5ad, path), partial(lazyomics.repack, path)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5ad"
    lazyomics.AnnData(obs={"n": [1, 2]}).write_h5ad(path)
    return path


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_a_second_writer_waits_as_long_as_it_is_told_to(table, seconds) -> None:
    writers = second_writers(table)
    other = start(HOLD, table)
    for write in writers:
        started = time.monotonic()
        with (
            dask.config.set({"lazyomics.lock-timeout": seconds}),
            pytest.raises(BlockingIOError, match=rf"process {other.pid} .*waited {seconds} s\. "),
        ):
            write()
        assert seconds <= time.monotonic() - started < seconds + 10  # by far not 30
    finish(other)
    for write in writers[:2]:  # nobody saves: there is nothing to wait for
        with dask.config.set({"lazyomics.lock-timeout": 0}):
            write()


@pytest.mark.parametrize("which", [0, 1, 2], ids=["save", "new file", "repack"])
def test_a_second_writer_goes_on_when_the_first_is_done(table, which) -> None:
    write = second_writers(table)[which]
    other = start(HOLD, table)
    waiting = threading.Timer(0.5, finish, [other])
    waiting.start()
    with dask.config.set({"lazyomics.lock-timeout": 300}):
        write()
    waiting.join()
    assert ("theirs" in elements(table)) == (which != 1)


def test_readers_that_only_look_are_waited_for_whatever_the_time(table) -> None:
    """A save without any waiting does not make a copy because of them."""
    inode = table.stat().st_ino
    adata = lazyomics.read_h5ad(table)
    for k in range(5):
        adata.obs["k"] = [k, k]
        shared = share(table)
        threading.Timer(0.02, shared.close).start()
        with dask.config.set({"lazyomics.lock-timeout": 0}):
            adata.write()
    assert table.stat().st_ino == inode
    assert list(lazyomics.read_h5ad(table).obs["k"]) == [4, 4]
