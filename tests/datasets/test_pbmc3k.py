from __future__ import annotations

import sys

import pytest

from lazyomics import datasets
from lazyomics.datasets import pbmc3k_files
from lazyomics.errors import MissingDependencyError

FUNCTIONS = {"pbmc3k_raw": datasets.pbmc3k, "pbmc3k_processed": datasets.pbmc3k_processed}
both = pytest.mark.parametrize(("file", "find"), FUNCTIONS.items())
one = pytest.mark.parametrize("find", FUNCTIONS.values())


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No test data on this machine."""
    monkeypatch.delenv("LAZYOMICS_TEST_DATA", raising=False)
    monkeypatch.setattr(pbmc3k_files, "__file__", str(tmp_path / "a" / "b" / "c" / "pbmc3k.py"))


@both
def test_the_configured_folder_comes_first(find, file, monkeypatch, tmp_path):
    monkeypatch.setenv("LAZYOMICS_TEST_DATA", str(tmp_path))
    wanted = tmp_path / f"{file}.h5ad"
    wanted.touch()
    assert find() == wanted


@both
def test_found_beside_a_source_checkout(find, file, nowhere, tmp_path):
    folder = tmp_path / "shared" / "data"
    folder.mkdir(parents=True)
    wanted = folder / f"rebuilt_{file}.h5ad"
    wanted.touch()
    assert find() == wanted


@both
def test_a_cached_download_needs_no_network(find, file, nowhere, monkeypatch, tmp_path):
    pooch = pytest.importorskip("pooch", reason="pooch downloads")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    cached = tmp_path / "lazyomics" / f"{file}.h5ad"
    cached.parent.mkdir()
    cached.touch()
    assert find() == cached


@one
def test_offline_says_what_to_do(find, nowhere, monkeypatch):
    pooch = pytest.importorskip("pooch", reason="pooch downloads")

    def offline(url, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", offline)
    with pytest.raises(FileNotFoundError, match="LAZYOMICS_TEST_DATA") as caught:
        find()
    assert "no route to host" in str(caught.value)
    assert "simulate" in str(caught.value)


@one
def test_without_pooch_names_the_extra(find, nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependencyError, match=r"lazyomics\[datasets\]"):
        find()
