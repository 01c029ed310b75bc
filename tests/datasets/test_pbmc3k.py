from __future__ import annotations

import sys

import pytest

from lazyomics.datasets import pbmc3k
from lazyomics.errors import MissingDependencyError


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No test data on this machine."""
    monkeypatch.delenv("LAZYOMICS_TEST_DATA", raising=False)
    monkeypatch.setattr(pbmc3k, "__file__", str(tmp_path / "a" / "b" / "c" / "pbmc3k.py"))


def test_the_configured_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("LAZYOMICS_TEST_DATA", str(tmp_path))
    wanted = tmp_path / "pbmc3k_processed.h5ad"
    wanted.touch()
    assert pbmc3k.pbmc3k_processed() == wanted


def test_found_beside_a_source_checkout(nowhere, tmp_path):
    folder = tmp_path / "shared" / "data"
    folder.mkdir(parents=True)
    wanted = folder / "rebuilt_pbmc3k_processed.h5ad"
    wanted.touch()
    assert pbmc3k.pbmc3k_processed() == wanted


def test_a_cached_download_needs_no_network(nowhere, monkeypatch, tmp_path):
    pooch = pytest.importorskip("pooch", reason="pooch downloads")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    cached = tmp_path / "lazyomics" / "pbmc3k_processed.h5ad"
    cached.parent.mkdir()
    cached.touch()
    assert pbmc3k.pbmc3k_processed() == cached


def test_offline_says_what_to_do(nowhere, monkeypatch):
    pooch = pytest.importorskip("pooch", reason="pooch downloads")

    def offline(url, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", offline)
    with pytest.raises(FileNotFoundError, match="LAZYOMICS_TEST_DATA") as caught:
        pbmc3k.pbmc3k_processed()
    assert "no route to host" in str(caught.value)
    assert "simulate" in str(caught.value)


def test_without_pooch_names_the_extra(nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingDependencyError, match=r"lazyomics\[datasets\]"):
        pbmc3k.pbmc3k_processed()
