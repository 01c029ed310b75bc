"""MuData: modalities of the same cells, and the annotation of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated import (
    AxisName,
    FileObject,
    LazyCollection,
    refuse_other_format,
    writable_path,
)
from lazyomics.container.categories import categorise
from lazyomics.container.deferred import compute_inside, is_deferred
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.index import axis_selector, split_key
from lazyomics.container.mappings import AlignedMapping, Uns
from lazyomics.container.mudata.axis import (
    Axis,
    PositionMaps,
    is_shared,
    make_names_unique,
    set_names,
    take_names,
)
from lazyomics.container.mudata.description import (
    describe_mudata,
    held_bytes_of_modalities,
    loaded_bytes_of_modalities,
)
from lazyomics.container.mudata.joined import GlobalTables
from lazyomics.container.mudata.modalities import FEATURE_TYPES, Modalities, modalities_of
from lazyomics.container.mudata.storage import storage as files
from lazyomics.container.ports import Backing, Filters, OnConflict, ZarrWriter
from lazyomics.lazy.indexer import is_whole
from lazyomics.lazy.kinds import is_dask_array, to_memory_format
from lazyomics.names import choices

if TYPE_CHECKING:
    import dask.array as da

__all__ = [
    "LazyModalities",
    "MuData",
    "MuDataMethods",
    "StoredModalities",
]


class StoredModalities(FileObject):
    """The file side of MuData."""

    def _take_over(self: Any, made: Any) -> None:
        for mod, adata in self.mod.items():  # whoever holds a modality goes on using this object
            adata._become(made.mod[mod])
            made.mod[mod] = adata
        self._become(made)

    def _inplace_subset_obs(self: Any, key: Any) -> None:
        """Keep only some observations of this object and its modalities."""
        self._take_over(self[key])

    def _inplace_subset_var(self: Any, key: Any) -> None:
        """Keep only some variables of this object and its modalities."""
        self._take_over(self[:, key])

    def _twin(self: Any) -> Any:
        return self._with_modalities({name: a.copy() for name, a in self.mod.items()})

    def _open(self, path: Path) -> Any:
        return files().open_mudata(path)

    def _zarr_writer(self) -> ZarrWriter:
        return files()

    def write_h5mu(
        self: Any,
        filename: str | Path | None = None,
        *,
        convert_strings_to_categoricals: bool = True,
        compression: str | int | None = None,
        compression_opts: Any = None,
        shuffle: bool | None = None,
        chunk_bytes: int | str | None = None,
        overwrite_x: bool = False,
        remove_modalities: bool = False,
        storage: str | None = None,
        on_conflict: OnConflict = "raise",
    ) -> None:
        """Stream to a new .h5mu file, or save into the opened one.

        Parameters
        ----------
        filename
            New file: written beside the target block by block and renamed when it is complete.
            None saves what changed or is new into the opened file: modalities that did not
            change are neither read nor written.
        convert_strings_to_categoricals
            Whether columns of tables that hold fewer texts than rows become categories, in the
            file only.
        compression, compression_opts, shuffle, chunk_bytes
            How new matrices and arrays are stored: see :meth:`AnnData.write_h5ad`.
        overwrite_x
            Saving into the opened file leaves X and raw of each modality as they are there, with
            a warning that names those that were changed; True replaces them.
        remove_modalities
            Saving into the opened file leaves the data of modalities that were removed from the
            object there, with a warning, though no reader sees them; True deletes them, also
            those that an earlier save left. A modality that was renamed is renamed in the file.
        storage
            ``"csr"`` or ``"csc"``: store X, layers and raw.X of each modality that are sparse by
            rows or by columns in a new file. By default as they are.
        on_conflict
            What a save into the opened file does about elements that were changed here and,
            differently, by others in the file: ``"raise"`` an error that names them, write
            ``"mine"``, or keep ``"theirs"``. What only others changed stays in any case, and the
            object shows it afterwards.

        Raises
        ------
        ConflictError
            If others changed the same elements of the file since it was opened; names them.
            Nothing is changed then.
        StaleFileError
            If rows or columns of the file were replaced or re-ordered since it was opened, or
            something that is still to be read; nothing is changed then.
        ValueError
            Without a filename on an object that is not opened from a file; for ``storage`` when
            saving into the opened file; for an unknown filter or level.
        MissingDependencyError
            If the filter is a plugin of HDF5 and hdf5plugin is not installed.
        BlockingIOError
            If another process saves or writes the file for longer than ``lazyomics.lock-timeout``
            (30 seconds), or has it open for writing; names it. Nothing is changed then. For an
            error at once: ``with dask.config.set({"lazyomics.lock-timeout": 0}): mdata.write()``.

        Warns
        -----
        XNotWrittenWarning
            If X or raw of a modality was changed and not written, or a modality was removed and
            not deleted.

        Notes
        -----
        Passes over X: one of each modality for a new file; for a save one of the modalities that
        are in memory, to see whether they changed. Peak memory: a window of blocks.
        """
        refuse_other_format(filename, "h5mu", "h5ad")
        filters: Filters = {
            "compression": compression,
            "compression_opts": compression_opts,
            "shuffle": shuffle,
            "chunk_bytes": chunk_bytes,
        }
        for name, axis in self._axes.items():
            if not axis.is_current(self.mod):
                self._update_axis(name)
        if on_conflict not in ("raise", "mine", "theirs"):
            raise ValueError(f"on_conflict is 'raise', 'mine' or 'theirs', found {on_conflict!r}")
        for adata in self.mod.values():
            adata._align_tables(strict=True)
        self._align_tables(strict=True)
        text = {"convert_strings_to_categoricals": convert_strings_to_categoricals}
        if self._saves_in_place(filename, storage=storage):
            files().save_mudata(
                self,
                overwrite_x=overwrite_x,
                remove_modalities=remove_modalities,
                on_conflict=on_conflict,
                **text,
                **filters,
            )
        else:
            files().write_mudata(
                self, writable_path(str(filename)), storage=storage, **text, **filters
            )

    write = write_h5mu

    def to_mudata(self: Any, *, lazy: bool = False) -> Any:
        """Return a ``mudata.MuData``. Needs the package mudata.

        Parameters
        ----------
        lazy
            By default everything is loaded. If True, lazy matrices of the modalities become dask
            arrays of scipy's matrices, see :meth:`AnnData.to_anndata`.
        """
        from lazyomics.container.mudata.interop import to_mudata

        return to_mudata(self, lazy=lazy)

    def apply(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of muon, or another package of scverse, on this object.

        The function gets what ``to_mudata(lazy=True)`` returns. What it changes in the modalities
        and in the joint parts is taken over, see :meth:`AnnData.apply`.

        Parameters
        ----------
        function
            Called as ``function(mudata_object, *args, **kwargs)``.
        args, kwargs
            Handed on.

        Raises
        ------
        ShapeError
            If the function removed or added cells, variables or modalities. Nothing is taken over
            then.
        """
        from lazyomics.container.mudata.interop import apply_to_mudata

        return apply_to_mudata(self, function, args, kwargs)

    @classmethod
    def from_mudata(cls, other: Any) -> Self:
        """Return a lazyomics object of a ``mudata.MuData``, sharing its matrices."""
        from lazyomics.container.mudata.interop import parts_of_mudata

        return cls(**parts_of_mudata(other))


