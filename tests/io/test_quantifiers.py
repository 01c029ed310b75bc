"""Folders of STARsolo, kb-python, alevin, Space Ranger and files of CellBender."""

from __future__ import annotations

import gzip
import json

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError

sc = pytest.importorskip("scanpy", reason="compares with scanpy")

CELLS, GENES = 6, 5
RNG = np.random.default_rng(1)
COUNTS = {k: RNG.poisson(0.8, (CELLS, GENES)) for k in ("spliced", "unspliced", "ambiguous")}
BARCODES, IDS = [f"AC{k}" for k in range(CELLS)], [f"ENS{k}" for k in range(GENES)]
SYMBOLS = ["A", "B", "NA", "B", "D"]


def write_mtx(path, values, *, turned: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.mmwrite(path, sp.coo_matrix(values.T if turned else values))


def write_lines(path, lines) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def dense(x) -> np.ndarray:
    x = x.compute().to_scipy() if hasattr(x, "compute") else x
    return x.toarray()


@pytest.fixture(params=[False, True], ids=["in memory", "streamed"])
def target(request, tmp_path):
    return {"filename": tmp_path / "made.h5ad"} if request.param else {}


def test_starsolo(tmp_path, target) -> None:
    for name in ("Gene/filtered", "Gene/raw", "Velocyto/raw"):
        folder = tmp_path / "Solo.out" / name
        write_lines(folder / "barcodes.tsv", BARCODES)
        lines = zip(IDS, SYMBOLS, ["Gene Expression"] * GENES, strict=True)
        write_lines(folder / "features.tsv", ["\t".join(line) for line in lines])
        if name.startswith("Gene"):
            write_mtx(folder / "matrix.mtx", COUNTS["spliced"], turned=True)
    write_mtx(
        tmp_path / "Solo.out/Gene/raw/UniqueAndMult-EM.mtx", COUNTS["spliced"] / 2, turned=True
    )
    for name, values in COUNTS.items():
        write_mtx(tmp_path / f"Solo.out/Velocyto/raw/{name}.mtx", values, turned=True)
    found = lo.read_starsolo(tmp_path / "Solo.out", **target)
    assert found.isbacked is bool(target)
    assert found.X.dtype == "float32"
    np.testing.assert_array_equal(dense(found.X), COUNTS["spliced"])
    assert list(found.obs_names) == BARCODES
    assert list(found.var_names) == ["A", "B", "NA", "B-1", "D"]
    assert list(found.var["gene_ids"]) == IDS
    assert set(found.var["feature_types"]) == {"Gene Expression"}
    other = {"filtered": False, "matrix": "UniqueAndMult-EM.mtx", "var_names": "gene_ids"}
    found = lo.read_starsolo(tmp_path / "Solo.out", **other)
    np.testing.assert_array_equal(dense(found.X), COUNTS["spliced"] / 2)
    assert list(found.var_names) == IDS
    found = lo.read_starsolo(tmp_path / "Solo.out", "Velocyto", filtered=False, **target)
    for name, values in COUNTS.items():
        np.testing.assert_array_equal(dense(found.layers[name]), values)
    np.testing.assert_array_equal(dense(found.X), COUNTS["spliced"])
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    with pytest.raises(FileNotFoundError, match=r"there are .*Gene/raw"):
        lo.read_starsolo(tmp_path / "Solo.out", "GeneFull")


def test_kb(tmp_path, target) -> None:
    folder = tmp_path / "counts_unfiltered"
    write_lines(folder / "cells_x_genes.barcodes.txt", BARCODES)
    write_lines(folder / "cells_x_genes.genes.txt", IDS)
    write_lines(folder / "cells_x_genes.genes.names.txt", SYMBOLS)
    write_mtx(folder / "cells_x_genes.mtx", COUNTS["spliced"])
    found = lo.read_kb(tmp_path, **target)
    expected = sc.read_mtx(folder / "cells_x_genes.mtx")
    np.testing.assert_array_equal(dense(found.X), expected.X.toarray())
    assert (list(found.obs_names), list(found.var_names)) == (BARCODES, IDS)
    assert (found.obs.index.name, found.var.index.name) == ("barcode", "gene_id")
    assert list(found.var["gene_name"]) == SYMBOLS
    for kind, prefix in (("nac", "cells_x_genes."), ("lamanno", "")):
        folder = tmp_path / kind
        names = ("mature", "nascent", "ambiguous") if prefix else ("spliced", "unspliced")
        stem = "cells_x_genes" if prefix else "spliced"
        write_lines(folder / f"{stem}.barcodes.txt", BARCODES)
        write_lines(folder / f"{stem}.genes.txt", IDS)
        for name, values in zip(names, COUNTS.values(), strict=False):
            write_mtx(folder / f"{prefix}{name}.mtx", values)
        found = lo.read_kb(folder, **target)
        assert set(found.layers) == set(names)
        for name, values in zip(names, COUNTS.values(), strict=False):
            np.testing.assert_array_equal(dense(found.layers[name]), values)
    write_lines(tmp_path / "lamanno/spliced.genes.txt", IDS[1:])
    with pytest.raises(FileFormatError, match=r"expected 6 × 4 .* found 6 × 5"):
        lo.read_kb(tmp_path / "lamanno", **target)
    with pytest.raises(FileNotFoundError, match="has none of"):
        lo.read_kb(_empty(tmp_path))


def _empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def test_alevin_fry(tmp_path, target) -> None:
    spliced, unspliced, ambiguous = COUNTS.values()
    write_mtx(tmp_path / "alevin/quants_mat.mtx", np.hstack([spliced, unspliced, ambiguous]))
    write_lines(tmp_path / "alevin/quants_mat_rows.txt", BARCODES)
    names = [*IDS, *(f"{g}-U" for g in IDS), *(f"{g}-A" for g in IDS)]
    write_lines(tmp_path / "alevin/quants_mat_cols.txt", names)
    (tmp_path / "quant.json").write_text(json.dumps({"usa_mode": True, "num_genes": 3 * GENES}))
    for form, x, layers in [
        ("scRNA", spliced + ambiguous, {"unspliced": unspliced}),
        ("snRNA", spliced + unspliced + ambiguous, {}),
        ("raw", spliced, COUNTS),
        ({"X": ["U"], "a": ["A", "S"]}, unspliced, {"a": ambiguous + spliced}),
    ]:
        found = lo.read_alevin(tmp_path, output_format=form, **target)
        np.testing.assert_array_equal(dense(found.X), x)
        assert found.X.dtype == "float32"
        assert set(found.layers) == set(layers)
        for key, values in layers.items():
            np.testing.assert_array_equal(dense(found.layers[key]), values)
        assert (list(found.obs_names), list(found.var_names)) == (BARCODES, IDS)
    with pytest.raises(ValueError, match="output_format is one of"):
        lo.read_alevin(tmp_path, output_format="other")


def test_alevin_of_salmon(tmp_path, target) -> None:
    values = COUNTS["spliced"].astype("<f4") * 1.5
    content = b"".join(np.packbits(row > 0).tobytes() + row[row > 0].tobytes() for row in values)
    (tmp_path / "alevin").mkdir()
    (tmp_path / "alevin/quants_mat.gz").write_bytes(gzip.compress(content))
    write_lines(tmp_path / "alevin/quants_mat_rows.txt", BARCODES)
    write_lines(tmp_path / "alevin/quants_mat_cols.txt", IDS)
    found = lo.read_alevin(tmp_path, **target)
    np.testing.assert_array_equal(dense(found.X), values)
    write_lines(tmp_path / "alevin/quants_mat_rows.txt", [*BARCODES, "one more"])
    with pytest.raises(FileFormatError, match=r"quants_mat.gz.*cell 6"):
        lo.read_alevin(tmp_path, **target)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_cellbender(tmp_path) -> None:
    x = sp.csr_matrix(COUNTS["spliced"].astype(np.int32))
    with h5py.File(tmp_path / "out_filtered.h5", "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = x.data, x.indices, x.indptr
        group["shape"], group["barcodes"] = [GENES, CELLS], np.array(BARCODES, "S")
        for key, column in {"id": IDS, "name": SYMBOLS, "genome": ["hg"] * GENES}.items():
            group[f"features/{key}"] = np.array(column, "S")
        group["features/feature_type"] = np.array(["Gene Expression"] * GENES, "S")
        file["droplet_latents/cell_probability"] = np.ones(CELLS)
        file["global_latents/ambient_expression"] = np.ones(GENES)
        file["metadata/barcodes_analyzed_inds"] = np.arange(CELLS)
    expected = sc.read_10x_h5(tmp_path / "out_filtered.h5")
    for found in (
        lo.read_10x_h5(tmp_path / "out_filtered.h5"),
        lo.read(tmp_path / "out_filtered.h5"),
    ):
        pd.testing.assert_frame_equal(found.var, expected.var)
        np.testing.assert_array_equal(dense(found.X), expected.X.toarray())


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of scanpy's
def test_visium(tmp_path) -> None:
    plt = pytest.importorskip("matplotlib.image", reason="needs matplotlib")
    x = sp.csr_matrix(COUNTS["spliced"].astype(np.int32))
    with h5py.File(tmp_path / "filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = x.data, x.indices, x.indptr
        group["shape"], group["barcodes"] = [GENES, CELLS], np.array(BARCODES, "S")
        for key, column in {"id": IDS, "name": IDS, "genome": ["hg"] * GENES}.items():
            group[f"features/{key}"] = np.array(column, "S")
        group["features/feature_type"] = np.array(["Gene Expression"] * GENES, "S")
        file.attrs["library_ids"] = np.array(["sample"], "S")
        file.attrs["chemistry_description"] = np.bytes_("v1")
        file.attrs["software_version"] = "1.2"
    spatial = tmp_path / "spatial"
    spatial.mkdir()
    for key in ("hires", "lowres"):
        plt.imsave(spatial / f"tissue_{key}_image.png", RNG.random((4, 5, 3)))
    (spatial / "scalefactors_json.json").write_text('{"spot_diameter_fullres": 89.4}')
    lines = [f"{b},1,{k},{k + 1},{k * 10},{k * 20}" for k, b in enumerate(reversed(BARCODES))]
    write_lines(spatial / "tissue_positions_list.csv", lines)
    ours = lo.read_visium(tmp_path, source_image_path="image.tif")
    with pytest.warns(FutureWarning):
        theirs = sc.read_visium(tmp_path, source_image_path="image.tif")
    pd.testing.assert_frame_equal(ours.obs, theirs.obs)
    np.testing.assert_array_equal(ours.obsm["spatial"], theirs.obsm["spatial"])
    assert ours.obsm["spatial"].dtype == theirs.obsm["spatial"].dtype
    mine, other = ours.uns["spatial"]["sample"], theirs.uns["spatial"]["sample"]
    assert mine["scalefactors"] == other["scalefactors"]
    assert mine["metadata"] == other["metadata"]
    for key in ("hires", "lowres"):
        np.testing.assert_array_equal(mine["images"][key], other["images"][key])
    np.testing.assert_array_equal(dense(ours.X), theirs.X.toarray())
    assert lo.read_visium(tmp_path, load_images=False, library_id="a").uns["spatial"] == {"a": {}}
    ours.write_h5ad(tmp_path / "a.h5ad")
    (spatial / "tissue_hires_image.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"tissue_hires_image.png does not exist.*load_images"
    ):
        lo.read_visium(tmp_path)
