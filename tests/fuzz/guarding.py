"""Worker processes that may crash, hang or ask for too much memory, and are replaced then."""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

__all__ = ["SECONDS", "Ended", "Guards", "Jobs", "run_alone"]

SECONDS = 10.0  # of the processor: a busy machine makes nothing hang
WAIT = 120.0  # seconds by the clock, for what waits without working
ADDRESS_SPACE = 4 << 30  # beyond what the process has when it starts
PR_SET_PDEATHSIG = 1  # a guard must not outlive the process that started it
CONTEXT = multiprocessing.get_context("fork")


def _nothing(index: int) -> None:
    """No preparation."""


@dataclass(frozen=True)
class Jobs:
    """What a guard does with the number of an input.

    Parameters
    ----------
    work
        Its result is sent back, with the memory that it took.
    prepare
        Called before; what it takes does not count.
    """

    work: Callable[[int], Any]
    prepare: Callable[[int], object] = _nothing


@dataclass
class Ended:
    """How the work on one input ended: with a result, an exception, by a signal, or not at all."""

    index: int
    result: Any = None
    failed: bool = False
    signal: int = 0
    hung: bool = False
    trace: str = ""
    peak: int = 0


def peak_growth(start: int) -> int:
    """Bytes of memory by which the process grew since ``reset_peak``, at the most."""
    with open("/proc/self/status", encoding="ascii") as lines:
        peak = next(int(v.split()[1]) for v in lines if v.startswith("VmHWM")) * 1024
    return max(0, peak - start)


def reset_peak() -> int:
    """Forget the peak so far; returns the memory held now."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _limit_memory() -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limit = held + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with(parent: int) -> None:
    """Make this process end with the one that started it, also in the middle of a hang."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def _serve(jobs: Jobs, pipe: Connection, log: Path, parent: int) -> None:
    """Work on the inputs that come through the pipe, until there are no more."""
    _end_with(parent)
    _limit_memory()
    with log.open("w") as file:
        faulthandler.enable(file)
        # By processor time, and from within: a thread that looks at the frames of one that runs
        # on can crash.
        faulthandler.register(signal.SIGPROF, file=file)
        while True:
            try:
                index = pipe.recv()
            except EOFError:  # the parent has ended
                return
            signal.setitimer(signal.ITIMER_PROF, SECONDS - 0.5)
            end = Ended(index)
            try:
                jobs.prepare(index)
                start = reset_peak()
                end.result = jobs.work(index)
                end.peak = peak_growth(start)
            except Exception:
                end.failed, end.trace = True, traceback.format_exc()
            signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send(end)


class _Guard:
    """One process, and what it is working on."""

    def __init__(self, jobs: Jobs, log: Path) -> None:
        self.log = log
        self.pipe, theirs = CONTEXT.Pipe()
        arguments = (jobs, theirs, log, os.getpid())
        self.process = CONTEXT.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.index: int | None = None
        self.since, self.used = 0.0, 0.0

    def give(self, index: int) -> None:
        self.index, self.since, self.used = index, time.monotonic(), self._cpu_seconds()
        self.pipe.send(index)

    def ended(self) -> Ended | None:
        """The end of the work on the input, once there is one."""
        assert self.index is not None
        if self.pipe.poll():
            try:
                end: Ended = self.pipe.recv()
                return end
            except (EOFError, ConnectionError):
                self.process.join()
                code = self.process.exitcode or 0
                if code >= 0:
                    return Ended(self.index, failed=True, trace=self._trace())
                return Ended(self.index, signal=-code, trace=self._trace())
        elapsed = time.monotonic() - self.since
        if (elapsed > SECONDS and self._cpu_seconds() - self.used > SECONDS) or elapsed > WAIT:
            self.stop()
            return Ended(self.index, hung=True, trace=self._trace())
        return None

    def _cpu_seconds(self) -> float:
        """Processor time that the process has used."""
        try:
            line = Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = line.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _trace(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Guards:
    """A few processes that work on inputs by number.

    Parameters
    ----------
    jobs
        Done in forked processes.
    count
        Number of processes.
    folder
        For their traces.
    """

    def __init__(self, jobs: Jobs, count: int, folder: Path) -> None:
        self.jobs, self.count, self.folder = jobs, count, folder
        self.name = jobs.work.__name__

    def run(self, inputs: Iterable[int]) -> Iterator[Ended]:
        """Work on all inputs; ends come in any order. No process is left when this is closed."""
        left = iter(inputs)
        busy: list[_Guard] = []
        try:
            for k, index in enumerate(itertools.islice(left, self.count)):
                busy.append(_Guard(self.jobs, self.folder / f"{self.name}{k}.log"))
                busy[-1].give(index)
            while busy:
                wait([g.pipe for g in busy], timeout=0.5)
                for guard in tuple(busy):
                    end = guard.ended()
                    if end is not None:
                        self._go_on(guard, end, next(left, None), busy)
                        yield end
        finally:
            for guard in busy:
                guard.stop()

    def _go_on(self, guard: _Guard, end: Ended, following: int | None, busy: list[_Guard]) -> None:
        """Give a guard, or a new one in its place, the next input."""
        if following is None or end.signal or end.hung or not guard.process.is_alive():
            busy.remove(guard)
            guard.stop()
            if following is None:
                return
            guard = _Guard(self.jobs, guard.log)
            busy.append(guard)
        guard.give(following)


def run_alone(work: Callable[[int], Any], index: int, folder: Path) -> Ended:
    """Work on one input in a process of its own."""
    (end,) = Guards(Jobs(work), 1, folder).run([index])
    return end
