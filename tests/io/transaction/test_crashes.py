"""Power failures at every step of a save, and at every step of finishing it."""

from __future__ import annotations

import os
import random
import shutil
import warnings

import h5py
import pytest

from lazyomics.io.files import open_for_reading
from lazyomics.io.transaction import saving
from tests.io.transaction.changes import change
from tests.io.transaction.crashes import Trace, after_crash, elements, recorded, restore

# Random crashes after each call; `make faults` asks for more.
TORN = int(os.environ.get("LAZYOMICS_TORN_CRASHES", "2"))


def traced_save(path) -> tuple[Trace, dict, dict]:
    """Save, and return the calls with the elements before and after."""
    before = elements(path)
    with recorded(path.parent) as trace, saving(path) as file:
        change(file)
    after = elements(path)
    assert before != after
    return trace, before, after


def test_the_saved_file_is_what_h5py_writes(any_file, tmp_path) -> None:
    plain = shutil.copy(any_file, tmp_path / "plain.h5")
    for seed in range(3):
        with saving(any_file) as file:
            change(file, seed)
        with h5py.File(plain, "r+") as file:
            change(file, seed)
        assert elements(any_file) == elements(plain)
    assert [p.name for p in any_file.parent.iterdir()] == [any_file.name]


def test_power_failures_at_every_step(any_file, tmp_path) -> None:
    trace, before, after = traced_save(any_file)
    with saving(any_file) as file:
        change(file, 2)
    again = elements(any_file)
    chance, seen = random.Random(1), set()
    for count in range(len(trace.calls) + 1):
        for k, mode in enumerate(("nothing", "everything", *["torn"] * TORN)):
            folder = tmp_path / f"crash-{count}-{k}"
            restore(after_crash(trace, count, chance, mode), folder)
            path = folder / any_file.name
            decided = _names(trace, count)
            if "begun" not in decided:
                assert elements(path) == before  # without any help
            with open_for_reading(path):
                found = elements(path)
            assert found == after if "decided" in decided else found in (before, after)
            seen.add(found == after)
            if k == 2:
                with saving(path) as file:
                    change(file, 2)
                assert elements(path) == again
                assert [p.name for p in folder.iterdir()] == [any_file.name]
            shutil.rmtree(folder)
    assert seen == {False, True}
    print(f"{(len(trace.calls) + 1) * (TORN + 2)} states after a power failure")


def _names(trace: Trace, count: int) -> set[str]:
    """Whether the journal has its name for sure, and whether it is being applied."""
    kinds = [call[0] for call in trace.calls]
    renamed = kinds.index("rename")
    found = set()
    if count > renamed + 1:
        found.add("decided")
    if count > renamed + 2:
        found.add("begun")
    return found


def test_power_failures_while_a_save_is_finished(small_file, tmp_path) -> None:
    trace, _, after = traced_save(small_file)
    chance = random.Random(2)
    renamed = [call[0] for call in trace.calls].index("rename")
    states = 0
    for count in range(renamed + 2, len(trace.calls) + 1):
        first = tmp_path / f"crash-{count}"
        restore(after_crash(trace, count, chance, "torn"), first)
        with recorded(first) as finishing, open_for_reading(first / small_file.name):
            pass
        for again in {chance.randint(0, len(finishing.calls)) for _ in range(TORN + 1)}:
            folder = tmp_path / f"crash-{count}-{again}"
            restore(after_crash(finishing, again, chance, "torn"), folder)
            with open_for_reading(folder / small_file.name):
                assert elements(folder / small_file.name) == after
            assert [p.name for p in folder.iterdir()] == [small_file.name]
            states += 1
    print(f"{states} states after a second power failure, while the save was finished")


def pending_save(path, tmp_path, mode: str = "everything"):
    """A folder in which a save was decided, and partly put in place where it says torn."""
    trace, before, after = traced_save(path)
    kinds = [call[0] for call in trace.calls]
    count = kinds.index("rename") + 2
    if mode == "torn":
        count = len(kinds) - kinds[::-1].index("write")
    folder = tmp_path / "pending"
    restore(after_crash(trace, count, random.Random(0), mode), folder)
    return folder / path.name, before, after


def _journal(path):
    return path.with_name(f".{path.name}.lazyomics-journal")


