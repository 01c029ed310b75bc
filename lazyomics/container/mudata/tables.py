"""obs, var, obsm, varm, obsp and varp of a MuData, and columns moved from and to modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lazyomics.container.aligned_tables import show_aligned
from lazyomics.container.annotated_object import AnnotatedObject, AxisName
from lazyomics.container.frames import as_frame
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.mudata.axis import Axis
from lazyomics.container.mudata.joined_columns import joined_column
from lazyomics.container.mudata.joined_frame import JoinedFrame
from lazyomics.container.mudata.pull import PullOptions, pull
from lazyomics.container.mudata.push import PushOptions, push

__all__ = ["GlobalTables"]


class GlobalTables(AnnotatedObject):
    """The annotation of a MuData as a whole."""

    _axes: dict[AxisName, Axis]

    @property
    def obs(self) -> pd.DataFrame:
        """Columns of the observations of the whole object, read on first access.

        ``obs["rna:leiden"]`` finds the column ``leiden`` of modality ``rna`` as it is now, in the
        order of the whole object and missing where the modality has no such observation.
        """
        return self._frame_of("obs")

    @obs.setter
    def obs(self, value: Any) -> None:
        self._set_frame("obs", value)

    @property
    def var(self) -> pd.DataFrame:
        """Columns of the variables of the whole object, read on first access.

        Along the axis that is not shared, a column that every modality has is found without a
        prefix, all others as ``var["atac:n_cells"]``.
        """
        return self._frame_of("var")

    @var.setter
    def var(self, value: Any) -> None:
        self._set_frame("var", value)

    def _frame_of(self: Any, name: AxisName) -> JoinedFrame:
        axis = self._axes[name]
        return axis.frame(lambda key: joined_column(self, self._axes[name], key))

    def _set_frame(self, name: AxisName, value: Any) -> None:
        axis = self._axes[name]
        axis.table.replace(as_frame(value, len(axis.table), name))

    @property
    def obsm(self) -> AlignedMapping:
        """Arrays of the observations; under the name of each modality, which of them it holds."""
        return show_aligned(self._axes["obs"].arrays, self._axes["obs"].table)

    @obsm.setter
    def obsm(self, value: Mapping[str, Any]) -> None:
        self._set_arrays("obs", "obsm", value)

    @obsm.deleter
    def obsm(self) -> None:
        self._set_arrays("obs", "obsm", {})

    @property
    def varm(self) -> AlignedMapping:
        """Arrays of the variables; under the name of each modality, which of them it holds."""
        return show_aligned(self._axes["var"].arrays, self._axes["var"].table)

    @varm.setter
    def varm(self, value: Mapping[str, Any]) -> None:
        self._set_arrays("var", "varm", value)

    @varm.deleter
    def varm(self) -> None:
        self._set_arrays("var", "varm", {})

    @property
    def obsp(self) -> AlignedMapping:
        """Square matrices of the observations, lazy when they are in a file."""
        return self._axes["obs"].pairs.follow(self._axes["obs"].table)

    @obsp.setter
    def obsp(self, value: Mapping[str, Any]) -> None:
        self._set_arrays("obs", "obsp", value)

    @obsp.deleter
    def obsp(self) -> None:
        self._set_arrays("obs", "obsp", {})

    @property
    def varp(self) -> AlignedMapping:
        """Square matrices of the variables, lazy when they are in a file."""
        return self._axes["var"].pairs.follow(self._axes["var"].table)

    @varp.setter
    def varp(self, value: Mapping[str, Any]) -> None:
        self._set_arrays("var", "varp", value)

    @varp.deleter
    def varp(self) -> None:
        self._set_arrays("var", "varp", {})

    def _set_arrays(self, name: AxisName, which: str, value: Mapping[str, Any]) -> None:
        axis = self._axes[name]
        made = Axis.of(name, axis.table, {which: value}, axis.maps)
        if which == axis.arrays.name:
            made.arrays.succeed(axis.arrays)
            made.pairs = axis.pairs
        else:
            made.pairs.succeed(axis.pairs)
            made.arrays = axis.arrays
        self._axes[name] = made

    def pull_obs(
        self: Any,
        columns: Sequence[str] | None = None,
        mods: Sequence[str] | str | None = None,
        common: bool | None = None,
        join_common: bool | None = None,
        nonunique: bool | None = None,
        join_nonunique: bool | None = None,
        unique: bool | None = None,
        prefix_unique: bool = True,
        drop: bool = False,
        only_drop: bool = False,
    ) -> None:
        """Copy columns from the obs of the modalities into obs of the whole object.

        The copies are stored with the object and stay as they are when a modality changes later;
        ``obs["rna:leiden"]`` needs no copy.

        Parameters
        ----------
        columns
            Columns to copy, with or without prefix; all by default.
        mods
            Modalities to copy from; all by default.
        common, nonunique, unique
            Whether to copy columns that all modalities have, several have, or only one has.
        join_common, join_nonunique
            Whether such columns become one without a prefix; only where modalities do not share
            the axis. By default common ones do.
        prefix_unique
            Whether a column that only one modality has gets its prefix.
        drop
            Remove the columns from the modalities afterwards.
        only_drop
            Remove them without copying.

        Raises
        ------
        ValueError
            If columns are to be joined along a shared axis.
        """
        pull(
            self,
            self._axes["obs"],
            PullOptions(
                columns,
                mods,
                common,
                join_common,
                nonunique,
                join_nonunique,
                unique,
                prefix_unique,
                drop,
                only_drop,
            ),
        )

    def pull_var(
        self: Any,
        columns: Sequence[str] | None = None,
        mods: Sequence[str] | str | None = None,
        common: bool | None = None,
        join_common: bool | None = None,
        nonunique: bool | None = None,
        join_nonunique: bool | None = None,
        unique: bool | None = None,
        prefix_unique: bool = True,
        drop: bool = False,
        only_drop: bool = False,
    ) -> None:
        """Copy columns from the var of the modalities into var of the whole object.

        Parameters are those of ``pull_obs``.
        """
        pull(
            self,
            self._axes["var"],
            PullOptions(
                columns,
                mods,
                common,
                join_common,
                nonunique,
                join_nonunique,
                unique,
                prefix_unique,
                drop,
                only_drop,
            ),
        )

    def push_obs(
        self: Any,
        columns: Sequence[str] | None = None,
        mods: Sequence[str] | str | None = None,
        common: bool | None = None,
        prefixed: bool | None = None,
        drop: bool = False,
        only_drop: bool = False,
    ) -> None:
        """Copy columns of obs of the whole object to the modalities.

        A column ``rna:leiden`` becomes ``leiden`` of modality ``rna``; one without a prefix goes
        to every modality.

        Parameters
        ----------
        columns
            Columns to copy, with or without prefix; all by default.
        mods
            Modalities to copy to; all by default.
        common, prefixed
            Whether to copy columns without, and with, the prefix of a modality.
        drop
            Remove the columns from the whole object afterwards.
        only_drop
            Remove them without copying.

        Raises
        ------
        ValueError
            If a column is there with and without a prefix.
        """
        options = PushOptions(columns, mods, common, prefixed, drop, only_drop)
        push(self, self._axes["obs"], options)

    def push_var(
        self: Any,
        columns: Sequence[str] | None = None,
        mods: Sequence[str] | str | None = None,
        common: bool | None = None,
        prefixed: bool | None = None,
        drop: bool = False,
        only_drop: bool = False,
    ) -> None:
        """Copy columns of var of the whole object to the modalities.

        Parameters are those of ``push_obs``.
        """
        options = PushOptions(columns, mods, common, prefixed, drop, only_drop)
        push(self, self._axes["var"], options)
