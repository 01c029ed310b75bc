"""Tables of obs and var with the names of cells and genes."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any, Self

import numpy as np
import pandas as pd

from lazyomics import lazy
from lazyomics.container.baseline import Baseline, content_of
from lazyomics.container.deferred import CutFrame, DeferredFrame, cut_frame, is_deferred
from lazyomics.container.values import in_memory_table
from lazyomics.errors import ShapeError
from lazyomics.lazy.indexer import Selector, compose

__all__ = [
    "AlignedNames",
    "FrameSlot",
    "as_frame",
    "check_columns",
    "check_same_names",
    "check_table",
    "is_stored_table",
    "make_index_unique",
    "string_index",
]


# As in anndata, names may be given among the columns under one of these keys.
KEYS_OF_NAMES = {"obs": ("obs_names", "row_names"), "var": ("var_names", "col_names")}


class FrameSlot:
    """Hold the table of one axis, in memory or still in the file.

    The length of the axis is that of the table when the slot was made: rows are selected through
    the object, never dropped from its table.

    Parameters
    ----------
    value
        The table.
    name
        What it is called in messages.
    """

    def __init__(self, value: pd.DataFrame | DeferredFrame, name: str = "obs") -> None:
        self._value = value
        self._name = name
        self._length = len(value) if isinstance(value, pd.DataFrame) else value.length
        self._index: pd.Index | None = None
        self._index_name: Any = None  # as it is stored
        self._baseline: Baseline | None = None
        self._names_before = value.index if isinstance(value, pd.DataFrame) else None

    @property
    def is_loaded(self) -> bool:
        """Whether the table is in memory."""
        self._load_if_renamed()
        return isinstance(self._value, pd.DataFrame)

    @property
    def stored(self) -> DeferredFrame | None:
        """The table in the file; None once it was loaded or replaced."""
        self._load_if_renamed()
        return None if isinstance(self._value, pd.DataFrame) else self._value

    @property
    def names_before(self) -> pd.Index | None:
        """Row names as they were noted last; None where they were not read."""
        return self._names_before

    def note_names(self) -> None:
        """Note the row names: what is aligned to them has them, too."""
        if isinstance(self._value, pd.DataFrame):
            self._names_before = self._value.index

    @property
    def baseline(self) -> Baseline | None:
        """The table as it was read; None for one that was not read from a file."""
        return self._baseline

    @property
    def drops_categories(self) -> bool:
        """Whether it is a selection of a stored table, without categories that no row uses."""
        origin = self._value if self._baseline is None else self._baseline.origin
        return isinstance(origin, CutFrame) and not origin.keeps_categories

    @property
    def frame(self) -> pd.DataFrame:
        """The table, read now if it was not."""
        if not isinstance(self._value, pd.DataFrame):
            self.load_with(self._value.load())
        frame = self._checked(self._value)
        names = string_index(frame.index, self._name)  # others may have been assigned to the table
        if names is not frame.index:
            frame.index = names
        return frame

    def load_with(self, loaded: pd.DataFrame) -> None:
        """Hold what was read for a table that is still in the file."""
        if not isinstance(self._value, pd.DataFrame):
            if self._index is not None:  # the same names, which need not be held twice
                loaded.index = self._index.rename(self._index_name)
            self._baseline = Baseline(self._value, content_of(loaded))
            if self._index is not None:  # whose name may have been changed since
                loaded.index = self._index
            self._value = loaded
            self._names_before = loaded.index

    def _load_if_renamed(self) -> None:
        """Load a table whose row names were given another name while only they were read."""
        if isinstance(self._value, pd.DataFrame) or self._index is None:
            return
        if self._index.name != self._index_name:
            self.load_with(self._value.load())

    def hold(self, value: pd.DataFrame | DeferredFrame, baseline: Baseline | None = None) -> None:
        """Hold another table of the same length, with what is known of its file."""
        self._value, self._index, self._baseline = value, None, baseline
        self.note_names()

    def wrap(self, frame: pd.DataFrame) -> None:
        """Hold the same table as another type; the names that were noted stay those before."""
        self._value = frame

    def replace(self, frame: pd.DataFrame) -> None:
        """Take over a table that a user gives; what was read of the stored one is remembered."""
        if not isinstance(self._value, pd.DataFrame):
            self._names_before = self.index
            if self._baseline is None:
                self._baseline = Baseline(self._value, None)
        self._value, self._index = frame, None

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names; reads nothing."""
        return tuple(self._value.columns)

    @property
    def index(self) -> pd.Index:
        """Row names; reads no column."""
        if isinstance(self._value, pd.DataFrame):
            return self.frame.index
        if self._index is None:
            self._index = string_index(self._value.index())
            self._index_name = self._index.name
        return self._index

    @index.setter
    def index(self, names: Any) -> None:
        index = string_index(_as_index(names))
        if len(index) != len(self):
            raise ShapeError(f"{len(index)} names for an axis of length {len(self)}")
        # not self.frame, which refuses the names that are replaced here if they are no names
        held = self._value if isinstance(self._value, pd.DataFrame) else self.frame
        held.index = index

    def __len__(self) -> int:
        return self._length

    def _checked(self, frame: Any) -> pd.DataFrame:
        if len(frame) != self._length:
            raise ShapeError(
                f"{self._name} has {len(frame)} rows now, the object {self._length}: rows were "
                f"dropped from the table or added to it in place, which leaves all other parts as "
                f"they were. Assign a table of {self._length} rows to {self._name}, and select "
                "with adata[mask] (adata[:, mask] for var) instead"
            )
        made: pd.DataFrame = frame
        return made

    def take(self, rows: Selector, *, keep_categories: bool = False) -> FrameSlot:
        """Return the slot of some rows, with all categories or with those that they use."""
        self._load_if_renamed()
        value = self._value
        if isinstance(value, pd.DataFrame):
            cut = cut_frame(self.frame, rows, keep_categories=keep_categories)
            return FrameSlot(cut, self._name)
        if isinstance(value, CutFrame) and value.keeps_categories == keep_categories:
            joined = CutFrame(value.base, compose(value.rows, rows), keep_categories)
            return FrameSlot(joined, self._name)
        return FrameSlot(CutFrame(value, rows, keep_categories), self._name)

    def copy(self) -> FrameSlot:
        """Return an independent slot."""
        self._load_if_renamed()
        value = self._value
        if isinstance(value, pd.DataFrame):
            value = self._checked(value).copy()
        twin = FrameSlot(value, self._name)
        # An index of its own, which shares the names: its name can be changed.
        twin._index = None if self._index is None else self._index.view()
        twin._index_name, twin._baseline = self._index_name, self._baseline
        twin._names_before = self._names_before
        return twin

    @property
    def nbytes(self) -> int:
        """Bytes in memory once loaded."""
        if isinstance(self._value, pd.DataFrame):
            return int(self._value.memory_usage(deep=True).sum())
        return self._value.nbytes