class MuDataMethods:
    """Methods of mudata's MuData that read or change several parts."""

    @property
    def mod_names(self: Any) -> list[str]:
        """Names of the modalities."""
        return list(self.mod)

    def obs_keys(self: Any) -> list[str]:
        """Names of the columns of obs that belong to the whole object."""
        return list(self._obs.columns)

    def var_keys(self: Any) -> list[str]:
        """Names of the columns of var that belong to the whole object."""
        return list(self._var.columns)

    def obsm_keys(self: Any) -> list[str]:
        """Keys of obsm."""
        return list(self.obsm)

    def varm_keys(self: Any) -> list[str]:
        """Keys of varm."""
        return list(self.varm)

    def uns_keys(self: Any) -> list[str]:
        """Keys of uns."""
        return list(self.uns)

    def obs_vector(self: Any, key: str, layer: str | None = None) -> NDArray[Any]:
        """Return a column of obs, ``"rna:leiden"`` that of a modality, shape (n_obs,).

        Parameters
        ----------
        key
            Name of the column.
        layer
            Not used: vectors of a MuData are columns, not values of genes.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        return self._vector("obs", key)

    def var_vector(self: Any, key: str, layer: str | None = None) -> NDArray[Any]:
        """Return a column of var, ``"atac:n_cells"`` that of a modality, shape (n_vars,).

        Parameters
        ----------
        key
            Name of the column.
        layer
            Not used: vectors of a MuData are columns, not values of cells.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        return self._vector("var", key)

    def _vector(self: Any, name: AxisName, key: str) -> NDArray[Any]:
        frame = getattr(self, name)
        if key not in frame:
            having = [
                mod for mod, adata in self.mod.items() if key in getattr(adata, f"{name}_keys")()
            ]
            hint = f"{name}['{having[0]}:{key}'] is that of a modality" if having else ""
            raise KeyError(f"{key!r} is no column of {name}; {hint or choices(key, frame)}")
        return np.asarray(frame[key])

    def strings_to_categoricals(self: Any, df: pd.DataFrame | None = None) -> pd.DataFrame | None:
        """Turn columns of text that repeats into categories, in natural order of their names.

        Parameters
        ----------
        df
            Table to change, which is returned; by default obs and var of the whole object and of
            each modality.
        """
        if df is not None:
            categorise(df)
            return df
        for frame in (self.obs, self.var):
            categorise(frame)
        for adata in self.mod.values():
            adata.strings_to_categoricals()
        return None

    def to_anndata(self: Any, **kwargs: Any) -> AnnData:
        """Join the modalities to one AnnData, lazily, with the annotation of the whole object.

        Parameters
        ----------
        **kwargs
            ``join``, ``merge``, ``label`` and so on, as ``lo.concat`` takes them. By default the
            cells that all modalities have (of ``axis=1``: the genes) are kept.

        Returns
        -------
        Modalities that share cells beside each other, such that share genes under each other; obs,
        var, obsm, varm, obsp, varp and uns also hold what belongs to the whole object. Columns of
        the modalities along the shared axis are kept with ``merge``, or if they were copied by
        ``pull_obs()`` before.

        Raises
        ------
        ValueError
            If the modalities share both axes.

        Notes
        -----
        Passes over X: 0.
        """
        from lazyomics.container.mudata.as_anndata import as_anndata

        return as_anndata(self, **kwargs)


