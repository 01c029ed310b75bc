"""What a command ends with: exit codes, and errors on one line."""

from __future__ import annotations

import errno
import traceback
from enum import IntEnum
from pathlib import Path

import click

from lazyomics.errors import (
    ConflictError,
    FileFormatError,
    LazyomicsError,
    MissingDependencyError,
    NameTakenError,
    RemoteFileError,
    ShapeError,
    StaleFileError,
    UnsupportedError,
)

__all__ = ["ExitCode", "Refusal", "exit_code_of", "message_of"]


class ExitCode(IntEnum):
    """Exit codes of all commands."""

    DONE = 0
    NO = 1  # files differ, a file is not valid, a save is unfinished
    USAGE = 2
    INPUT = 3
    OUTPUT = 4
    BUSY = 5
    MISSING = 6
    UNEXPECTED = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


class Refusal(click.ClickException):
    """A reason not to begin, or to stop.

    Parameters
    ----------
    message
        What was found, and what to do.
    code
        The exit code.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.code = code


_INPUT = (
    FileFormatError,
    ShapeError,
    UnsupportedError,
    RemoteFileError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
_BUSY = (BlockingIOError, ConflictError, StaleFileError)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_ARGUMENTS = (KeyError, ValueError, TypeError, IndexError)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error that ended a command.

    Parameters
    ----------
    error
        Any exception. ``KeyError``, ``ValueError`` and ``TypeError`` are what lazyomics raises for
        wrong arguments; raised by another library they are unexpected.

    Returns
    -------
    The code.

    Examples
    --------
    >>> exit_code_of(FileNotFoundError("a.h5ad does not exist")).name
    'INPUT'
    >>> exit_code_of(MemoryError()).name
    'OUTPUT'
    """
    if isinstance(error, Refusal):
        return error.code
    if isinstance(error, click.ClickException):
        return ExitCode.USAGE
    if isinstance(error, MissingDependencyError):
        return ExitCode.MISSING
    if isinstance(error, _BUSY):
        return ExitCode.BUSY
    if isinstance(error, MemoryError | NameTakenError | FileExistsError):
        return ExitCode.OUTPUT
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return ExitCode.OUTPUT
    if isinstance(error, _INPUT):
        return ExitCode.INPUT
    if isinstance(error, _ARGUMENTS) and _was_raised_here(error):
        return ExitCode.USAGE
    return ExitCode.INPUT if isinstance(error, LazyomicsError | OSError) else ExitCode.UNEXPECTED


def _was_raised_here(error: BaseException) -> bool:
    """Whether a ``raise`` of this package made an error."""
    frames = traceback.extract_tb(error.__traceback__)
    package = Path(__file__).parent.parent
    return bool(frames) and Path(frames[-1].filename).is_relative_to(package)


def message_of(error: BaseException) -> str:
    """Return what to print of an error, on one line.

    Examples
    --------
    >>> message_of(FileNotFoundError("a.h5ad does not exist"))
    'a.h5ad does not exist'
    >>> message_of(ZeroDivisionError("division by zero"))
    'unexpected ZeroDivisionError: division by zero (--debug shows where)'
    """
    if isinstance(error, click.UsageError):
        text = error.format_message()
        if error.ctx is not None:
            text = f"{text.rstrip('.')} (see {error.ctx.command_path} --help)"
    elif isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    elif isinstance(error, OSError) and error.strerror and not error.filename:
        text = error.strerror
    else:
        text = str(error) or type(error).__name__
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    line = " ".join(f"{text}{notes}".split())
    if exit_code_of(error) is ExitCode.UNEXPECTED:
        return f"unexpected {type(error).__name__}: {line} (--debug shows where)"
    return line
