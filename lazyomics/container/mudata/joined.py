"""Tables of the whole and of the modalities: joined, pulled and pushed columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pandas as pd

from lazyomics.container.annotated import AnnotatedObject, AxisName
from lazyomics.container.frames import as_frame
from lazyomics.container.mappings import AlignedMapping, align_tables, show_aligned
from lazyomics.container.mudata.axis import Axis, JoinedFrame, is_shared, modality_slot
from lazyomics.container.parts import completed
from lazyomics.container.reindex import spread_column, without_nullable
from lazyomics.errors import warn_user

if TYPE_CHECKING:
    from lazyomics.container.mudata.modalities import Modalities

__all__ = [
    "GlobalTables",
    "ModalityColumn",
    "PullOptions",
    "PushOptions",
    "asked_mods",
    "column_of",
    "joined_column",
    "modality_columns",
    "pull",
    "push",
    "split_prefix",
    "update_column",
]


T = TypeVar("T")

Kind = Literal["common", "unique", "nonunique"]


@dataclass(frozen=True)
class ModalityColumn:
    """A column of one modality; ``kind`` says how many modalities have one of this name.

    ``"common"``: all of them, ``"unique"``: only this one, ``"nonunique"``: some others too.
    """

    mod: str
    name: str
    kind: Kind
    count: int

    @property
    def prefixed(self) -> str:
        """Name with the modality in front."""
        return f"{self.mod}:{self.name}"


def modality_columns(columns: Mapping[str, Iterable[str]]) -> dict[str, list[ModalityColumn]]:
    """Classify the columns of each modality.

    Examples
    --------
    >>> found = modality_columns({"rna": ["n", "leiden"], "atac": ["n"]})
    >>> [(c.prefixed, c.kind) for c in found["rna"]]
    [('rna:n', 'common'), ('rna:leiden', 'unique')]
    """
    names = {mod: [str(c) for c in held] for mod, held in columns.items()}
    counts = Counter(name for held in names.values() for name in held)

    def kind(name: str) -> Kind:
        if counts[name] == len(names):
            return "common"
        return "unique" if counts[name] == 1 else "nonunique"

    return {
        mod: [ModalityColumn(mod, name, kind(name), counts[name]) for name in held]
        for mod, held in names.items()
    }


def split_prefix(name: str, mods: Iterable[str]) -> tuple[str | None, str]:
    """Split ``"rna:leiden"`` into modality and column; the modality is None without a prefix.

    Examples
    --------
    >>> split_prefix("rna:leiden", ["rna"]), split_prefix("x:y", ["rna"])
    (('rna', 'leiden'), (None, 'x:y'))
    """
    prefix, colon, rest = name.partition(":")
    return (prefix, rest) if colon and prefix in set(mods) else (None, name)


def asked_mods(mdata: GlobalTables, mods: Sequence[str] | str | None) -> list[str]:
    """Names of the modalities that an argument asks for."""
    if mods is None:
        return list(mdata.mod)
    wanted = [mods] if isinstance(mods, str) else list(mods)
    for mod in wanted:
        mdata.mod[mod]  # for its message
    return wanted


def joined_column(mdata: GlobalTables, axis: Axis, name: str) -> pd.Series[Any] | None:
    """Return a column of a modality on the rows of the whole object; None if there is none.

    ``"rna:leiden"`` is ``leiden`` of modality ``rna``. On the axis along which modalities are
    concatenated, a name that all of them have is joined without a prefix.
    """
    mods = mdata.mod
    mod, column = split_prefix(name, mods)
    if mod is not None:
        if column not in modality_slot(mods[mod], axis.name).columns:
            return None
        found = column_of(mdata, axis, mod, column)
        found.name = name
        return found
    everywhere = all(name in modality_slot(a, axis.name).columns for a in mods.values())
    if not mods or not everywhere or is_shared(axis.name, mdata.axis):
        return None
    joined = None
    for mod in mods:
        part = column_of(mdata, axis, mod, name)
        joined = part if joined is None else update_column(joined, part)
    return None if joined is None else without_nullable(joined).rename(name)


def column_of(mdata: GlobalTables, axis: Axis, mod: str, column: str) -> pd.Series[Any]:
    """Return a column of one modality, missing on rows that it does not have."""
    axis.check_lengths(mdata.mod)
    frame = modality_slot(mdata.mod[mod], axis.name).frame
    values = spread_column(frame[column], axis.maps.rows_in(mod))
    return pd.Series(values, index=axis.table.index)


def update_column(old: pd.Series[Any], new: pd.Series[Any]) -> pd.Series[Any]:
    """Values of ``new`` where it has any, else those of ``old``; categories are united."""
    if isinstance(old.dtype, pd.CategoricalDtype) and isinstance(new.dtype, pd.CategoricalDtype):
        return _update_categories(old, new)
    if bool(new.notna().all()):
        return new
    if old.dtype != new.dtype:
        old, new = _same_type(old, new)
    return new.where(new.notna(), old)


def _same_type(old: pd.Series[Any], new: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    old, new = old.convert_dtypes(), new.convert_dtypes()
    if old.dtype == new.dtype:
        return old, new
    numeric = all(pd.api.types.is_numeric_dtype(c.dtype) for c in (old, new))
    booleans = any(pd.api.types.is_bool_dtype(c.dtype) for c in (old, new))
    if numeric and not booleans:
        return old.astype("Float64"), new.astype("Float64")
    return old.astype(object), new.astype(object)


def _update_categories(old: pd.Series[Any], new: pd.Series[Any]) -> pd.Series[Any]:
    merged = old.cat.categories.append(
        new.cat.categories[~new.cat.categories.isin(old.cat.categories)]
    )
    ordered = bool(old.cat.ordered and new.cat.ordered)
    a = pd.Categorical(old.astype(object), categories=merged)
    b = pd.Categorical(new.astype(object), categories=merged)
    codes = np.where(b.codes >= 0, b.codes, a.codes)
    values = pd.Categorical.from_codes(codes, categories=merged, ordered=ordered)
    return pd.Series(values, index=old.index, name=old.name)


@dataclass(frozen=True)
class PullOptions:
    """Arguments of ``pull_obs`` and ``pull_var``."""

    columns: Sequence[str] | None = None
    mods: Sequence[str] | str | None = None
    common: bool | None = None
    join_common: bool | None = None
    nonunique: bool | None = None
    join_nonunique: bool | None = None
    unique: bool | None = None
    prefix_unique: bool = True
    drop: bool = False
    only_drop: bool = False


def pull(mdata: GlobalTables, axis: Axis, options: PullOptions) -> None:
    """Copy columns of the modalities into the table of the whole object, or drop them there."""
    _check_joins(mdata, axis, options)
    axis.check_lengths(mdata.mod)
    chosen = _columns_to_pull(mdata, axis, options)
    if not options.only_drop:
        frame = mdata._frame_of(axis.name)
        columns: dict[str, pd.Series[Any]] = {str(c): frame[c] for c in frame.columns}
        for mod, found in _names(mdata, axis, chosen, options).items():
            for target, column in _in_order(found, columns):
                part = column_of(mdata, axis, mod, column.name)
                old = columns.get(target)
                columns[target] = part if old is None else update_column(old, part)
        plain = {name: without_nullable(values) for name, values in columns.items()}
        mdata._set_frame(axis.name, pd.DataFrame(plain, index=frame.index))
    if options.drop or options.only_drop:
        for mod, held in chosen.items():
            table = modality_slot(mdata.mod[mod], axis.name).frame
            delete_columns(table, [c.name for c in held])


def _in_order(new: Mapping[str, T], held: Mapping[str, Any]) -> list[tuple[str, T]]:
    """Order columns as mudata does: by name beside others, as they are in an empty table."""
    return sorted(new.items(), key=lambda item: item[0]) if held else list(new.items())


def _check_joins(mdata: GlobalTables, axis: Axis, options: PullOptions) -> None:
    joins = options.join_common or options.join_nonunique
    if joins and is_shared(axis.name, mdata.axis):
        raise ValueError(f"columns of the same name cannot be joined over shared {axis.name}_names")


def _columns_to_pull(
    mdata: GlobalTables, axis: Axis, options: PullOptions
) -> dict[str, list[ModalityColumn]]:
    """Columns to pull, by modality."""
    every = modality_columns(
        {mod: modality_slot(a, axis.name).columns for mod, a in mdata.mod.items()}
    )
    kinds = {
        "common": options.common,
        "nonunique": options.nonunique,
        "unique": options.unique,
    }
    if options.columns is not None:
        for kind, asked in kinds.items():
            if asked is not None:
                warn_user(
                    f"both columns and {kind} are given: {kind} is ignored",
                    RuntimeWarning,
                )
        wanted = set(options.columns)
        held = {
            mod: [c for c in found if c.name in wanted or c.prefixed in wanted]
            for mod, found in every.items()
        }
    else:
        held = {
            mod: [c for c in found if kinds[c.kind] in (None, True)] for mod, found in every.items()
        }
    return {mod: held[mod] for mod in asked_mods(mdata, options.mods)}


def _names(
    mdata: GlobalTables,
    axis: Axis,
    chosen: dict[str, list[ModalityColumn]],
    options: PullOptions,
) -> dict[str, dict[str, ModalityColumn]]:
    """Name in the whole object of each column to pull."""
    counts = Counter(c.name for held in chosen.values() for c in held)
    join_common = options.join_common
    if join_common is None:
        join_common = not is_shared(axis.name, mdata.axis)
    without_prefix = {
        "common": bool(join_common),
        "nonunique": bool(options.join_nonunique),
        "unique": not options.prefix_unique,
    }
    # a column that only some modalities are asked for keeps its prefix, or a later pull or push
    # could not tell where it came from
    return {
        mod: {
            c.name if without_prefix[c.kind] and counts[c.name] == c.count else c.prefixed: c
            for c in held
        }
        for mod, held in chosen.items()
    }


@dataclass(frozen=True)
class PushOptions:
    """Arguments of ``push_obs`` and ``push_var``."""

    columns: Sequence[str] | None = None
    mods: Sequence[str] | str | None = None
    common: bool | None = None
    prefixed: bool | None = None
    drop: bool = False
    only_drop: bool = False


def delete_columns(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Delete columns from a table itself, so that they are gone where a user holds it, too."""
    for name in names:
        del frame[name]


