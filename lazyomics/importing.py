"""Imports that happen while work goes on, which Ctrl-C must not leave half done.

A module that Python could not finish is imported anew the next time, but of what it had imported
some stays: numba then fails with "partially initialized module" until the process ends.
"""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType

__all__ = ["import_whole"]


def import_whole(name: str) -> ModuleType:
    """Import a module; Ctrl-C is raised when it is there.

    Examples
    --------
    >>> from lazyomics.importing import import_whole
    >>> import_whole("json").dumps([1])
    '[1]'
    """
    with _ctrl_c_afterwards():
        return importlib.import_module(name)


@contextmanager
def _ctrl_c_afterwards() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGINT)
    if not callable(previous) or threading.current_thread() is not threading.main_thread():
        yield  # Python raises KeyboardInterrupt in the main thread, if at all
        return
    kept: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *signal_and_frame: kept.append(signal_and_frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if kept:
            previous(*kept[0])
