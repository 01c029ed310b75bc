"""Ctrl-C while files are locked and changed: raised where nothing can be left undone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = [
    "defer_sigint",
    "raise_if_interrupted",
]


# The files of weak references and weak sets.
_FINALISING = {weakref.__file__, weakref.WeakSet.__init__.__code__.co_filename}
_THIS_PACKAGE = os.path.dirname(__file__) + os.sep


class Interrupts:
    """What happens to Ctrl-C: raised, or only told about and raised at the end.

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
        self.told = False
        self.original: Callable[[int, FrameType | None], object] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.held or self.original is None or _must_go_on(frame):
            self.told = True
            self.tell(KeyboardInterrupt())
            return
        try:
            self.original(number, frame)
        except BaseException:
            self.held = True  # a second one would stop what the first one makes us clean up
            raise


def _must_go_on(frame: FrameType | None) -> bool:
    """Whether an exception must not be raised in a frame.

    Where this package takes or gives back something, or is called by HDF5, which does not survive
    an exception; between a context manager and its block; and where Python finalises an object,
    and would ignore it.
    """
    if frame is not None and frame.f_code.co_filename == contextlib.__file__:
        return True
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_THIS_PACKAGE) or code.co_filename in _FINALISING:
            return True
        if code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _nobody(error: BaseException) -> None:
    """Nobody needs to be told: it is raised at the end."""


@contextmanager
def defer_sigint(
    tell: Callable[[BaseException], None] = _nobody, *, held: bool = False
) -> Iterator[None]:
    """Watch over Ctrl-C in a block; what was only told about is raised at its end.

    Only where Python raises KeyboardInterrupt, or a handler in Python is called: a program that
    ignores the signal, or is ended by it, goes on to do so.

    Parameters
    ----------
    tell, held
        As for :class:`Interrupts`.
    """
    handler = Interrupts(tell, held=held)
    previous = None
    if threading.current_thread() is threading.main_thread():
        previous = signal.getsignal(signal.SIGINT)
    if not callable(previous):
        yield
        return
    handler.original = previous.original if isinstance(previous, Interrupts) else previous
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if handler.told:
        raise KeyboardInterrupt


def raise_if_interrupted() -> None:
    """Raise what was only told about: for loops that wait, and have nothing to clean up."""
    handler = signal.getsignal(signal.SIGINT)
    if (
        isinstance(handler, Interrupts)
        and handler.told
        and threading.current_thread() is threading.main_thread()
    ):
        raise KeyboardInterrupt