def as_frame(value: Any, length: int | None, axis: str) -> pd.DataFrame:
    """Turn what a user gives for obs or var into a table with string row names.

    Parameters
    ----------
    value
        DataFrame, mapping of columns, or None.
    length
        Length it must have; None if it decides it.
    axis
        ``"obs"`` or ``"var"``, for messages.
    """
    value = in_memory_table(value)
    if value is None:
        frame = pd.DataFrame(index=pd.RangeIndex(length or 0))
    elif isinstance(value, pd.DataFrame):
        frame = value.copy()
    elif isinstance(value, pd.Index):
        frame = pd.DataFrame(index=value)
    else:
        frame = _frame_of_columns(value, length, axis)
    if length is not None and len(frame) != length:
        raise ShapeError(f"{axis} has {len(frame)} rows, expected {length}")
    frame.index = string_index(frame.index, axis)
    check_columns(frame, axis)
    return frame


def check_columns(frame: pd.DataFrame, where: str) -> None:
    """Refuse columns of several levels, which no file can hold."""
    if isinstance(frame.columns, pd.MultiIndex):
        raise ValueError(
            f"{where}: columns of {frame.columns.nlevels} levels (a MultiIndex), expected one name "
            "for each. Join the levels, e.g. frame.columns.map('_'.join)."
        )


def check_same_names(table: pd.Index, frame: pd.DataFrame, axis: str) -> None:
    """Refuse a table as X whose labels are not the names that obs or var has."""
    if isinstance(table, pd.RangeIndex):  # numbers that pandas gave to rows without labels
        return
    labels = string_index(table, "X")
    wrong = np.flatnonzero(np.asarray(labels != frame.index))
    if len(wrong):
        k = int(wrong[0])
        raise ValueError(
            f"{axis}: row {k} is named {frame.index[k]!r}, X has {labels[k]!r} there. Bring one to "
            f"the order of the other, e.g. {axis}.loc[…], or pass X.to_numpy() to go by position."
        )


def _frame_of_columns(columns: Any, length: int | None, axis: str) -> pd.DataFrame:
    """Make a table of a mapping; one of its keys may hold the names."""
    key = next((k for k in KEYS_OF_NAMES[axis] if k in columns), None)
    values = {k: v for k, v in columns.items() if k != key}
    if length is None and key is None:
        length = len(next(iter(columns.values()))) if columns else 0
    index = pd.RangeIndex(length) if key is None else pd.Index(np.asarray(columns[key]))
    for name, column in values.items():
        if np.ndim(column) and len(column) != len(index):
            raise ShapeError(f"{axis}[{name!r}] has {len(column)} values, expected {len(index)}")
    return pd.DataFrame(values, index=index)


def _as_index(names: Any) -> pd.Index:
    """Names as an index whose own name is a text or none, as a file can hold it."""
    if isinstance(names, pd.Index):
        if not isinstance(names.name, str | None):
            raise ValueError(
                f"the name of an index is a text or None, found {names.name!r} "
                f"({type(names.name).__name__}); rename it, e.g. names.rename(None)"
            )
        return names
    index = pd.Index(names)
    return index if isinstance(index.name, str | None) else index.rename(None)


