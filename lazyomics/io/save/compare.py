"""What a save of an AnnData, or of a modality, has to write: each part compared with the file."""

from __future__ import annotations

from typing import Any

import h5py

from lazyomics.container.anndata import AnnData
from lazyomics.container.baseline import is_content, same_value
from lazyomics.container.deferred import is_deferred
from lazyomics.container.frames import FrameSlot
from lazyomics.errors import StaleFileError
from lazyomics.io.backing import NAMES_READ, FileBacking, sampled_names
from lazyomics.io.save.merge import Changes, Merge, in_file, is_stored_matrix, stored_place
from lazyomics.io.save_records import EVERYTHING, INDEX
from lazyomics.lazy.kinds import is_dask_array, is_in_memory

__all__ = [
    "check_axes",
    "compare_matrices",
    "compare_parts",
    "lazy_values",
    "matrix_changes",
]


def check_axes(merge: Merge, mine: Any, theirs: Any) -> None:
    """Make sure that the file still has the rows and columns of base.

    Parameters
    ----------
    merge
        Base, and what others saved since.
    mine, theirs
        The object, and the file as opened now: both AnnData, or both MuData.

    Raises
    ------
    StaleFileError
        If it has others, or the same ones in another order, or if that cannot be known.
    """
    backing, there = merge.backing, theirs._backing
    if there.shape != backing.shape:
        raise StaleFileError(
            f"{backing.path}: {backing.group!r} has shape {there.shape} now, it had "
            f"{backing.shape} when it was opened: nothing was saved. Open the file again"
        )
    for name in ("obs", "var"):
        touched = merge.touched(f"{name}/{INDEX}")
        if touched is False:
            continue
        slot, stored = getattr(mine, f"_{name}"), getattr(theirs, f"_{name}")
        if not _same_names(merge, name, slot, stored, touched is None):
            raise StaleFileError(
                f"{backing.path}: the names in {backing.place(name)!r} are not those with which "
                "the file was opened, or are in another order: its rows or columns were replaced "
                "meanwhile, and nothing was saved. Open the file again"
            )


def _same_names(merge: Merge, name: str, mine: FrameSlot, theirs: FrameSlot, unknown: bool) -> bool:
    content = merge.content(name, mine.baseline)
    if content is not None and not merge.backing.is_selection:
        return is_content(theirs.index, content.index) or (
            not unknown and same_value(mine.index, theirs.index)
        )
    before = merge.backing.axes.get(name)
    if before is None or before != sampled_names(merge.group, name, merge.backing.snapshot):
        return False
    # A new file in the place of the old one may have any order; in place, rows stay where they are.
    replaced = any(EVERYTHING in save.elements for save in merge.saves or ())
    return before[0] <= NAMES_READ or not replaced


def lazy_values(adata: AnnData, backing: FileBacking) -> dict[str, Any]:
    """Return the lazy matrices that a save may have to write, by their elements."""
    found: dict[str, Any] = {}
    for mapping in adata._mappings():
        for key, value in mapping.stored().items():
            element = f"{mapping.name}/{key}"
            if is_dask_array(value) and not in_file(value, backing, element):
                found[element] = value
    held = adata._x.held
    if "X" not in backing.names and held is not None and not adata._x.is_in_memory:
        found["X"] = adata.X
    return {element: value for element, value in found.items() if is_dask_array(value)}


def compare_parts(merge: Merge, adata: AnnData, theirs: AnnData) -> Changes:
    """Compare everything but X and raw.X, which a save in place leaves as they are."""
    backing = merge.backing
    for name, mine, there in (("obs", adata._obs, theirs._obs), ("var", adata._var, theirs._var)):
        merge.table(name, mine, there, backing.names[name])
    for mapping, stored in zip(adata._mappings(), theirs._mappings(), strict=True):
        merge.mapping(mapping.name, mapping, stored, backing.names[mapping.name])
    merge.mapping("uns", adata._uns, theirs._uns, backing.names["uns"])
    if isinstance(merge.group.get("obs"), h5py.Dataset) and "obs" in merge.changes.frames:
        merge.changes.removed.extend(_old_categories(merge.group, adata))
    _compare_raw(merge, adata, theirs)
    return merge.changes


