"""What other threads hold when a process is forked must not stop the child, nor outlive in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask.threaded
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics import compiled
from lazyomics.io.files import open_for_reading
from lazyomics.io.transaction import saving
from lazyomics.io.transaction.disk import open_file
from lazyomics.io.transaction.file_object import close_locked
from lazyomics.io.transaction.locks import lock_exclusive
from tests.io.transaction.changes import change, make_file
from tests.io.transaction.crashes import elements

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

ROOT = Path(lo.__file__).parent.parent
SECONDS = 30


@contextmanager
def thread_inside(context: Any) -> Iterator[None]:
    """Let another thread enter a context, and leave it when the block ends."""
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with context:
            inside.set()
            leave.wait(SECONDS)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(SECONDS)
    try:
        yield
    finally:
        leave.set()
        thread.join()


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[None]:
    """Fork a process, which works when the block has ended; it must do so in time."""
    receive, send = os.pipe()
    is_up, tell = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.write(tell, b"x")
            os.read(receive, 1)
            work()
            code = 0
        finally:
            os._exit(code)
    watchdog = threading.Timer(SECONDS, os.kill, (process, 9))
    watchdog.start()
    try:
        os.read(is_up, 1)
        yield
    finally:
        os.write(send, b"x")
        _, status = os.waitpid(process, 0)
        watchdog.cancel()
        for descriptor in (receive, send, is_up, tell):
            os.close(descriptor)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_loop_is_compiled_in_the_child_of_one_who_compiles(tmp_path) -> None:
    """The lock around numba's import is made anew."""
    doubled = compiled.compiled(lambda values: values * 2)
    with thread_inside(compiled._loading), forked(lambda: doubled(np.ones(3))):
        pass


def test_threads_of_dask_are_made_anew(tmp_path) -> None:
    path = tmp_path / "a.h5ad"
    lo.AnnData(sp.random(200, 30, 0.1, format="csr", random_state=0)).write_h5ad(path)
    adata = lo.read_h5ad(path)
    expected = adata.X.sum().compute()

    def compute() -> None:
        assert adata.X.sum().compute() == expected
        assert lo.read_h5ad(path).X.sum().compute() == expected

    with thread_inside(dask.threaded.pools_lock), forked(compute):
        pass


def test_locks_of_readers_end_with_them(tmp_path) -> None:
    """The child does not keep the file from being saved in place, and sees what was saved."""
    path = make_file(tmp_path / "a.h5")
    before, inode = elements(path), path.stat().st_ino

    def sees_the_new_state() -> None:
        with open_for_reading(path) as file:
            assert "new" in file["obs"]

    with ExitStack() as child:
        with thread_inside(open_for_reading(path)):
            child.enter_context(forked(sees_the_new_state))
        descriptor = open_file(str(path), writable=True)
        assert lock_exclusive(descriptor)
        close_locked(descriptor)
        with saving(path, timeout=1) as file:
            change(file)
        assert elements(path) != before
        assert path.stat().st_ino == inode  # not in a copy


PROGRAM = """
import os, sys, threading, warnings, h5py
from lazyomics.io.transaction import atomic_replace, saving
from tests.io.transaction.changes import change
warnings.simplefilter("ignore")
path, how = sys.argv[1:]
inside, leave = threading.Event(), threading.Event()
def save():
    if how == "in place":
        with saving(path) as file:
            change(file)
            inside.set()
            leave.wait()
    else:
        with atomic_replace(path) as file:
            file["a"] = list(range(1000))
            inside.set()
            leave.wait()
            file["b"] = list(range(1000))
thread = threading.Thread(target=save, daemon=True)
thread.start()
inside.wait()
receive, send = os.pipe()
is_up, tell = os.pipe()
if os.fork() == 0:
    os.close(send)
    os.write(tell, b"x")
    os.read(receive, 1)
    sys.exit()  # as programs end: HDF5 closes what is open
os.read(is_up, 1)
leave.set()
thread.join()
with open(path, "rb") as file:
    saved = file.read()
with saving(path, timeout=0):  # nobody has it
    pass
os.write(send, b"x")
assert os.wait()[1] == 0, "the child did not end well"
with open(path, "rb") as file:
    assert file.read() == saved, "the child wrote"
print(len(saved))
"""


@pytest.mark.parametrize("how", ["in place", "anew"])
def test_a_save_of_another_thread_is_not_the_child_s(tmp_path, how) -> None:
    path = make_file(tmp_path / "a.h5")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), how],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) == path.stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    if how == "in place":
        assert "obs/new" in elements(path)
