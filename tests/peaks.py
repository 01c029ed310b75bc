"""Peak memory of a process; put in front of the programs that tests start."""

from __future__ import annotations

PEAK = '''
import resource
import sys

def peak():
    """Bytes. getrusage would give the peak of the starting process, where that is larger."""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(v.split()[1]) for v in lines if v.startswith("VmHWM")) * 1024
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
'''

# What is measured is what the data take: machine code is made before.
MACHINE_CODE = """
def load_machine_code():
    import os
    import tempfile

    import h5py
    import numpy as np

    from lazyomics.blocks import canonical
    from lazyomics.io.hdf5 import StoredArray, batch_loops

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.h5")
        for kind in ("f4", "i4", "i8"):
            for filters in ({"compression": "gzip"}, {}):
                with h5py.File(path, "w") as file:
                    made = file.create_dataset("x", (1000,), kind, chunks=(10,), **filters)
                    made[:] = 1
                    array = StoredArray.of(made, path)
                assert array.read(0, 1000).sum() == 1000
            if kind != "f4":
                indices = np.ones(canonical.LOOPED, kind)
                assert len(canonical.positions_of(indices, np.array([1, 9]), 10)) == len(indices)

load_machine_code()
"""
