"""Owner, group, permissions, extended attributes and lists of access after each kind of save."""

from __future__ import annotations

import inspect
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import AttributesLostWarning
from lazyomics.io.files import open_for_reading
from lazyomics.io.transaction import atomic_replace, disk, saving
from lazyomics.io.transaction import attributes as attributes_module
from lazyomics.io.transaction import session as session_module
from lazyomics.io.transaction.locks import held
from lazyomics.io.transaction.names import Names
from lazyomics.io.transaction.recovery import recover
from tests.io.transaction.changes import make_file
from tests.io.transaction.crashes import elements
from tests.processes.test_permissions import open_folder

AS_ROOT = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs several users"
)
ACL = "system.posix_acl_access"
OWNER, USER, GROUP, MASK, OTHERS = 1, 2, 4, 16, 32
NOBODY = 0xFFFFFFFF


def access_list(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


#: rw for the owner, r for one more user, r for the group, nothing for others
SHARED_WITH_ONE = access_list(
    (OWNER, 6, NOBODY), (USER, 4, 4321), (GROUP, 4, NOBODY), (MASK, 4, NOBODY), (OTHERS, 0, NOBODY)
)


def attributes(path: Path) -> dict[str, object]:
    status = path.stat()
    return {
        "owner": status.st_uid,
        "group": status.st_gid,
        "mode": oct(stat.S_IMODE(status.st_mode)),
        **{name: os.getxattr(path, name) for name in os.listxattr(path)},
    }


def _save(path: Path) -> None:
    adata = lo.read_h5ad(path)
    adata.obs["k"] = [3, 4]
    adata.write()


def _save_beside_a_reader(path: Path) -> None:
    inode = path.stat().st_ino
    with h5py.File(path, "r"):
        _save(path)
    assert path.stat().st_ino != inode


def _overwrite_x(path: Path) -> None:
    adata = lo.read_h5ad(path)
    adata.X = adata.X * 2
    adata.write(overwrite_x=True)


def _write_over(path: Path) -> None:
    lo.AnnData(np.ones((2, 3))).write_h5ad(path)


def _repack(path: Path) -> None:
    lo.repack(path)


def _add_gene_major(path: Path) -> None:
    lo.add_gene_major(lo.read_h5ad(path))


def _add_gene_major_beside_a_reader(path: Path) -> None:
    adata = lo.read_h5ad(path)
    with h5py.File(path, "r"):
        lo.add_gene_major(adata)


def _finish_in_a_copy(path: Path) -> None:
    """A save that was decided, and is finished while another program reads."""
    failing = mock.patch.object(
        session_module, "apply", side_effect=OSError(5, "Input/output error")
    )
    with failing, pytest.raises(OSError, match="is saved, but"):
        _save(path)
    inode, names = path.stat().st_ino, Names.of(path)
    with h5py.File(path, "r"), held(names, 1):
        assert recover(names)
    assert path.stat().st_ino != inode


def _save_modality(path: Path) -> None:
    _as_mudata(path)
    mdata = lo.read_h5mu(path)
    mdata["a"].obs["k"] = [3, 4]
    mdata["a"].X = mdata["a"].X * 2
    mdata.write(overwrite_x=True)


def _write_over_mudata(path: Path) -> None:
    lo.MuData({"a": lo.read_h5ad(path).to_memory()}).write_h5mu(path)


def _as_mudata(path: Path) -> None:
    """Let the same file hold several modalities."""
    content = lo.MuData({"a": lo.read_h5ad(path).to_memory()})
    other = path.with_name("other.h5mu")
    content.write_h5mu(other)
    path.write_bytes(other.read_bytes())
    other.unlink()


ROUTES = [
    _save,
    _save_beside_a_reader,
    _overwrite_x,
    _write_over,
    _repack,
    _add_gene_major,
    _add_gene_major_beside_a_reader,
    _finish_in_a_copy,
    _save_modality,
    _write_over_mudata,
]


@pytest.fixture
def table(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "a.of_cells"
    x = sp.csr_matrix(np.arange(6.0, dtype="f4").reshape(2, 3))
    lo.AnnData(x, obs={"n": [1, 2]}).write_h5ad(path)
    return path


def _permissions(path: Path) -> None:
    path.chmod(0o640)


def _odd_permissions(path: Path) -> None:
    path.chmod(0o606)


def _private(path: Path) -> None:
    path.chmod(0o600)


def _owner(path: Path) -> None:
    os.chown(path, 1234, 2345)
    path.chmod(0o640)


def _read_only(path: Path) -> None:
    """Root may write it all the same."""
    os.chown(path, 1234, 2345)
    path.chmod(0o440)


def _special_bits(path: Path) -> None:
    os.chown(path, 1234, 2345)
    path.chmod(0o6750)


def _attributes(path: Path) -> None:
    try:
        os.setxattr(path, "user.note", b"mine")
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "trusted.note", b"root's")
        os.setxattr(path, "security.note", b"the system's")
    except OSError:
        pytest.skip("extended attributes are not permitted here")


def _list(path: Path) -> None:
    os.chown(path, 1234, 2345)
    try:
        os.setxattr(path, ACL, SHARED_WITH_ONE)
    except OSError:
        pytest.skip("there are no lists of access here")


def _everything(path: Path) -> None:
    _attributes(path)
    _list(path)


@AS_ROOT
@pytest.mark.filterwarnings("error::lazyomics.errors.AttributesLostWarning")
@pytest.mark.parametrize("by_link", [False, True], ids=["by name", "by link"])
@pytest.mark.parametrize(
    "prepare",
    [
        _permissions,
        _odd_permissions,
        _private,
        _owner,
        _read_only,
        _special_bits,
        _attributes,
        _list,
        _everything,
    ],
)
@pytest.mark.parametrize("route", ROUTES)
def test_a_saved_file_keeps_what_it_has(table, tmp_path, route, prepare, by_link) -> None:
    prepare(table)
    before, content = attributes(table), table.read_bytes()
    name = table
    if by_link:
        first = tmp_path / "first.of_cells"
        first.symlink_to(table)
        name = tmp_path / "second.of_cells"
        name.symlink_to("first.of_cells")  # one that is relative, to another one
    route(name)
    assert table.read_bytes() != content
    assert attributes(table) == before
    assert os.listdir(table.parent) == [table.name]
    if by_link:
        assert os.readlink(name) == "first.of_cells"
        assert os.readlink(tmp_path / "first.of_cells") == str(table)
        assert sorted(os.listdir(tmp_path)) == ["data", "first.of_cells", "second.of_cells"]


@pytest.mark.parametrize("route", ROUTES)
def test_hard_links(table, route) -> None:
    """A save in place is seen by all names; after a replacement the others have the old state."""
    content, before = table.read_bytes(), elements(table)
    other = table.with_name("other.h5ad")
    os.link(table, other)
    route(table)
    assert table.read_bytes() != content
    if route in (_save, _add_gene_major, _save_modality):
        assert table.samefile(other)
    else:
        assert elements(other) == before
        assert not table.samefile(other)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o007, 0o000])
