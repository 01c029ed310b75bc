from __future__ import annotations

import bz2
import gzip

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError, MissingDependencyError, UnsupportedError
from tests.comparing import assert_same_anndata, assert_same_value

ad = pytest.importorskip("anndata", reason="anndata is the reference of these tests")


def assert_like(ours, expected) -> None:
    made = ours.to_anndata()
    for axis in ("obs", "var"):
        if not len(getattr(expected, axis).columns):
            getattr(expected, axis).columns = getattr(made, axis).columns
    assert_same_anndata(made, expected)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("name,g1,g2\na,1,2\nb,3,4\nc,5,6\n", {}),
        ('"g1","g2"\n"a",1,2\n"b",3,4\n', {}),
        ("g1,g2\n1,2\n3,4\n", {"dtype": "float64"}),
        ("1,2\n3,4\n", {}),
        ("1,2,3\n4,5,6\n7,8,9\n", {"first_column_names": True}),
        ("x,1,2\ny,3,4\n", {}),
        ("10,20\n1,5,6\n2,7,8\n", {}),
        ("# more\n# g1 g2\n\n1,2\r\n3,4", {}),
        ("1\t2\n3\t4\n", {"delimiter": "\t", "dtype": "int64"}),
        ("g1   g2\na 1  2e3\nb nan 4\n", {"delimiter": None}),
        ("g1,g2\n1,2\n", {}),
    ],
)
@pytest.mark.parametrize("end", ["", ".gz", ".bz2"])
def test_text(tmp_path, text, options, end) -> None:
    path = tmp_path / f"a.csv{end}"
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[end](text.encode()))
    expected = ad.io.read_csv(path, **options)
    assert_like(lo.read_csv(path, **options), expected)
    assert_like(lo.read_csv(iter(text.splitlines()), **options), expected)
    options = {"delimiter": ",", **options}
    assert_like(lo.read_text(str(path), **options), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g1,g2\n1,2\n3,4\n5,6,7\n", r"line 4.*2 numbers.*found 3"),
        ("g1,g2\n1,2\n3,x\n", r"line 3.*numbers.*'x'"),
        ("g1,g2\n", r"numbers.*none"),
        ("g1,g2\n1,2,3\n1,2,3\n", r"3 names"),
        ("1;2\n", "delimiter"),
    ],
)
def test_bad_text(tmp_path, text, message) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        lo.read_csv(tmp_path / "a.csv")


def test_excel(tmp_path) -> None:
    table = pd.DataFrame({"name": ["a", "b"], "g1": [1, 2], "g2": [0.5, 3]})
    path = tmp_path / "a.xlsx"
    try:
        table.to_excel(path, sheet_name="counts", index=False)
    except ImportError:
        path.touch()
        with pytest.raises(MissingDependencyError, match="openpyxl"):
            lo.read_excel(path, "counts")
        return
    expected = ad.io.read_excel(path, "counts")
    expected.X = expected.X.astype("float64")  # objects, which no file holds
    expected.obs_names.name = None  # anndata 0.13 names the names after their column
    assert_like(lo.read_excel(path, "counts"), expected)


def test_umi_tools(tmp_path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"gene\tcell\tcount\nB\tz\t3\nA\tz\t1\nB\ty\t2\n"))
    for dtype in (None, "float32"):
        assert_like(lo.read_umi_tools(path, dtype), ad.io.read_umi_tools(path, dtype))
    path.write_bytes(gzip.compress(b"gene\tcell\nB\tz\n"))
    with pytest.raises(FileFormatError, match="columns gene, cell and count"):
        lo.read_umi_tools(path)


@pytest.mark.parametrize("named", [True, False])
def test_hdf(tmp_path, named) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(6.0).reshape(2, 3)
        if named:
            file["row_names"], file["col_names"] = ["a", "b"], ["x", "y", "z"]
    ours = lo.read_hdf(path, "x")
    np.testing.assert_array_equal(ours.X, ad.io.read_hdf(path, "x").X)
    assert list(ours.obs_names) == (["a", "b"] if named else ["0", "1"])
    assert list(ours.var_names) == (["x", "y", "z"] if named else ["0", "1", "2"])
    for key in ("", "absent"):
        with pytest.raises(ValueError, match="there are"):
            lo.read_hdf(path, key)


def test_elements(tmp_path) -> None:
    values = {
        "table": pd.DataFrame({"n": [1, 2]}, index=["a", "b"]),
        "sparse": sp.csr_matrix(np.eye(3)),
        "map": {"text": "a", "array": np.arange(3)},
    }
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, value in values.items():
            lo.write_elem(file, name, np.zeros(2))
            lo.write_elem(file, name, value, dataset_kwargs={"compression": "gzip"})
            assert_same_value(lo.read_elem(file[name]), ad.io.read_elem(file[name]), name)
            assert_same_value(ad.io.read_elem(file[name]), value, name)
            ad.io.write_elem(file.require_group("theirs"), name, value)
            assert_same_value(lo.read_elem(file[f"theirs/{name}"]), value, name)
        assert file["sparse/data"].compression == "gzip"
        with pytest.raises(UnsupportedError, match="names the group itself"):
            lo.write_elem(file, "/", [1, 2])
        lo.write_elem(file, "new/deep", np.arange(2))
        assert lo.read_elem(file["new/deep"]).tolist() == [0, 1]
