"""Objects that are remembered for as long as they live."""

from __future__ import annotations

import sys

from lazyomics.io.transaction.file_object import WeakIdSet


class Thing:
    """Not hashable, like a file whose root is damaged."""

    __hash__ = None  # type: ignore[assignment]


def test_the_living_are_remembered_until_they_are_forgotten() -> None:
    things, remembered = [Thing() for _ in range(3)], WeakIdSet[Thing]()
    for thing in [*things, things[0]]:
        remembered.add(thing)
    assert [*map(id, remembered)] == [*map(id, things)]
    remembered.discard(things[0])
    remembered.discard(things[0])
    del things[1]
    assert [*map(id, remembered)] == [id(things[1])]
    remembered.clear()
    assert not [*remembered]


def test_the_dead_take_no_room() -> None:
    remembered, kept = WeakIdSet[Thing](), [Thing() for _ in range(20)]
    for thing in kept:
        remembered.add(thing)
    for _ in range(1000):
        remembered.add(Thing())
    assert [*map(id, remembered)] == [*map(id, kept)]
    assert len(remembered._references) < 100


def test_no_python_code_runs_when_one_dies() -> None:
    remembered, thing, called = WeakIdSet[Thing](), Thing(), []
    remembered.add(thing)
    sys.setprofile(lambda frame, event, argument: called.append(event))
    thing = None
    sys.setprofile(None)
    assert "call" not in called
