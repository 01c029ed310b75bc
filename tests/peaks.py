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

# What is measured is what the data take: machine code is loaded before.
MACHINE_CODE = """
from lazyomics.c_loops import c_loops
c_loops()
"""
