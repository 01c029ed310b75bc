"""Three-way merge of what an object changed with what is in its file now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from lazyomics import lazy
from lazyomics.container.baseline import Baseline, FrameContent, is_content, same_value
from lazyomics.container.deferred import Cut, CutFrame, computed, is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mappings import StoredValues
from lazyomics.container.ports import OnConflict
from lazyomics.container.values import is_nested, native_columns
from lazyomics.errors import ConflictError
from lazyomics.io.backing import FileBacking
from lazyomics.io.encodings import element_kind, strings_to_categoricals
from lazyomics.io.encodings.frames import column_names
from lazyomics.io.encodings.registry import check_name
from lazyomics.io.readers import reader_of
from lazyomics.io.save.frames import FrameChange, stored_index_key
from lazyomics.io.save_records import INDEX, SaveRecord
from lazyomics.lazy.kinds import is_dask_array
from lazyomics.lazy.recipe import plain_source

__all__ = [
    "Changes",
    "Merge",
    "in_file",
    "is_at",
    "is_lazy_matrix",
    "is_stored_matrix",
    "raise_conflicts",
    "stored_place",
]


def stored_place(value: Any) -> tuple[Any, str] | None:
    """Return file and name of the stored element that a held value is, whole or cut."""
    base = value.base if isinstance(value, Cut | CutFrame) else value
    if hasattr(base, "snapshot") and hasattr(base, "name"):
        return base.snapshot.path, str(base.name).strip("/")
    place: tuple[Any, str] | None = getattr(plain_source(value), "element", None)
    return place


def is_at(value: Any, path: str, names: set[str]) -> bool:
    """Tell whether a held value is a stored element of one of these names, unchanged."""
    place = stored_place(value)
    return place is not None and place[0] == path and place[1] in names


def in_file(value: Any, backing: FileBacking, name: str) -> bool:
    """Tell whether a held value is the file's own element, unchanged and unselected."""
    if isinstance(value, Cut):
        return False
    places = {backing.place(name), backing.place(name.replace("raw/", "raw."))}
    return is_at(value, backing.absolute, places)