def _old_categories(group: h5py.Group, adata: AnnData) -> list[str]:
    """Entries of uns that hold categories of the tables of anndata 0.6, which are written anew."""
    stored = group.get("uns", {})
    return [f"uns/{k}" for k in stored if k.endswith("_categories") and k not in adata.uns]


def _compare_raw(merge: Merge, adata: AnnData, theirs: AnnData) -> None:
    raw, stored, names = adata._raw, theirs._raw, merge.backing.names
    if stored is None:
        if raw is None:
            return
        if not names["raw"]:
            merge.changes.raw = True
        elif _holds(merge, raw.x.held, "raw/X"):
            merge.changes.taken.add("raw")
        else:
            merge.conflict("raw", lambda: setattr(merge.changes, "raw", True))
        return
    if raw is None:
        if not names["raw"]:
            merge.changes.taken.add("raw")
        return
    if "raw" not in merge.group or not _holds(merge, raw.x.held, "raw/X"):
        return
    merge.table("raw/var", raw.var, stored.var, names["raw/var"])
    merge.mapping("raw/varm", raw.varm, stored.varm, names["raw/varm"])


def matrix_changes(merge: Merge, adata: AnnData, theirs: AnnData) -> list[str]:
    """Compare X and raw.X.

    Returns
    -------
    Those of ``"X"`` and ``"raw.X"`` that the object has otherwise than the file, which keeps its
    own. X that the file lacks is written.
    """
    backing, left_out = merge.backing, []
    held = adata._x.held
    if theirs._x.is_absent:
        if held is not None and "X" not in backing.names:
            merge.write("X", adata.X)
        elif held is not None and in_file(held, backing, "X"):
            merge.changes.taken.add("X")
        elif held is not None:
            merge.conflict("X", lambda: merge.write("X", adata.X))
    elif held is None and "X" not in backing.names:
        merge.changes.taken.add("X")
    elif not _holds(merge, held, "X"):
        left_out.append("X")
    raw, stored = adata._raw, theirs._raw
    if stored is None or "raw" in merge.changes.taken:
        return left_out
    if raw is None:
        left_out.extend(["raw.X"] if backing.names["raw"] else [])
    elif not _holds(merge, raw.x.held, "raw/X") and not (raw.x.is_absent and stored.x.is_absent):
        left_out.append("raw.X")
    return left_out


def _holds(merge: Merge, value: Any, name: str) -> bool:
    """Tell whether the file holds a matrix already, as the same element or with equal values."""
    if in_file(value, merge.backing, name):
        return True
    if not merge.compare_values or value is None or not is_in_memory(value):
        return False
    stored = merge.group.get(name)
    return stored is not None and is_stored_matrix(value, stored)


RAW = ("raw", "raw.X", "raw.var", "raw.varm")


def compare_matrices(merge: Merge, adata: AnnData) -> tuple[str, ...]:
    """Compare X and raw for a save that may replace them; others' changes of them are conflicts.

    Returns
    -------
    Names of those that the object has otherwise than base, as records of saves have them.
    """
    backing, raw = merge.backing, adata._raw
    replaced: list[str] = []
    if not _is_unread(adata._x.held, merge, "X"):
        replaced.append("X")
    if (raw is not None and not _is_unread(raw.x.held, merge, "raw/X")) or (
        raw is None and backing.names["raw"]
    ):
        replaced.extend(RAW)
    for name in ("X", "raw"):
        if name in replaced and merge.touched(name) is not False:
            merge.conflict(name, lambda: None)
    if "X" in merge.changes.taken:
        replaced.remove("X")
    if "raw" in merge.changes.taken:
        replaced = [name for name in replaced if name not in RAW]
    return tuple(replaced)


def _is_unread(held: Any, merge: Merge, name: str) -> bool:
    """Tell whether a matrix is the stored one: whole, or cut as the whole object is."""
    backing = merge.backing
    if held is None:
        return name == "X" and "X" not in backing.names
    if not backing.is_selection:
        return in_file(held, backing, name)
    place = stored_place(held) if is_deferred(held) else None
    wanted = {backing.place(name), backing.place(name.replace("raw/", "raw."))}
    return place is not None and place[0] == backing.absolute and place[1] in wanted
