"""Objects that live in this process or in another one, driven by the same words."""

from __future__ import annotations

import multiprocessing
import pickle
import traceback
import warnings
from typing import Any

import numpy as np
import pandas as pd

import lazyomics as lo
from lazyomics.errors import LazyomicsError

__all__ = ["Here", "There"]

Path = tuple[str, ...]


class Here:
    """Holds objects by number and does what it is told to."""

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}

    def do(self, word: str, number: int, *arguments: Any) -> Any:
        """Do one thing to an object; an error of lazyomics is returned, not raised."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return getattr(self, word)(number, *arguments)
            except (LazyomicsError, ValueError) as error:
                return error

    def open(self, number: int, file: str) -> None:
        self.objects[number] = lo.read(file)

    def copy(self, number: int, made: int) -> None:
        self.objects[made] = self.objects[number].copy()

    def pickle(self, number: int, made: int) -> None:
        self.objects[made] = pickle.loads(pickle.dumps(self.objects[number]))

    def select(self, number: int, made: int, rows: list[int]) -> None:
        self.objects[made] = self.objects[number][rows]

    def drop(self, number: int) -> None:
        del self.objects[number]

    def names(self, number: int) -> list[str]:
        return list(self.objects[number].obs_names)

    def get(self, number: int, path: Path) -> Any:
        """Return an element as plain lists."""
        value = _holder(self.objects[number], path[:-1])
        value = value.X if path[-1] == "X" else value[path[-1]]
        return plain(value)

    def set(self, number: int, path: Path, value: Any) -> None:
        holder = _holder(self.objects[number], path[:-1])
        if path[-1] == "X":
            holder.X = np.asarray(value, dtype=np.float32)
        else:
            holder[path[-1]] = _typed(path, value)

    def change_inside(self, number: int, path: Path, value: Any) -> None:
        """Change an array of obsm, or a column, where it is."""
        holder = _holder(self.objects[number], path[:-1])
        if path[-2] == "obs":
            holder[path[-1]] = _typed(path, value)
        else:
            holder[path[-1]][...] = _typed(path, value)

    def derive(self, number: int, path: Path, factor: float) -> None:
        """Give the object a layer that is computed from X when it is saved."""
        layers = _holder(self.objects[number], path[:-1])
        parent = self.objects[number] if len(path) == 2 else self.objects[number].mod[path[0]]
        layers[path[-1]] = parent.X * np.float32(factor)

    def delete(self, number: int, path: Path) -> None:
        del _holder(self.objects[number], path[:-1])[path[-1]]

    def save(self, number: int, overwrite_x: bool, on_conflict: str) -> None:
        self.objects[number].write(overwrite_x=overwrite_x, on_conflict=on_conflict)


def _holder(opened: Any, path: Path) -> Any:
    value = opened
    for name in path:
        if hasattr(value, "mod") and name in value.mod:
            value = value.mod[name]
        elif name in ("obs", "uns", "obsm", "layers") and hasattr(value, name):
            value = getattr(value, name)
        else:
            value = value[name]
    return value


def _typed(path: Path, value: Any) -> Any:
    if "layers" in path:
        return np.asarray(value, dtype=np.float32)
    return np.asarray(value) if "obsm" in path else value


def plain(value: Any) -> Any:
    """Return a value as numbers, texts, lists and dictionaries."""
    if hasattr(value, "compute"):
        value = value.compute()
    if hasattr(value, "toarray"):
        value = value.toarray()
    if isinstance(value, pd.Series):
        return value.astype(object).tolist()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "items"):
        return {key: plain(entry) for key, entry in value.items()}
    return value


def _serve(pipe: Any) -> None:
    here = Here()
    while True:
        message = pipe.recv()
        if message is None:
            return
        try:
            answer: Any = here.do(*message)
        except BaseException:
            answer = RuntimeError(traceback.format_exc())
        if isinstance(answer, Exception):
            answer = type(answer)(str(answer))
        pipe.send(answer)


class There:
    """The same in a process of its own."""

    def __init__(self) -> None:
        self.pipe, other = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(other,), daemon=True
        )
        self.process.start()

    def do(self, word: str, number: int, *arguments: Any) -> Any:
        """Do one thing to an object over there."""
        self.pipe.send((word, number, *arguments))
        answer = self.pipe.recv()
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    def end(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join(10)
