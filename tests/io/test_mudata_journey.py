"""Every overlap of modalities along every axis, from opening to writing, beside mudata."""

from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo
from tests.container.mudata_cases import (
    CELLS,
    assert_same_mudata,
    modalities,
    quiet,
    read_with_mudata,
    scverse_mudata,
)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("names", ["own", "in common"])
def test_open_change_save_select_and_write(tmp_path, names, cells, axis) -> None:
    mods = modalities(cells, "in common" if axis == -1 else names)
    if axis == -1:
        mods = {name: adata[:, :3] for name, adata in mods.items()}
    path = tmp_path / "theirs.h5mu"
    with quiet():
        scverse_mudata(mods, axis).write(path)
    mdata = lo.read_h5mu(path)
    assert_same_mudata(mdata, read_with_mudata(path))

    first = next(iter(mdata.mod))
    mdata.mod[first] = mdata.mod[first].to_memory()
    mdata[first].layers["copy"] = mdata[first].X.copy()
    mdata.obs["number"] = np.arange(mdata.n_obs)
    mdata.write()
    assert_same_mudata(lo.read_h5mu(path), read_with_mudata(path))

    part = mdata[np.arange(mdata.n_obs) % 2 == 0][:, np.arange(mdata.n_vars)[::-2]]
    written = part.copy(filename=tmp_path / "part.h5mu")
    assert_same_mudata(written, read_with_mudata(tmp_path / "part.h5mu"))
    assert_same_mudata(written, part)
    assert_same_mudata(part.persist().compute(), part)
    with quiet():
        there = written.to_mudata()
    # mudata 0.3 puts what it is given into the order of its modalities, and pulls columns
    assert_same_mudata(lo.MuData.from_mudata(there), there, columns=False)
    written.filename = None
    assert not written.isbacked
    assert_same_mudata(written, read_with_mudata(tmp_path / "part.h5mu"))
