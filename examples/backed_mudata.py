"""The MuData half of scverse's tutorial on backed mode, with lazyomics.

    python examples/backed_mudata.py [MULTIOME.h5mu] [FOLDER]

Follows the tutorial step by step, then does what it lists as impossible. Without a file it
simulates a multiome with the tutorial's dimensions: 11,909 cells, 36,601 genes, 108,377 peaks.
Files and figures go to FOLDER (default: tutorial_output).
https://muon-tutorials.readthedocs.io has the original.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import lazyomics as lo


def print_size_in_mb(x: object) -> None:
    print(f"{x.__sizeof__() / 1e6:.3} MB")


def save_figure(path: Path) -> None:
    plt.savefig(path, bbox_inches="tight", dpi=100)
    plt.close("all")
    print(f"figure: {path}")


def section(title: str) -> None:
    print(f"\n# {title}")


def simulate_multiome(
    path: Path,
    *,
    n_obs: int = 11_909,
    n_genes: int = 36_601,
    n_peaks: int = 108_377,
    mean_counts: tuple[float, float] = (2_000, 4_000),
) -> Path:
    """Write a multiome with sparse counts, one modality after the other, in bounded memory."""
    parts = {}
    for seed, (mod, n_vars) in enumerate({"rna": n_genes, "atac": n_peaks}.items()):
        part = path.with_name(f"{path.stem}.{mod}.h5ad")
        lo.datasets.simulate(
            part, n_obs=n_obs, n_vars=n_vars, mean_counts=mean_counts[seed], seed=seed
        )
        parts[mod] = lo.read_h5ad(part)
    parts["atac"].var_names = [f"chr1:{500 * k}-{500 * k + 499}" for k in range(n_peaks)]
    mdata = lo.MuData(parts)
    mdata.write_h5mu(path)
    for adata in parts.values():
        adata.filename.unlink()
    return path


def open_backed(source: Path, path: Path) -> lo.MuData:
    """Working with backed MuData objects: from memory to a file, and opened from there."""
    section("Working with backed MuData objects")
    mdata = lo.read_h5mu(source, backed=False)
    mdata["rna"].var_names_make_unique()
    mdata.write_h5mu(path)
    other = list(mdata.mod)[-1]
    print(f"{other} is backed:", mdata[other].isbacked)
    print_size_in_mb(mdata[other])

    mdata = lo.read_h5mu(path, backed=True)
    print(mdata)
    print_size_in_mb(mdata[other])
    return mdata


def load_one_modality(mdata: lo.MuData) -> None:
    """Working with only one modality in memory."""
    section("Working with only one modality in memory")
    mdata.mod["rna"] = mdata.mod["rna"].to_memory()
    for name, adata in mdata.mod.items():
        print(f"{name} is backed:", adata.isbacked)


def preprocess(rna: lo.AnnData, folder: Path) -> None:
    """Preprocessing, embedding and clustering of the modality in memory."""
    lo.pp.normalize_total(rna, target_sum=1e4)
    lo.pp.log1p(rna)
    lo.pp.highly_variable_genes(rna, min_mean=0.02, max_mean=4, min_disp=0.5)
    lo.tl.pca(rna, svd_solver="arpack")
    lo.pp.neighbors(rna, n_neighbors=10, n_pcs=20)
    lo.tl.umap(rna)
    lo.tl.leiden(rna, resolution=1.0)
    lo.pl.umap(rna, color="leiden", legend_loc="on data", show=False)
    save_figure(folder / "mudata_umap_leiden.png")


def save_changes(mdata: lo.MuData) -> lo.MuData:
    """Save into the file without reading the other modality; X of a modality stays in the file."""
    section("Save changes")
    print(mdata["rna"])
    mdata["rna"].layers["lognorm_counts"] = mdata["rna"].X.copy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mdata.write_h5mu()
    print(f"{caught[0].category.__name__}: {caught[0].message}")
    mdata = lo.read_h5mu(mdata.filename, backed=True)
    print(mdata)
    print("all are backed:", all(adata.isbacked for adata in mdata.mod.values()))
    return mdata


def plot_clusters(mdata: lo.MuData, gene: str, folder: Path) -> None:
    """Plots of the opened modality: the values of one gene are read on the call."""
    section("Plot from the file")
    lo.pl.umap(
        mdata["rna"],
        color=["leiden", gene],
        layer="lognorm_counts",
        legend_loc="on data",
        show=False,
    )
    save_figure(folder / f"mudata_umap_{gene}.png")
    lo.pl.dotplot(
        mdata["rna"],
        var_names=[gene],
        groupby="leiden",
        figsize=(10, 3),
        dendrogram=True,
        swap_axes=True,
        show=False,
    )
    save_figure(folder / f"mudata_dotplot_{gene}.png")


def extract_subset(mdata: lo.MuData, clusters: list[str], folder: Path) -> lo.MuData:
    """Extracting a MuData subset: streamed to a file of its own, all modalities."""
    section("Extracting a MuData subset")
    print(mdata[mdata.obs["rna:leiden"].isin(clusters)])
    subset = mdata[mdata.obs["rna:leiden"].isin(clusters)].copy(
        filename=folder / "multiome_subset.h5mu"
    )
    print(subset)
    return subset


def load_subset(subset: lo.MuData, folder: Path) -> tuple[lo.MuData, lo.MuData]:
    """Load it by forgetting its file, or read it into memory."""
    section("Load the subset")
    subset.filename = None
    print("is backed:", subset.isbacked)
    read = lo.read_h5mu(folder / "multiome_subset.h5mu", backed=False)
    print(read)
    print("is backed:", read.isbacked)
    return subset, read


def different_cells(path: Path, folder: Path) -> lo.MuData:
    """The impossible thing: modalities with different observations, while they stay in files."""
    section("Modalities with different observations")
    mdata = lo.read_h5mu(path)
    other = list(mdata.mod)[-1]
    mdata.mod["rna"] = mdata["rna"][: mdata["rna"].n_obs // 2]
    mdata.mod[other] = mdata[other][mdata[other].n_obs // 4 :][::-1]
    mdata.update()
    mdata = mdata.copy(filename=folder / "multiome_different_cells.h5mu")
    print(mdata)
    print("cells in both:", int((mdata.obsm["rna"] & mdata.obsm[other]).sum()))
    return mdata


def main(source: Path | None, folder: Path, *, gene: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if source is None:
        source = simulate_multiome(folder / "simulated_multiome.h5mu")
    path = folder / "multiome.h5mu"
    mdata = open_backed(source, path)
    shutil.copyfile(path, folder / "multiome_counts.h5mu")
    load_one_modality(mdata)
    preprocess(mdata.mod["rna"], folder)
    mdata = save_changes(mdata)
    plot_clusters(mdata, gene or str(mdata["rna"].var_names[0]), folder)
    subset = extract_subset(mdata, ["0", "1", "3"], folder)
    load_subset(subset, folder)
    different_cells(folder / "multiome_counts.h5mu", folder)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(
        given[0] if given else None,
        given[1] if len(given) > 1 else Path("tutorial_output"),
    )
