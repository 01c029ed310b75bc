"""Something else has a name that a save needs: never followed, changed, waited for or applied."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import FileFormatError, NameTakenError
from lazyomics.io.files import open_for_reading, open_for_saving
from lazyomics.io.transaction import atomic_replace, exclusively, saving
from tests.io.transaction.changes import change, make_file
from tests.io.transaction.crashes import elements
from tests.io.transaction.test_crashes import pending_save
from tests.processes.test_permissions import open_folder

AS_ROOT = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs several users"
)
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX has these kinds of files")
SECRET = b"secret and valuable\n" * 10


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """What waits for the other end of a pipe would wait forever."""

    def fail(*_: object) -> None:
        raise AssertionError("it waits")

    previous = signal.signal(signal.SIGALRM, fail)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def victim(tmp_path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = folder / "victim"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def _link(name: Path, victim: Path) -> None:
    name.symlink_to(victim)


def _dangling(name: Path, victim: Path) -> None:
    name.symlink_to(victim.with_name("made"))


def _hard_link(name: Path, victim: Path) -> None:
    os.link(victim, name)


def _pipe(name: Path, victim: Path) -> None:
    os.mkfifo(name)


def _folder(name: Path, victim: Path) -> None:
    name.mkdir()


def _socket(name: Path, victim: Path) -> None:
    here = os.getcwd()
    os.chdir(name.parent)  # their paths are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(name.name)
    os.chdir(here)


def _device(name: Path, victim: Path) -> None:
    try:
        os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:
        pytest.skip("making a device is not permitted")


KINDS = {
    _link: "a symbolic link to ",
    _dangling: "a symbolic link to ",
    _hard_link: "2 names",
    _pipe: "a named pipe",
    _folder: "a folder",
    _socket: "a socket",
    _device: "a device",
}
NAMES = ["lock", "journal", "journal.part"]


def _remove(name: Path) -> None:
    if name.is_dir() and not name.is_symlink():
        name.rmdir()
    else:
        name.unlink()


def _save(path: Path) -> Callable[[], object]:
    adata = lo.read_h5ad(path)
    adata.obs["k"] = [3, 4]
    return adata.write


def _save_beside_a_reader(path: Path) -> Callable[[], object]:
    save = _save(path)

    def save_beside() -> None:
        with h5py.File(path, "r"):
            save()

    return save_beside


def _overwrite_x(path: Path) -> Callable[[], object]:
    adata = lo.read_h5ad(path)
    adata.X = adata.X * 2
    return lambda: adata.write(overwrite_x=True)


def _write_over(path: Path) -> Callable[[], object]:
    return lambda: lo.AnnData(np.ones((2, 3))).write_h5ad(path)


def _repack(path: Path) -> Callable[[], object]:
    return lambda: lo.repack(path)


def _add_gene_major(path: Path) -> Callable[[], object]:
    adata = lo.read_h5ad(path)
    return lambda: lo.add_gene_major(adata)


def _open_for_saving(path: Path) -> Callable[[], object]:
    def save() -> None:
        with open_for_saving(path) as file:
            file["k"] = 1

    return save


def _replacing(path: Path) -> Callable[[], object]:
    def replace() -> None:
        with atomic_replace(path) as file:
            file["k"] = 1

    return replace


def _exclusively(path: Path) -> Callable[[], object]:
    def save() -> None:
        with exclusively(path), saving(path) as file:
            file["k"] = 1

    return save


def _read(path: Path) -> Callable[[], object]:
    return lambda: lo.read_h5ad(path)


def _read_x(path: Path) -> Callable[[], object]:
    x = lo.read_h5ad(path).X
    return lambda: x.sum().compute()


def _open_for_reading(path: Path) -> Callable[[], object]:
    return lambda: open_for_reading(path).close()


SAVES = [
    _save,
    _save_beside_a_reader,
    _overwrite_x,
    _write_over,
    _repack,
    _add_gene_major,
    _open_for_saving,
    _replacing,
    _exclusively,
]
READS = [_read, _read_x, _open_for_reading]


@pytest.fixture
def table(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "a.h5ad"
    x = sp.csr_matrix(np.arange(6.0, dtype="f4").reshape(2, 3))
    lo.AnnData(x, obs={"n": [1, 2]}).write_h5ad(path)
    return path


def beside_it(path: Path, name: str) -> Path:
    return path.with_name(f".{path.name}.lazyomics-{name}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("plant", KINDS)
@pytest.mark.parametrize("route", [*SAVES, *READS])
def test_what_has_a_name_that_is_needed_is_left_alone(table, victim, route, plant, name) -> None:
    act = route(table)
    taken, content = beside_it(table, name), table.read_bytes()
    plant(taken, victim)
    before = os.lstat(taken), os.stat(victim)
    if route in READS and name == "lock":
        act()  # it is not needed where nothing was interrupted
    else:
        with pytest.raises(NameTakenError, match="expected nothing or a file that lazy") as caught:
            act()
        assert str(caught.value).startswith(f"{taken} is ")
        assert KINDS[plant] in str(caught.value)
        assert str(table) in str(caught.value)
    assert os.lstat(taken).st_ino == before[0].st_ino
    now = os.stat(victim)
    assert (now.st_mode, now.st_mtime_ns, now.st_nlink) == (
        before[1].st_mode,
        before[1].st_mtime_ns,
        before[1].st_nlink,
    )
    assert victim.read_bytes() == SECRET
    assert os.listdir(victim.parent) == ["victim"]
    assert table.read_bytes() == content
    assert sorted(os.listdir(table.parent)) == sorted([table.name, taken.name])
    _remove(taken)
    act()  # and now it works
    assert os.listdir(table.parent) == [table.name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("plant", KINDS)
def test_files_of_several_modalities(table, victim, plant, name) -> None:
    path = table.with_suffix(".h5mu")
    lo.MuData({"a": lo.read_h5ad(table)}).write_h5mu(path)
    mdata = lo.read_h5mu(path)
    mdata["a"].obs["k"] = [3, 4]
    taken = beside_it(path, name)
    plant(taken, victim)
    for act in (mdata.write, lambda: mdata.write_h5mu(path)):
        with pytest.raises(NameTakenError, match=KINDS[plant]):
            act()
    if name != "lock":
        with pytest.raises(NameTakenError, match=KINDS[plant]):
            lo.read_h5mu(path)
    assert victim.read_bytes() == SECRET
    _remove(taken)
    mdata.write()
    assert list(lo.read_h5mu(path)["a"].obs["k"]) == [3, 4]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("plant", KINDS)
def test_what_appears_between_a_look_and_opening(
    small_file, victim, monkeypatch, plant, name
) -> None:
    """What was opened is looked at, not only its name."""
    taken, real = beside_it(small_file, name), os.lstat
    plant(taken, victim)
    regular = real(small_file)

    def mislead(path: str) -> os.stat_result:
        return regular if os.fspath(path) == str(taken) else real(path)

    def save() -> None:
        with saving(small_file) as file:
            change(file)

    monkeypatch.setattr(os, "lstat", mislead)
    if name == "journal.part":  # removed by its name, which follows nothing; made anew
        if plant is _folder:
            with pytest.raises(OSError, match=r"Is a directory|not permitted"):
                save()
        else:
            save()
    else:
        with pytest.raises(NameTakenError, match=str(taken)):
            save()
    assert victim.read_bytes() == SECRET
    assert os.listdir(victim.parent) == ["victim"]


@pytest.mark.parametrize("plant", KINDS)
def test_what_appears_during_a_save(small_file, victim, plant) -> None:
    """The save fails, and the file is as it was."""
    before = elements(small_file)
    for name in ("journal.part", "journal"):
        taken = beside_it(small_file, name)

        def save(taken: Path = taken) -> None:
            with saving(small_file) as file:
                change(file)
                plant(taken, victim)

        with pytest.raises(NameTakenError, match=KINDS[plant]):
            save()
        assert elements(small_file) == before
        assert victim.read_bytes() == SECRET
        if os.path.lexists(taken):
            _remove(taken)
        assert os.listdir(small_file.parent) == [small_file.name]


@pytest.mark.parametrize("plant", KINDS)
def test_what_looks_like_a_left_over_part(small_file, victim, plant) -> None:
    """It is in nobody's way: neither followed, nor removed."""
    gone = 2**22 + 1  # no process has this number
    names = [small_file.with_name(f".{small_file.name}.{gone}-0123456{k}.part") for k in range(2)]
    plant(names[0], victim)
    names[1].touch()  # this one is left over
    for name in names:
        os.utime(name, (0, 0), follow_symlinks=False)
    with saving(small_file) as file:
        change(file)
    assert sorted(os.listdir(small_file.parent)) == sorted([names[0].name, small_file.name])
    assert victim.read_bytes() == SECRET


