"""One analysis on many processes or machines: clusters of dask.distributed.

    python examples/cluster.py [COUNTS.h5ad] [FOLDER]

Starts worker processes on this machine, opens the file (simulated counts, if none is given), and
runs the same lines as without a cluster: lazyomics uses the client that is active, as every dask
collection does. The subset and the annotated file go to FOLDER (default: cluster_output).

What to change for other clusters is said in `start_cluster`. Everywhere holds:

* The path of the file must be visible to all workers (a shared file system). The graph carries the
  path and what to do with it, never the values: each worker reads its own blocks.
* Workers need the same versions of lazyomics, dask and Python as this process.
* Blocks are planned in this process, so ``lazyomics.chunk-bytes`` and ``lazyomics.memory`` are set
  here (for matrices stored by columns, eight blocks take ``lazyomics.memory``).
* Only this process writes. It holds a few blocks at a time, whatever the size of the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import lazyomics as lo

WORKERS = min(4, os.cpu_count() or 1)


def start_cluster() -> Any:
    """Workers on this machine: a process with one thread for each processor, up to four."""
    from dask.distributed import LocalCluster

    return LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0")

    # SLURM (pip install dask-jobqueue); PBS, LSF, SGE, … have classes of their own there.
    # Each job is a worker process of 8 threads. A thread needs about four blocks of
    # `lazyomics.chunk-bytes` (32 MiB), and PCA a few hundred MB besides.
    #
    #     from dask_jobqueue import SLURMCluster
    #
    #     cluster = SLURMCluster(
    #         queue="normal", account="…", walltime="02:00:00",
    #         cores=8, processes=1, memory="16 GiB",
    #         job_script_prologue=["source ~/venv/bin/activate"],
    #     )
    #     cluster.scale(jobs=10)  # or cluster.adapt(maximum_jobs=50): as many as there is work for
    #     return cluster
    #
    # Kubernetes (pip install dask-kubernetes, and its operator in the Kubernetes cluster). The
    # file must be on a volume that this process and all pods mount at the same path.
    #
    #     from dask_kubernetes.operator import KubeCluster, make_cluster_spec
    #
    #     spec = make_cluster_spec(name="lazyomics", image="…/with-lazyomics:latest")
    #     pod = spec["spec"]["worker"]["spec"]
    #     pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    #     pod["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    #     cluster = KubeCluster(custom_cluster_spec=spec)
    #     cluster.scale(20)
    #     return cluster
    #
    # A scheduler that runs already: connect with Client("tcp://address:8786") in `main`.


def main(source: Path | None, folder: Path) -> None:
    from dask.distributed import Client

    folder.mkdir(parents=True, exist_ok=True)
    if source is None:
        source = lo.datasets.simulate(folder / "counts.h5ad", n_obs=5_000, n_vars=1_000)
    with start_cluster() as cluster, Client(cluster) as client:
        client.wait_for_workers(1)
        print(f"{len(client.nthreads())} workers, {sum(client.nthreads().values())} threads")
        analyse(source, folder)


def analyse(source: Path, folder: Path) -> None:
    """No line here knows of the cluster."""
    adata = lo.read_h5ad(source)
    lo.pp.calculate_qc_metrics(adata, inplace=True)
    lo.pp.filter_genes(adata, min_cells=3)
    lo.pp.normalize_total(adata, target_sum=1e4)
    lo.pp.log1p(adata)
    lo.pp.highly_variable_genes(adata, n_top_genes=min(2000, adata.n_vars // 2))
    lo.pp.pca(adata, n_comps=30)
    lo.pp.neighbors(adata)
    print(adata)

    deep = adata[adata.obs["total_counts"] > adata.obs["total_counts"].median()]
    written = deep.copy(filename=folder / "deep_cells.h5ad")
    print(f"{written.n_obs} cells in {written.filename}")
    adata.write_h5ad(folder / "analysed.h5ad")


if __name__ == "__main__":  # workers import this file: without this line each would start more
    try:
        import distributed  # noqa: F401 (only to see whether it is there)
    except ImportError:
        sys.exit("this example needs dask.distributed: pip install 'lazyomics[distributed]'")
    arguments = [Path(text) for text in sys.argv[1:]]
    main(
        arguments[0] if arguments else None,
        arguments[1] if len(arguments) > 1 else Path("cluster_output"),
    )
