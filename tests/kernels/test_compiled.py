from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lazyomics.compiled import compiled
from lazyomics.kernels import sums

CODE = """
import sys
from lazyomics.kernels.qc import gene_totals
from lazyomics.blocks.block import as_block
import numpy as np, scipy.sparse as sp
assert "numba" not in sys.modules or "sparse" in sys.modules
print(gene_totals(as_block(sp.csr_matrix(np.eye(3)))).total.tolist())
"""


def test_works_without_a_place_for_the_cache():
    environment = os.environ | {"NUMBA_CACHE_DIR": "/proc/cannot/be/made"}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(sums.__file__).parents[2],
    )
    assert done.stdout.strip() == "[1.0, 1.0, 1.0]", done.stderr


def test_many_threads_may_arrive_first():
    @compiled
    def doubled(values):
        return values * 2

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(doubled, [np.arange(3)] * 8))
    assert all(r.tolist() == [0, 2, 4] for r in results)


def test_states_and_kernels_pickle():
    from lazyomics.kernels.qc import gene_totals

    assert pickle.loads(pickle.dumps(gene_totals))(np.ones((2, 1))).total.tolist() == [2.0]
