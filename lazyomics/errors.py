"""Every exception and warning that lazyomics raises on purpose.

::

    LazyomicsError
    ├── FileFormatError        (ValueError)           damaged, foreign or unexpected file content
    ├── StaleFileError         (OSError)              the file changed under an opened object
    ├── ConflictError          (ValueError)           others changed the same elements in the file
    ├── NameTakenError         (OSError)              something else is where a save has its files
    ├── RemoteFileError        (OSError)              a file on a server cannot be read
    ├── ShapeError             (ValueError)           lengths or shapes that do not fit together
    ├── MissingDependencyError (ImportError)          an optional package is not installed
    └── UnsupportedError       (NotImplementedError)  valid input that lazyomics cannot handle yet

    XNotWrittenWarning         (UserWarning)          a changed X was left out of an in-place save
    AttributesLostWarning      (UserWarning)          a new file lacks what the old one had: owner …

Wrong arguments raise Python's own ``KeyError``, ``ValueError`` and ``TypeError``.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from pathlib import Path
from typing import Any

__all__ = [
    "AttributesLostWarning",
    "ConflictError",
    "FileFormatError",
    "LazyomicsError",
    "MissingDependencyError",
    "NameTakenError",
    "RemoteFileError",
    "ShapeError",
    "StaleFileError",
    "UnsupportedError",
    "XNotWrittenWarning",
    "require",
    "warn_user",
]


class LazyomicsError(Exception):
    """Base class of all lazyomics errors."""


class FileFormatError(LazyomicsError, ValueError):
    """A file holds something else than its format promises."""

    @classmethod
    def at(
        cls, file: object, element: str, *, expected: str, found: str, hint: str = ""
    ) -> FileFormatError:
        """Build the message every format error has: where, expected, found, what to do."""
        tail = f" {hint}" if hint else ""
        return cls(f"{file}: element {element!r}: expected {expected}, found {found}.{tail}")


class StaleFileError(LazyomicsError, OSError):
    """The file was replaced or rewritten after it was opened; open it again."""


class ConflictError(LazyomicsError, ValueError):
    """Elements were changed here and, differently, in the file since it was opened.

    Attributes
    ----------
    elements
        Their names in the file.
    """

    def __init__(self, message: str, elements: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.elements = elements

    def __reduce__(self) -> tuple[type[ConflictError], tuple[str, tuple[str, ...]]]:
        return type(self), (str(self), self.elements)


class NameTakenError(LazyomicsError, OSError):
    """A link, pipe, folder, … has a name beside a file that a save of it needs."""


class RemoteFileError(LazyomicsError, OSError):
    """A file on a server cannot be read: it is out of reach, or does not answer as it should."""


class ShapeError(LazyomicsError, ValueError):
    """Lengths or shapes do not fit together."""


class MissingDependencyError(LazyomicsError, ImportError):
    """An optional package is needed for this operation."""


class UnsupportedError(LazyomicsError, NotImplementedError):
    """Valid input that lazyomics cannot handle yet."""


class XNotWrittenWarning(UserWarning):
    """A changed ``X`` (or ``raw.X``) was left out of an in-place save."""


class AttributesLostWarning(UserWarning):
    """A file was replaced by one that could not be given all of its owner, permissions, …."""


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import an optional package, or say what to install.

    Parameters
    ----------
    module
        Dotted name to import.
    extra
        The extra of lazyomics that installs it.
    purpose
        What needs it, e.g. ``"tl.umap"``.

    Returns
    -------
    The imported module.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{purpose} needs the package {module.partition('.')[0]!r}, which could not be "
            f"imported ({error}). Install it with: pip install 'lazyomics[{extra}]'"
        ) from error


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the caller's code that led into lazyomics, however deep it is now."""
    package = str(Path(__file__).parent)
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
