"""Make a history from a seed and a number, play it in both worlds, shrink and print it."""

from __future__ import annotations

import random
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.fuzz.histories import on_anndata, on_mudata
from tests.fuzz.histories.comparing import difference
from tests.fuzz.histories.known import RENAMING, reason_for
from tests.fuzz.histories.worlds import Ours, Theirs, as_latest, namespace, oracle_reads

__all__ = ["History", "Outcome", "history", "play", "play_lines", "script", "shrunk"]

SHARED = Path("/dev/shm")
KINDS = {"anndata": on_anndata, "mudata": on_mudata}


@dataclass(frozen=True)
class History:
    """Seed of the first line; of each step its operation, seed, and whether to look after it."""

    kind: str
    first: int
    steps: tuple[tuple[int, int, bool], ...]


@dataclass
class Outcome:
    """The lines that were played, and the difference that ended them or its reason."""

    lines: list[str] = field(default_factory=list)
    failure: str | None = None
    known: str | None = None


def history(kind: str, seed: int, number: int) -> History:
    """Return the history of a number: always the same one."""
    rng = random.Random(f"{kind} {seed} {number}")
    files = number % 8 == 0  # they take most of the time
    operations = [
        k
        for k, operation in enumerate(KINDS[kind].OPERATIONS)
        if files or operation.__name__ not in ("_rewrite", "_save")
    ]
    steps = tuple(
        (rng.choice(operations), rng.getrandbits(32), rng.random() < 0.2)
        for _ in range(rng.randint(3, 9))
    )
    return History(kind, rng.getrandbits(32), steps)


class Player:
    """Both worlds, line by line."""

    def __init__(self, folder: Path) -> None:
        folders = folder / "ours", folder / "theirs"
        for each in folders:
            each.mkdir()
        self.ours, self.theirs = Ours(*folders), Theirs(*folders[::-1])
        self.here, self.there = namespace(self.ours), namespace(self.theirs)
        self.compared = 0

    @property
    def one(self) -> Any:
        """The object of the oracle."""
        return self.there["one"]

    def do(self, line: str) -> tuple[str | None, str | None]:
        """Do one line in both worlds; return what is said where it is refused."""
        return _said(line, self.there), _said(line, self.here)

    def look(self) -> str | None:
        """Return how the objects differ."""
        try:
            return difference(self.here["one"], self.there["one"])
        except Exception as error:
            return f"comparing: {type(error).__name__}: {error}"

    def look_at_files(self) -> str | None:
        """Return how the oracle finds files to differ that were not looked at yet."""
        ours, theirs = self.ours.written, self.theirs.written
        for mine, other in zip(ours[self.compared :], theirs[self.compared :], strict=True):
            self.compared += 1
            try:
                found = difference(oracle_reads(mine), oracle_reads(other))
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            if found:
                return f"in the files: {found}"
        return None


def _said(line: str, names: dict[str, Any]) -> str | None:
    try:
        exec(line, names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def play(made: History) -> Outcome:
    """Play a history until its end, or the first difference."""
    outcome = Outcome()
    with _player() as player:
        kind = KINDS[made.kind]
        line = kind.begin(random.Random(made.first))
        _step(player, line, outcome, True)
        for operation, seed, look in made.steps:
            if outcome.failure or outcome.known:
                return outcome
            lines = kind.OPERATIONS[operation](random.Random(seed), player.one)
            for line in lines.splitlines():
                if not _step(player, line, outcome, look):
                    break
        if not (outcome.failure or outcome.known):
            _judge(outcome, "", None, None, player.look())
    return outcome


def play_lines(text: str) -> Outcome:
    """Play lines as they were printed, comparing after each."""
    outcome = Outcome()
    with _player() as player:
        for line in text.strip().splitlines():
            if not (outcome.failure or outcome.known):
                _step(player, line.strip(), outcome, True)
    return outcome


class _player:
    def __enter__(self) -> Player:
        self.folder = tempfile.mkdtemp(dir=SHARED if SHARED.is_dir() else None)
        self.quiet = warnings.catch_warnings()
        self.quiet.__enter__()
        warnings.simplefilter("ignore")
        self.options = as_latest()
        self.options.__enter__()
        return Player(Path(self.folder))

    def __exit__(self, *args: Any) -> None:
        self.options.__exit__(*args)
        self.quiet.__exit__(*args)
        shutil.rmtree(self.folder, ignore_errors=True)


def _step(player: Player, line: str, outcome: Outcome, look: bool) -> bool:
    """Do a line and compare; return whether both worlds did it, and alike."""
    outcome.lines.append(line)
    theirs, ours = player.do(line)
    found = None
    if (theirs is None) == (ours is None):
        found = player.look_at_files()
        look = look or theirs is not None or bool(RENAMING.search(line))
        if found is None and look and "one" in player.there:
            found = player.look()
    _judge(outcome, line, theirs, ours, found)
    return theirs is None and not (outcome.failure or outcome.known)


def _judge(
    outcome: Outcome, line: str, theirs: str | None, ours: str | None, found: str | None
) -> None:
    if theirs is not None and ours is None:
        failure: str | None = f"only the oracle refuses: {theirs}"
    elif ours is not None and theirs is None:
        failure = f"only lazyomics refuses: {ours}"
    elif found is not None and theirs is not None:
        failure = f"after both refused ({theirs} | {ours}): {found}"
    else:
        failure = found
    if failure is None:
        return
    outcome.known = reason_for(outcome.lines, found or failure)
    if outcome.known is None:
        outcome.failure = failure


def shrunk(made: History) -> History:
    """Leave out one step after the other while the history still fails."""
    at = len(made.steps) - 1
    while at >= 0:
        fewer = replace(made, steps=made.steps[:at] + made.steps[at + 1 :])
        if play(fewer).failure:
            made = fewer
        at = min(at, len(made.steps)) - 1
    return made


def script(lines: Sequence[str], failure: str | None) -> str:
    """Return a program that plays the lines again, from the folder of the repository."""
    body = "\n".join(f"    {line}" for line in lines)
    return (
        f"# {failure}\nfrom tests.fuzz.histories.playing import play_lines\n\n"
        f'print(play_lines(r"""\n{body}\n""").failure)\n'
    )