def push(mdata: GlobalTables, axis: Axis, options: PushOptions) -> None:
    """Copy columns to modalities: with a prefix to that one, without to all of them."""
    axis.check_lengths(mdata.mod)
    mods = asked_mods(mdata, options.mods)
    chosen = _columns_to_push(mdata, axis, options, mods)
    if not chosen:
        return
    frame = mdata._frame_of(axis.name)
    if not options.only_drop:
        _check_names(chosen, frame)
        for mod in mods:
            mine = {name: c for name, (prefix, c) in chosen.items() if prefix in (None, mod)}
            _push_to(mdata, axis, mod, frame, mine)
    if options.drop or options.only_drop:
        delete_columns(frame, chosen)


def _columns_to_push(
    mdata: GlobalTables, axis: Axis, options: PushOptions, mods: Sequence[str]
) -> dict[str, tuple[str | None, str]]:
    """Columns to push: modality (None for all) and name there."""
    split = {
        str(name): split_prefix(str(name), mdata.mod) for name in mdata._frame_of(axis.name).columns
    }
    if options.columns is not None:
        for kind, asked in (("common", options.common), ("prefixed", options.prefixed)):
            if asked:
                warn_user(
                    f"both columns and {kind} are given: {kind} is ignored",
                    RuntimeWarning,
                )
        wanted = set(options.columns)
        return {
            name: (mod, column)
            for name, (mod, column) in split.items()
            if (name in wanted or column in wanted) and (mod is None or mod in mods)
        }
    common, prefixed = options.common is not False, options.prefixed is not False
    return {
        name: (mod, column)
        for name, (mod, column) in split.items()
        if (common if mod is None else prefixed)
    }


