from __future__ import annotations

import h5py
import numpy as np
import pytest

import lazyomics as lo


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4", ">u2"])
def test_columns_of_the_other_byte_order_can_be_selected_and_saved(tmp_path, dtype) -> None:
    """A table of such columns was read, but could not be cut: pandas takes none of them."""
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.eye(4, dtype="f4"), obs={"n": np.arange(4)}).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        attributes = dict(file["obs/n"].attrs)
        del file["obs/n"]
        file["obs/n"] = np.arange(4).astype(dtype)
        file["obs/n"].attrs.update(attributes)
    adata = lo.read_h5ad(path)
    assert adata.obs["n"].dtype == np.dtype(dtype).newbyteorder("=")
    part = adata[[3, 1]]
    assert part.obs["n"].tolist() == [3, 1]
    assert part.copy(filename=tmp_path / "b.h5ad").obs["n"].tolist() == [3, 1]
    adata.obs["more"] = 1
    adata.write()
    assert lo.read_h5ad(path).obs["n"].tolist() == [0, 1, 2, 3]
