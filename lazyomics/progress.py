"""A progress bar for computations, with threads and on clusters: terminals, notebooks and logs."""

from __future__ import annotations

import inspect
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from importlib import import_module
from types import FrameType, TracebackType
from typing import Any, TextIO

from dask.callbacks import Callback

__all__ = ["Progress", "ProgressBar", "is_shown", "note_read"]

_SECONDS_TO_BE_HEARD = 2.0
_LOG_AFTER = (10.0, 30.0, 60.0, 120.0, 300.0)  # seconds; then every ten minutes
_SPACES = ("pp", "tl", "get", "metrics", "pl", "experimental.pp", "external.pp")


class _BytesRead:
    """Decoded bytes that this process has read since it started, added up by all threads."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self.total += size


_bytes_read = _BytesRead()


def note_read(block: Any) -> Any:
    """Count the bytes of a block that was read, and hand it on."""
    _bytes_read.add(int(getattr(block, "nbytes", 0)))
    return block


class ProgressBar(Callback):  # type: ignore[misc,unused-ignore]
    """Shows how far computations are, one line each.

    The line tells the verb that runs, the tasks that are done and all of them, decoded bytes read
    in a second, and the time that is left. On a terminal it is drawn anew in place; in a notebook
    it is one output that is updated; elsewhere (a log) a line is printed after 10, 30, 60, … s and
    at the end.

    Parameters
    ----------
    minimum
        Seconds that a computation takes at least before it is shown.
    width
        Letters of the bar.
    dt
        Seconds between two drawings.
    out
        Where to draw; by default standard output.

    Notes
    -----
    ``dask.config.set({"lazyomics.progress": True})``, or ``DASK_LAZYOMICS__PROGRESS=True`` in the
    environment, shows one for whatever takes longer than 3 s. What workers of a cluster read is
    not counted.

    Examples
    --------
    >>> import numpy as np
    >>> import lazyomics as lo
    >>> with lo.ProgressBar(width=8):
    ...     sums = lo.AnnData(np.ones((4, 2))).X.sum()
    """

    def __init__(
        self, minimum: float = 0, width: int = 40, dt: float = 0.2, out: TextIO | None = None
    ) -> None:
        super().__init__()
        self._minimum, self._width, self._dt, self._out = minimum, width, dt, out
        self._depth = 0
        self._done = self._total = 0
        self._lock = threading.RLock()
        self._display: Any = None

    # dask calls these, which it tells those who derive from its Callback to define.

    def _start(self, dsk: Any) -> None:
        self._depth += 1
        if self._depth > 1:  # a part of what is shown already
            return
        self._verb = _running_verb(inspect.currentframe())
        self._done = self._total = 0
        self._began = self._drawn = time.monotonic()
        self._bytes = _bytes_read.total
        self._lines, self._display = 0, None
        self._medium = _medium(self._out)
        self._stop = threading.Event()
        self._timer: threading.Thread | None = None
        if self._medium != "notebook":
            self._timer = threading.Thread(target=self._draw_now_and_then, daemon=True)
            self._timer.start()

    def _pretask(self, key: Any, dsk: Any, state: Any) -> None:
        if self._depth != 1 or not state:
            return
        self._done = len(state["finished"])
        waiting = sum(len(state[kind]) for kind in ("ready", "waiting", "running"))
        self._total = self._done + waiting
        if self._medium == "notebook" and time.monotonic() - self._drawn >= max(self._dt, 0.5):
            self._draw()

    def _finish(self, dsk: Any, state: Any, errored: bool) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._stop.set()
        if self._timer is not None:
            self._timer.join()
        if state and not errored:
            waiting = sum(len(state[kind]) for kind in ("ready", "waiting", "running"))
            self._done = self._total = len(state["finished"]) + waiting
        if time.monotonic() - self._began >= self._minimum:
            self._draw(last=True, failed=errored)

    def _draw_now_and_then(self) -> None:
        while not self._stop.wait(self._dt):
            elapsed = time.monotonic() - self._began
            if self._medium == "terminal":
                if elapsed > self._minimum:
                    self._draw()
            elif elapsed > max(self._minimum, self._next_line()):
                self._lines += 1
                self._draw()

    def _next_line(self) -> float:
        more = self._lines - len(_LOG_AFTER) + 1
        return _LOG_AFTER[self._lines] if more <= 0 else _LOG_AFTER[-1] + 600.0 * more

    def _draw(self, *, last: bool = False, failed: bool = False) -> None:
        with self._lock:
            self._drawn = time.monotonic()
            elapsed = self._drawn - self._began
            if elapsed < self._minimum:
                return
            share = self._done / self._total if self._total else float(last and not failed)
            facts = self._facts(elapsed, share, last=last, failed=failed)
            if self._medium == "notebook":
                self._show_in_notebook(share, facts)
                return
            out = sys.stdout if self._out is None else self._out
            bar = "#" * int(self._width * share)
            line = f"{self._verb} [{bar:<{self._width}}] | {facts}"
            with suppress(ValueError, AttributeError):  # closed, or none at all
                if self._medium == "terminal":
                    out.write(f"\r{line}\x1b[K" + ("\n" if last else ""))
                else:
                    out.write(f"{line}\n")
                out.flush()

    def _facts(self, elapsed: float, share: float, *, last: bool, failed: bool) -> str:
        read = _bytes_read.total - self._bytes
        parts = [f"{int(100 * share)}% Completed", f"{self._done:,}/{self._total:,}"]
        if read:
            parts.append(f"{_size(read / max(elapsed, 1e-3))}/s")
        if last:
            parts.append(f"{'failed after ' if failed else ''}{_time(elapsed)}")
        elif share > 0:
            parts.append(f"{_time(elapsed * (1 - share) / share)} left")
        return " | ".join(parts)

    def _show_in_notebook(self, share: float, facts: str) -> None:
        display = import_module("IPython.display").display
        text = f"{self._verb} | {facts}"
        html = (
            f"<div><b>{escape(self._verb)}</b> <progress max='1' value='{share:.3f}'></progress> "
            f"{escape(facts)}</div>"
        )
        data = {"text/plain": text, "text/html": html}
        if self._display is None:
            self._display = display(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)


def _medium(out: TextIO | None) -> str:
    """Where a bar is drawn: "notebook", "terminal" or "log"."""
    if out is None and "ipykernel" in sys.modules and "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell is not None and getattr(shell, "kernel", None) is not None:
            return "notebook"
    file = sys.stdout if out is None else out
    try:
        return "terminal" if file.isatty() else "log"
    except (AttributeError, ValueError):
        return "log"


def _running_verb(frame: FrameType | None) -> str:
    """Name of the verb that was called first of those that run, e.g. ``"pp.pca"``."""
    found, method = "", "computing"
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("lazyomics."):
            code = frame.f_code.co_name
            name = code.removesuffix("_of_cells").removesuffix("_of_modalities")
            if not code.startswith(("_", "<")) and not module.startswith("lazyomics.lazy"):
                method = name
            for space in _SPACES:
                held = sys.modules.get(f"lazyomics.{space}")
                if module.startswith(f"lazyomics.{space}.") and name in getattr(
                    held, "__all__", ()
                ):
                    found = f"{space}.{name}"
        frame = frame.f_back
    return found or method


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
    )


_shown: set[int] = set()


def is_shown() -> bool:
    """Whether a bar is active as a context, or one that the configuration asks for is drawn."""
    return bool(_shown or _active((ProgressBar, _bar_of_dask())))


def _bar_of_dask() -> type:
    from dask.diagnostics import ProgressBar as BarOfDask

    return BarOfDask


def _active(kinds: tuple[type, ...]) -> list[Any]:
    """Bars of some kinds that are active as contexts."""
    active = (getattr(functions[0], "__self__", None) for functions in Callback.active)
    return [bar for bar in active if isinstance(bar, kinds)]


class Progress:
    """Shows in bars what dask does not tell them of: work on clusters, windows, compiled loops.

    Parameters
    ----------
    after
        Seconds after which to show a bar where none is active as a context; None for never.
    nested
        Whether dask computes parts of the work, of which its own bars tell.
    """

    def __init__(self, *, after: float | None, nested: bool = False) -> None:
        self.bars = _active((ProgressBar,) if nested else (ProgressBar, _bar_of_dask()))
        self._own = after is not None and not is_shown()
        if self._own and after is not None:
            self.bars = [ProgressBar(minimum=after)]
        self._state: dict[str, Any] = {}
        self._heard: threading.Event | None = None

    def __enter__(self) -> Progress:
        if self._own:
            _shown.add(id(self))
        for bar in self.bars:
            bar._start({})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _shown.discard(id(self))
        for bar in self.bars:
            bar._finish({}, self._state, errored=kind is not None)

    def show(self, done: int, total: int) -> None:
        """Tell the bars how many tasks are done."""
        self._state = {"finished": range(done), "waiting": range(total - done)}
        self._state |= {"ready": (), "running": ()}
        for bar in self.bars:
            bar._pretask(None, {}, self._state)

    def follow(self, client: Any, futures: Sequence[Any]) -> None:
        """Show what the scheduler says of all the tasks that lead to some futures."""
        if not self.bars:
            return
        from distributed.diagnostics import progressbar

        heard, show = threading.Event(), self.show

        class Told(progressbar.ProgressBar):  # type: ignore[misc,unused-ignore]
            def _draw_bar(self, *, remaining: int, all: int, **_: Any) -> None:
                show(all - remaining, all)
                heard.set()

        self._heard = heard
        client.loop.add_callback(Told(futures, scheduler=client.scheduler.address).listen)

    def before_release(self) -> None:
        """Let the scheduler look at the tasks while it has them: it would look for ever."""
        if self._heard is not None:
            self._heard.wait(_SECONDS_TO_BE_HEARD)
