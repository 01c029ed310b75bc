"""What lazyomics does, shown on real cells where they are found and on 50,000 simulated ones.

    python examples/demo.py [--compare] [--simulated] [--n-obs 50000] [--output demo_output]

Runs the backed-mode tutorial (backed_anndata.py), then the whole pipeline (pipeline.py) on a
simulated file in a process of its own, whose peak memory must stay below 1 GB. With ``--compare``
scanpy runs the same pipeline on the same file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import backed_anndata as tutorial
import numpy as np
import pandas as pd
from stopwatch import Stopwatch

import lazyomics as lo

MEMORY_BOUND = 1000  # MB, of the pipeline on 50,000 cells
HERE = Path(__file__).parent


def title(text: str) -> None:
    print(f"\n{'=' * 80}\n{text}\n{'=' * 80}", flush=True)


def run_tutorial(folder: Path, *, simulated: bool) -> None:
    watch = Stopwatch()
    with watch.step("find or make the data"):
        source = made_cells(folder, "asked for") if simulated else find_cells(folder)
    with watch.step("open, raw.to_adata, re-open"):
        adata = tutorial.open_backed(source, folder)
    with watch.step("plot, neighbors, umap, leiden"):
        tutorial.explore(adata, folder)
    with watch.step("subset to memory and to file"):
        tutorial.extract_subset(adata, folder)
    with watch.step("numeric indexing"):
        tutorial.index_by_numbers(adata)
    with watch.step("save in place and elsewhere"):
        adata = tutorial.save_changes(adata, folder)
    with watch.step("normalise the opened object"):
        normalized = tutorial.normalize_opened(adata)
    with watch.step("lazy layers"):
        adata = tutorial.lazy_layers(adata, normalized, folder)
    with watch.step("two processes"):
        adata = tutorial.two_processes(adata)
    with watch.step("modify X"):
        tutorial.modify_x(adata, folder)


def find_cells(folder: Path) -> Path:
    try:
        source = lo.datasets.pbmc3k_processed()
    except (FileNotFoundError, lo.errors.MissingDependencyError) as error:
        return made_cells(folder, str(error).partition(" (")[0])
    print(f"Input: PBMC 3k, {source}")
    return source


def made_cells(folder: Path, reason: str) -> Path:
    print(f"Input: simulated cells under the tutorial's names ({reason})")
    return simulated_pbmc(folder / "simulated_pbmc3k.h5ad")


def simulated_pbmc(path: Path) -> Path:
    """Make a file with the parts of the tutorial's: clusters, UMAP, and all genes in raw."""
    groups = [*tutorial.T_CLUSTERS, "B cells", "CD14+ Monocytes", "NK cells", "Dendritic cells"]
    counts = lo.datasets.simulate(
        path.with_suffix(".counts.h5ad"), n_obs=2_638, n_vars=13_714, n_types=len(groups)
    )
    adata = lo.read_h5ad(counts)
    adata.obs["louvain"] = adata.obs["cell_type"].cat.rename_categories(groups)
    adata.var_names = tutorial_genes(adata.var)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    adata.raw = adata
    lo.pp.highly_variable_genes(adata, n_top_genes=1_838)
    lo.pp.pca(adata)
    lo.pp.neighbors(adata)
    lo.tl.umap(adata)
    adata[:, adata.var["highly_variable"]].write_h5ad(path)
    return path


def tutorial_genes(var: pd.DataFrame) -> pd.Index:
    """Name a marker of the CD4 T, CD8 T and NK cells as the tutorial's genes."""
    names = var.index.to_numpy().astype(object)
    for cell_type, gene in (("type_0", "CD4"), ("type_1", "CD3E"), ("type_4", "NKG7")):
        names[np.flatnonzero(var["marker_of"] == cell_type)[0]] = gene
    return pd.Index(names)


def run_pipeline(
    script: str, source: Path, folder: Path, *, show: bool = True
) -> list[tuple[str, float, float]]:
    """Run a script in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, str(HERE / script), str(source), str(folder)]
    # As dask sets it for its own workers: free memory goes back to the system at once.
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    output = None if show else subprocess.DEVNULL
    subprocess.run(command, check=True, env=environment, stdout=output)
    return json.loads((folder / script).with_suffix(".json").read_text(encoding="utf-8"))


def compile_ahead(folder: Path) -> None:
    """Let numba compile once, into the cache of this environment.

    The compiler needs time and memory, which say nothing about the data.
    """
    print("compiling, if this environment has not done so yet")
    folder.mkdir(exist_ok=True)
    source = lo.datasets.simulate(folder / "counts.h5ad", n_obs=2_000, n_vars=3_000)
    run_pipeline("pipeline.py", source, folder, show=False)
    shutil.rmtree(folder)


def summary(results: dict[str, list[tuple[str, float, float]]]) -> str:
    """Steps down, programs across."""
    table = pd.DataFrame({name: {step: s for step, s, _ in laps} for name, laps in results.items()})
    table.loc["total"] = table.sum()
    lines = [f"{'seconds':<30}" + "".join(f"{name:>12}" for name in table)]
    lines += [f"{step:<30}" + "".join(f"{s:12.2f}" for s in row) for step, row in table.iterrows()]
    peaks = "".join(f"{laps[-1][2]:12.0f}" for laps in results.values())
    return "\n".join([*lines, f"{'peak memory, MB':<30}{peaks}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compare", action="store_true", help="run scanpy on the same file too")
    parser.add_argument("--simulated", action="store_true", help="do not look for PBMC 3k")
    parser.add_argument("--n-obs", type=int, default=50_000, help="cells of the simulated file")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    title("1. The backed-mode tutorial")
    run_tutorial(options.output, simulated=options.simulated)

    title(f"2. From counts to clusters: {options.n_obs:,} simulated cells × 20,000 genes")
    watch = Stopwatch()
    with watch.step("simulate"):
        source = lo.datasets.simulate(
            options.output / f"simulated_{options.n_obs}.h5ad",
            n_obs=options.n_obs,
            n_vars=20_000,
            compression="gzip",
        )
    with watch.step("compile"):
        compile_ahead(options.output / "compile")
    print(f"{source}: {source.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores")
    results = {"lazyomics": run_pipeline("pipeline.py", source, options.output)}
    if options.compare:
        title("3. The same with scanpy in memory")
        results["scanpy"] = run_pipeline("pipeline_scanpy.py", source, options.output)

    title("Summary")
    print(summary(results))
    peak = results["lazyomics"][-1][2]
    print(f"\nPeak memory of the pipeline: {peak:.0f} MB; stated bound: {MEMORY_BOUND} MB")
    print(f"Figures and files are in {options.output}/")
    if peak > MEMORY_BOUND:
        sys.exit("the pipeline needed more memory than stated")


if __name__ == "__main__":
    main()
