"""``lazyomics.settings``: what scanpy's settings say, under the same names."""

from __future__ import annotations

import builtins
import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, TextIO

__all__ = ["Settings", "Verbosity", "settings"]

GIGABYTE = 10**9


class Verbosity(IntEnum):
    """How much the verbs say of what they do."""

    error = 0
    warning = 1
    info = 2
    hint = 3
    debug = 4

    @property
    def level(self) -> int:
        """The level of the package ``logging`` that belongs to it."""
        return {0: 40, 1: 30, 2: 20, 3: 15, 4: 10}[self.value]

    @contextmanager
    def override(self, verbosity: Verbosity | str | int) -> Iterator[Verbosity]:
        """Use another verbosity inside a ``with`` block, and this one after it."""
        settings.verbosity = verbosity
        try:
            yield self
        finally:
            settings.verbosity = self


class Settings:
    """Defaults of all functions, with the names that they have in scanpy.

    Attributes
    ----------
    plot_suffix
        Text at the end of the names of saved figures.
    file_format_figs
        Format of figures where ``save`` does not name one.
    autosave
        Whether every figure is saved in ``figdir``.
    autoshow
        Whether figures are shown, where the backend of matplotlib can.
    cache_compression
        Filter of the files in ``cachedir``: ``"lzf"``, ``"gzip"`` or None.
    N_PCS
        Number of components that `pp.pca` computes, and below which X itself is the representation.
    frameon
        Whether scatter plots have a frame and axis labels.
    vector_friendly
        Whether points are drawn as an image also in PDF and SVG files.
    categories_to_ignore
        Accepted for compatibility; it has no effect in scanpy either.

    Examples
    --------
    >>> import lazyomics as lo
    >>> lo.settings.verbosity
    <Verbosity.warning: 1>
    >>> lo.settings.figdir.as_posix()
    'figures'
    """

    def __init__(self) -> None:
        self.plot_suffix = ""
        self.file_format_figs = "pdf"
        self.autosave = False
        self.autoshow = True
        self.N_PCS = 50
        self.frameon = True
        self.vector_friendly = True
        self.categories_to_ignore: Iterable[str] = ["N/A", "dontknow", "no_gate", "?"]
        self._verbosity = Verbosity.warning
        self._folders = {
            "writedir": Path("write"),
            "cachedir": Path("cache"),
            "datasetdir": Path("data"),
            "figdir": Path("figures"),
        }
        self._cache_compression: str | None = "lzf"
        self._file_format_data = "h5ad"
        self._logfile: TextIO | None = None
        self._logpath: Path | None = None

    @property
    def verbosity(self) -> Verbosity:
        """How much is said: 0 or ``"error"``, 1 ``"warning"``, 2 ``"info"``, 3 ``"hint"``, 4."""
        return self._verbosity

    @verbosity.setter
    def verbosity(self, value: Verbosity | str | int) -> None:
        try:
            found = Verbosity[value.lower()] if isinstance(value, str) else Verbosity(value)
        except (KeyError, ValueError):
            names = [level.name for level in Verbosity]
            raise ValueError(
                f"verbosity is one of {names}, or a number up to 4; found {value!r}"
            ) from None
        self._verbosity = found

    @property
    def figdir(self) -> Path:
        """Folder that ``save=True`` and ``save="_suffix"`` write figures to."""
        return self._folders["figdir"]

    @figdir.setter
    def figdir(self, folder: Path | str) -> None:
        self._folders["figdir"] = Path(folder)

    @property
    def writedir(self) -> Path:
        """Folder for results of scanpy's ``write``; kept for programs that ask for it."""
        return self._folders["writedir"]

    @writedir.setter
    def writedir(self, folder: Path | str) -> None:
        self._folders["writedir"] = Path(folder)

    @property
    def cachedir(self) -> Path:
        """Folder for what ``cache=True`` keeps."""
        return self._folders["cachedir"]

    @cachedir.setter
    def cachedir(self, folder: Path | str) -> None:
        self._folders["cachedir"] = Path(folder)

    @property
    def datasetdir(self) -> Path:
        """Folder for data sets that are fetched."""
        return self._folders["datasetdir"]

    @datasetdir.setter
    def datasetdir(self, folder: Path | str) -> None:
        self._folders["datasetdir"] = Path(folder).resolve()

    @property
    def cache_compression(self) -> str | None:
        """Filter of what ``cache=True`` keeps."""
        return self._cache_compression

    @cache_compression.setter
    def cache_compression(self, name: str | None) -> None:
        if name not in ("lzf", "gzip", None):
            raise ValueError(f"cache_compression is 'lzf', 'gzip' or None, found {name!r}")
        self._cache_compression = name

    @property
    def file_format_data(self) -> str:
        """Format of files whose name does not say it."""
        return self._file_format_data

    @file_format_data.setter
    def file_format_data(self, name: str) -> None:
        if name not in ("h5ad", "zarr"):
            raise ValueError(f"file_format_data is 'h5ad' or 'zarr', found {name!r}")
        self._file_format_data = name

    @property
    def max_memory(self) -> float:
        """What PCA and the writers may hold, in GB: ``lazyomics.memory`` of dask's configuration.

        scanpy notes the number without using it.
        """
        from lazyomics import config

        return config.memory() / GIGABYTE

    @max_memory.setter
    def max_memory(self, gigabytes: float) -> None:
        import dask

        dask.config.set({"lazyomics.memory": int(gigabytes * GIGABYTE)})

    @property
    def n_jobs(self) -> int:
        """Threads: ``num_workers`` of dask's configuration. -1 stands for all processors."""
        import dask
        from dask.system import CPU_COUNT

        return int(dask.config.get("num_workers", None) or CPU_COUNT)

    @n_jobs.setter
    def n_jobs(self, number: int) -> None:
        if number == 0 or number < -1:
            raise ValueError(f"n_jobs is a number of threads, or -1 for all; found {number}")
        import dask

        dask.config.set(num_workers=None if number == -1 else int(number))

    @property
    def logfile(self) -> TextIO:
        """Where is said what the verbs do.

        By default ``sys.stdout`` in a notebook, else ``sys.stderr``. A path opens a file to append
        to; None and ``""`` restore the default.
        """
        if self._logfile is not None:
            return self._logfile
        return sys.stdout if hasattr(builtins, "__IPYTHON__") else sys.stderr

    @logfile.setter
    def logfile(self, file: Path | str | TextIO | None) -> None:
        if self._logpath is not None and self._logfile is not None:
            self._logfile.close()
        self._logpath = Path(file) if isinstance(file, Path | str) and str(file) else None
        if self._logpath is not None:
            self._logfile = self._logpath.open("a")
        else:
            self._logfile = None if isinstance(file, Path | str) else file

    @property
    def logpath(self) -> Path | None:
        """The file that ``logfile`` was set to."""
        return self._logpath

    @logpath.setter
    def logpath(self, path: Path | str | None) -> None:
        self.logfile = path

    def set_figure_params(self, *args: Any, **kwargs: Any) -> None:
        """Set size and style of figures, see :func:`lazyomics.set_figure_params`."""
        from lazyomics.importing import import_whole

        import_whole("lazyomics.pl").set_figure_params(*args, **kwargs)

    def __str__(self) -> str:
        return "\n".join(
            f"{name} = {value!r}"
            for name, value in inspect.getmembers(self)
            if not name.startswith("_") and not inspect.ismethod(value)
        )

    __repr__ = __str__


settings = Settings()
"""The settings in use."""
