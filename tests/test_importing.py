"""Ctrl-C while something is imported for the first use: it is whole, or was not begun."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lazyomics as lo
from lazyomics.importing import import_whole

INTERRUPTED = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module and give its name."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def make(text: str) -> str:
        name = f"imported_{tmp_path.name}_{len(names)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(text)
        names.append(name)
        return name

    yield make
    for name in names:
        sys.modules.pop(name, None)


def test_a_module_is_whole_when_it_is_interrupted(module) -> None:
    name = module(INTERRUPTED + "done = True\n")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        import_whole(name)
    assert sys.modules[name].done
    assert signal.getsignal(signal.SIGINT) is before
    assert import_whole(name) is sys.modules[name]


def test_modules_that_import_others(module) -> None:
    inner = module(INTERRUPTED + "done = True\n")
    outer = module(
        f"from lazyomics.importing import import_whole\ndone = import_whole({inner!r}).done\n"
    )
    with pytest.raises(KeyboardInterrupt):
        import_whole(outer)
    assert sys.modules[outer].done


def test_a_module_that_fails(module) -> None:
    name = module(INTERRUPTED + "raise ValueError\n")
    with pytest.raises(KeyboardInterrupt) as found:
        import_whole(name)
    assert isinstance(found.value.__context__, ValueError)
    assert name not in sys.modules


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_handlers_stay(module, handler) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert import_whole(module(INTERRUPTED + "done = True\n")).done
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread(module) -> None:
    name = module("done = True\n")
    thread = threading.Thread(target=import_whole, args=(name,))
    thread.start()
    thread.join()
    assert sys.modules[name].done


PROGRAM = """
import os, signal, sys, threading, time
import lazyomics as lo
delay = float(sys.argv[1])
def first_use():
    adata = lo.AnnData([[1.0, 2.0]])
    adata.layers["lazy"] = lo.lazy.as_lazy(adata.X)
    return float(adata.layers["lazy"].sum().compute())
threading.Timer(delay, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    first_use()
    time.sleep(10)
except KeyboardInterrupt:
    print(first_use())
"""


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.2, 0.3])
def test_what_was_interrupted_can_be_used(delay) -> None:
    command = [sys.executable, "-c", PROGRAM, str(delay)]
    root = Path(lo.__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=60)
    assert done.stdout == "3.0\n", done.stderr
