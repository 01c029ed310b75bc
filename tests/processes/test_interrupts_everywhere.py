"""Ctrl-C at chosen places of a save and a write. ``make faults`` takes each place."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from lazyomics.io.transaction.defer_sigint import defer_sigint, raise_if_interrupted
from tests.faults.interrupt_everywhere import interrupt_everywhere, save, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


# Between ``open`` and ``with`` Python drops the file, which closes it, but warns. What stays open
# is counted.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("work", [save, write])
def test_ctrl_c_at_any_place_leaves_nothing(tmp_path, work) -> None:
    count, wrong = interrupt_everywhere(tmp_path, work, first=1, every=521)
    assert wrong == []
    assert count >= 8


def test_the_second_ctrl_c_waits_for_what_the_first_one_cleans_up() -> None:
    done = []

    def pressed_twice() -> None:
        with defer_sigint():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGINT)
                done.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        pressed_twice()
    assert done == ["cleaned up"]


@pytest.mark.parametrize("waits", [False, True])
def test_what_was_held_back_is_raised_at_the_end_or_by_loops_that_wait(waits) -> None:
    done = []

    def pressed_once() -> None:
        with defer_sigint(held=True):
            raise_if_interrupted()
            signal.raise_signal(signal.SIGINT)
            if waits:
                raise_if_interrupted()
            done.append("went on")

    with pytest.raises(KeyboardInterrupt):
        pressed_once()
    assert done == ([] if waits else ["went on"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_program_that_raises_nothing_is_called_each_time() -> None:
    called = []
    before = signal.signal(signal.SIGINT, lambda *about: called.append(about[0]))
    try:
        with defer_sigint():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert called == [signal.SIGINT] * 2


def test_other_threads_are_not_concerned() -> None:
    seen = []

    def work() -> None:
        with defer_sigint(held=True):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