def _check_names(chosen: dict[str, tuple[str | None, str]], frame: pd.DataFrame) -> None:
    counts = Counter(column for _, column in chosen.values())
    both = [c for c, n in counts.items() if n > 1 and c in frame.columns and c in chosen]
    if both:
        raise ValueError(
            f"column {both[0]!r} is there with and without the prefix of a modality: name the "
            "columns to push, or remove one of them first"
        )


def _push_to(
    mdata: GlobalTables, axis: Axis, mod: str, frame: pd.DataFrame, columns: dict[str, str]
) -> None:
    """Bring columns into the order of a modality and put them into its table."""
    if not columns:
        return
    positions = axis.maps.rows_in(mod)
    rows = np.flatnonzero(positions >= 0)
    rows = rows[np.argsort(positions[rows])]
    adata = mdata.mod[mod]
    held = modality_slot(adata, axis.name).frame
    made: dict[str, pd.Series[Any]] = {str(c): held[c] for c in held.columns}
    sources = {column: name for name, column in columns.items()}
    for column, name in _in_order(sources, made):
        part = pd.Series(frame[name].array.take(rows), index=held.index)
        old = made.get(column)
        made[column] = part if old is None else update_column(old, part)
    plain = {name: without_nullable(values) for name, values in made.items()}
    setattr(adata, axis.name, pd.DataFrame(plain, index=held.index))


class GlobalTables(AnnotatedObject):
    """The annotation of a MuData as a whole."""

    _mod: Modalities
    _axis: int
    _axes: dict[AxisName, Axis]

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

    def _align_tables(self, *, strict: bool = False) -> None:
        """Let tables in obsm and varm have the names of the whole object as they are now."""
        align_tables([(axis.arrays, axis.table) for axis in self._axes.values()], strict=strict)

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


completed(GlobalTables, "mod", "obs", "var", "obsm", "varm", "obsp", "varp")