Place = tuple[str, str, str]  # modality ("" for the whole), mapping and key


class LazyModalities(LazyCollection):
    """The dask side of MuData."""

    def _held_parts(self: Any) -> dict[Place, Any]:
        """Return every matrix that is lazy or stored, by its place and as it is held."""
        parts: dict[Place, Any] = {}
        for mod, adata in self.mod.items():
            parts.update({(mod, *place): held for place, held in adata._held_parts().items()})
        for mapping in self._mappings():
            is_matrix = mapping.name in ("obsp", "varp")
            for key, value in mapping.stored().items():
                if is_dask_array(value) or (is_matrix and is_deferred(value)):
                    parts["", mapping.name, key] = value
        return parts

    def _lazy_parts(self: Any) -> dict[Place, da.Array]:
        """Return every lazy matrix by its place. Stored ones are opened, not read."""
        parts: dict[Place, Any] = {}
        for mod, adata in self.mod.items():
            parts.update({(mod, *place): x for place, x in adata._lazy_parts().items()})
        mappings = {mapping.name: mapping for mapping in self._mappings()}
        for mod, name, key in self._held_parts():
            if not mod:
                parts["", name, key] = mappings[name][key]
        return {place: x for place, x in parts.items() if is_dask_array(x)}

    def _sharing(self: Any) -> Any:
        """Return another object whose modalities hold the same matrices, arrays and columns."""
        return self._with_modalities({mod: adata._sharing() for mod, adata in self.mod.items()})

    def _with_parts(self: Any, values: Mapping[Place, Any]) -> Any:
        """Return a copy with some of its matrices replaced."""
        made = self._with_modalities({mod: adata.copy() for mod, adata in self.mod.items()})
        made._put_parts(values)
        return made

    def _put_parts(self: Any, values: Mapping[Place, Any]) -> None:
        """Replace some of the matrices."""
        for mod, adata in self.mod.items():
            adata._put_parts({place[1:]: v for place, v in values.items() if place[0] == mod})
        for mapping in self._mappings():
            for (mod, name, key), value in values.items():
                if mod == "" and name == mapping.name:
                    mapping[key] = to_memory_format(value)

    def _load_tables(self: Any) -> None:
        """Read the tables of all modalities and of the whole, if they are still in the file."""
        for adata in self.mod.values():
            adata._load_tables()
        _ = self.obs, self.var

    def _load_stored(self: Any) -> None:
        """Read everything that is still in the file into the object, and forget the file."""
        for adata in self.mod.values():
            adata._load_stored()
        self._load_tables()
        for mapping in (self.obsmap, self.varmap):
            for key in mapping:
                mapping[key]
        for mapping in (*self._mappings(), self.uns):
            compute_inside(mapping)
        self._backing = None


