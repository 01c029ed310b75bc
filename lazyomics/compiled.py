"""Loops that numba compiles: on first call, without the interpreter lock, cached on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, cast

from lazyomics.importing import import_whole

__all__ = [
    "compiled",
    "compiler_is_up",
    "jit",
]


P = ParamSpec("P")
R = TypeVar("R")


class compiled(Generic[P, R]):
    """Compile a loop over arrays with numba when it is first called.

    Setting up numba takes as long as reading many a file, so it is not touched before the first
    call. Machine code is cached beside the source file or
    in the user's cache folder; where neither can be written it is compiled in each process.

    A compiled function may not call another compiled one.

    Examples
    --------
    >>> import numpy as np
    >>> from lazyomics.compiled import compiled
    >>> @compiled
    ... def total(values):
    ...     out = 0.0
    ...     for value in values:
    ...         out += value
    ...     return out
    >>> total(np.array([1.0, 2.0]))
    3.0
    """

    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R]) -> None:
        self._machine_code: Callable[P, R] | None = None
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the machine code."""
        code = self._machine_code or self._load()
        return code(*args, **kwargs)

    def _load(self) -> Callable[P, R]:
        with _loading:  # several worker threads usually arrive together
            if self._machine_code is None:
                self._machine_code = jit(self.__wrapped__)
            return self._machine_code


# One for all, held while numba is imported; numba itself compiles one loop at a time.
_loading = threading.RLock()


def _after_fork() -> None:
    """Make the lock anew: the thread that held it is not in this process."""
    global _loading
    _loading = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


_up = threading.Event()


def compiler_is_up() -> bool:
    """Whether some loop was compiled or loaded in this process already.

    The first one takes 0.3 s, so work that numpy does nearly as fast waits for another to go first.
    """
    return _up.is_set()


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop as `compiled` does, but import numba at once.

    For modules that are imported late. Such loops may call each other.
    """
    njit: Any = import_whole("numba").njit
    try:
        fast = njit(function, nogil=True, cache=True)
        _check_what_is_loaded(fast)
    except (RuntimeError, OSError, AttributeError):
        # numba found no folder that it can write to, or has no cache of this kind.
        fast = njit(function, nogil=True)
    _up.set()
    return cast("Callable[P, R]", fast)


def _check_what_is_loaded(code: Any) -> None:
    """Take from the cache only what was compiled for the types asked for.

    numba numbers the files for the types of one function. Two processes that compile it for
    different types at once may give theirs the same number: the index then leads to the other's
    code, which reads floats as integers. Such an index is emptied, and the code compiled again.
    """
    cache = code._cache
    load = cache.load_overload

    def load_overload(types: Any, context: Any) -> Any:
        found = load(types, context)
        if found is None or tuple(found.signature.args) == tuple(types):
            return found
        cache.flush()
        return None

    cache.load_overload = load_overload