@pytest.mark.parametrize("act", [_open_for_reading, _open_for_saving, _replacing])
@pytest.mark.parametrize("plant", KINDS)
def test_a_damaged_journal_is_not_put_over_something_else(small_file, victim, act, plant) -> None:
    journal, unused = beside_it(small_file, "journal"), beside_it(small_file, "journal.unused")
    journal.write_bytes(b"damaged")
    plant(unused, victim)
    with pytest.raises(NameTakenError, match=KINDS[plant]):
        act(small_file)()
    assert journal.read_bytes() == b"damaged"
    _remove(unused)
    unused.write_bytes(b"an older one")
    with pytest.warns(UserWarning, match="is damaged"):
        act(small_file)()
    assert unused.read_bytes() == b"damaged"


@pytest.mark.parametrize("plant", KINDS)
def test_a_save_to_be_finished_needs_the_lock_also_for_reading(
    small_file, tmp_path, victim, plant
) -> None:
    path, _, after = pending_save(small_file, tmp_path, "torn")
    lock = beside_it(path, "lock")
    plant(lock, victim)
    with pytest.raises(NameTakenError, match=KINDS[plant]):
        open_for_reading(path)
    assert victim.read_bytes() == SECRET
    _remove(lock)
    open_for_reading(path).close()
    assert elements(path) == after


