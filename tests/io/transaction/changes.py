"""Small files, and changes to them as a save makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

CELLS = 500


def make_file(path: Path, layout: str = "h5ad") -> Path:
    """Write a file with a compressed matrix, columns, texts and nested entries."""
    options: dict[str, Any] = {
        "h5ad": {},
        "user_block": {"userblock_size": 512},
        "latest": {"libver": "latest"},
    }[layout]
    chance = np.random.default_rng(0)
    with h5py.File(path, "w", **options) as file:
        file.attrs["encoding-type"] = "anndata"
        data = chance.poisson(1.0, 20_000).astype("f4")
        file.create_dataset("X/data", data=data, chunks=(5_000,), compression="gzip")
        file["X/indptr"] = np.arange(CELLS + 1)
        obs = file.create_group("obs")
        obs["n"] = np.arange(CELLS)
        obs["size"] = chance.random(CELLS)
        obs.create_dataset("_index", data=[f"cell{i}" for i in range(CELLS)], dtype=_text())
        obs.attrs["column-order"] = np.array(["n", "size"], dtype=object)
        file["uns/deep/k"] = 3
        file["obsm/X_pca"] = chance.random((CELLS, 3))
    return path


def _text() -> Any:
    return h5py.string_dtype()


def change(file: h5py.File, seed: int = 1) -> None:
    """Add, replace, remove and rename: what a save of several parts does."""
    chance = np.random.default_rng(seed)
    obs = file["obs"]
    for name in ("size", "new"):
        if name in obs:
            del obs[name]
        obs[name] = chance.random(CELLS)
    obs.attrs["column-order"] = np.array(["n", "size", "new"], dtype=object)
    fresh = file.create_group("obsm.new")
    fresh["X_pca"] = chance.random((CELLS, 3))
    del file["obsm/X_pca"]
    fresh.move("X_pca", "/obsm/X_pca")
    del file["obsm.new"]
    file["uns/deep/k"][...] = seed
    file.require_group("uns/more").attrs["seed"] = seed
    if "labels" in obs:
        del obs["labels"]
    obs.create_dataset("labels", data=[f"label{i % 7 + seed}" for i in range(200)], dtype=_text())
    if "layer" in file:
        del file["layer"]
    values = chance.poisson(1.0, 10_000)
    file.create_dataset("layer", data=values, chunks=(5_000,), compression="gzip")
