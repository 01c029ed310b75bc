"""A progress bar for computations, as dask users know it, with threads and on clusters."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from dask.callbacks import Callback
from dask.diagnostics import ProgressBar

__all__ = ["Progress", "ProgressBar"]

_SECONDS_TO_BE_HEARD = 2.0


class Progress:
    """Shows in dask's bars what dask does not tell them of: work on clusters, and compiled loops.

    Parameters
    ----------
    wanted
        Whether to show a bar where none is active as a context.
    """

    def __init__(self, *, wanted: bool) -> None:
        active = (getattr(functions[0], "__self__", None) for functions in Callback.active)
        self.bars = [bar for bar in active if isinstance(bar, ProgressBar)]
        if wanted and not self.bars:
            self.bars = [ProgressBar()]
        self._state: dict[str, Any] = {}
        self._heard: threading.Event | None = None

    def __enter__(self) -> Progress:
        for bar in self.bars:
            bar._start({})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