@pytest.mark.parametrize("by_link", [False, True], ids=["by name", "by link"])
def test_new_files_have_the_usual_permissions(tmp_path, umask, by_link) -> None:
    previous = os.umask(umask)
    try:
        expected = tmp_path / "expected"
        expected.touch()
        path = tmp_path / "a.h5ad"
        if by_link:
            path.symlink_to("b.h5ad")
        lo.AnnData(np.ones((2, 3))).write_h5ad(path)
        assert attributes(path) == attributes(expected)
        assert path.is_symlink() == by_link
        assert len(os.listdir(tmp_path)) == 2 + by_link
    finally:
        os.umask(previous)


def _default_list(folder: Path) -> None:
    value = access_list(
        (OWNER, 7, NOBODY),
        (USER, 6, 4321),
        (GROUP, 5, NOBODY),
        (MASK, 6, NOBODY),
        (OTHERS, 0, NOBODY),
    )
    try:
        os.setxattr(folder, "system.posix_acl_default", value)
    except OSError:
        pytest.skip("there are no lists of access here")


def _default_list_without_users(folder: Path) -> None:
    value = access_list((OWNER, 7, NOBODY), (GROUP, 4, NOBODY), (OTHERS, 4, NOBODY))
    try:
        os.setxattr(folder, "system.posix_acl_default", value)
    except OSError:
        pytest.skip("there are no lists of access here")


def _group_of_the_folder(folder: Path) -> None:
    os.chown(folder, 0, 2345)
    folder.chmod(0o2770)


@AS_ROOT
@pytest.mark.parametrize(
    "prepare", [_default_list, _default_list_without_users, _group_of_the_folder]
)
def test_what_a_folder_says_of_new_files(tmp_path, prepare) -> None:
    """As for other new files; a file that is replaced keeps what it had, also if that is less."""
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.ones((2, 3))).write_h5ad(path)
    path.chmod(0o640)
    before = attributes(path)
    prepare(tmp_path)
    _write_over(path)
    assert attributes(path) == before
    with h5py.File(path, "r"), saving(path) as file:
        file["k"] = 1
    assert attributes(path) == before
    expected, new = tmp_path / "expected", tmp_path / "new.h5ad"
    expected.touch()
    _write_over(new)
    assert attributes(new) == attributes(expected)
    assert sorted(os.listdir(tmp_path)) == ["a.h5ad", "expected", "new.h5ad"]


