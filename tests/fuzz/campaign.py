"""Make inputs, run them in guard processes, and sort what happened."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import dask

from tests.fuzz.bytes_changed import change_bytes
from tests.fuzz.guarding import Ended, Guards, Jobs, run_alone
from tests.fuzz.plain_h5py import walk
from tests.fuzz.seeds import make_seeds
from tests.fuzz.structure_changed import change_structure
from tests.fuzz.touching import Touching, touch

__all__ = ["Campaign", "Summary"]

MOST_MEMORY = 512 << 20  # by which the process may grow while it reads an input
HDF5_SHARE = 0.75  # of the memory: then it is HDF5 that takes it
SHARE_WRITTEN = 0.3
MOST_KEPT = 1000


@dataclass
class Summary:
    """Counts of what happened to the inputs."""

    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    kept: list[str] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """Inputs that count against lazyomics."""
        return sum(n for kind, n in self.outcomes.items() if kind.startswith("!"))

    def table(self) -> str:
        """A line for each outcome."""
        total = sum(self.outcomes.values())
        lines = [
            f"{total} inputs in {self.seconds:.0f} s, at most {self.peak >> 20} MiB more memory"
        ]
        lines += [f"{n:8}  {kind.lstrip('!')}" for kind, n in sorted(self.outcomes.items())]
        lines += [f"{n:8}  changed by {kind}" for kind, n in sorted(self.changes.items())]
        lines.append(f"{self.failures:8}  failures" + "".join(f"\n  {k}" for k in self.kept[:50]))
        return "\n".join(lines)


class Campaign:
    """Inputs of one seed.

    Parameters
    ----------
    folder
        For the files to change and the changed ones.
    seed
        Of all random choices.
    real
        Folder with real files, or None.
    keep
        Folder for inputs that count against lazyomics.
    """

    def __init__(self, folder: Path, seed: int, real: Path | None, keep: Path) -> None:
        dask.config.set(scheduler="synchronous")
        self.folder, self.seed, self.keep = folder, seed, keep
        (folder / "seeds").mkdir()
        self.seeds = make_seeds(folder / "seeds", real)
        for path in self.seeds:  # compiles and imports what every input needs
            found = touch(path, folder / f"warm{path.suffix}")
            for trace in found.wrong:
                print(f"{path.name}, unchanged: {trace}")

    def input_path(self, index: int) -> Path:
        source = self._choice(index).choice(self.seeds)
        return self.folder / f"input{index}{source.suffix}"

    def _choice(self, index: int) -> random.Random:
        return random.Random(f"{self.seed}-{index}")

    def make_input(self, index: int) -> str:
        """Write an input; returns how it was changed."""
        rng = self._choice(index)
        content = rng.choice(self.seeds).read_bytes()
        path, kind = self.input_path(index), rng.random()
        path.write_bytes(content)
        done = change_structure(rng, path) if kind < 0.5 else ""
        if kind >= 0.45:
            other = rng.choice(self.seeds).read_bytes()
            made, more = change_bytes(rng, path.read_bytes(), other)
            path.write_bytes(made)
            return f"{done} and bytes: {more}" if done else f"bytes: {more}"
        return f"structure: {done}"

    def prepare(self, index: int) -> None:
        """In a guard process: make an input, and note how for those that do not return."""
        self.input_path(index).with_suffix(".txt").write_text(self.make_input(index))

    def work(self, index: int) -> Touching:
        """In a guard process: touch an input."""
        path, copy = self.input_path(index), None
        if self._choice(-index - 1).random() < SHARE_WRITTEN:
            copy = path.with_name(f"copy{index}{path.suffix}")
        found = touch(path, copy)
        leftover = list(self.folder.glob(f".*{index}{path.suffix}*"))
        if leftover:
            found.wrong.append(f"left behind: {leftover}")
        if copy is not None:
            copy.unlink(missing_ok=True)
        return found

    def work_plain(self, index: int) -> None:
        """In a guard process: read the same input with h5py alone."""
        walk(self.input_path(index))

    def run(self, inputs: range, workers: int, every: int = 1000) -> Summary:
        """Work on inputs by number, and print the counts every so many."""
        summary, began = Summary(), time.monotonic()
        guards = Guards(Jobs(self.work, self.prepare), workers, self.folder)
        with closing(guards.run(inputs)) as ends:
            for end in ends:
                self._count(end, summary)
                done = sum(summary.outcomes.values())
                if done % every == 0:
                    print(f"{done}: {dict(sorted(summary.outcomes.items()))}", flush=True)
        summary.seconds = time.monotonic() - began
        return summary

    def _count(self, end: Ended, summary: Summary) -> None:
        """Sort one end, keep its input if that tells something, and remove it."""
        outcome = self._outcome(end)
        summary.outcomes[outcome] += 1
        summary.peak = max(summary.peak, end.peak)
        summary.changes[self._change(end).partition(":")[0].rpartition(" and ")[2]] += 1
        if outcome.startswith("!") or "HDF5" in outcome:
            summary.kept += self._kept(end, outcome, len(summary.kept))
        for suffix in (self.input_path(end.index).suffix, ".txt"):
            self.input_path(end.index).with_suffix(suffix).unlink(missing_ok=True)

    def _change(self, end: Ended) -> str:
        """How an input was changed."""
        notes = self.input_path(end.index).with_suffix(".txt")
        return notes.read_text() if notes.exists() else "something that failed"

    def _outcome(self, end: Ended) -> str:
        """A name for how it ended; those with "!" count against lazyomics, or against this tool."""
        if end.failed:
            return "!failure of this program"
        if end.signal or end.hung:
            what = f"crash (signal {end.signal})" if end.signal else "hang"
            plain = run_alone(self.work_plain, end.index, self.folder)
            return f"{what} in HDF5" if plain.signal or plain.hung else f"!{what}"
        found: Touching = end.result
        if found.wrong:
            return "!wrong kind of error"
        if found.short_of_memory or end.peak > MOST_MEMORY:
            plain = run_alone(self.work_plain, end.index, self.folder)
            own = plain.peak > HDF5_SHARE * max(end.peak, MOST_MEMORY) or plain.signal or plain.hung
            return "memory in HDF5" if own else "!too much memory"
        return "refused, wholly or in part" if found.refused else "read"

    def _kept(self, end: Ended, outcome: str, number: int) -> list[str]:
        """Keep the input and what is known about it."""
        if number >= MOST_KEPT:
            return []
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.input_path(end.index)
        target = self.keep / f"seed{self.seed}-{end.index}{path.suffix}"
        if path.exists():
            shutil.copy(path, target)
        notes = [outcome.lstrip("!"), f"peak {end.peak:,} bytes", self._change(end), end.trace]
        if end.result:
            notes += [*end.result.wrong, *end.result.short_of_memory]
        target.with_suffix(".txt").write_text("\n".join(notes))
        wrong = end.result.wrong if end.result else []
        last = wrong[0] if wrong else end.trace if end.failed else ""
        return [f"{target}: {outcome.lstrip('!')} {last.strip().splitlines()[-1:]}"]
