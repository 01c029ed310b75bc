"""What verbs say of their work, with the functions and the form of scanpy's ``logging``.

How much of it is printed is in ``lazyomics.settings.verbosity``, and where in
``lazyomics.settings.logfile``. The logger of the package ``logging`` is called ``"lazyomics"``.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from lazyomics.errors import require
from lazyomics.options import settings

__all__ = [
    "debug",
    "error",
    "get_memory_usage",
    "hint",
    "info",
    "print_header",
    "print_memory_usage",
    "print_version_and_date",
    "print_versions",
    "show_versions",
    "warn",
    "warning",
]

HINT = (logging.INFO + logging.DEBUG) // 2
FORMS = {logging.INFO: "{}", HINT: "--> {}", logging.DEBUG: "    {}"}
PACKAGES: tuple[str, ...] = (
    "lazyomics",
    "dask",
    "h5py",
    "numpy",
    "scipy",
    "pandas",
    "sparse",
    "scikit-learn",
)
PACKAGES += ("numba", "anndata", "mudata", "scanpy", "distributed", "igraph", "matplotlib")

logging.addLevelName(HINT, "HINT")


class _ToLogfile(logging.Handler):
    """Prints to where the settings say at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=settings.logfile, flush=True)


_logger = logging.getLogger("lazyomics")
_logger.addHandler(_ToLogfile())
_logger.propagate = False  # what it prints itself is not for the handlers of the program, too


def _say(level: int, message: str, time: datetime | None, deep: str | None) -> datetime:
    now = datetime.now(UTC)
    _logger.setLevel(settings.verbosity.level)
    if not _logger.isEnabledFor(level):
        return now
    text = str(message)
    end = ""
    if time is not None:
        passed = str(timedelta(seconds=int((now - time).total_seconds())))
        end = "" if "{time_passed}" in text else f" ({passed})"
        text = text.replace("{time_passed}", passed)
    if deep is not None and settings.verbosity.level < level:
        text = f"{text}: {deep}"
    form = FORMS.get(level, f"{logging.getLevelName(level)}: {{}}")
    _logger.log(level, "%s", form.format(text + end))
    return now


def error(message: str, *, time: datetime | None = None, deep: str | None = None) -> datetime:
    """Say what went wrong, at any verbosity.

    Parameters
    ----------
    message
        What to say.
    time
        When the work began; how long it took is added, or put where ``"{time_passed}"`` stands.
    deep
        More, which is added if the verbosity is higher than that of the function.

    Returns
    -------
    The time now.
    """
    return _say(logging.ERROR, message, time, deep)


def warning(message: str, *, time: datetime | None = None, deep: str | None = None) -> datetime:
    """Say what to look out for, at verbosity 1 or higher. Parameters as of `error`."""
    return _say(logging.WARNING, message, time, deep)


warn = warning


def info(message: str, *, time: datetime | None = None, deep: str | None = None) -> datetime:
    """Say what is done, at verbosity 2 or higher. Parameters as of `error`."""
    return _say(logging.INFO, message, time, deep)


def hint(message: str, *, time: datetime | None = None, deep: str | None = None) -> datetime:
    """Say what may help, at verbosity 3 or higher. Parameters as of `error`."""
    return _say(HINT, message, time, deep)


def debug(message: str, *, time: datetime | None = None, deep: str | None = None) -> datetime:
    """Say how something is done, at verbosity 4. Parameters as of `error`."""
    return _say(logging.DEBUG, message, time, deep)


def print_header(*, file: IO[str] | None = None) -> None:
    """Print the versions of what results may depend on.

    Parameters
    ----------
    file
        Where to print; by default standard output.
    """
    lines = [f"{name:<13}{found}" for name in PACKAGES if (found := _version(name))]
    lines += [f"{'Python':<13}{sys.version.split()[0]}", f"{'system':<13}{platform.platform()}"]
    print("\n".join(lines), file=file)


def print_versions(*, file: IO[str] | None = None) -> None:
    """Print the versions of what results may depend on, as `print_header` does."""
    print_header(file=file)


show_versions = print_header


def print_version_and_date(*, file: IO[str] | None = None) -> None:
    """Print the version of lazyomics and the time.

    Parameters
    ----------
    file
        Where to print; by default standard output.
    """
    now = datetime.now().astimezone()
    print(f"Running lazyomics {_version('lazyomics')}, on {now:%Y-%m-%d %H:%M}.", file=file)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def get_memory_usage() -> tuple[float, float]:
    """Return the GiB that this process holds, and how many more than at the last call."""
    held = _resident() / 2**30
    before, _last[0] = _last[0], held
    return held, held - before


_last = [0.0]


def _resident() -> int:
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    psutil = require("psutil", extra="distributed", purpose="logging.get_memory_usage")
    return int(psutil.Process().memory_info().rss)


def print_memory_usage(msg: str = "", *, newline: bool = False) -> None:
    """Print the memory that this process holds, and how much more than at the last call.

    Parameters
    ----------
    msg
        What to print before it.
    newline
        Whether to print an empty line first.
    """
    held, more = get_memory_usage()
    lead = ("\n" if newline else "") + (f"{msg} \n... " if msg else "")
    print(f"{lead}Memory usage: current {held:.2f} GB, difference {more:+.2f} GB")
