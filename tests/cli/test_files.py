"""Commands that write files, against the functions of the library that they call."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.io.difference import differences
from tests.cli.conftest import made

ad = pytest.importorskip("anndata")


def same(a, b) -> bool:
    return not list(differences(a, b))


def test_concat(call, small, tmp_path):
    other, out = tmp_path / "other.h5ad", tmp_path / "out.h5ad"
    made(30, 20, seed=1).write_h5ad(other)
    files = [lo.read_h5ad(small), lo.read_h5ad(other)]
    call(
        "concat",
        f"a={small}",
        f"b={other}",
        "--join",
        "outer",
        "--label",
        "from",
        "--merge",
        "first",
        "--index-unique",
        "-",
        "-o",
        out,
    )
    expected = lo.concat(
        dict(zip("ab", files, strict=True)),
        join="outer",
        label="from",
        merge="first",
        index_unique="-",
    )
    expected.write_h5ad(tmp_path / "expected.h5ad")
    assert same(lo.read_h5ad(out), lo.read_h5ad(tmp_path / "expected.h5ad"))
    assert ad.read_h5ad(out).obs["from"].tolist() == ["a"] * 60 + ["b"] * 30
    call("concat", small, other, "--keys", "x,x", "-o", tmp_path / "o2.h5ad", code=2)
    call("concat", small, tmp_path / "none.h5ad", "-o", tmp_path / "o2.h5ad", code=3)
    result = call("concat", small, other, "-o", tmp_path / "o2.h5ad")
    assert "30 names of cells occur several times" in result.stderr


def test_convert_text(call, adata, tmp_path):
    folder, out = tmp_path / "10x", tmp_path / "out.h5ad"
    folder.mkdir()
    scipy.io.mmwrite(folder / "matrix.mtx", sp.csc_matrix(adata.X.T))
    (folder / "barcodes.tsv").write_text("\n".join(adata.obs_names) + "\n")
    (folder / "genes.tsv").write_text(
        "".join(f"id{k}\t{n}\n" for k, n in enumerate(adata.var_names))
    )
    call("convert", folder, out)
    found = ad.read_h5ad(out)
    assert (found.X != adata.X).nnz == 0
    assert found.var["gene_ids"].tolist()[:2] == ["id0", "id1"]

    call(
        "convert", folder / "matrix.mtx", out, "--transpose", "--compression", "gzip", "--overwrite"
    )
    assert (ad.read_h5ad(out).X != adata.X).nnz == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10x", "out.h5ad"]

    adata.to_df().to_csv(tmp_path / "t.csv")
    call("convert", tmp_path / "t.csv", out, "--overwrite")
    np.testing.assert_array_equal(ad.read_h5ad(out).X, adata.X.toarray())
    call("convert", tmp_path / "t.csv", tmp_path / "t.h5mu", code=2)


def test_convert_modalities(call, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("convert", "rna=small.h5ad", "adt=small.h5ad", "m.h5mu")
    assert list(lo.read_h5mu("m.h5mu").mod) == ["rna", "adt"]
    call("convert", "m.h5mu", "{modality}.h5ad")
    assert same(lo.read_h5ad("adt.h5ad"), lo.read_h5ad(small))
    call("convert", "m.h5mu", "one.h5ad", "--modality", "rna")
    assert (
        "did you mean 'rna'"
        in call("convert", "m.h5mu", "x.h5ad", "--modality", "rno", code=2).stderr
    )
    call("convert", "m.h5mu", "{modality}.h5ad", code=4)
    call("convert", "m.h5mu", "x.h5ad", code=2)
    call("convert", "small.h5ad", "rna.h5ad", "x.h5mu", code=2)


@pytest.mark.parametrize("name", ["a.zarr", "store"])
def test_zarr_is_refused_in_words(call, small, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / ".zgroup").write_text("{}")
    message = call("convert", tmp_path / name, tmp_path / "o.h5ad", code=3).stderr
    assert "anndata.read_zarr" in message
    call("info", tmp_path / name, code=3)
    call("convert", small, tmp_path / "new.zarr", code=3)


def test_convert_a_legacy_layout(call, data_file, tmp_path):
    source, out = data_file("bpcells_mini_mat.anndata-v0.6.22.h5ad"), tmp_path / "o.h5ad"
    call("convert", source, out)
    assert "before anndata 0.7" in call("info", source).stdout
    assert "(legacy)" not in call("info", out).stdout
    assert same(lo.read_h5ad(source), lo.read_h5ad(out))


def test_convert_10x(call, adata, tmp_path):
    source = tmp_path / "10x.h5"
    kinds = ["Gene Expression"] * 25 + ["Antibody Capture"] * 5
    with h5py.File(source, "w") as file:
        matrix = file.create_group("matrix")
        for part in ("data", "indices", "indptr"):
            matrix[part] = getattr(adata.X, part).astype(np.int64 if part != "data" else np.int32)
        matrix["shape"] = adata.shape[::-1]
        matrix["barcodes"] = adata.obs_names.to_list()
        matrix["features/id"] = matrix["features/name"] = adata.var_names.to_list()
        matrix["features/feature_type"] = kinds
    call("convert", source, tmp_path / "o.h5ad")
    assert (adata.X[:, :25] != ad.read_h5ad(tmp_path / "o.h5ad").X).nnz == 0
    call("convert", source, tmp_path / "o.h5mu")
    assert list(lo.read_h5mu(tmp_path / "o.h5mu").mod) == ["rna", "prot"]
    assert "10x.h5: 10x" in call("info", source).stdout
    assert call("validate", source).stdout.endswith(": valid\n")


def test_storage(call, adata, small, tmp_path):
    out = tmp_path / "o.h5ad"
    call("transpose", small, "--to", "csc", "-o", out)
    assert isinstance(ad.read_h5ad(out).X, sp.csc_matrix)
    assert same(lo.read_h5ad(out), lo.read_h5ad(small))
    call("repack", small, "--codec", "gzip", "-o", tmp_path / "p.h5ad")
    assert same(lo.read_h5ad(tmp_path / "p.h5ad"), lo.read_h5ad(small))
    call("add-gene-major", small)
    assert (ad.read_h5ad(small).layers["X_by_gene"] != adata.X).nnz == 0
    assert "copy by genes" in call("info", small).stdout


def test_qc(call, adata, small, tmp_path):
    out = tmp_path / "o.h5ad"
    before = small.read_bytes()
    shown = call("qc", small, "--genes", "mt=MT-", "--percent-top", "5,500", "-o", out).stdout
    assert small.read_bytes() == before
    adata.var["mt"] = adata.var_names.str.startswith("MT-")
    lo.pp.calculate_qc_metrics(adata, qc_vars=["mt"], percent_top=[5], inplace=True)
    pd.testing.assert_frame_equal(lo.read_h5ad(out).obs, adata.obs)
    pd.testing.assert_frame_equal(lo.read_h5ad(out).var, adata.var)
    assert "pct_counts_mt" in shown
    call("qc", small, "--in-place", "--percent-top", "", "--no-log1p")
    assert "total_counts" in ad.read_h5ad(small).obs
    assert "no gene begins so" in call("qc", small, "--genes", "mt=mt-", code=2).stderr
    call("qc", small, "--qc-vars", "chosn", code=2)


def test_pseudobulk(call, adata, small, tmp_path):
    expected = lo.get.aggregate(adata, ["kind", "donor"], "sum", layer="counts")
    table = pd.read_csv(
        io.StringIO(call("pseudobulk", small, "--by", "kind,donor", "--layer", "counts").stdout)
    )
    np.testing.assert_array_equal(table[adata.var_names].to_numpy(), expected.layers["sum"])
    assert table["n_obs_aggregated"].sum() == 60
    out = tmp_path / "o.h5ad"
    call(
        "pseudobulk",
        small,
        "--by",
        "kind",
        "--func",
        "mean",
        "--func",
        "sum",
        "--use-raw",
        "--obs",
        "n_genes > 11",
        "-o",
        out,
    )
    assert set(ad.read_h5ad(out).layers) == {"mean", "sum"}
    call("pseudobulk", small, "--by", "kind", "--func", "mean", "--func", "sum", code=2)
    assert "did you mean 'donor'" in call("pseudobulk", small, "--by", "doner", code=2).stderr


def test_export(call, adata, small, tmp_path):
    table = pd.read_csv(
        io.StringIO(call("export", small, "obs", "--genes", "g5").stdout), index_col=0
    )
    assert table["kind"].tolist() == adata.obs["kind"].tolist()
    np.testing.assert_allclose(table["g5"], lo.get.obs_df(adata, ["g5"])["g5"])
    out = tmp_path / "umap.tsv.gz"
    call("export", small, "obsm/X_umap", "--obs", "n_genes > 11", "-o", out)
    kept = (adata.obs["n_genes"] > 11).to_numpy()
    np.testing.assert_allclose(
        pd.read_csv(out, sep="\t", index_col=0).to_numpy(), adata.obsm["X_umap"][kept]
    )
    lo.pp.log1p(adata)
    lo.tl.rank_genes_groups(adata, "kind", use_raw=False)
    adata.write_h5ad(tmp_path / "ranked.h5ad")
    text = call(
        "export", tmp_path / "ranked.h5ad", "markers", "--group", "B cells", "--top", "3"
    ).stdout
    expected = lo.get.rank_genes_groups_df(adata, "B cells").head(3)
    assert pd.read_csv(io.StringIO(text))["names"].tolist() == expected["names"].tolist()
    assert "did you mean 'X_umap'" in call("export", small, "obsm/X_umpa", code=2).stderr
    call("export", small, "obs", "--columns", "knd", code=2)
    call("export", small, "markers", code=2)
    call("export", small, "obs", "-o", tmp_path / "x.xlsx", code=2)


def test_parquet(call, adata, small, tmp_path):
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        result = call("export", small, "obs", "-o", tmp_path / "o.parquet", code=6)
        assert "pip install 'lazyomics[parquet]'" in result.stderr
        assert not (tmp_path / "o.parquet").exists()
        return
    call("export", small, "obs", "-o", tmp_path / "o.parquet")
    assert (
        pd.read_parquet(tmp_path / "o.parquet")["n_genes"].tolist() == adata.obs["n_genes"].tolist()
    )
