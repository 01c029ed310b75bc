"""Random histories of several objects of one file, in two processes, beside a plain model."""

from __future__ import annotations

import os
import shutil
import tempfile
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

import lazyomics as lo
from lazyomics.errors import ConflictError, StaleFileError
from tests.state.actors import Here, There
from tests.state.model import MISSING, Held, Stored, cut, merge

__all__ = ["OneFile", "OneMuData", "end_other_process", "steps_taken"]

Path = tuple[str, ...]
N, GENES = 6, 3
steps_taken = [0]
history: list[object] = []

_there: list[There] = []


def _other_process() -> There:
    if not _there:
        _there.append(There())
    return _there[0]


def end_other_process() -> None:
    """End the second process."""
    while _there:
        _there.pop().end()


def _expect(condition: bool, details: object) -> None:
    """Fail with details, which are printed at once: shrinking takes a while."""
    if not condition:
        print("history:", *history, sep="\n  ")
        print("unexpected:", details, flush=True)
        raise AssertionError(details)


def _column(number: int) -> list[int]:
    return [number * 10 + row for row in range(N)]


def _matrix(number: float) -> list[list[float]]:
    return [[float(number * 100 + row * 10 + gene) for gene in range(GENES)] for row in range(N)]


class OneFile(RuleBasedStateMachine):
    """Objects of one .h5ad."""

    objects = Bundle("objects")
    suffix = "h5ad"
    places: tuple[Path, ...] = ((),)

    def __init__(self) -> None:
        super().__init__()
        history.clear()
        self.folder = tempfile.mkdtemp()
        self.file = os.path.join(self.folder, f"file.{self.suffix}")
        self.actors = [Here(), _other_process()]
        self.held: dict[int, Held] = {}
        self.count = 0
        self.value = 0
        self.saved = False

    # -- files ----------------------------------------------------------------------------

    def fresh_leaves(self, place: Path, number: int) -> dict[Path, Any]:
        return {
            (*place, "obs", "a"): _column(number),
            (*place, "obs", "b"): _column(number + 1),
            (*place, "obsm", "e"): [[float(number), float(row)] for row in range(N)],
            (*place, "layers", "l"): _matrix(number + 2),
            (*place, "X"): _matrix(number + 3),
            (*place, "uns", "n"): number,
            (*place, "uns", "d", "v"): number,
            (*place, "uns", "d", "w"): number + 1,
        }

    def adata(self, leaves: dict[Path, Any], names: list[str]) -> lo.AnnData:
        adata = lo.AnnData(
            np.asarray(leaves[("X",)], dtype=np.float32), obs=pd.DataFrame(index=pd.Index(names))
        )
        for path, value in leaves.items():
            if path[0] == "obs":
                adata.obs[path[1]] = value
            elif path[0] == "obsm":
                adata.obsm[path[1]] = np.asarray(value)
            elif path[0] == "layers":
                adata.layers[path[1]] = np.asarray(value, dtype=np.float32)
            elif path[0] == "uns" and len(path) == 2:
                adata.uns[path[1]] = value
            elif path[0] == "uns":
                adata.uns.setdefault(path[1], {})[path[2]] = value
        return adata

    def write_outside(self, stored: Stored, path: str) -> None:
        self.adata(stored.leaves, stored.names[()]).write_h5ad(path)

    def new_stored(self) -> Stored:
        self.value += 10
        names = {place: [f"{self.value}-{row}" for row in range(N)] for place in self.places}
        leaves: dict[Path, Any] = {}
        for place in self.places:
            leaves |= self.fresh_leaves(place, self.value)
        return Stored(names, leaves)

    @initialize()
    def begin(self) -> None:
        self.stored = self.new_stored()
        self.write_outside(self.stored, self.file)

    def do(self, number: int, word: str, *arguments: Any) -> Any:
        steps_taken[0] += 1
        answer = self.actors[self.held[number].actor].do(word, number, *arguments)
        history.append((word, number, self.held[number].actor, *arguments, repr(answer)[:150]))
        return answer

    def _new(self, held: Held) -> int:
        self.count += 1
        self.held[self.count] = held
        return self.count

    # -- rules ----------------------------------------------------------------------------

    @rule(target=objects, actor=st.integers(0, 1))
    def open(self, actor: int) -> int:
        number = self._new(Held.of(self.stored, actor))
        assert self.do(number, "open", self.file) is None
        return number

    @rule(target=objects, number=objects, how=st.sampled_from(["copy", "pickle"]))
    def copy(self, number: int, how: str) -> int:
        made = self._new(self.held[number].twin())
        answer = self.do(number, how, made)
        return self._unless_stale(number, made, answer)

    @rule(target=objects, number=objects, seed=st.integers(0, 99))
    def select(self, number: int, seed: int) -> Any:
        held = self.held[number]
        if self.suffix == "h5mu" or held.rows is not None:
            return multiple()
        size = len(held.names[()])
        if size < 3:
            return multiple()
        order = np.random.default_rng(seed).permutation(size)[: 2 + seed % (size - 1)].tolist()
        part = held.twin()
        part.now = {path: cut(path, value, order) for path, value in held.now.items()}
        part.names = {(): [held.names[()][row] for row in order]}
        part.rows = order
        part.read = set()
        made = self._new(part)
        return self._unless_stale(number, made, self.do(number, "select", made, order))

    def _unless_stale(self, number: int, made: int, answer: Any) -> Any:
        if answer is None:
            return made
        _expect(isinstance(answer, StaleFileError), answer)
        _expect(self._may_be_stale(self.held[number], None), answer)
        del self.held[made]
        return multiple()

    @rule(number=objects, data=st.data())
    def look(self, number: int, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.held[number].now)))
        self._check(number, path)

    @rule(number=objects, data=st.data(), inside=st.booleans())
    def change(self, number: int, data: st.DataObject, inside: bool) -> None:
        held = self.held[number]
        path = data.draw(st.sampled_from(sorted(held.now)))
        if path[-1] == "X":
            return
        self.value += 1
        value = self._new_value(path, held)
        word = "change_inside" if inside and "obsm" in path else "set"
        self._assign(number, path, value, self.do(number, word, path, value))

    @rule(number=objects, data=st.data())
    def add(self, number: int, data: st.DataObject) -> None:
        held = self.held[number]
        place = data.draw(st.sampled_from(self.places))
        kinds = [("obs",), ("obsm",), ("layers",), ("uns",), ("uns", "d")]
        kind = data.draw(st.sampled_from(kinds))
        if kind == ("uns", "d") and not any(p[:-1] == (*place, "uns", "d") for p in held.now):
            return
        self.value += 1
        path = (*place, *kind, f"new{data.draw(st.integers(0, 3))}")
        value = self._new_value(path, held)
        self._assign(number, path, value, self.do(number, "set", path, value))

    def _new_value(self, path: Path, held: Held) -> Any:
        if "uns" in path:
            return self.value
        n = len(held.names[path[:-2]])
        if "obs" in path:
            return _column(self.value)[:n]
        if "obsm" in path:
            return [[float(self.value), float(row)] for row in range(n)]
        return _matrix(self.value)[:n]

    def _assign(self, number: int, path: Path, value: Any, answer: Any) -> None:
        held = self.held[number]
        if answer is None:
            held.now[path] = value
            held.read.add(path)
            return
        _expect(isinstance(answer, StaleFileError), answer)
        _expect(self._may_be_stale(held, path), answer)

    @rule(number=objects, factor=st.integers(2, 5), data=st.data())
    def derive(self, number: int, factor: int, data: st.DataObject) -> None:
        held = self.held[number]
        place = data.draw(st.sampled_from(self.places))
        if self._may_be_stale(held, (*place, "X")):
            return  # a lazy layer of an X that is gone can be neither read nor saved
        path = (*place, "layers", "derived")
        answer = self.do(number, "derive", path, float(factor))
        value = [[x * factor for x in row] for row in held.now[*place, "X"]]
        self._assign(number, path, value, answer)
        held.read.discard(path)

    @rule(number=objects, data=st.data())
    def delete(self, number: int, data: st.DataObject) -> None:
        held = self.held[number]
        path = data.draw(st.sampled_from(sorted(held.now)))
        if path[-1] == "X" or (path[-3:-1] == ("uns", "d") and self._is_last(held, path)):
            return
        answer = self.do(number, "delete", path)
        if answer is None:
            del held.now[path]
        else:
            _expect(isinstance(answer, StaleFileError), answer)
            _expect(self._may_be_stale(held, path), answer)

    def _is_last(self, held: Held, path: Path) -> bool:
        return sum(p[:-1] == path[:-1] for p in held.now) == 1

    @rule(number=objects, on_conflict=st.sampled_from(["raise", "raise", "mine", "theirs"]))
    def save(self, number: int, on_conflict: str) -> None:
        held = self.held[number]
        selected = held.rows is not None
        if selected:  # of values that were cut in memory it is not known who changed them
            on_conflict = "raise"
        rows_changed = held.base.rows_since != self.stored.rows_since
        foreign = held.base.foreign_since != self.stored.foreign_since
        answer = self.do(number, "save", selected, on_conflict)
        self.saved = True
        if rows_changed or foreign:
            _expect(isinstance(answer, StaleFileError | ConflictError), (answer, held))
            return
        leaves, conflicts = merge(held, self.stored)
        if conflicts and on_conflict == "raise":
            _expect(isinstance(answer, ConflictError | StaleFileError), (answer, conflicts))
            return
        if isinstance(answer, StaleFileError):  # a lazy matrix that is still to be read is gone
            _expect(self._reads_what_is_gone(held), answer)
            return
        if selected and isinstance(answer, ConflictError):
            # Values that were cut in memory do not say what they were.
            _expect(on_conflict == "raise" and self._others_changed(held), answer)
            return
        _expect(answer is None, (answer, held.changed(), conflicts))
        if on_conflict == "theirs":
            for path in conflicts:
                there = self.stored.leaves.get(path, MISSING)
                if there is MISSING:
                    leaves.pop(path, None)
                else:
                    leaves[path] = there
        before = self.stored
        self.stored = Stored(
            deepcopy(held.names), leaves, before.rows_since + selected, before.foreign_since
        )
        self._follow(number)

    def _follow(self, number: int) -> None:
        held = Held.of(self.stored, self.held[number].actor)
        held.read = self.held[number].read & set(held.now)
        self.held[number] = held

    def _others_changed(self, held: Held) -> bool:
        return held.base.leaves != self.stored.leaves

    def _reads_what_is_gone(self, held: Held) -> bool:
        return any(
            path not in held.read and self._may_be_stale(held, path)
            for path in held.now
            if held.rows is not None or path in held.changed()
        )

    @rule(sure=st.integers(0, 3))
    def replace_from_outside(self, sure: int) -> None:
        if sure:
            return
        before = self.stored
        self.stored = self.new_stored()
        self.stored.foreign_since = before.foreign_since + 1
        self.stored.rows_since = before.rows_since + 1
        other = os.path.join(self.folder, "other")
        self.write_outside(self.stored, other)
        os.replace(other, self.file)
        history.append(("replaced from outside", self.value))
        self.saved = True

    @rule(number=consumes(objects))
    def forget(self, number: int) -> None:
        self.do(number, "drop")
        del self.held[number]

    # -- what must hold -------------------------------------------------------------------

    def _may_be_stale(self, held: Held, path: Path | None) -> bool:
        """Tell whether an element that was not read may be gone."""
        base, now = held.base, self.stored
        if base.rows_since != now.rows_since or base.foreign_since != now.foreign_since:
            return True
        if path is None:
            return base.leaves != now.leaves
        # A table is read with all of its columns.
        whole = path[-3:-1] == ("uns", "d") or path[-2:-1] in (("obs",), ("var",))
        top = path[:-1] if whole else path
        size = len(top)
        return {p: v for p, v in base.leaves.items() if p[:size] == top} != {
            p: v for p, v in now.leaves.items() if p[:size] == top
        }

    def _check(self, number: int, path: Path) -> None:
        held = self.held[number]
        answer = self.do(number, "get", path)
        if isinstance(answer, Exception):
            _expect(isinstance(answer, StaleFileError), (path, answer))
            derived = path[-2:] == ("layers", "derived") and self._may_be_stale(
                held, (*path[:-2], "X")
            )
            allowed = derived or self._may_be_stale(held, path) or self._was_stale(held, path)
            _expect(allowed, (path, answer))
            return
        _expect(answer == held.now[path], (path, answer, held.now[path]))
        if path[-1] != "X" and "layers" not in path:
            held.read.add(path)

    def _was_stale(self, held: Held, path: Path) -> bool:
        """Tell whether an element was saved since, though it has its old value again."""
        return path not in held.read and self._others_changed_ever(held)

    def _others_changed_ever(self, held: Held) -> bool:
        return held.base is not self.stored

    @invariant()
    def file_is_the_model(self) -> None:
        if not self.saved:  # nothing else changes a file
            return
        self.saved = False
        opened = Here()
        opened.do("open", 0, self.file)
        for place, names in self.stored.names.items():
            found = opened.objects[0] if not place else opened.objects[0].mod[place[0]]
            assert list(found.obs_names) == names
        found, wanted = self._all(opened), self.stored.leaves
        wrong = [path for path in {*found, *wanted} if found.get(path) != wanted.get(path)]
        _expect(not wrong, [(path, found.get(path), wanted.get(path)) for path in wrong])

    def _all(self, opened: Here) -> dict[Path, Any]:
        found: dict[Path, Any] = {}
        for place in self.places:
            adata = opened.objects[0] if not place else opened.objects[0].mod[place[0]]
            found[*place, "X"] = opened.get(0, (*place, "X"))
            for name in ("obs", "obsm", "layers", "uns"):
                for key in list(getattr(adata, name)):
                    path = (*place, name, key)
                    value = opened.get(0, path)
                    if isinstance(value, dict):
                        found |= {(*path, part): entry for part, entry in value.items()}
                    else:
                        found[path] = value
        return found

    def teardown(self) -> None:
        for number, held in list(self.held.items()):
            for path in sorted(held.now):
                self._check(number, path)
            self.do(number, "drop")
        shutil.rmtree(self.folder, ignore_errors=True)


class OneMuData(OneFile):
    """Objects of one .h5mu with two modalities."""

    suffix = "h5mu"
    places = (("rna",), ("adt",))

    def write_outside(self, stored: Stored, path: str) -> None:
        mods = {}
        for place, names in stored.names.items():
            leaves = {p[1:]: v for p, v in stored.leaves.items() if p[:1] == place}
            mods[place[0]] = self.adata(leaves, names)
            mods[place[0]].var_names = [f"{place[0]}{gene}" for gene in range(GENES)]
        lo.MuData(mods).write_h5mu(path)