@dataclass
class Changes:
    """What a save does to a stored object.

    Attributes
    ----------
    frames
        Changes of tables by their names.
    removed
        Elements to delete.
    written
        Elements to write, by their names.
    raw
        Whether raw is written as a whole.
    taken
        Elements that others changed and this object did not: it shows them as they are in the
        file after the save. Columns, and entries of uns at any depth, by their names.
    conflicts
        Elements that both changed, differently.
    """

    frames: dict[str, FrameChange] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    written: dict[str, Any] = field(default_factory=dict)
    raw: bool = False
    taken: set[str] = field(default_factory=set)
    conflicts: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the file holds everything already."""
        frames = any(not change.is_empty for change in self.frames.values())
        return not (frames or self.removed or self.written or self.raw)

    def elements(self) -> Iterator[str]:
        """Return the names of what is written or removed, as records of saves have them."""
        for name, change in self.frames.items():
            if change.is_legacy:
                yield name
            yield from (f"{name}/{column}" for column in (*change.columns, *change.removed))
            if change.index:
                yield f"{name}/{INDEX}"
        yield from self.removed
        yield from self.written
        if self.raw:
            yield from ("raw", "raw.X", "raw.var", "raw.varm")

    def replaced(self) -> Iterator[str]:
        """Return the names of what is deleted or written anew, tables as a whole too."""
        yield from self.elements()
        yield from (name for name, change in self.frames.items() if change.whole)


def is_stored_matrix(value: Any, stored: Any) -> bool:
    """Tell whether a matrix in memory has the type and the values of an open stored one."""
    return is_lazy_matrix(value, lazy.as_lazy(lazy.from_source(reader_of(stored))))


def is_lazy_matrix(value: Any, x: Any) -> bool:
    """Tell whether a matrix in memory has the type and the values of a lazy one.

    Parameters
    ----------
    value
        ndarray or scipy sparse matrix; of another kind, such as a table, it is not the same.
    x
        Lazy matrix.

    Notes
    -----
    Passes over the lazy matrix: 1. Peak memory: a window of blocks.
    """
    if not isinstance(value, np.ndarray) and not sp.issparse(value):
        return False
    if tuple(x.shape) != tuple(value.shape) or x.dtype != value.dtype:
        return False
    recipe = lazy.recipe_of(x)
    if recipe is None or recipe.source.format != getattr(value, "format", "dense"):
        return False
    mine = value.tocsr() if hasattr(value, "tocsr") else value
    start = 0
    for window in lazy.windows(x):
        for block in window:
            stop = start + block.shape[0]
            if not _same_block(block, mine[start:stop]):
                return False
            start = stop
    return True


def _same_block(block: Any, mine: Any) -> bool:
    if isinstance(block, np.ndarray):
        dense = mine.toarray() if hasattr(mine, "toarray") else np.asarray(mine)
        return bool(np.array_equal(block, dense, equal_nan=block.dtype.kind in "fc"))
    other = block.to_scipy()
    difference = other != mine if hasattr(mine, "tocsr") else other.toarray() != mine
    return int(difference.sum()) == 0


Load = Callable[[], Any]
DICTS = ("dict", "")


@dataclass
class Merge:
    """Compares parts of one stored object and collects what a save does to them.

    Parameters
    ----------
    backing
        Where the object was opened from: base.
    group
        The stored object as it is now: theirs.
    saves
        What others saved since base; None if another program changed the file, so that values
        have to be compared.
    on_conflict
        Whether conflicts are collected, or decided.
    compare_values
        Whether X and raw.X that are in memory are compared with the file value by value.
    """

    backing: FileBacking
    group: h5py.Group
    saves: tuple[SaveRecord, ...] | None
    on_conflict: OnConflict = "raise"
    compare_values: bool = False
    changes: Changes = field(default_factory=Changes)

    # -- who changed what -----------------------------------------------------------------

    def touched(self, element: str) -> bool | None:
        """Tell whether others saved an element since base; None where that is not known."""
        if self.saves is None:
            return None
        place = self.backing.place(element)
        return any(save.touches(place) for save in self.saves)

    def _changed_there(self, element: str, content: Any, load: Load) -> bool:
        touched = self.touched(element)
        if touched is not None:
            return touched
        return content is None or not is_content(load(), content)

    def content(self, element: str, baseline: Baseline | None) -> Any:
        """Return the base of a value, if it was read from this element in the state of base."""
        if baseline is None or baseline.content is None:
            return None
        base = getattr(baseline.origin, "base", baseline.origin)
        if getattr(base, "snapshot", None) != self.backing.snapshot:
            return None
        names = {self.backing.place(element), self.backing.place(element.replace("raw/", "raw."))}
        return baseline.content if str(base.name).strip("/") in names else None

    def conflict(self, element: str, write: Callable[[], None]) -> None:
        """Note a conflict, or decide it: ``write`` makes the change of this object."""
        if self.on_conflict == "mine":
            write()
        elif self.on_conflict == "theirs":
            self.changes.taken.add(element)
        else:
            self.changes.conflicts.append(self.backing.place(element))

    def write(self, element: str, value: Any) -> None:
        """Note that an element is written."""
        parent, _, key = element.rpartition("/")
        check_name(f"/{parent}", key)
        self.changes.written[element] = value

    # -- mappings and values --------------------------------------------------------------

    def mapping(
        self,
        name: str,
        mine: StoredValues,
        theirs: StoredValues,
        opened: frozenset[str],
        *,
        skip: Collection[str] = (),
    ) -> None:
        """Compare the entries of layers, obsm, uns, … one by one, but for some."""
        held = {key: value for key, value in mine.stored().items() if key not in skip}
        there = {key: value for key, value in theirs.stored().items() if key not in skip}
        if held and isinstance(self.group.get(name), h5py.Dataset):
            self._legacy_mapping(name, mine)
            return
        for key in [*held, *(k for k in there if k not in held)]:
            element = f"{name}/{key}"
            if key in held:
                if not self._is_unread(held[key], there.get(key), element):
                    check_name(f"/{name}", key)
                    self._entry(element, mine, theirs, key, was_there=key in opened)
            elif key in opened:
                self._removed(element)

    def _legacy_mapping(self, name: str, mine: StoredValues) -> None:
        """Write a mapping that is one compound dataset (before anndata 0.7) anew, if it changed."""
        held = mine.stored()
        base = {k: self.content(f"{name}/{k}", mine.baseline(k)) for k in held}
        same = [k for k in held if base[k] is not None and is_content(held[k], base[k])]
        if set(same) == set(held) == set(self.group[name].dtype.names or ()):
            return
        self.changes.removed.append(name)
        for key in held:
            self.write(f"{name}/{key}", mine[key])

    def _is_unread(self, value: Any, theirs: Any, element: str) -> bool:
        """Tell whether a value is the stored one, which nobody asked for."""
        if self.backing.is_selection and is_deferred(value):
            place = stored_place(value)
            return place == (self.backing.absolute, self.backing.place(element))
        if in_file(value, self.backing, element):
            return True
        place = None if theirs is None else stored_place(theirs)  # old layouts keep some elsewhere
        return place is not None and is_at(value, self.backing.absolute, {place[1]})

    def _entry(
        self,
        element: str,
        mine: StoredValues,
        theirs: StoredValues,
        key: str,
        *,
        was_there: bool,
    ) -> None:
        content = self.content(element, mine.baseline(key))
        value = mine.stored()[key]
        if is_deferred(value):  # of another file, or of another element of this one
            value = value.load()
        if isinstance(value, Mapping) or is_nested(value):
            value = computed(value)
        load = _loader(theirs, key) if key in theirs else None
        self.value(element, value, content, load, was_there=was_there)

    def value(
        self, element: str, mine: Any, content: Any, load: Load | None, *, was_there: bool
    ) -> None:
        """Compare one value.

        Parameters
        ----------
        element
            Its name.
        mine
            The value now.
        content
            What it was when it was read, None where that is not known.
        load
            Reads what the file holds; None if it holds no such element.
        was_there
            Whether the file held one when the object was opened.
        """
        if isinstance(mine, Mapping) and load is not None and self._is_dict(element, mine):
            self._entries(element, mine, content, load, was_there=was_there)
            return
        unchanged = content is not None and is_content(mine, content)
        if load is None:
            if not was_there:
                self.write(element, mine)
            elif unchanged:
                self.changes.taken.add(element)
            else:
                self.conflict(element, lambda: self.write(element, mine))
            return
        if unchanged:
            if self._changed_there(element, content, load):
                self.changes.taken.add(element)
            return
        uncomputed = is_dask_array(mine)  # so that comparing it costs as much as writing it
        changed_there = not was_there or self._changed_there(element, content, load)
        unknown = changed_there or (content is None and not uncomputed)
        if unknown and _same(mine, load()):
            return
        if changed_there:
            self.conflict(element, lambda: self.write(element, mine))
        else:
            self.write(element, mine)

    def _is_dict(self, element: str, mine: Mapping[Any, Any]) -> bool:
        """Tell whether a dictionary is stored, and every key can be the name of an element."""
        stored = self.group.get(element)
        is_dict = isinstance(stored, h5py.Group) and element_kind(stored) in DICTS
        return is_dict and all(isinstance(key, str) and key and "/" not in key for key in mine)

    def _entries(
        self,
        element: str,
        mine: Mapping[str, Any],
        content: Any,
        load: Load,
        *,
        was_there: bool,
    ) -> None:
        """Compare the entries of a dictionary in uns one by one, at any depth."""
        base = content if isinstance(content, Mapping) else None
        theirs: Any = None
        if base is None or self.touched(element) is not False:
            theirs = load()
            if not isinstance(theirs, Mapping):
                self.conflict(element, lambda: self.write(element, mine))
                return
        if base is None and was_there and self.touched(element) is False:
            base = dict.fromkeys(theirs)  # theirs is base, of which nothing was read
        known = base or {}
        for key in [*mine, *(k for k in {**known, **(theirs or {})} if k not in mine)]:
            child = f"{element}/{key}"
            there = key in known if theirs is None else key in theirs
            if key in mine:
                part = _part_loader(load if theirs is None else theirs, key) if there else None
                self.value(child, mine[key], known.get(key), part, was_there=key in known)
            elif key in known:
                self._removed(child)
            else:
                self.changes.taken.add(child)

    def _removed(self, element: str) -> None:
        """Remove what this object does not have any more, unless others changed it."""
        if self.group.get(element) is None:
            return
        if self.touched(element) is False:
            self.changes.removed.append(element)
        else:
            self.conflict(element, lambda: self.changes.removed.append(element))

    # -- tables ---------------------------------------------------------------------------

    def table(self, name: str, mine: FrameSlot, theirs: FrameSlot, opened: frozenset[str]) -> None:
        """Compare the columns of obs, var or raw.var one by one."""
        of_all_rows = mine.drops_categories and not self.backing.is_selection
        if not (mine.is_loaded or of_all_rows):
            return
        frame, content = mine.frame, self.content(name, mine.baseline)
        base: FrameContent | None = content if isinstance(content, FrameContent) else None
        if base is not None and mine.drops_categories:
            base = _without_categories(base, frame)
        if base is not None and self.touched(name) is False and is_content(frame, base):
            return
        mine_columns = tuple(column_names(f"/{name}", frame))
        for label in mine_columns:
            check_name(f"/{name}", label)
        if isinstance(frame.index.name, str):
            check_name(f"/{name}", frame.index.name)
        comparison = _Columns(self, name, frame, theirs, base, opened, _hidden(mine.baseline))
        comparison.compare(mine_columns)
        change = comparison.change(mine_columns, self.group.get(name))
        if not change.is_empty:
            self.changes.frames[name] = change


@dataclass
class _Columns:
    """Compares the columns of one table."""

    merge: Merge
    name: str
    frame: pd.DataFrame
    theirs: FrameSlot
    base: FrameContent | None
    opened: frozenset[str]
    hidden: frozenset[str]
    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def compare(self, mine: tuple[str, ...]) -> None:
        merge, there = self.merge, self.theirs.columns
        for at, column in enumerate(mine):
            self._compare_column(column, self.frame.iloc[:, at], there)
        for column in there:
            element = f"{self.name}/{column}"
            if column in mine or column in self.hidden:
                continue
            if column not in self.opened:
                merge.changes.taken.add(element)
            elif merge.touched(element) is False:
                self.removed.append(column)
            else:
                merge.conflict(element, partial(self.removed.append, column))

    def _compare_column(self, column: str, values: Any, there: tuple[str, ...]) -> None:
        merge, element = self.merge, f"{self.name}/{column}"
        content = None if self.base is None else self.base.columns.get(column)
        unchanged = content is not None and is_content(values, content)
        was_there = column in self.opened or column in self.hidden

        def write() -> None:
            self.written.append(column)

        if column not in there:
            if not was_there:
                write()
            elif unchanged:
                merge.changes.taken.add(element)
            else:
                merge.conflict(element, write)
            return
        touched = merge.touched(element) if was_there else True
        if unchanged and touched is False:
            return
        if content is not None and touched is False:
            write()
            return
        stored = self._stored(column)
        if same_value(_array(_as_stored(values)), _array(stored)):
            return
        if touched is False:
            write()
        elif unchanged:
            merge.changes.taken.add(element)
        elif touched is None and content is not None and self._is_content(stored, content):
            write()
        else:
            merge.conflict(element, write)

    def _stored(self, column: str) -> pd.Series[Any]:
        frame = self.theirs.stored
        values = self.theirs.frame[column] if frame is None else frame.column(column)
        return _as_stored(values)

    def _is_content(self, stored: pd.Series[Any], content: Any) -> bool:
        if is_content(stored, content):
            return True
        text = getattr(content, "value", None)  # text that a save stored as categories
        if not isinstance(text, pd.api.extensions.ExtensionArray):
            return False
        return same_value(_array(stored), _array(_as_stored(pd.Series(text))))

    def change(self, mine: tuple[str, ...], stored: Any) -> FrameChange:
        there = self.theirs.columns
        names = self._has_same_names()
        legacy = not isinstance(stored, h5py.Group) or (
            str(stored.attrs.get("encoding-version")) != "0.2.0"
        )
        decided_theirs = {
            c for c in mine if f"{self.name}/{c}" in self.merge.changes.taken and c not in there
        }
        own = [c for c in mine if c not in decided_theirs]
        left = [c for c in there if c not in self.removed]
        order = self._order(own, left)
        unstated = isinstance(stored, h5py.Group) and "column-order" not in stored.attrs
        index_key = stored_index_key(stored)
        whole = not names or legacy or index_key is None or index_key in self.written
        if legacy and names and not (self.written or self.removed):
            whole = False
        frame = native_columns(self.frame)
        if whole:
            frame = frame.drop(columns=[c for c in frame.columns if c not in order])
            for column in order:
                element = f"{self.name}/{column}"
                if column not in mine or (
                    element in self.merge.changes.taken and column not in self.written
                ):
                    # By position: names of rows may be there more than once.
                    frame = frame.assign(**{column: self._stored(column).array})
        return FrameChange(
            frame,
            tuple(self.written),
            tuple(self.removed),
            tuple(order),
            reordered=(order != list(there) or unstated) and not legacy,
            index=not names,
            whole=whole,
            is_legacy=legacy,
        )

    def _has_same_names(self) -> bool:
        """Tell whether the file has these row names; it is read only if it may have others."""
        if self.base is not None and self.merge.touched(f"{self.name}/{INDEX}") is False:
            return is_content(self.frame.index, self.base.index)
        return same_value(self.frame.index, self.theirs.index)

    def _order(self, mine: list[str], left: list[str]) -> list[str]:
        """Return the new order of columns: that of the file, unless this object changed it."""
        known = left if self.base is None else self.base.columns
        before = [c for c in known if c in mine]
        if [c for c in mine if c in before] != before:
            return [*mine, *(c for c in left if c not in mine)]
        return _inserted(mine, left)


def _inserted(mine: list[str], left: list[str]) -> list[str]:
    """Put new columns behind those that they follow, and the last ones behind all of the file."""
    order, there = list(left), set(left)
    end = max((at + 1 for at, column in enumerate(mine) if column in there), default=0)
    position = 0
    for column in mine[:end]:
        if column in there:
            position = order.index(column) + 1
        else:
            order.insert(position, column)
            position += 1
    return [*order, *mine[end:]]


def _without_categories(base: FrameContent, frame: pd.DataFrame) -> FrameContent:
    """Forget what categories were: a selection may have dropped some that the file has."""
    kinds = {str(name): column.dtype for name, column in frame.items()}
    columns = {
        name: None if isinstance(kinds.get(name), pd.CategoricalDtype) else content
        for name, content in base.columns.items()
    }
    return FrameContent(base.index, columns)


def _same(mine: Any, theirs: Any) -> bool:
    """Tell whether a value equals a stored one; either may be a lazy matrix."""
    if is_dask_array(mine):
        return _same_lazy(lazy.as_lazy(mine), theirs)
    return is_lazy_matrix(mine, theirs) if is_dask_array(theirs) else same_value(mine, theirs)


def _same_lazy(mine: Any, theirs: Any) -> bool:
    """Tell whether a lazy matrix has the type and values of another one, lazy or not: 1 pass."""
    in_memory = isinstance(theirs, np.ndarray) or sp.issparse(theirs)
    if not (in_memory or is_dask_array(theirs)):
        return False
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        return False
    if sp.issparse(theirs) and theirs.format != "csr":
        return False
    start = 0
    for (block,) in lazy.windows(mine, size=1):
        rows = theirs[start : start + block.shape[0]]
        start += block.shape[0]
        if not in_memory:
            values = block if isinstance(block, np.ndarray) else block.to_scipy()
            same = is_lazy_matrix(values, rows)
        else:
            alike = sp.issparse(rows) is not isinstance(block, np.ndarray)
            same = alike and _same_block(block, rows)
        if not same:
            return False
    return True


def _hidden(baseline: Baseline | None) -> frozenset[str]:
    """Return columns that were left out when the object was opened."""
    origin: Any = None if baseline is None else baseline.origin
    origin = getattr(origin, "base", origin)
    if getattr(origin, "only", None) is None:
        return frozenset()
    return frozenset(origin.all_columns) - frozenset(origin.only)


def _as_stored(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column as it is stored: text that repeats itself as categories."""
    frame = pd.DataFrame({"column": values.reset_index(drop=True)})
    return strings_to_categoricals(frame)["column"]


def _array(column: pd.Series[Any]) -> Any:
    array = column.array
    return column.to_numpy() if isinstance(array, pd.arrays.NumpyExtensionArray) else array


def _loader(theirs: StoredValues, key: str) -> Load:
    return lambda: theirs[key]


def _part_loader(source: Any, key: str) -> Load:
    """Return what reads an entry of a dictionary, which is there or has to be read first."""
    return lambda: (source() if callable(source) else source)[key]


def raise_conflicts(path: object, elements: list[str]) -> None:
    """Raise if there are conflicts.

    Raises
    ------
    ConflictError
        Names all of them.
    """
    if not elements:
        return
    named = sorted(set(elements))
    shown = ", ".join(map(repr, named[:20])) + (" …" if len(named) > 20 else "")
    raise ConflictError(
        f"{path}: {shown} was changed here and, differently, in the file since it was opened. "
        "Nothing was saved. write(on_conflict='mine') replaces what is in the file, "
        "write(on_conflict='theirs') keeps it and drops the changes of this object; or open the "
        "file again and make the changes there",
        tuple(named),
    )
