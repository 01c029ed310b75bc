"""Ctrl-C while HDF5 works: raised when HDF5 is done, not in the middle of it."""

from __future__ import annotations

import _weakrefset
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lazyomics.io.transaction.file_object import is_inside_hdf5

__all__ = ["Interrupts", "interrupts"]

_FINALISING = {weakref.__file__, _weakrefset.__file__}


class Interrupts:
    """What happens to Ctrl-C: raised where HDF5 is not at work, or only told about.

    Parameters
    ----------
    tell
        Called instead of raising.
    held
        Whether to only tell, wherever it happens.
    """

    def __init__(self, tell: Callable[[BaseException], None], *, held: bool) -> None:
        self.tell = tell
        self.held = held
        self.previous: Callable[[int, FrameType | None], object] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.held or is_inside_hdf5(frame) or _is_lost(frame) or self.previous is None:
            self.tell(KeyboardInterrupt())
        else:
            self.previous(number, frame)


def _is_lost(frame: FrameType | None) -> bool:
    """Whether Python ignores exceptions here: while it finalises an object."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename in _FINALISING:
            return True
        frame = frame.f_back
    return False


@contextmanager
def interrupts(tell: Callable[[BaseException], None], *, held: bool) -> Iterator[Interrupts]:
    """Watch over Ctrl-C: an exception inside a call of HDF5 would end the process.

    Only where Python raises KeyboardInterrupt, or a handler in Python is called: a program that
    ignores the signal, or is ended by it, goes on to do so.
    """
    handler = Interrupts(tell, held=held)
    previous = None
    if threading.current_thread() is threading.main_thread():
        previous = signal.getsignal(signal.SIGINT)
    if not callable(previous):
        yield handler
        return
    handler.previous = previous
    signal.signal(signal.SIGINT, handler)
    try:
        yield handler
    finally:
        signal.signal(signal.SIGINT, previous)