def test_a_journal_is_not_followed_to_another_place(small_file, tmp_path) -> None:
    """Even a journal that would fit."""
    path, before, _ = pending_save(small_file, tmp_path)
    journal = beside_it(path, "journal")
    journal.rename(tmp_path / "moved")
    journal.symlink_to(tmp_path / "moved")
    with pytest.raises(NameTakenError, match="a symbolic link to"):
        open_for_reading(path)
    assert elements(path) == before


@AS_ROOT
@pytest.mark.parametrize("mode", [0o644, 0o666, 0o600])
def test_the_lock_of_another_user_that_was_killed(small_file, mode) -> None:
    lock = beside_it(small_file, "lock")
    lock.write_text("process 1 on another")
    os.chown(lock, 1234, 1234)
    lock.chmod(mode)
    with saving(small_file) as file:
        change(file)
    assert os.listdir(small_file.parent) == [small_file.name]


@AS_ROOT
@pytest.mark.parametrize("name", ["journal.part", "journal"])
def test_what_another_user_left_where_only_he_may_remove_it(
    request, small_file, tmp_path, run_as, name
) -> None:
    """Saving says who can help; reading goes on."""
    pending, _, _ = pending_save(small_file, tmp_path)
    folder = open_folder(request)
    path = folder / pending.name
    for file in pending.parent.iterdir():
        shutil.copy(file, folder)
    left = beside_it(path, name)
    beside_it(path, "journal").rename(left)
    path.chmod(0o666)
    left.chmod(0o644)
    os.chown(left, 1234, 1234)
    folder.chmod(0o1777)
    run_as(
        "from lazyomics.io.files import open_for_reading\n"
        "from lazyomics.io.transaction import saving\n"
        "drop(65534)\n"
        "with open_for_reading(sys.argv[1]) as file:\n"
        "    assert ('new' in file['obs']) == (sys.argv[2] == 'journal')\n"
        "try:\n"
        "    with saving(sys.argv[1]): pass\n"
        "except PermissionError as error:\n"
        "    assert 'its owner has to open the file' in str(error), error\n"
        "else: raise AssertionError\n",
        path,
        name,
    )
    assert left.exists()
    with saving(path) as file:
        file["k"] = 1
    assert os.listdir(folder) == [path.name]