def string_index(index: pd.Index, where: str = "names") -> pd.Index:
    """Names as text, as anndata makes it of whatever they were.

    Parameters
    ----------
    index
        Names of rows.
    where
        What they are the names of, for messages.

    Returns
    -------
    ``index`` itself if it is text; else texts under the same name of the index.

    Raises
    ------
    ValueError
        If it has several levels, or a name is missing.
    """
    if isinstance(index, pd.MultiIndex):
        raise ValueError(
            f"{where}: names of {index.nlevels} levels (a MultiIndex), expected one text for each "
            "row. Call reset_index() on the table, and make one index of text."
        )
    if index.hasnans:
        row = int(np.flatnonzero(index.isna())[0])
        raise ValueError(
            f"{where}: row {row} has no name (it is {index[row]!r}), expected a text for each row. "
            'Give it one, e.g. with index.fillna("unnamed").'
        )
    if index.inferred_type == "string":
        return index
    text = index.astype(str)
    return index if not len(index) and index.dtype == text.dtype else text


class AlignedNames:
    """Names of the cells or genes that the values of obsm, varm, obsp and varp follow.

    The object that a mapping belongs to tells it with ``follow`` where these names are.
    """

    name: Any
    is_view = False
    _slot: FrameSlot | None = None

    def follow(self, slot: FrameSlot) -> Self:
        """Take the names of a table; returns the mapping."""
        self._slot = slot
        return self

    @property
    def attrname(self) -> str:
        """Name of the mapping in its object."""
        return str(self.name)

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes of the object, 0 obs and 1 var, that the leading axes of the values follow."""
        if self.name == "layers":
            return (0, 1)
        axis = 0 if self.dim == "obs" else 1
        return (axis, axis) if self.name.endswith("p") else (axis,)

    @property
    def dim(self) -> str:
        """``"obs"`` or ``"var"``."""
        if self.name == "layers":
            raise AttributeError("layers follow both obs and var")
        return str(self.name[:3])

    @property
    def dim_names(self) -> pd.Index:
        """Names of the cells or genes that the values follow."""
        if self._slot is None:
            raise AttributeError(f"{self.name} has no dim_names: it belongs to no object")
        return self._slot.index

    def to_df(self: Any) -> pd.DataFrame:
        """Return the columns of all arrays as one table, named by their key and number."""
        columns: dict[str, Any] = {}
        for key in self:
            value = lazy.materialize(self[key])
            dense = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
            table = dense.reshape(len(dense), -1)
            columns |= {f"{key}{k + 1}": table[:, k] for k in range(table.shape[1])}
        return pd.DataFrame(columns, index=self.dim_names)


def is_stored_table(value: Any) -> bool:
    """Tell whether a value is a table that is still in the file, whole or cut."""
    base = getattr(value, "base", value)
    return is_deferred(value) and getattr(base, "kind", "") == "dataframe"


def check_table(table: pd.DataFrame, names: pd.Index, where: str) -> None:
    """Make sure that a table has the row names of its axis, in their order.

    Raises
    ------
    ShapeError
        If it has others: nothing says then which row belongs to which cell or gene.
    """
    if table.index is names or table.index.equals(names):
        return
    hint = f"Give it these names, e.g. with table.set_index({where[:3]}_names)"
    if len(table) == len(names) and names.is_unique and set(names) == set(table.index):
        hint = f"It has them in another order: table.loc[{where[:3]}_names] has theirs"
    first = next(k for k, (a, b) in enumerate(zip(table.index, names, strict=True)) if a != b)
    raise ShapeError(
        f"{where}: row {first} of the table is named {table.index[first]!r}, expected "
        f"{names[first]!r}: its row names are those of {where[:3]}. {hint}"
    )


def make_index_unique(index: pd.Index, join: str = "-") -> pd.Index:
    """Append ``join`` and a number to each repetition of a name.

    Parameters
    ----------
    index
        Names, shape (n,).
    join
        Between name and number.

    Returns
    -------
    Names without repetitions; first occurrences keep theirs.

    Examples
    --------
    >>> list(make_index_unique(pd.Index(["a", "b", "a", "a"])))
    ['a', 'b', 'a-1', 'a-2']
    """
    if index.is_unique:
        return index
    taken = set(index)
    repeats: Counter[str] = Counter()
    names = []
    clash = False
    for name, repeated in zip(index, index.duplicated(), strict=True):
        made = name
        while repeated:
            repeats[name] += 1
            made = f"{name}{join}{repeats[name]}"
            if made not in taken:
                taken.add(made)
                break
            clash = True
        names.append(made)
    if clash:
        warnings.warn(
            f"appending {join!r} and a number to names met names that exist already; "
            "the next free number was taken",
            UserWarning,
            stacklevel=3,
        )
    return pd.Index(names, name=index.name)
