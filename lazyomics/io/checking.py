"""Whether readers take a file: every element read, matrices in blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import h5py

from lazyomics.errors import LazyomicsError
from lazyomics.io.any_format import (
    UnknownModalityError,
    kind_of_open,
    open_any,
    part_of,
    split_modality,
)
from lazyomics.io.encodings import frame_index, frame_length, named_rows, open_member, read_frame
from lazyomics.io.encodings.damage import HDF5_ERRORS
from lazyomics.io.encodings.mappings import read_entry
from lazyomics.io.files import checked_path, open_for_reading
from lazyomics.io.h5mu.opening import stored_modalities
from lazyomics.io.readers import reader_of
from lazyomics.io.save.verify import ALIGNED, stored_shape
from lazyomics.io.stream import MatrixBlocks
from lazyomics.io.transaction.left_over import left_over
from lazyomics.io.walking import GROUPS, Element, elements_of, reason_of
from lazyomics.lazy.recipe import Recipe

__all__ = ["Problem", "check_file"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a file.

    Attributes
    ----------
    element
        Where; ``"/"`` for the file as a whole.
    severity
        ``"error"``: a reader refuses it. ``"warning"``: it is read, but means something unusual.
    message
        What is wrong.
    """

    element: str
    severity: Literal["error", "warning"]
    message: str


def check_file(path: str | os.PathLike[str], *, values: bool = True) -> list[Problem]:
    """Read every element of an .h5ad, .h5mu, 10x .h5 or .loom file, and list what is wrong.

    Parameters
    ----------
    path
        The file, a URL, or ``FILE.h5mu/MODALITY``, of which nothing else is read then.
    values
        Whether values are read, too; without, names, shapes and attributes are checked.

    Returns
    -------
    Problems, in the order of the file; none for a valid file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnknownModalityError
        If the file has no such modality.

    Notes
    -----
    Passes over every matrix: 1. Peak memory: the blocks in flight, and the largest other element.

    Examples
    --------
    >>> import tempfile
    >>> import lazyomics as lo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lo.AnnData(shape=(2, 3)).write_h5ad(f"{folder}/a.h5ad")
    ...     check_file(f"{folder}/a.h5ad")
    []
    """
    problems: list[Problem] = []
    try:
        whole, modality = split_modality(path)
        found = checked_path(whole)
        left = None if "://" in str(path) else left_over(found)
        if left and left.journal:
            problems.append(Problem("/", "warning", f"a save was interrupted: {left.journal}"))
        with open_for_reading(found) as file:
            part = part_of(file, modality)
            kind = kind_of_open(file) if modality is None else "h5ad"
            if kind in ("h5ad", "h5mu"):
                problems += _elements(part, values=values)
                problems += _alignment(part, kind)
    except (FileNotFoundError, BlockingIOError, UnknownModalityError):
        raise
    except (LazyomicsError, *HDF5_ERRORS) as error:
        return [*problems, Problem("/", "error", reason_of(error))]
    return _opened(path, problems, read_x=values and kind not in ("h5ad", "h5mu"))


def _opened(path: Any, problems: list[Problem], *, read_x: bool) -> list[Problem]:
    """Open the whole as a reader would; what is known already is not said twice."""
    try:
        data: Any = open_any(path)
        if read_x:
            _read_blocks(data.X)
    except (LazyomicsError, *HDF5_ERRORS) as error:
        if not any(problem.severity == "error" for problem in problems):
            problems.append(Problem("/", "error", reason_of(error)))
    return problems


def _elements(part: h5py.Group, *, values: bool) -> Iterator[Problem]:
    for element in elements_of(part):
        place = element.name or "/"
        if element.damage:
            yield Problem(place, "error", element.damage)
            continue
        if element.kind == "unknown" and "encoding-type" in element.obj.attrs:
            stated = element.obj.attrs["encoding-type"]
            yield Problem(place, "warning", f"encoding {stated!r} is not known, copied as it is")
            continue
        if not values or (element.kind in GROUPS and isinstance(element.obj, h5py.Group)):
            continue
        try:
            yield from _read(element, part.file)
        except (LazyomicsError, *HDF5_ERRORS) as error:
            yield Problem(place, "error", reason_of(error))


def _read(element: Element, file: h5py.File) -> Iterator[Problem]:
    """Read one element, and what is odd in it."""
    obj, kind = element.obj, element.kind
    parent, _, key = element.name.rpartition("/")
    above = file[parent] if parent else file
    if kind == "index":
        names = named_rows(above, frame_index(above))
        if not names.is_unique and parent.rpartition("/")[2] in ("obs", "var"):
            count = int(names.duplicated().sum())
            text = f"{count} names occur before, such as {names[names.duplicated()][0]!r}"
            yield Problem(element.name, "warning", text)
    elif _is_matrix(obj, kind):
        _read_blocks(Recipe.of(reader_of(obj)))
    elif isinstance(above, h5py.Group) and "column-order" in above.attrs:
        read_frame(above, [key])
    elif kind == "rec-array" and key in ("obs", "var", "raw.var"):
        read_frame(obj)
    else:
        read_entry(obj)


def _is_matrix(obj: Any, kind: str) -> bool:
    if kind in ("csr_matrix", "csc_matrix"):
        return True
    numbers = kind == "array" and obj.dtype.kind in "biuf"
    return bool(numbers and obj.ndim == 2 and obj.size)


def _read_blocks(x: Any) -> None:
    for _ in MatrixBlocks.of(x).in_order():
        pass


def _alignment(file: h5py.Group, kind: str) -> Iterator[Problem]:
    """Shapes that do not fit to obs and var, of the whole and of each modality."""
    yield from _aligned(file)
    if kind == "h5mu":
        for name in stored_modalities(file):
            yield from _aligned(open_member(open_member(file, "mod"), name))


def _aligned(group: h5py.Group) -> Iterator[Problem]:
    try:
        lengths = [frame_length(open_member(group, name)) for name in ("obs", "var")]
    except (LazyomicsError, *HDF5_ERRORS) as error:
        yield Problem(str(group.name), "error", reason_of(error))
        return
    lead = f"{group.name.strip('/')}/".lstrip("/")
    expected: dict[str, tuple[int, ...]] = {"X": (0, 1)} if "mod" not in group else {}
    for name in ALIGNED:
        members = group.get(name)
        counted = all(lengths[axis] for axis in ALIGNED[name])  # as R's MuData leaves them empty
        if isinstance(members, h5py.Group) and counted:
            expected |= {f"{name}/{key}": ALIGNED[name] for key in members}
    for name, axes in expected.items():
        if name not in group:
            continue
        wanted = tuple(lengths[axis] for axis in axes)
        try:
            shape = stored_shape(open_member(group, name))
        except (LazyomicsError, *HDF5_ERRORS):
            continue  # said already
        flat = len(wanted) == 2 and wanted[1] == 1 and shape == wanted[:1]
        if shape is not None and shape[: len(wanted)] != wanted and not flat:
            text = f"expected a shape that begins with {wanted}, found {shape}"
            yield Problem(f"{lead}{name}", "error", text)