def test_h5py_sees_the_old_state_before_it_is_put_in_place(any_file, tmp_path) -> None:
    path, before, after = pending_save(any_file, tmp_path)
    assert _journal(path).exists()
    assert elements(path) == before
    with open_for_reading(path):
        assert elements(path) == after
    assert not _journal(path).exists()


def test_a_journal_is_not_applied_to_a_file_that_was_changed_since(any_file, tmp_path) -> None:
    path, _, _ = pending_save(any_file, tmp_path)
    with h5py.File(path, "r+") as file:
        file["other"] = range(1000)
    changed = elements(path)
    with pytest.warns(UserWarning, match="earlier state of the file"), open_for_reading(path):
        assert elements(path) == changed
    assert not _journal(path).exists()


def test_a_journal_is_not_applied_to_another_file(any_file, small_file, tmp_path) -> None:
    path, _, _ = pending_save(any_file, tmp_path)
    with h5py.File(path, "w") as file:
        file["another"] = 1
    with pytest.warns(UserWarning, match="earlier state of the file"), open_for_reading(path):
        assert list(elements(path)) == ["/", "another"]


def test_a_file_changed_in_the_middle_keeps_its_journal(small_file, tmp_path) -> None:
    path, _, _ = pending_save(small_file, tmp_path, "torn")
    content = bytearray(path.read_bytes())
    content[:SECTOR] = b"\x89HDF\r\n\x1a\n" + bytes(SECTOR - 8)
    path.write_bytes(content)
    with (
        pytest.warns(UserWarning, match=r"journal.unused"),
        pytest.raises(ValueError, match="HDF5"),
    ):
        open_for_reading(path)
    assert _journal(path).with_name(f"{_journal(path).name}.unused").exists()


SECTOR = 512


@pytest.mark.parametrize("state", ["everything", "torn"])
def test_damaged_journals_are_never_applied(small_file, tmp_path, state) -> None:
    path, before, _ = pending_save(small_file, tmp_path)
    whole = _journal(path).read_bytes()
    content = path.read_bytes()
    chance = random.Random(3)
    damaged = [whole[:n] for n in (0, 1, 127, 128, 500, len(whole) // 2, len(whole) - 1)]
    for _ in range(20):
        flipped = bytearray(whole)
        flipped[chance.randrange(24, len(whole))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(flipped))
    damaged += [whole + b"\0", bytes(len(whole))]
    for journal in damaged:
        _journal(path).write_bytes(journal)
        with pytest.warns(UserWarning, match="is damaged"), open_for_reading(path):
            pass
        assert path.read_bytes() == content
        assert elements(path) == before
        assert not _journal(path).exists()


def test_a_journal_of_a_newer_version_is_neither_applied_nor_ignored(small_file, tmp_path) -> None:
    path, _, _ = pending_save(small_file, tmp_path)
    journal = bytearray(_journal(path).read_bytes())
    journal[16] = 2
    _journal(path).write_bytes(journal)
    with pytest.raises(ValueError, match="Open the file once with the version that saved it"):
        open_for_reading(path)
    with pytest.raises(ValueError, match="version 2"), saving(path):
        pass
    assert _journal(path).exists()


def test_a_longer_file_is_used_again(any_file) -> None:
    """What an interrupted save leaves behind the end HDF5 does not mind; it is used again."""
    before = elements(any_file)
    size = any_file.stat().st_size
    with any_file.open("ab") as raw:
        raw.write(b"\xff" * 3_000_000)
    assert elements(any_file) == before
    with saving(any_file) as file:
        change(file)
    assert any_file.stat().st_size < size + 1_000_000


def test_no_change_writes_nothing(any_file) -> None:
    content, stamp = any_file.read_bytes(), any_file.stat().st_mtime_ns
    with saving(any_file) as file:
        _ = file["obs/n"][:]
    with saving(any_file) as file:
        file["obs/n"][...] = file["obs/n"][...]
    assert any_file.read_bytes() == content
    assert any_file.stat().st_mtime_ns == stamp


def test_an_error_in_the_block_leaves_the_file(any_file) -> None:
    content = any_file.read_bytes()

    def save() -> None:
        with saving(any_file) as file:
            change(file)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        save()
    assert any_file.read_bytes() == content
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [p.name for p in any_file.parent.iterdir()] == [any_file.name]
