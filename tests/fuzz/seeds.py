"""Small valid files to mutate: every encoding, layout and generation of the format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.encodings import write_element

__all__ = ["make_seeds"]

N, M, R = 12, 7, 9
LARGEST = 160_000  # bytes of a real file that is used too: larger ones are mostly values
NAMES = [f"cell{k}" for k in range(N)]
GENES = [f"gene{k}" for k in range(M)]


def make_seeds(folder: Path, real: Path | None = None) -> list[Path]:
    """Write all of them, always in the same order; small real files from ``real`` follow."""
    made = []
    for name, write in SEEDS.items():
        made.append(folder / name)
        write(made[-1])
    files = sorted(real.iterdir()) if real is not None and real.is_dir() else []
    for source in files:
        if source.suffix in (".h5ad", ".h5mu") and source.stat().st_size <= LARGEST:
            made.append(folder / f"real_{source.name}")
            made[-1].write_bytes(source.read_bytes())
    return made


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables with a column of each type."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(["a", "b", "ü"], N), categories=["a", "b", "ü", "d"]),
            "grade": pd.Categorical(rng.integers(0, 3, N), ordered=True),
            "size": rng.random(N),
            "good": rng.random(N) > 0.5,
            "n": np.arange(N),
            "text": [f"text {k}" * (k % 3) for k in range(N)],
            "maybe": pd.array([True, None] * (N // 2), dtype="boolean"),
            "count": pd.array([3, None] * (N // 2), dtype="Int16"),
            "note": pd.array(["x", None] * (N // 2), dtype="string"),
        },
        index=NAMES,
    )
    return obs, pd.DataFrame({"chrom": pd.Categorical(["x", "y", "x", "x", "y", "y", "x"])}, GENES)


def unstructured(obs: pd.DataFrame) -> dict[str, Any]:
    """An entry of each type."""
    records = np.array(
        [("g1", 1.5, 2), ("g2", 2.5, 3)], dtype=[("a", "U4"), ("b", "f4"), ("c", int)]
    )
    return {
        "colors": np.array(["#aaa", "#bbb"]),
        "text": "a text",
        "nothing": None,
        "bytes": b"some bytes",
        "numbers": {"n": 3, "x": 2.5, "yes": True, "deep": {"deeper": {"k": np.arange(3)}}},
        "records": records,
        "frame": obs[["size", "kind"]].reset_index(drop=True).rename(index=str),
        "sparse": sp.random(5, 4, 0.5, format="csc", random_state=0),
        "matrix": np.arange(12.0).reshape(3, 4),
        "flags": np.array([True, False]),
        "complex": np.array([1 + 2j]),
        "empty": {},
        "codes": pd.Categorical(["u", "v", None]),
    }


def parts(x: Any) -> dict[str, Any]:
    """Elements of an .h5ad whose X is ``x(values)``."""
    rng = np.random.default_rng(1)
    obs, var = tables()
    values = rng.poisson(0.8, (N, M)).astype("f4")
    raw = sp.csr_matrix(rng.poisson(1, (N, R)).astype("f4"))
    raw_var = pd.DataFrame({"full": np.arange(R)}, [f"raw{k}" for k in range(R)])
    return {
        "X": x(values),
        "obs": obs,
        "var": var,
        "uns": unstructured(obs),
        "obsm": {"X_pca": rng.random((N, 3)), "frame": pd.DataFrame({"u": np.arange(N)}, NAMES)},
        "varm": {"PCs": rng.random((M, 3))},
        "layers": {"counts": x(values * 2), "dense": values + 1},
        "obsp": {"graph": sp.random(N, N, 0.3, format="csr", random_state=1)},
        "varp": {"similar": rng.random((M, M))},
        "raw": {"X": raw, "var": raw_var, "varm": {"load": rng.random((R, 2))}},
    }


def write_parts(file: Any, elements: Mapping[str, Any], **options: Any) -> None:
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    for name, value in elements.items():
        write_element(file, name, value, dataset_kwargs=options)


def h5ad(x: Any, *, libver: Any = None, **options: Any) -> Callable[[Path], None]:
    """A writer of all elements, with options for their datasets."""

    def write(path: Path) -> None:
        with h5py.File(path, "w", libver=libver) as file:
            write_parts(file, parts(x), **options)

    return write


def chunked(path: Path, *, libver: Any = None) -> None:
    """Every kind of chunk index, and each filter, in small chunks."""
    rng = np.random.default_rng(2)
    elements = parts(sp.csr_matrix)
    layers = elements.pop("layers")
    with h5py.File(path, "w", libver=libver) as file:
        write_parts(file, elements, chunks=None)
        group = file.create_group("layers")
        values = rng.poisson(1, (N, M)).astype("i4")
        filters: dict[str, dict[str, Any]] = {
            "gzip": {"compression": "gzip", "shuffle": True},
            "lzf": {"compression": "lzf", "fletcher32": True},
            "offset": {"scaleoffset": 0},
            "growing": {"maxshape": (None, M)},
            "growing_both": {"maxshape": (None, None), "compression": "gzip"},
            "unfiltered": {},
            **plugins(),
        }
        for name, options in filters.items():
            made = group.create_dataset(name, data=values, chunks=(3, 2), **options)
            made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        del file["X"]
        sparse = file.create_group("X")
        sparse.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        sparse.attrs["shape"] = (N, M)
        for part in ("data", "indices", "indptr"):
            data = getattr(layers["counts"], part)
            sparse.create_dataset(part, data=data, chunks=(5,), compression="gzip", shuffle=True)


def plugins() -> dict[str, Any]:
    """Filters of hdf5plugin, where it is installed."""
    try:
        import hdf5plugin
    except ImportError:
        return {}
    return {
        "zstd": dict(hdf5plugin.Zstd()),
        "lz4": dict(hdf5plugin.LZ4()),
        "blosc": dict(hdf5plugin.Blosc()),
        "bitshuffle": dict(hdf5plugin.Bitshuffle()),
    }


def odd(path: Path) -> None:
    """What other programs may store: links, references, own types, large attributes."""
    with h5py.File(path, "w", libver="latest") as file:
        elements = parts(sp.csc_matrix)
        write_parts(file, elements, track_times=True)
        uns = file["uns"]
        uns["soft"] = h5py.SoftLink("/uns/text")
        uns["hard"] = file["obsm"]
        uns["type"] = np.dtype([("a", "f4"), ("b", h5py.string_dtype())])
        uns.create_dataset("typed", (2,), dtype=uns["type"])
        uns.create_dataset("reference", data=file["X"].ref, dtype=h5py.ref_dtype)
        region = file["layers/dense"].regionref[0:2, 0:2]
        uns.create_dataset("region", data=region, dtype=h5py.regionref_dtype)
        uns.create_dataset("ragged", (3,), dtype=h5py.vlen_dtype("i4"))[0] = [1, 2, 3]
        uns.create_dataset("time", data=np.zeros(2, h5py.opaque_dtype("M8[ns]")))
        uns.create_dataset("void", data=np.void(b"\x80\x04K\x01."))
        uns.create_dataset("enum", data=[1, 0], dtype=h5py.enum_dtype({"FALSE": 0, "TRUE": 1}))
        uns.attrs["large"] = np.arange(20_000.0)
        uns.attrs["texts"] = ["one", "two", "ü"]
        layout = h5py.VirtualLayout((N, M), "f4")
        layout[...] = h5py.VirtualSource(".", "layers/dense", (N, M))
        file.create_virtual_dataset("layers/virtual", layout, fillvalue=1)


def old(path: Path) -> None:
    """The compound tables of anndata 0.6."""
    with h5py.File(path, "w") as file:
        obs = np.array(
            [(n.encode(), k % 2, k) for k, n in enumerate(NAMES)],
            dtype=[("index", "S8"), ("kind", "i1"), ("n", "f4")],
        )
        file["obs"] = obs
        file["var"] = np.array([(n.encode(), 1.0) for n in GENES], [("index", "S8"), ("x", "f8")])
        file["obsm"] = np.zeros(N, [("X_pca", "f4", (3,)), ("one", "f4")])
        file["varm"] = np.zeros(M, [("PCs", "f4", (3,))])
        file["uns/kind_categories"] = np.array([b"a", b"b"])
        file["uns/text"] = np.array([b"text"])
        file["uns/number"] = 3
        old_sparse(file, "X", sp.random(N, M, 0.4, format="csr", dtype="f4", random_state=0))
        old_sparse(file, "raw.X", sp.random(N, R, 0.4, format="csc", dtype="f4", random_state=0))
        file["raw.var"] = np.array([(b"r%d" % k,) for k in range(R)], [("index", "S8")])
        graph = sp.random(N, N, 0.3, format="csr", random_state=0)
        old_sparse(file, "uns/neighbors/connectivities", graph)
        file["uns/neighbors/params/n_neighbors"] = 5


def old_sparse(file: h5py.File, name: str, matrix: Any) -> None:
    group = file.create_group(name)
    group.attrs["h5sparse_format"] = matrix.format
    group.attrs["h5sparse_shape"] = matrix.shape
    for part in ("data", "indices", "indptr"):
        group[part] = getattr(matrix, part)


def referenced(path: Path) -> None:
    """Categories by reference, as anndata 0.7 stored them."""
    h5ad(sp.csr_matrix)(path)
    with h5py.File(path, "r+") as file:
        obs = file["obs"]
        for name in ("kind", "grade"):
            codes, values = obs[name]["codes"][:], obs[name]["categories"][:]
            del obs[name]
            obs[name] = codes
            obs[f"__categories/{name}"] = values
            obs[name].attrs["categories"] = obs[f"__categories/{name}"].ref


def h5mu(path: Path, *, axis: int = 0) -> None:
    """Two modalities that share some cells."""
    obs, var = tables()
    rng = np.random.default_rng(3)
    values = sp.csr_matrix(rng.poisson(1, (N, M)).astype("f4"))
    mods = {
        "rna": lo.AnnData(values, obs=obs[["kind", "n"]], var=var, layers={"c": values * 2}),
        "adt": lo.AnnData(np.asarray(values[:8, :3].toarray()), obs=obs[["size"]].iloc[8::-1][:8]),
    }
    mdata = lo.MuData(mods, axis=axis)
    mdata.obsm["X_both"] = rng.random((mdata.n_obs, 2))
    mdata.obsp["graph"] = sp.eye(mdata.n_obs, format="csr")
    mdata.uns["k"] = {"text": "t"}
    mdata.write_h5mu(os.fspath(path))


SEEDS: dict[str, Callable[[Path], None]] = {
    "csr.h5ad": h5ad(sp.csr_matrix),
    "csc_gzip.h5ad": h5ad(sp.csc_matrix, compression="gzip"),
    "dense_latest.h5ad": h5ad(np.asarray, libver="latest"),
    "csr_latest_gzip.h5ad": h5ad(sp.csr_matrix, libver="latest", compression="gzip"),
    "chunked.h5ad": chunked,
    "chunked_latest.h5ad": lambda path: chunked(path, libver="latest"),
    "odd.h5ad": odd,
    "old.h5ad": old,
    "referenced.h5ad": referenced,
    "cells.h5mu": h5mu,
    "genes.h5mu": lambda path: h5mu(path, axis=1),
}
