"""Play many histories in a few processes, and report what is found."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from tests.fuzz.histories.playing import history, play, script, shrunk

__all__ = ["Report", "campaign", "shares"]

MUDATA_SHARE = 0.3


@dataclass
class Report:
    """Numbers of histories and lines, known differences by reason, and programs that fail."""

    histories: int = 0
    lines: int = 0
    known: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Return the counts as text."""
        rows = [f"{self.histories} histories, {self.lines} lines, {len(self.failures)} failures"]
        rows += [f"  {count} ended: {reason}" for reason, count in self.known.most_common()]
        return "\n".join(rows)


def shares(count: int) -> Iterator[tuple[str, int]]:
    """Return kind and number of each of ``count`` histories: three in ten are of MuData."""
    of_mudata = int(count * MUDATA_SHARE)
    yield from (("anndata", number) for number in range(count - of_mudata))
    yield from (("mudata", number) for number in range(of_mudata))


def campaign(
    count: int,
    seed: int,
    workers: int = 1,
    every: int = 0,
    *,
    batch: int = 0,
    batches: int = 1,
) -> Report:
    """Play histories; each one that fails is shrunk and kept as a program.

    Parameters
    ----------
    count, seed
        How many histories, and which ones.
    workers
        Processes that play them.
    every
        Histories between reports; 0 for none.
    batch, batches
        Play only one of several parts, which have about as many histories of each kind.
    """
    report = Report()
    chosen = islice(shares(count), batch, None, batches)
    tasks = ((kind, seed, number) for kind, number in chosen)
    if workers < 2:
        results: Iterator[tuple[int, str | None, str | None]] = map(_played, tasks)
        return _collect(report, results, every)
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=20_000) as pool:
        return _collect(report, pool.imap_unordered(_played, tasks, chunksize=20), every)


def _collect(
    report: Report, results: Iterator[tuple[int, str | None, str | None]], every: int
) -> Report:
    for lines, known, failure in results:
        report.histories += 1
        report.lines += lines
        if known:
            report.known[known] += 1
        if failure:
            report.failures.append(failure)
            print(failure, flush=True)
        if every and report.histories % every == 0:
            print(report.table().splitlines()[0], flush=True)
    return report


def _played(task: tuple[str, int, int]) -> tuple[int, str | None, str | None]:
    kind, seed, number = task
    made = history(kind, seed, number)
    outcome = play(made)
    if not outcome.failure:
        return len(outcome.lines), outcome.known, None
    least = play(shrunk(made))
    found = script(least.lines, f"{kind} {seed} {number}: {least.failure}")
    return len(outcome.lines), None, found
