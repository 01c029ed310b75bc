"""Raise Ctrl-C at each place of the package's code where Python could, one after the other.

    python -m tests.faults.interrupt_everywhere --every 1

Python handles signals when a function starts, after a call and when a loop goes back. A save and a
write are run again and again, interrupted at the first of these places, the second, and so on.
Each time, KeyboardInterrupt must be raised, the file must hold one whole state, and nothing may be
left: no file beside it, no handler of the signal, no lock that keeps the next save from being
made, also while the exception is kept with its frames, as notebooks keep it, and no open file when
it is dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import dis
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import dask
import numpy as np
import scipy.sparse as sp

import lazyomics as lo
from tests.open_files import open_files

_CODE = (os.path.dirname(lo.__file__) + os.sep, contextlib.__file__)
_HANDLES_SIGNALS = {"RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"}


class Interrupter:
    """Calls the handler of SIGINT at the place with a number, which counts from 1."""

    def __init__(self, at: int) -> None:
        self.at, self.seen, self.where = at, 0, ""
        self._last: dict[FrameType, str] = {}

    def __enter__(self) -> Interrupter:
        sys.settrace(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)
        self._last.clear()

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_CODE):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._inside

    def _inside(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "return":
            self._last.pop(frame, None)
        if event != "opcode":
            return self._inside
        before = self._last.get(frame)
        self._last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if before in _HANDLES_SIGNALS and not _is_finalising(frame):
            self.seen += 1
            if self.seen == self.at:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                self._last.clear()
                signal.getsignal(signal.SIGINT)(signal.SIGINT, frame)
        return self._inside


def _is_finalising(frame: FrameType | None) -> bool:
    """Whether Python would ignore the exception."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def make_file(path: Path) -> None:
    """A small file with something of each kind."""
    x = sp.random(60, 40, 0.2, format="csr", dtype="f4", random_state=0)
    adata = lo.AnnData(x)
    adata.obs["saved"] = np.zeros(60)
    adata.obsm["E"] = np.zeros((60, 3))
    adata.write_h5ad(path)


def save(adata: lo.AnnData, path: Path, number: int) -> None:
    """Change the file in place."""
    adata.obs["saved"] = np.full(60, float(number))
    adata.obsm["E"] = np.full((60, 3), float(number))
    adata.write()


def write(adata: lo.AnnData, path: Path, number: int) -> None:
    """Write a new file over it."""
    adata.obs["saved"] = np.full(60, float(number))
    adata.obsm["E"] = np.full((60, 3), float(number))
    adata.write_h5ad(path.with_name("new.h5ad"))


def interrupt_everywhere(
    folder: Path, work: Callable[[lo.AnnData, Path, int], None], *, first: int, every: int
) -> tuple[int, list[str]]:
    """Interrupt ``work`` at each ``every``-th place; the number of times, and what went wrong."""
    path = folder / "a.h5ad"
    make_file(path)
    place, wrong = first, []
    while True:
        kept = None
        adata = lo.read_h5ad(path)
        open_before = open_files(folder)
        with Interrupter(place) as interrupter:
            try:
                work(adata, path, place)
            except KeyboardInterrupt as error:
                kept = error
        if not interrupter.where:
            return (place - first) // every, wrong
        problems = [] if kept else ["KeyboardInterrupt was not raised"]
        problems += _problems(folder)
        kept = None
        gc.collect()
        if left_open := open_files(folder) - open_before:
            problems.append(f"left open {sorted(left_open)}")
        wrong += [f"{place}, {interrupter.where}: {problem}" for problem in problems]
        place += every


def _problems(folder: Path) -> list[str]:
    problems = []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        problems.append("the handler stayed")
        signal.signal(signal.SIGINT, signal.default_int_handler)
    left = {file.name for file in folder.iterdir()} - {"a.h5ad", "new.h5ad"}
    if left:
        problems.append(f"left {sorted(left)}")
    for file in folder.glob("*.h5ad"):
        again = lo.read_h5ad(file)
        values = {*again.obs["saved"], *np.unique(np.asarray(again.obsm["E"]))}
        if len(values) != 1:
            problems.append(f"{file.name}: a mixture of states {values}")
        again.obs["after"] = np.arange(60)
        try:
            with dask.config.set({"lazyomics.lock-timeout": 1}):
                again.write()
        except BlockingIOError as error:
            problems.append(str(error))
    return problems


def main() -> None:
    """Run with the arguments of the command line, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=1, help="the first place")
    parser.add_argument("--every", type=int, default=1, help="how many places to go on")
    arguments = parser.parse_args()
    failed = False
    for work in (save, write):
        with tempfile.TemporaryDirectory() as folder:
            count, wrong = interrupt_everywhere(
                Path(folder), work, first=arguments.first, every=arguments.every
            )
        print(f"{work.__name__}: {count} interrupts, {len(wrong)} went wrong", *wrong, sep="\n")
        failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