class MuData(MuDataMethods, GlobalTables, StoredModalities, LazyModalities):
    """Several AnnData objects, called modalities, that share observations (or variables).

    Modalities may hold different observations in different orders: ``obsmap`` says where each
    observation of the whole is found in each of them. Every modality is a lazyomics AnnData; one
    that is opened from a file stays lazy while another is in memory.

    Parameters
    ----------
    data
        Modalities by name; or one AnnData, which is split by ``var["feature_types"]``; or another
        MuData, which is copied.
    feature_types_names
        Names of modalities for the values of ``var["feature_types"]``.
    axis
        0 if modalities share observations, 1 if they share variables, −1 if both.
    obs, var
        Columns that belong to the whole object: a table with its row names, or None.
    uns
        Unstructured annotation.
    obsm, varm, obsp, varp
        Arrays of the whole object, aligned to ``obs`` or ``var``.
    obsmap, varmap
        One-based positions in each modality, 0 where absent; derived from the names by default.

    Examples
    --------
    >>> import numpy as np
    >>> rna = AnnData(np.ones((2, 3)), obs={"obs_names": ["c1", "c2"], "leiden": ["0", "1"]})
    >>> adt = AnnData(np.ones((2, 1)), obs={"obs_names": ["c2", "c3"]}, var={"var_names": ["CD4"]})
    >>> mdata = MuData({"rna": rna, "adt": adt})
    >>> mdata.shape
    (3, 4)
    >>> mdata.obs["rna:leiden"].tolist()
    ['0', '1', nan]
    >>> mdata[["c2", "c3"]]["adt"].shape
    (2, 1)
    """

    def __init__(
        self,
        data: Mapping[str, AnnData] | AnnData | MuData | None = None,
        feature_types_names: Mapping[str, str] | None = FEATURE_TYPES,
        *,
        axis: int = 0,
        obs: Any = None,
        var: Any = None,
        uns: Mapping[str, Any] | None = None,
        obsm: Mapping[str, Any] | None = None,
        varm: Mapping[str, Any] | None = None,
        obsp: Mapping[str, Any] | None = None,
        varp: Mapping[str, Any] | None = None,
        obsmap: Mapping[str, Any] | None = None,
        varmap: Mapping[str, Any] | None = None,
    ) -> None:
        if axis not in (0, 1, -1):
            raise ValueError(f"axis is 0, 1 or -1, found {axis!r}")
        if isinstance(data, MuData):
            self._take_whole(data, [obs, var, uns, obsm, varm, obsp, varp, obsmap, varmap])
            return
        if isinstance(data, AnnData):
            data = modalities_of(data, feature_types_names)
        self._mod = Modalities(data)
        self._axis = int(axis)
        self._uns = Uns(uns)
        self._backing: Backing | None = None
        values = {"obsm": obsm, "varm": varm, "obsp": obsp, "varp": varp}
        frames = {"obs": (obs, obsmap), "var": (var, varmap)}
        self._axes: dict[AxisName, Axis] = {}
        name: AxisName
        for name in ("obs", "var"):
            frame, maps = frames[name]
            table = FrameSlot(as_frame(frame, None, name))
            counts = {m: a.shape[name == "var"] for m, a in self._mod.items()} if maps else {}
            known = PositionMaps(f"{name}map", len(table), maps or {}, counts).checked()
            self._axes[name] = Axis.of(name, table, {}, known)
            if frame is not None:  # arrays follow the given table, before it is brought up to date
                self._axes[name] = Axis.of(name, table, values, known)
        self.update()
        for name in ("obs", "var"):
            if frames[name][0] is None:
                now = self._axes[name]
                self._axes[name] = Axis.of(name, now.table, values, now.maps)
            self._axes[name].note(self._mod)

    def _take_whole(self, other: MuData, parts: list[Any]) -> None:
        """Become a copy of another object; no part may be given beside."""
        if any(part is not None for part in parts):
            raise ValueError("a MuData as data gives all parts of the object: give no other part")
        self._become(other.copy())

    @classmethod
    def _assemble(
        cls,
        *,
        mod: Modalities,
        axis: int,
        axes: dict[AxisName, Axis],
        uns: Uns,
        backing: Backing | None = None,
    ) -> Self:
        """Build an object from checked parts, without copying or reading them."""
        self = cls.__new__(cls)
        self._mod, self._axis, self._axes, self._uns = mod, axis, axes, uns
        self._backing = backing
        for held in axes.values():
            if not held.seen:
                held.note(mod)
        if backing is not None:
            backing.remember(self)
        return self

    def _with_modalities(self, mods: Mapping[str, AnnData]) -> Self:
        """Return a copy of what belongs to the whole, over other objects of the same entries."""
        return type(self)._assemble(
            mod=Modalities(mods),
            axis=self._axis,
            axes={name: axis.copy() for name, axis in self._axes.items()},
            uns=self._uns.copy(),
            backing=self._backing,
        )

    # -- modalities and shape -------------------------------------------------------------

    @property
    def _obs(self) -> FrameSlot:
        return self._axes["obs"].table

    @property
    def _var(self) -> FrameSlot:
        return self._axes["var"].table

    n_var = GlobalTables.n_vars

    def _rename(self, axis: AxisName, names: Any) -> None:
        set_names(self._axes[axis], self._mod, names)

    def obs_names_make_unique(self) -> None:
        """Make names of observations unique in and across modalities (``axis=1`` only)."""
        self._make_names_unique("obs")

    def var_names_make_unique(self) -> None:
        """Make names of variables unique in and across modalities (``axis=0`` only)."""
        self._make_names_unique("var")

    def _make_names_unique(self, name: AxisName) -> None:
        if self._axis != (1 if name == "obs" else 0):
            raise TypeError(
                f"{name}_names_make_unique() is for modalities that do not share their {name}; "
                f"this MuData has axis={self._axis}"
            )
        axis = self._axes[name]
        make_names_unique(axis, self._mod)
        if axis.counts(self._mod) != axis.maps.counts:
            self._update_axis(name)
        else:
            take_names(axis, self._mod)

    # -- parts of the whole ---------------------------------------------------------------

    @property
    def obsmap(self) -> PositionMaps:
        """One-based position of each observation in each modality, 0 where it is absent."""
        return self._axes["obs"].maps

    @property
    def varmap(self) -> PositionMaps:
        """One-based position of each variable in each modality, 0 where it is absent."""
        return self._axes["var"].maps

    def update(self) -> None:
        """Derive observations and variables anew from the names in the modalities.

        Call it after modalities were added, removed, cut, reordered or renamed. Columns and
        arrays of the whole object follow; what is new gets missing values.

        Notes
        -----
        Passes over X: 0. Peak memory: names of all modalities.
        """
        for name in ("obs", "var"):
            self._update_axis(name)

    def update_obs(self) -> None:
        """Derive the observations anew; see ``update``."""
        self._update_axis("obs")

    def update_var(self) -> None:
        """Derive the variables anew; see ``update``."""
        self._update_axis("var")

    def _update_axis(self, name: AxisName) -> None:
        if self._mod:
            now = self._axes[name]
            self._axes[name] = now.updated(self._mod, is_shared=is_shared(name, self._axis))

    # -- selection ------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: str) -> AnnData: ...
    @overload
    def __getitem__(self, key: Any) -> Self: ...
    def __getitem__(self, key: Any) -> AnnData | Self:
        """Return a modality by its name, or a lazy selection of observations and variables."""
        if isinstance(key, str):
            return self._mod[key]
        row_key, col_key = split_key(key)
        for axis in self._axes.values():
            axis.check_lengths(self._mod)
        self._align_tables()
        rows = axis_selector(row_key, self.n_obs, lambda: self.obs_names, "obs")
        cols = axis_selector(col_key, self.n_vars, lambda: self.var_names, "var")
        obs, in_rows = self._axes["obs"].take(rows)
        var, in_cols = self._axes["var"].take(cols)
        mods = {m: a._take(in_rows[m], in_cols[m]) for m, a in self._mod.items()}
        whole = is_whole(rows, self.n_obs) and is_whole(cols, self.n_vars)
        backing = self._backing
        # An update may have changed the axes since an earlier selection: of the joint object only
        # whether it is one counts, the modalities know their own rows and columns of the file.
        if backing is not None and not whole and not backing.is_selection:
            backing = backing.selected(rows, cols)
        return type(self)._assemble(
            mod=Modalities(mods),
            axis=self._axis,
            axes={"obs": obs, "var": var},
            uns=self._uns.copy(),  # tables of the whole keep their categories, colours fit
            backing=backing,
        )

    def __contains__(self, name: object) -> bool:
        return name in self._mod

    # -- description ----------------------------------------------------------------------

    def _repr_html_(self) -> str:
        """What a notebook shows. Reads no matrix."""
        from lazyomics.container.mudata.page import html_of_mudata

        return html_of_mudata(self)

    def _ipython_key_completions_(self) -> list[str]:
        """Names that a notebook offers after an opening bracket."""
        return list(self.mod)

    def __repr__(self) -> str:
        return describe_mudata(self)

    def __sizeof__(self) -> int:
        return held_bytes_of_modalities(self)

    @property
    def nbytes(self) -> int:
        """Bytes that the object takes once it is loaded; known without loading it."""
        return loaded_bytes_of_modalities(self)

    def _mappings(self) -> tuple[AlignedMapping, ...]:
        obs, var = self._axes["obs"], self._axes["var"]
        return obs.arrays, var.arrays, obs.pairs, var.pairs
