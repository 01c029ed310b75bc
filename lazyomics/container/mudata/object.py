"""MuData: modalities of the same cells (or genes) side by side, their matrices lazy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, overload

from lazyomics.container.aligned_tables import align_tables
from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated_object import AxisName
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.index import axis_selector, split_key
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.mudata.axis import Axis, is_shared
from lazyomics.container.mudata.collection import LazyModalities
from lazyomics.container.mudata.files import StoredModalities
from lazyomics.container.mudata.methods import MuDataMethods
from lazyomics.container.mudata.modalities import Modalities
from lazyomics.container.mudata.names import make_names_unique, set_names
from lazyomics.container.mudata.position_maps import PositionMaps
from lazyomics.container.mudata.repr import describe_mudata
from lazyomics.container.mudata.sizes import held_bytes, loaded_bytes
from lazyomics.container.mudata.split_features import FEATURE_TYPES, modalities_of
from lazyomics.container.mudata.tables import GlobalTables
from lazyomics.container.ports import Backing
from lazyomics.container.uns import Uns
from lazyomics.graph.selection import is_whole

__all__ = ["MuData"]


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
    def mod(self) -> Modalities:
        """Modalities by name, in their order; call ``update()`` after changing which there are."""
        return self._mod

    @property
    def n_mod(self) -> int:
        """Number of modalities."""
        return len(self._mod)

    @property
    def axis(self) -> int:
        """0 if modalities share observations, 1 if they share variables, −1 if both."""
        return self._axis

    @property
    def _obs(self) -> FrameSlot:
        return self._axes["obs"].table

    @property
    def _var(self) -> FrameSlot:
        return self._axes["var"].table

    n_var = GlobalTables.n_vars

    def _rename(self, axis: AxisName, names: Any) -> None:
        set_names(self, axis, names)

    def obs_names_make_unique(self) -> None:
        """Make names of observations unique in and across modalities (``axis=1`` only)."""
        make_names_unique(self, "obs")

    def var_names_make_unique(self) -> None:
        """Make names of variables unique in and across modalities (``axis=0`` only)."""
        make_names_unique(self, "var")

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
        rows = axis_selector(row_key, self.n_obs, lambda: self.obs_names, "obs")
        cols = axis_selector(col_key, self.n_vars, lambda: self.var_names, "var")
        obs, in_rows = self._axes["obs"].take(rows)
        var, in_cols = self._axes["var"].take(cols)
        mods = {m: a._take(in_rows[m], in_cols[m]) for m, a in self._mod.items()}
        whole = is_whole(rows, self.n_obs) and is_whole(cols, self.n_vars)
        backing = self._backing
        return type(self)._assemble(
            mod=Modalities(mods),
            axis=self._axis,
            axes={"obs": obs, "var": var},
            uns=self._uns.copy(),  # tables of the whole keep their categories, colours fit
            backing=backing if whole or backing is None else backing.selected(rows, cols),
        )

    def __contains__(self, name: object) -> bool:
        return name in self._mod

    # -- description ----------------------------------------------------------------------

    def __repr__(self) -> str:
        return describe_mudata(self)

    def __sizeof__(self) -> int:
        return held_bytes(self)

    @property
    def nbytes(self) -> int:
        """Bytes that the object takes once it is loaded; known without loading it."""
        return loaded_bytes(self)

    def _align_tables(self, *, strict: bool = False) -> None:
        """Let tables in obsm and varm have the names of the whole object as they are now."""
        align_tables([(axis.arrays, axis.table) for axis in self._axes.values()], strict=strict)

    def _mappings(self) -> tuple[AlignedMapping, ...]:
        obs, var = self._axes["obs"], self._axes["var"]
        return obs.arrays, var.arrays, obs.pairs, var.pairs