class Watch:
    """Look at everything beside a file at each call to the system."""

    def __init__(self, path: Path, monkeypatch) -> None:
        self.path = path
        self.goal = attributes(path) if path.exists() else None
        self.seen: set[tuple[str, str, str]] = set()
        self.wrong: list[str] = []
        for name in filter(lambda name: inspect.isfunction(getattr(disk, name)), disk.__all__):
            monkeypatch.setattr(disk, name, self.watched(name, getattr(disk, name)))

    def watched(self, call: str, real: Callable) -> Callable:
        def watch(*args, **kwargs):
            self.look(f"before {call}")
            result = real(*args, **kwargs)
            self.look(f"after {call}")
            return result

        return watch

    def look(self, when: str) -> None:
        for path in self.path.parent.iterdir():
            if path.name in (self.path.name, "other.h5mu"):
                continue
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            kind = path.name.rpartition(".")[2]
            mode = stat.S_IMODE(status.st_mode)
            self.seen.add((kind, when, oct(mode)))
            if self.may_be(mode, status, bool(status.st_size)):
                continue
            self.wrong.append(f"{path.name} {oct(mode)} {when}")

    def may_be(self, mode: int, status: os.stat_result, has_content: bool) -> bool:
        if not mode & ~0o600 or not has_content:
            return True
        if self.goal is None:
            return False
        same = status.st_uid == self.goal["owner"] and status.st_gid == self.goal["group"]
        return same and not mode & ~int(str(self.goal["mode"]), 8)


@AS_ROOT
@pytest.mark.parametrize("prepare", [_private, _permissions, _owner])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_beside_a_file_can_be_read_by_more(table, monkeypatch, route, prepare) -> None:
    if route is _save_modality:
        _as_mudata(table)
        monkeypatch.setitem(_save_modality.__globals__, "_as_mudata", lambda path: None)
    previous = os.umask(0o000)
    try:
        prepare(table)
        watch = Watch(table, monkeypatch)
        route(table)
    finally:
        os.umask(previous)
    assert watch.wrong == []
    assert {kind for kind, _, _ in watch.seen} & {"part", "lazyomics-journal"}


