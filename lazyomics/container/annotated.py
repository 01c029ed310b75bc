"""What AnnData and MuData share: names of axes, the file, the protocol of dask."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, Unpack, cast

import dask.threaded
import pandas as pd
from dask.highlevelgraph import HighLevelGraph
from dask.utils import ensure_dict

from lazyomics import lazy
from lazyomics.container.deferred import deferred_recipe
from lazyomics.container.mappings import Uns
from lazyomics.container.parts import completed
from lazyomics.container.ports import Backing, WriteOptions, ZarrWriter
from lazyomics.errors import UnsupportedError
from lazyomics.lazy.load import load_stored, loads_stored

__all__ = [
    "AnnotatedObject",
    "AxisName",
    "FileObject",
    "LazyCollection",
    "is_url",
    "local_name",
    "refuse_other_format",
    "writable_path",
]


AxisName = Literal["obs", "var"]


class AnnotatedObject:
    """Observations and variables with their names and number.

    A subclass has the tables in ``_obs`` and ``_var``, and says in ``_rename`` what follows from
    new names.
    """

    _uns: Uns

    @property
    def n_obs(self: Any) -> int:
        """Number of observations (cells), of a MuData in all modalities together."""
        return len(self._obs)

    @property
    def n_vars(self: Any) -> int:
        """Number of variables (genes), of a MuData in all modalities together."""
        return len(self._var)

    @property
    def shape(self) -> tuple[int, int]:
        """Observations and variables."""
        return self.n_obs, self.n_vars

    def __len__(self) -> int:
        return self.n_obs

    @property
    def obs_names(self: Any) -> pd.Index:
        """Names of the observations; reading them from a file reads no other column.

        Assigning renames them, of a MuData in every modality.
        """
        return self._obs.index

    @obs_names.setter
    def obs_names(self: Any, names: Any) -> None:
        self._rename("obs", names)

    @property
    def var_names(self: Any) -> pd.Index:
        """Names of the variables; reading them from a file reads no other column.

        Assigning renames them, of a MuData in every modality.
        """
        return self._var.index

    @var_names.setter
    def var_names(self: Any, names: Any) -> None:
        self._rename("var", names)

    @property
    def uns(self) -> Uns:
        """Unstructured annotation, read entry by entry."""
        return self._uns

    @uns.setter
    def uns(self, value: Mapping[str, Any]) -> None:
        made = value.copy() if isinstance(value, Uns) else Uns(value)
        made.succeed(self._uns)
        self._uns = made

    @uns.deleter
    def uns(self) -> None:
        self._uns = Uns()

    def _become(self, other: Self) -> None:
        """Take over the parts of another object."""
        self.__dict__.update(other.__dict__)


completed(AnnotatedObject, "uns")


class LazyCollection:
    """The dask side of AnnData and MuData.

    A subclass says in ``_held_parts`` which matrices are lazy or stored, by their places, and in
    ``_lazy_parts`` the same with stored ones opened. ``_with_parts`` returns a copy with others in
    these places, ``_put_parts`` puts them there; ``_load_stored`` reads all the rest, of which
    ``_load_tables`` reads the tables. ``_sharing`` returns another object of the same parts.
    """

    _backing: Backing | None

    def compute(self) -> Self:
        """Return the object in memory: scipy CSR (CSC) or numpy matrices, not backed.

        What is in memory already is copied, unlike by ``to_memory``.

        Notes
        -----
        Passes over X: one; of a MuData one of each modality, in one run of dask. Peak memory: the
        result and the blocks in flight.
        """
        return self.to_memory(copy=True)

    def to_memory(self, *, copy: bool = False) -> Self:
        """Return the object in memory: scipy CSR (CSC) or numpy matrices, not backed.

        Parameters
        ----------
        copy
            Whether to copy what is in memory already; without it the new object shares the
            matrices, arrays and columns that are.

        Notes
        -----
        Passes over X: one; of a MuData one of each modality, in one run of dask. Peak memory: the
        result and the blocks in flight.
        """
        collection: Any = self
        made = collection.copy() if copy else collection._sharing()
        made._put_parts(_computed(made))
        made._load_stored()
        return cast("Self", made)

    def persist(self) -> Self:
        """Return the object with its lazy matrices kept as blocks in memory (of the cluster)."""
        from dask import persist

        collection: Any = self
        parts = collection._lazy_parts()
        return collection._with_parts(dict(zip(parts, persist(*parts.values()), strict=True)))

    def __dask_graph__(self: Any) -> Any:
        parts = self._lazy_parts()
        if not parts:
            return None
        return HighLevelGraph.merge(*(x.__dask_graph__() for x in parts.values()))

    def __dask_keys__(self: Any) -> list[Any]:
        return [x.__dask_keys__() for x in self._lazy_parts().values()]

    def __dask_layers__(self: Any) -> tuple[Any, ...]:
        return sum((tuple(x.__dask_layers__()) for x in self._lazy_parts().values()), ())

    def __dask_tokenize__(self: Any) -> Any:
        return id(self), [x.name for x in self._lazy_parts().values()]

    __dask_scheduler__ = staticmethod(dask.threaded.get)

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **_: Any) -> Any:
        """Optimize as arrays are, when one of several results is an input of another.

        dask fuses whole layers by the dependencies of layers, and takes results that others build
        on for inner ones; as single tasks they stay what they are.
        """
        from dask.array import Array

        return Array.__dask_optimize__(ensure_dict(graph), keys)

    def __dask_postcompute__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _finish, (self,)

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self,)


def _computed(collection: Any) -> dict[Any, Any]:
    """Every lazy or stored matrix in memory, by its place."""
    recipes = {place: deferred_recipe(held) for place, held in collection._held_parts().items()}
    stored = [recipe for recipe in recipes.values() if recipe is not None]
    if len(stored) == len(recipes) and loads_stored(stored):
        values = load_stored(stored, beside=collection._load_tables)
        return dict(zip(recipes, values, strict=True))
    parts = collection._lazy_parts()
    return dict(zip(parts, lazy.materialize_all(list(parts.values())), strict=True))


def _finish(results: list[Any], collection: Any) -> Any:
    values = {}
    for (place, x), blocks in zip(collection._lazy_parts().items(), results, strict=True):
        function, extra = x.__dask_postcompute__()
        values[place] = function(blocks, *extra)
    made = collection._with_parts(values)
    made._load_stored()
    return made


def _rebuild(graph: Any, collection: Any, *, rename: Mapping[str, str] | None = None) -> Any:
    values = {}
    for place, x in collection._lazy_parts().items():
        function, extra = x.__dask_postpersist__()
        values[place] = function(graph, *extra, rename=rename)
    return collection._with_parts(values)


# Two letters at least: "C:\\data" is a path of Windows.
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+(://|::.*://)")
_LOCAL = re.compile(r"^(file|local)://(localhost(?=/))?")


def is_url(path: object) -> bool:
    r"""Whether a name is a URL, or several in a chain as fsspec takes them.

    Examples
    --------
    >>> is_url("s3://bucket/a.h5ad"), is_url("C:\\a.h5ad"), is_url("data/a.h5ad")
    (True, False, False)
    >>> is_url("simplecache::s3://bucket/a.h5ad"), is_url("day::two.h5ad")
    (True, False)
    """
    return isinstance(path, str) and _URL.match(path) is not None


def local_name(path: object) -> str | None:
    """The path of a ``file://`` or ``local://`` URL; None for anything else.

    Examples
    --------
    >>> local_name("file:///data/a.h5ad"), local_name("https://host/a.h5ad")
    ('/data/a.h5ad', None)
    """
    found = _LOCAL.match(path) if isinstance(path, str) else None
    return None if found is None else str(path)[found.end() :]


def writable_path(path: str | Path) -> Path:
    """The path of a file to write.

    Raises
    ------
    UnsupportedError
        For a URL: files on servers are read, not written.
    """
    if is_url(path):
        local = local_name(path)
        if local is None:
            raise UnsupportedError(
                f"files on servers are read-only, cannot write {str(path).partition('?')[0]!r}: "
                "write to a local path and upload the file"
            )
        return Path(local)
    return Path(path)


OTHER_FORMATS = {
    "csv": "write_csvs({!r}), or lo.write({!r}, …)",
    "loom": "write_loom({!r})",
    "zarr": "write_zarr({!r})",
}
NOT_WRITTEN = frozenset({"tsv", "txt", "tab", "xlsx", "xls", "mtx", "npz", "parquet", "rds"})


def refuse_other_format(path: str | Path | None, kind: str, other: str) -> None:
    """Refuse the name of a file of another format.

    Parameters
    ----------
    path
        The name; None is none.
    kind
        The format that is written, ``"h5ad"``.
    other
        The one of these two that is not, with what writes it: ``"h5mu"``.

    Raises
    ------
    ValueError
        Says what to call instead.
    """
    found = "" if path is None else Path(str(path)).suffix.lower().removeprefix(".")
    if found in OTHER_FORMATS or found in NOT_WRITTEN or found == other:
        name = str(path)
        call = OTHER_FORMATS.get(found, "").format(name, name)
        if found == other:
            call = "write_h5ad of a modality" if other == "h5ad" else "lo.MuData({…}).write_h5mu"
        advice = f" Call {call} for that." if call else f" Name it with .{kind}."
        raise ValueError(f"{name!r} is no name for a .{kind} file, which is written here.{advice}")


class FileObject:
    """An object that is opened from a file, or lives in memory.

    A subclass makes an independent object in ``_twin``, opens one from a file in ``_open``, and
    has in ``_zarr_writer`` what writes it to stores of zarr.
    """

    _backing: Backing | None

    def _zarr_writer(self) -> ZarrWriter:
        raise NotImplementedError

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._backing is not None:
            self._backing.remember(self)

    @property
    def isbacked(self) -> bool:
        """Whether the object is opened from a file; parts of it may be in memory."""
        return self._backing is not None

    @property
    def is_view(self) -> bool:
        """Whether assigning to this object writes to another one: it never does."""
        return False

    @property
    def filename(self) -> Path | str | None:
        """The file that the object is opened from, a text where it is a URL; None in memory.

        Assigning None loads everything into memory; assigning a path writes the object there and
        opens it from there.
        """
        return None if self._backing is None else self._backing.path

    @filename.setter
    def filename(self: Any, path: str | Path | None) -> None:
        if path is None:
            self._take_over(self.to_memory())
        elif not self._is_own_file(path):
            self._take_over(self.copy(filename=path))

    def _take_over(self: Any, made: Any) -> None:
        """Go on with what was loaded or written."""
        self._become(made)

    def copy(self, filename: str | Path | None = None, **options: Unpack[WriteOptions]) -> Self:
        """Return an independent object.

        Parameters
        ----------
        filename
            Stream the object, a MuData with all modalities, to this new file (bounded memory) and
            return it opened from there. Without it a lazy object stays lazy: its blocks are
            shared, as nothing changes them.
        options
            ``compression``, ``compression_opts``, ``shuffle``, ``chunk_bytes``, ``storage``,
            ``convert_strings_to_categoricals`` and (of AnnData) ``as_dense`` of the new file: see
            :meth:`AnnData.write_h5ad`.
        """
        original: Any = self
        if filename is not None:
            original.write(filename, **options)
            return original._open(writable_path(filename))
        if options:
            raise TypeError(f"{list(options)} are for a new file: give its filename")
        return original._twin()

    def write_zarr(
        self,
        store: Any,
        *,
        chunks: tuple[int, ...] | None = None,
        convert_strings_to_categoricals: bool = True,
        zarr_format: int = 3,
        compressors: Any = "auto",
        chunk_bytes: int | str | None = None,
        shard_bytes: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Stream the object to a new zarr store, which anndata and mudata read. Needs zarr.

        Parameters
        ----------
        store
            A folder, a ``.zip``, a URL that fsspec knows, or a store or group of zarr. A local
            store appears when it is complete, and takes the place of an old one; a folder that is
            none is not replaced.
        chunks
            Shape of the chunks of a dense X.
        convert_strings_to_categoricals
            Whether columns of tables that hold fewer texts than rows become categories, in the
            store only. A table that was not looked at since it was opened stays as it is.
        zarr_format
            2 or 3.
        compressors
            As ``zarr.create_array`` takes them; zarr's own by default, None for none.
        chunk_bytes
            Decoded bytes of a chunk of a matrix, such as ``"256 KiB"``; by default 1 MiB.
        shard_bytes
            Decoded bytes of a shard of a matrix, one file of many chunks (format 3 only); by
            default each chunk is a file of its own.
        storage_options
            For a URL: what fsspec needs to open it.

        Raises
        ------
        FileExistsError
            If a folder that is no zarr store has the name.
        MissingDependencyError
            If zarr is not installed.
        TypeError
            If a value has no place in the format; names it.
        ValueError
            For an unknown format, or sizes that do not fit together.

        Notes
        -----
        Passes over X: 1. Peak memory: a window of blocks, and a shard of values and positions.
        """
        self._zarr_writer().write_zarr(
            self,
            store,
            chunks=chunks,
            convert_strings_to_categoricals=convert_strings_to_categoricals,
            zarr_format=zarr_format,
            compressors=compressors,
            chunk_bytes=chunk_bytes,
            shard_bytes=shard_bytes,
            storage_options=storage_options,
        )

    def _is_own_file(self, path: str | Path | None) -> bool:
        """Whether a path, however it is spelled, leads to the file behind this object."""
        if path is None or self._backing is None:
            return False
        return self._backing.is_at(writable_path(path))

    def _saves_in_place(self, filename: str | Path | None, **of_new_files: Any) -> bool:
        """Whether writing to ``filename`` is a save into the opened file.

        ``of_new_files`` are options that such a save does not take, None where not given.
        """
        if filename is None and self._backing is None:
            raise ValueError("the object is not opened from a file: give a filename")
        if filename is not None and not self._is_own_file(filename):
            return False
        for option, value in of_new_files.items():
            if value is not None:
                raise ValueError(f"{option} is chosen for a new file: give another filename")
        return True
