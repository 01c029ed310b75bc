"""Well-formed HDF5 that breaks the format: wrong attributes, types, shapes, values and links."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.fuzz.odd_values import ATTRIBUTES, ODD_NAMES, odd_attribute, odd_dataset

__all__ = ["change_structure"]

Change = Callable[[random.Random, h5py.File], object]
FAILURES = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
)

MOST_VALUES = 1 << 26  # bytes


def change_structure(rng: random.Random, path: Path) -> str:
    """Change a file once or several times, in place; returns what was done."""
    done = []
    with h5py.File(path, "r+") as file:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            change = rng.choice(CHANGES)
            try:
                change(rng, file)
            except FAILURES:  # h5py refuses some of the changes: then another one is made
                continue
            done.append(change.__name__)
    return "+".join(done) or "nothing"


def members(file: h5py.File) -> list[str]:
    """Names of all groups and datasets."""
    names: list[str] = []
    file.visit(names.append)
    return sorted(names)


def values_of(dataset: h5py.Dataset) -> Any:
    """All values, if there are few: another change may have made it huge."""
    if dataset.nbytes > MOST_VALUES:
        raise ValueError("too large to be changed")
    return dataset[...]


def one_of(rng: random.Random, file: h5py.File, kind: type = object) -> Any:
    """Any object of a kind; the root is one of the groups."""
    found = [n for n in ["/", *members(file)] if isinstance(file[n], kind)]
    return file[rng.choice(found)]


def set_attribute(rng: random.Random, file: h5py.File) -> None:
    """Another value for an attribute that the format knows, or for any that is there."""
    obj = one_of(rng, file)
    name = rng.choice([*obj.attrs, *ATTRIBUTES] if rng.random() < 0.5 else [*obj.attrs])
    obj.attrs[name] = odd_attribute(rng, file, name)


def rename_encoding(rng: random.Random, file: h5py.File) -> None:
    """An element that claims to be of another kind."""
    obj = one_of(rng, file)
    obj.attrs["encoding-type"] = odd_attribute(rng, file, "encoding-type")


def drop_attribute(rng: random.Random, file: h5py.File) -> None:
    obj = one_of(rng, file)
    del obj.attrs[rng.choice([*obj.attrs])]


def set_shape(rng: random.Random, file: h5py.File) -> None:
    found = [n for n in members(file) if {"shape", "h5sparse_shape"} & set(file[n].attrs)]
    obj = file[rng.choice(found)]
    name = "shape" if "shape" in obj.attrs else "h5sparse_shape"
    obj.attrs[name] = odd_attribute(rng, file, "shape")


def set_values(rng: random.Random, file: h5py.File) -> None:
    """Positions, codes and pointers out of range."""
    found = [n for n in members(file) if isinstance(file[n], h5py.Dataset)]
    chosen = [n for n in found if n.rpartition("/")[2] in ("indices", "indptr", "codes", "mask")]
    dataset = file[rng.choice(chosen or found)]
    values = values_of(dataset)
    limits = np.iinfo(values.dtype) if values.dtype.kind in "iu" else None
    few = (-1, 0, 1, N_LARGE, *((limits.min, limits.max) if limits else (np.nan, np.inf)))
    for _ in range(rng.choice((1, 1, 3, values.size))):
        at = rng.choice((0, values.size - 1, rng.randrange(values.size)))
        with np.errstate(all="ignore"):
            values.reshape(-1)[at : at + 1] = np.array([rng.choice(few)]).astype(values.dtype)
    dataset[...] = values


N_LARGE = 10_000


def replace_dataset(rng: random.Random, file: h5py.File) -> None:
    """Another type, shape or storage under the same name, with the same attributes."""
    dataset = one_of(rng, file, h5py.Dataset)
    name, attributes = dataset.name, dict(dataset.attrs)
    shape, dtype = dataset.shape, dataset.dtype
    parent, key = dataset.parent, name.rpartition("/")[2]
    del parent[key]
    made = odd_dataset(rng, parent, key, shape, dtype)
    if rng.random() < 0.8:
        made.attrs.update(attributes)


def resize_dataset(rng: random.Random, file: h5py.File) -> None:
    dataset = one_of(rng, file, h5py.Dataset)
    values, attributes = values_of(dataset), dict(dataset.attrs)
    size = rng.choice((0, 1, values.size - 1, values.size + 1, 2 * values.size))
    parent, key = dataset.parent, dataset.name.rpartition("/")[2]
    del parent[key]
    made = parent.create_dataset(key, data=np.resize(values, size), dtype=dataset_type(values))
    made.attrs.update(attributes)


def dataset_type(values: Any) -> Any:
    return h5py.string_dtype() if values.dtype.kind == "O" else values.dtype


def group_for_dataset(rng: random.Random, file: h5py.File) -> None:
    dataset = one_of(rng, file, h5py.Dataset)
    name, attributes = dataset.name, dict(dataset.attrs)
    del file[name]
    file.create_group(name).attrs.update(attributes)


def dataset_for_group(rng: random.Random, file: h5py.File) -> None:
    group = one_of(rng, file, h5py.Group)
    name, attributes = group.name, dict(group.attrs)
    del file[name]
    values = rng.choice((7, "text", np.arange(5), h5py.Empty("f"), np.zeros((12, 7))))
    file.create_dataset(name, data=values).attrs.update(attributes)


def drop_member(rng: random.Random, file: h5py.File) -> None:
    del file[rng.choice(members(file))]


def swap_members(rng: random.Random, file: h5py.File) -> None:
    first, second = rng.sample(members(file), 2)
    file.move(first, "between")
    file.move(second, first)
    file.move("between", second)


def link(rng: random.Random, file: h5py.File) -> None:
    """A link in the place of a member: to itself, to a parent, to nothing, to another file."""
    name = rng.choice(members(file))
    targets = [f"/{name}", "/", "/nothing", "..", ".", f"/{rng.choice(members(file))}", ""]
    del file[name]
    if rng.random() < 0.4:
        file[name] = file[rng.choice(["/", *members(file)])]
    elif rng.random() < 0.7:
        file[name] = h5py.SoftLink(rng.choice(targets))
    else:
        outside = rng.choice(("/etc/passwd", "../x.h5ad", file.filename, ".", "\udcff"))
        file[name] = h5py.ExternalLink(outside, rng.choice(targets))


def nest(rng: random.Random, file: h5py.File) -> None:
    """Groups inside groups."""
    group = one_of(rng, file, h5py.Group)
    for _ in range(rng.choice((10, 100, 400))):
        group = group.create_group("g")
    group["end"] = 1


def add_member(rng: random.Random, file: h5py.File) -> None:
    """A member with a name or a type that nobody expects."""
    group = one_of(rng, file, h5py.Group)
    name = rng.choice(ODD_NAMES)
    kind = rng.random()
    raw = name.encode("utf-8", "surrogateescape")
    if kind < 0.2:
        h5py.h5g.create(group.id, raw)
    elif kind < 0.4:
        group[name] = np.dtype([("a", "f4"), ("b", h5py.string_dtype())])
    else:
        odd_dataset(rng, group, name, (12,), np.dtype("f4"))


def own_filters(rng: random.Random, file: h5py.File) -> None:
    """Chunks whose stored bytes are not what their filters expect."""
    dataset = one_of(rng, file, h5py.Dataset)
    values, attributes, name = values_of(dataset), dict(dataset.attrs), dataset.name
    options = rng.choice(
        (
            {"compression": "gzip"},
            {"compression": "lzf"},
            {"shuffle": True},
            {"fletcher32": True, "compression": "gzip"},
        )
    )
    del file[name]
    made = file.create_dataset(name, data=values, chunks=True, **options)
    made.attrs.update(attributes)
    stored = rng.choice((b"", rng.randbytes(20), values.tobytes(), bytes(10_000)))
    made.id.write_direct_chunk((0,) * made.ndim, stored, rng.choice((0, 0, 1, 2, 7, 2**31)))


def odd_order_of_categories(rng: random.Random, file: h5py.File) -> None:
    """Categories whose ``ordered`` is lost, or of another type."""
    found = [n for n in members(file) if "ordered" in file[n].attrs]
    obj = file[rng.choice(found)]
    if rng.random() < 0.3:
        del obj.attrs["ordered"]
    else:
        obj.attrs["ordered"] = rng.choice(
            ("False", b"", 2, -1, 0.5, np.nan, [True, False], np.zeros(0, bool), h5py.Empty("?"))
        )


def one_dimension(rng: random.Random, file: h5py.File) -> None:
    """An aligned array that lost its second dimension, or got a third."""
    found = [
        name
        for name in members(file)
        if name.rpartition("/")[0].rpartition("/")[2] in MATRICES
        and isinstance(file[name], h5py.Dataset)
    ]
    dataset = file[rng.choice(found)]
    values = values_of(dataset)
    shaped = rng.choice((values[:, 0], values[:, :1], values.reshape(-1), values[..., None]))
    put(file, dataset.name, shaped, dict(dataset.attrs))


MATRICES = ("obsm", "varm", "obsp", "varp", "layers")


def put(file: h5py.File, name: str, values: Any, attributes: dict[str, Any]) -> None:
    """Put a dataset in the place of what is there."""
    del file[name]
    file.create_dataset(name, data=values).attrs.update(attributes)


def odd_texts(rng: random.Random, file: h5py.File) -> None:
    """Names and values that hold NUL, nothing, or bytes that are no text."""
    found = [n for n in members(file) if isinstance(file[n], h5py.Dataset)]
    texts = [n for n in found if h5py.check_string_dtype(file[n].dtype) and file[n].shape]
    name = rng.choice(texts)
    values, attributes = values_of(file[name]), dict(file[name].attrs)
    flat = np.array([str(k).encode() for k in range(values.size)], "S12")
    flat[rng.randrange(len(flat))] = rng.choice((b"a\0b", b"\0", b"", b"\xff\xfe", b"x" * 12))
    kind = rng.choice(("S12", h5py.string_dtype(length=12), h5py.string_dtype("ascii", 12)))
    put(file, name, flat.reshape(values.shape).astype(kind), attributes)


def texts_for_numbers(rng: random.Random, file: h5py.File) -> None:
    """Text in the arrays of a sparse matrix, codes, or anywhere else."""
    found = [n for n in members(file) if isinstance(file[n], h5py.Dataset) and file[n].shape]
    parts = ("data", "indices", "indptr", "codes", "mask", "values")
    chosen = [n for n in found if n.rpartition("/")[2] in parts] or found
    name = rng.choice(chosen)
    shape, attributes = file[name].shape, dict(file[name].attrs)
    if np.prod(shape) > MOST_VALUES:
        raise ValueError("too large to be changed")
    texts: Any = np.full(shape, rng.choice(("1", "", "gene", "0.5")), object)
    if rng.random() < 0.5:
        texts = texts.astype("S4")
    put(file, name, texts, attributes)


def table_for_array(rng: random.Random, file: h5py.File) -> None:
    """A table where an array is expected, in a matrix as in a column."""
    tables = [n for n in members(file) if file[n].attrs.get("encoding-type") == "dataframe"]
    others = [n for n in members(file) if n not in tables]
    name, table = rng.choice(others), rng.choice(tables)
    if table.startswith(f"{name}/"):
        raise ValueError("a part of it")
    file.copy(table, "copied")
    del file[name]
    file.move("copied", name)


def array_for_table(rng: random.Random, file: h5py.File) -> None:
    """An array, a sparse matrix or a column where a table is expected."""
    tables = [n for n in members(file) if file[n].attrs.get("encoding-type") == "dataframe"]
    kinds = ("array", "csr_matrix", "csc_matrix", "categorical", "string-array", "rec-array")
    others = [n for n in members(file) if file[n].attrs.get("encoding-type") in kinds]
    name, other = rng.choice(tables), rng.choice(others)
    file.copy(other, "copied")
    del file[name]
    file.move("copied", name)


def virtual_circle(rng: random.Random, file: h5py.File) -> None:
    """Virtual datasets that are made of themselves, directly, by a link, or through others."""
    found = [n for n in members(file) if isinstance(file[n], h5py.Dataset) and file[n].shape]
    names = rng.sample(found, min(rng.choice((1, 1, 2, 3)), len(found)))
    stored = [(file[n].shape, file[n].dtype, dict(file[n].attrs)) for n in names]
    for name in names:
        del file[name]
    for at, (name, (shape, dtype, attributes)) in enumerate(zip(names, stored, strict=True)):
        source = names[(at + 1) % len(names)]
        if rng.random() < 0.2:
            file[f"way{at}"] = h5py.SoftLink(f"/{source}")
            source = f"way{at}"
        layout = h5py.VirtualLayout(shape, dtype)
        where = rng.choice((".", ".", Path(file.filename).name))
        layout[...] = h5py.VirtualSource(where, source, shape, dtype)
        file.create_virtual_dataset(name, layout).attrs.update(attributes)


def circle_of_links(rng: random.Random, file: h5py.File) -> None:
    """Soft links in a circle, through groups, or a hard link to a group above."""
    names = rng.sample(members(file), rng.choice((1, 2, 3)))
    if rng.random() < 0.3:
        groups = [n for n in members(file) if isinstance(file[n], h5py.Group)]
        inner = rng.choice(groups)
        file[f"{inner}/above"] = file[inner.partition("/")[0]]
        return
    ends = rng.choice(("", "/", "/data", "/.//"))
    for at, name in enumerate(names):
        if name in file:
            del file[name]
        file[name] = h5py.SoftLink(f"/{names[(at + 1) % len(names)]}{ends}")


def huge_claim(rng: random.Random, file: h5py.File) -> None:
    """A dataset that claims far more values than are stored, of its own type."""
    dataset = one_of(rng, file, h5py.Dataset)
    name, dtype, attributes = dataset.name, dataset.dtype, dict(dataset.attrs)
    ndim = max(1, dataset.ndim)
    shape = [rng.choice((12, 2**20, 2**31, 2**40, 2**62)) for _ in range(ndim)]
    chunks = tuple(min(n, 4096 if ndim == 1 else 64) for n in shape)
    fill = {"fillvalue": 1} if dtype.kind in "iuf" and rng.random() < 0.5 else {}
    del file[name]
    made = file.create_dataset(name, tuple(shape), dtype, chunks=chunks, **fill)
    made.attrs.update(attributes)


def resized_attribute(rng: random.Random, file: h5py.File) -> None:
    """An attribute of the format with another type, or more or fewer values than it has."""
    known = {*ATTRIBUTES}
    found = [n for n in ["/", *members(file)] if known & set(file[n].attrs)]
    obj = file[rng.choice(found)]
    name = rng.choice(sorted(known & set(obj.attrs)))
    value = np.asarray(obj.attrs[name])
    texts = value.dtype.kind in "OSU"
    changed: Any = rng.choice(
        (
            np.resize(value, rng.choice((0, 1, value.size + 1, 1000))),
            value.reshape(-1, 1),
            value.astype("S3") if texts else value.astype(str).astype("S20"),
            np.arange(value.size) if texts else value.astype("f4"),
            0 if texts else str(value),
        )
    )
    del obj.attrs[name]
    text = changed.dtype.kind in "OU" if isinstance(changed, np.ndarray) else False
    obj.attrs.create(name, changed, dtype=h5py.string_dtype() if text else None)


CHANGES: tuple[Change, ...] = (
    odd_order_of_categories,
    one_dimension,
    odd_texts,
    texts_for_numbers,
    table_for_array,
    array_for_table,
    virtual_circle,
    circle_of_links,
    huge_claim,
    resized_attribute,
    set_attribute,
    set_attribute,
    set_attribute,
    rename_encoding,
    rename_encoding,
    drop_attribute,
    set_shape,
    set_values,
    set_values,
    set_values,
    replace_dataset,
    replace_dataset,
    replace_dataset,
    resize_dataset,
    group_for_dataset,
    dataset_for_group,
    drop_member,
    swap_members,
    link,
    nest,
    add_member,
    own_filters,
)