@AS_ROOT
@pytest.mark.parametrize("mode", [0o644, 0o666])
def test_a_user_goes_on_with_the_lock_of_another(request, mode, run_as) -> None:
    folder = open_folder(request)
    path = make_file(folder / "a.h5")
    path.chmod(0o666)
    folder.chmod(0o777)
    lock = beside_it(path, "lock")
    lock.write_text("process 1 on another")
    lock.chmod(mode)
    run_as(
        "from lazyomics.io.transaction import saving\n"
        "drop(65534)\n"
        "with saving(sys.argv[1]) as file: file['k'] = 1\n",
        path,
    )
    assert "k" in elements(path)
    assert os.listdir(folder) == [path.name]


def _world_writable(path: Path) -> None:
    path.chmod(0o646)


def _own_group(path: Path) -> None:
    import pwd

    path.chmod(0o664)
    os.chown(path, 0, pwd.getpwuid(65534).pw_gid)


def _his_file(path: Path) -> None:
    os.chown(path, 65534, 0)


def _his_folder(path: Path) -> None:
    os.chown(path.parent, 65534, 0)


def _not_sticky(path: Path) -> None:
    path.parent.chmod(0o777)


@AS_ROOT
@pytest.mark.parametrize("act", [_open_for_reading, _open_for_saving, _replacing])
@pytest.mark.parametrize(
    "right", [None, _world_writable, _own_group, _his_file, _his_folder, _not_sticky]
)
def test_journals_of_those_who_may_not_write(small_file, tmp_path, right, act) -> None:
    """In a shared folder everyone can make files, but not everyone may change them all."""
    path, before, after = pending_save(small_file, tmp_path)
    path.chmod(0o644)
    path.parent.chmod(0o1777)
    journal = beside_it(path, "journal")
    os.chown(journal, 65534, 65534)
    if right is None:
        content = path.read_bytes()
        with pytest.raises(NameTakenError, match="user 65534, who may not write"):
            act(path)()
        assert path.read_bytes() == content
        assert elements(path) == before
        assert journal.exists()
        os.chown(journal, 0, 0)
    else:
        right(path)
    act(path)()
    assert not journal.exists()
    found = elements(path)
    assert (found == after) == (act is _open_for_reading)
    assert ("labels" in str(found)) == (act is not _replacing)


@pytest.mark.parametrize("plant", [_pipe, _socket, _device, _folder])
def test_only_files_are_replaced(tmp_path, victim, plant) -> None:
    path = tmp_path / "b.h5ad"
    plant(path, victim)
    inode = os.lstat(path).st_ino
    act = lo.AnnData(np.ones((2, 3))).write_h5ad
    with pytest.raises((FileExistsError, IsADirectoryError), match=KINDS[plant]):
        act(path)
    with pytest.raises((FileExistsError, IsADirectoryError), match=KINDS[plant]):
        _replacing(path)()
    with pytest.raises((FileFormatError, IsADirectoryError), match=KINDS[plant]):
        lo.read_h5ad(path)
    assert os.lstat(path).st_ino == inode
    assert sorted(os.listdir(tmp_path)) == ["b.h5ad", "elsewhere"]


def test_a_link_to_itself_is_not_replaced(tmp_path) -> None:
    path = tmp_path / "b.h5ad"
    path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic link"):
        lo.AnnData(np.ones((2, 3))).write_h5ad(path)
    assert path.is_symlink()


def test_without_flags_of_posix(small_file, victim, monkeypatch) -> None:
    """Windows opens what has the name; links are noticed before."""
    from lazyomics.io.transaction import disk

    monkeypatch.setattr(disk, "_UNFOLLOWED", 0)
    monkeypatch.delattr(os, "geteuid")
    lock = beside_it(small_file, "lock")
    for plant in (_link, _dangling, _folder, _hard_link):
        plant(lock, victim)
        with pytest.raises(NameTakenError, match=KINDS[plant]):
            _open_for_saving(small_file)()
        _remove(lock)
    _open_for_saving(small_file)()
    assert victim.read_bytes() == SECRET
    shutil.rmtree(victim.parent)
