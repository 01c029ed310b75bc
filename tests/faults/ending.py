"""Programs that end with the process that started them, however that ends."""

from __future__ import annotations

import os

__all__ = ["ending_with_us"]

# A process whose parent ended gets another one: portable, and needs no pipe.
WATCH = """
import os as _os, threading as _threading, time as _time
def _end_with(parent):
    while _os.getppid() == parent:
        _time.sleep(0.2)
    _os._exit(1)
_threading.Thread(target=_end_with, args=({parent},), daemon=True).start()
"""


def ending_with_us(code: str) -> str:
    """Code for ``python -c`` that stops at once, as by kill -9, when this process has ended.

    Programs that save in an endless loop are for their parents to kill, who may be killed first.
    """
    return WATCH.format(parent=os.getpid()) + code
