"""A writer that loses rows ends the save: the file stays as it was, by every route."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazyomics as lo
from lazyomics.errors import FileFormatError
from lazyomics.io import writing
from lazyomics.io.encodings import registry
from tests.io.odd_saves import read_by_all, saved, table_of, write

pytestmark = pytest.mark.filterwarnings("ignore")
ELEMENTS = (
    *("obs/n", "var/n", "raw/var/n", "obs/_index", "layers/l", "layers/lazy", "obsm/e"),
    *("obsm/table", "varm/e", "varm/table", "obsp/p", "varp/p"),
)
PLACES = {
    "h5ad": ELEMENTS,
    "h5mu": ("mod/rna/obs/n", "mod/rna/layers/lazy", "mod/rna/obsm/table", "obs/n", "obsm/table"),
}
CASES = [
    *(("h5ad", place, how) for place in PLACES["h5ad"] for how in ("in place", "new file")),
    *(("h5mu", place, how) for place in PLACES["h5mu"] for how in ("in place", "new file")),
    *(("h5ad", place, "replaced") for place in ("obs/n", "obsm/table", "layers/l", "raw/var/n")),
    ("h5mu", "mod/rna/obsm/e", "replaced"),
]
FRESH = re.compile(r"\.[0-9a-f]{8}\.new")


def change(data: Any, place: str) -> None:
    """Change an element, so that it is written."""
    parts = place.split("/")
    if parts[0] == "mod":
        data, parts = data.mod[parts[1]], parts[2:]
    name, key = "/".join(parts[:-1]), parts[-1]
    if key == "_index":
        data.obs_names = [f"x{name}" for name in data.obs_names]
    elif key == "lazy":
        data.layers["lazy"] = data.layers["l"] * 2
    elif name in ("obs", "var", "raw/var"):
        table_of(data, name)["n"] += 1
    else:
        getattr(data, name)[key] = getattr(data, name)[key] * 2


def shortened(writer: Callable[..., None], place: str) -> Callable[..., None]:
    """A writer that loses the last row of one element."""
    wanted = place.removeprefix("mod/rna/")

    def write_short(parent: Any, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        found = FRESH.sub("", f"{parent.name}/{name}").replace("|", "/")
        if f"/{found}".endswith(f"/{wanted}"):
            value = value.iloc[:-1] if hasattr(value, "iloc") else value[:-1]
        writer(parent, name, value, *args, **kwargs)

    return write_short


@pytest.mark.parametrize(("suffix", "place", "how"), CASES)
def test_a_lost_row_is_not_saved(
    tmp_path: Path, suffix: str, place: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, suffix)
    before, data = path.read_bytes(), lo.read(path)
    if how == "new file" and not place.endswith("lazy"):
        data = data.to_memory()
    change(data, place)
    for kind, writer in registry.WRITERS.items():
        monkeypatch.setitem(registry.WRITERS, kind, shortened(writer, place))
    streams = writing.stream_matrix
    monkeypatch.setattr("lazyomics.io.writing.stream_matrix", shortened(streams, place))
    with pytest.raises(FileFormatError, match=r"Nothing was saved|values, one per row"):
        saved(data, path, how)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    saved(data, path, how)  # the object can be saved by a writer that works
    for found in read_by_all(path):
        assert found.shape == data.shape


@pytest.mark.parametrize("suffix", ["h5ad", "h5mu"])
def test_names_that_are_lost(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset of the row names is gone after the columns were written."""
    path = write(tmp_path, suffix)
    before, data = path.read_bytes(), lo.read(path)
    place = "obs" if suffix == "h5ad" else "mod/rna/obs"
    table_of(data, place)["n"] = np.arange(4) * 2

    def write_and_lose(table: Any, name: str, *args: Any, **kwargs: Any) -> None:
        del table[table.attrs["_index"]]

    monkeypatch.setattr("lazyomics.io.save.frames.write_values", write_and_lose)
    with pytest.raises(FileFormatError, match=f"{place}/_index"):
        data.write()
    assert path.read_bytes() == before
