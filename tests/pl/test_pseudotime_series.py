"""pl.dpt_timeseries and pl.dpt_groups_pseudotime: what they draw is what scanpy's draw."""

from __future__ import annotations

import numpy as np
import pytest

import lazyomics as lo
from tests.tl.trajectories import branched, for_scanpy

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)


@pytest.fixture
def cells():
    adata = branched(sparse_x=False)
    lo.tl.diffmap(adata)
    lo.tl.dpt(adata, n_branchings=1)
    return adata


def drawn(ax):
    points = [(one.get_offsets().tolist(), one.get_sizes().tolist()) for one in ax.collections]
    lines = [line.get_xydata().tolist() for line in ax.get_lines()]
    labels = (ax.get_xlabel(), ax.get_ylabel(), ax.get_xlim(), ax.get_ylim())
    return points, lines, labels, [text.get_text() for text in ax.get_yticklabels()]


@pytest.mark.parametrize("as_heatmap", [True, False])
def test_timeseries_are_scanpys(sc, cells, tmp_path, count_passes, as_heatmap):
    from matplotlib import pyplot as plt

    sc.pl.dpt_timeseries(for_scanpy(cells), as_heatmap=as_heatmap, show=False)
    theirs = plt.gcf().axes[0]
    cells.write_h5ad(tmp_path / "a.h5ad")
    opened = lo.read_h5ad(tmp_path / "a.h5ad")
    with count_passes(tmp_path / "a.h5ad") as passes:
        ours = lo.pl.dpt_timeseries(opened, as_heatmap=as_heatmap, show=False)
    assert passes.values <= 1.01
    for found, expected in zip(drawn(ours), drawn(theirs), strict=True):
        assert found == expected
    for found, expected in zip(ours.images, theirs.images, strict=True):
        np.testing.assert_array_equal(found.get_array(), expected.get_array())


def test_groups_and_pseudotime_are_scanpys(sc, cells, figure_folder):
    from matplotlib import pyplot as plt

    # scanpy's own function fails; these are the calls in it, with an array of codes
    obs, n_groups = cells.obs, len(cells.obs["dpt_groups"].cat.categories)
    given = {"time": obs["dpt_order"].to_numpy(), "highlights_x": cells.uns["dpt_changepoints"]}
    _, theirs = plt.subplots(2, 1)
    names = {"ylabel": "dpt groups", "yticks": np.arange(n_groups) if n_groups < 5 else None}
    codes, labels = obs["dpt_groups"].cat.codes.to_numpy(), np.asarray(obs["dpt_groups"])
    sc.pl.timeseries_subplot(codes, color=labels, ax=theirs[0], **names, **given)
    names = {"ylabel": "pseudotime", "xlabel": "dpt order", "yticks": [0, 1]}
    times = obs["dpt_pseudotime"].to_numpy()
    sc.pl.timeseries_subplot(times, color=times, ax=theirs[1], **names, **given)
    ours = lo.pl.dpt_groups_pseudotime(cells, show=False)
    for found, expected in zip(ours, theirs, strict=True):
        assert drawn(found) == drawn(expected)
    lo.pl.dpt_groups_pseudotime(cells, save=True, palette="viridis", show=False)
    assert (figure_folder / "dpt_groups_pseudotime.pdf").exists()


def test_what_is_missing_is_named(cells):
    del cells.obs["dpt_order"], cells.obs["dpt_order_indices"]
    for verb in (lo.pl.dpt_timeseries, lo.pl.dpt_groups_pseudotime):
        with pytest.raises(ValueError, match=r"dpt_order.*run lo\.tl\.dpt"):
            verb(cells)
