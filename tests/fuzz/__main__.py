"""Open thousands of damaged files, touch everything in them, and count what happens.

    python -m tests.fuzz --seed 7 --inputs 20000 --histories 100000

Each input is a small valid file that was changed, by its bytes or by its HDF5 structure; input and
change depend on the seed and the input's number alone. It is opened and read in a guard process of
limited memory. A crash, a hang or memory above the bound counts as HDF5's own if reading the file
with h5py alone ends in the same way. Inputs that count against lazyomics are kept in a folder.

Then random histories of operations are played with anndata or mudata and with lazyomics, and what
they end with is compared. One that ends differently is shrunk and printed as a program.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MALLOC_ARENA_MAX"):
    os.environ[_name] = "1"  # before numpy is imported: forked processes have no threads

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """Run with the arguments of the command line; 1 if anything counts against lazyomics."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--histories", type=int, default=100_000, help="0 for none")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"))
    parser.add_argument("--every", type=int, default=1000, help="inputs between reports")
    parser.add_argument("--data", type=Path, help="folder with real files to change, too")
    parser.add_argument("--as-large", action="store_true", help="read as large files are read")
    parser.add_argument("--folder", type=Path, help="for inputs, in memory where that is possible")
    options = parser.parse_args()
    # Ends like Ctrl-C does: no process and no file is left
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from lazyomics.io.hdf5 import ranges as loop_choice
    from tests.fuzz.campaign import Campaign

    if options.as_large:  # the processes that read are forked
        loop_choice.WORTH_A_LOOP = loop_choice.LARGE_DATASET = 0
    shared = Path("/dev/shm")
    parent = options.folder or (shared if shared.is_dir() else None)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        campaign = Campaign(Path(folder), options.seed, options.data, options.keep)
        summary = campaign.run(
            range(options.first, options.first + options.inputs), options.workers, options.every
        )
    print(summary.table())
    from tests.fuzz.histories.campaign import campaign

    report = campaign(options.histories, options.seed, options.workers, options.every)
    print(report.table())
    return 1 if summary.failures or report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