def test_a_new_file_is_private_until_it_is_complete(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.h5ad"
    path.touch()
    watch = Watch(path, monkeypatch)
    path.unlink()
    watch.goal = None
    lo.AnnData(np.ones((2000, 300))).write_h5ad(path)
    allowed = ("before sync", "after sync", "before rename")
    assert [w for w in watch.wrong if not w.endswith(allowed)] == []
    assert ("part", "after write", "0o600") in watch.seen


@pytest.fixture
def shared(request) -> Path:
    """A file in a folder where everyone may make files."""
    folder = open_folder(request)
    path = make_file(folder / "a.h5")
    folder.chmod(0o777)
    return path


REPLACE = """
from lazyomics.io.transaction import atomic_replace, saving
import h5py, lazyomics.errors
path, how, user, groups = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
drop(user, *map(int, groups.split()))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    if how == "replace":
        with atomic_replace(path) as file: file["k"] = 1
    else:
        with h5py.File(path, "r"), saving(path) as file: file["k"] = 1
for warning in caught:
    print(warning.category.__name__, warning.message)
assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
"""
HOW = pytest.mark.parametrize("how", ["replace", "copy"])


@AS_ROOT
@HOW
def test_an_owner_that_cannot_be_kept_is_told(shared, run_as, how) -> None:
    os.chown(shared, 1234, 2345)
    shared.chmod(0o664)
    told = run_as(REPLACE, shared, how, 65534, "2345")
    assert told.startswith(f"AttributesLostWarning {shared} is now a new file, which is complete")
    assert "owner 1234 (it belongs to user 65534). " in told
    assert told.count("\n") == 1
    assert attributes(shared) == {"owner": 65534, "group": 2345, "mode": "0o664"}
    assert "k" in elements(shared)


@AS_ROOT
@HOW
@pytest.mark.parametrize(
    ("mode", "left"),
    [
        (0o640, 0o600),
        (0o660, 0o600),
        (0o664, 0o644),
        (0o666, 0o666),
        (0o604, 0o604),
        (0o644, 0o644),
    ],
)
def test_another_group_may_do_no_more_than_everyone(shared, run_as, how, mode, left) -> None:
    os.chown(shared, 65534, 2345)
    shared.chmod(mode)
    told = run_as(REPLACE, shared, how, 65534, "")
    assert "group 2345 (it belongs to group 65534)" in told
    assert ("permissions" in told) == (mode != left)
    assert attributes(shared) == {"owner": 65534, "group": 65534, "mode": oct(left)}


@AS_ROOT
@HOW
def test_special_bits_are_not_given_to_others(shared, run_as, how) -> None:
    """A program of another user would become one of this user's."""
    os.chown(shared, 1234, 2345)
    shared.chmod(0o6777)
    told = run_as(REPLACE, shared, how, 65534, "")
    assert attributes(shared) == {"owner": 65534, "group": 65534, "mode": "0o777"}
    if how == "replace":  # writing to the old one took them away already
        assert "permissions 6777 (it has 0777)" in told


@AS_ROOT
@HOW
def test_lists_of_access_with_another_group(shared, run_as, how) -> None:
    os.chown(shared, 65534, 2345)
    _list(shared)
    os.chown(shared, 65534, 2345)
    told = run_as(REPLACE, shared, how, 65534, "")
    assert "group 2345" in told
    assert "list" not in told
    now = attributes(shared)
    assert now.pop(ACL) == SHARED_WITH_ONE.replace(
        struct.pack("<HHI", GROUP, 4, NOBODY), struct.pack("<HHI", GROUP, 0, NOBODY)
    )
    assert now == {"owner": 65534, "group": 65534, "mode": "0o640"}


@AS_ROOT
@HOW
def test_extended_attributes_that_only_root_may_set(shared, run_as, how) -> None:
    _attributes(shared)
    os.chown(shared, 65534, 65534)
    told = run_as(REPLACE, shared, how, 65534, "")
    assert "all that it should have: the extended attribute security.note. " in told
    now = attributes(shared)
    assert now["user.note"] == b"mine"
    assert "security.note" not in now


@AS_ROOT
@HOW
def test_nothing_is_said_where_all_is_kept(shared, run_as, how) -> None:
    os.chown(shared, 65534, 2345)
    os.setxattr(shared, "user.note", b"mine")
    shared.chmod(0o640)
    before = attributes(shared)
    assert run_as(REPLACE, shared, how, 65534, "2345") == ""
    assert attributes(shared) == before


@pytest.mark.parametrize("how", ["replace", "copy"])
def test_the_file_is_complete_where_the_warning_is_an_error(small_file, monkeypatch, how) -> None:
    lost = ["its owner"], False, True
    monkeypatch.setattr(attributes_module, "_give_owner", lambda old, descriptor: lost)

    def write() -> None:
        if how == "replace":
            with atomic_replace(small_file) as file:
                file["k"] = 1
        else:
            with h5py.File(small_file, "r"), saving(small_file) as file:
                file["k"] = 1

    with pytest.raises(AttributesLostWarning, match="complete but could not be given all"):
        write()
    assert "k" in elements(small_file)
    assert os.listdir(small_file.parent) == [small_file.name]
    open_for_reading(small_file).close()


@pytest.mark.filterwarnings("ignore::lazyomics.errors.AttributesLostWarning")
@pytest.mark.parametrize("call", ["fchown", "fchmod", "setxattr", "listxattr", "getxattr"])
def test_systems_that_know_no_attributes(small_file, monkeypatch, call) -> None:
    """Whatever such a file system refuses, the file is written."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with atomic_replace(small_file) as file:
            file["k"] = 1
        with h5py.File(small_file, "r"), saving(small_file) as file:
            file["l"] = 1
        with atomic_replace(small_file.with_name("new.h5")) as file:
            file["k"] = 1
    assert {"k", "l"} <= set(elements(small_file))


@AS_ROOT
@pytest.mark.parametrize("groups", ["", "2345"])
def test_a_save_of_another_user_can_be_finished(shared, run_as, groups) -> None:
    """By whoever may read the file: the journal has its group, and its permissions."""
    os.chown(shared, 0, 2345)
    shared.chmod(0o664 if groups else 0o606)
    run_as(
        "from lazyomics.io.transaction import saving, session\n"
        "def fail(*_): raise OSError(5, 'Input/output error')\n"
        "session.apply = fail\n"
        "drop(65534, *map(int, sys.argv[2].split()))\n"
        "try:\n"
        "    with saving(sys.argv[1]) as file: file['k'] = 1\n"
        "except OSError as error: assert 'is saved, but' in str(error)\n",
        shared,
        groups,
    )
    journal = shared.with_name(f".{shared.name}.lazyomics-journal")
    expected = {"owner": 65534, "group": 2345 if groups else 65534}
    assert attributes(journal) == {**expected, "mode": "0o664" if groups else "0o606"}
    run_as(
        "from lazyomics.io.files import open_for_reading\n"
        "drop(1234, *map(int, sys.argv[2].split()))\n"
        "with open_for_reading(sys.argv[1]) as file: assert 'k' in file\n",
        shared,
        groups,
    )
    assert os.listdir(shared.parent) == [shared.name]
