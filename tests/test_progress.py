from __future__ import annotations

import io
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace

import dask
import dask.array as da
import numpy as np
import pytest

import lazyomics as lo
from lazyomics import config, lazy, progress


def small() -> lo.AnnData:
    return lo.AnnData(np.arange(12.0).reshape(4, 3))


def test_a_bar_around_a_computation(capsys) -> None:
    with lo.ProgressBar():
        lo.pp.calculate_qc_metrics(small(), percent_top=None)
    assert "100% Completed" in capsys.readouterr().out


def test_a_bar_by_configuration(capsys) -> None:
    with dask.config.set({"lazyomics.progress": 1e-9}):
        lo.pp.calculate_qc_metrics(small(), percent_top=None)
    assert "100% Completed" in capsys.readouterr().out


def test_no_bar_by_default(capsys) -> None:
    lo.pp.calculate_qc_metrics(small(), percent_top=None)
    assert capsys.readouterr().out == ""


def test_a_bar_for_neighbours_and_layout(capsys) -> None:
    adata = lo.AnnData(np.random.default_rng(0).normal(size=(1200, 4)))
    with lo.ProgressBar():
        lo.pp.neighbors(adata, n_neighbors=5)
        searched = capsys.readouterr().out
        lo.tl.umap(adata, maxiter=3)
    assert "100% Completed" in searched
    assert "100% Completed" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def from_file(tmp_path, rows: int = 600) -> lo.AnnData:
    path = tmp_path / "a.h5ad"
    lo.AnnData(np.ones((rows, 30), "f4")).write_h5ad(path)
    return lo.read_h5ad(path, chunks=50)


def test_a_terminal_has_one_line_that_is_drawn_in_place(tmp_path) -> None:
    adata, out = from_file(tmp_path), Terminal()
    with lo.ProgressBar(out=out, dt=0.001):
        lo.pp.calculate_qc_metrics(adata, percent_top=None)
    text = out.getvalue()
    assert text.count("\n") == 1
    last = text.split("\r")[-1]
    assert last.startswith("pp.calculate_qc_metrics [#####")
    for part in ("100% Completed", "/s |", " s\x1b[K"):
        assert part in last


def test_a_log_has_few_lines(monkeypatch) -> None:
    monkeypatch.setattr(progress, "_LOG_AFTER", (0.02, 0.05))
    out = io.StringIO()
    with lo.ProgressBar(out=out, dt=0.005):
        for _ in lazy.tracked(range(30), 30):
            time.sleep(0.01)
    lines = out.getvalue().splitlines()
    assert 1 < len(lines) <= 3
    assert " left" in lines[0]
    assert "30/30" in lines[-1]
    assert "\r" not in out.getvalue()


def test_a_notebook_has_one_output(monkeypatch) -> None:
    shown: list[dict] = []

    class Handle:
        def update(self, data: dict, raw: bool) -> None:
            shown.append(data)

    def display(data: dict, **_: object) -> Handle:
        shown.append({"first": True, **data})
        return Handle()

    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    with lo.ProgressBar():
        for _ in lazy.tracked(range(3), 3):
            time.sleep(0.55)
    assert [data.pop("first", False) for data in shown] == [True, *[False] * (len(shown) - 1)]
    assert 1 < len(shown) < 5
    assert "<progress" in shown[-1]["text/html"]
    assert "100% Completed" in shown[-1]["text/plain"]


def test_windows_have_one_bar(tmp_path, capsys) -> None:
    adata = from_file(tmp_path)
    for after in (False, 1e-9):
        bar = nullcontext() if after else lo.ProgressBar()
        with dask.config.set({"lazyomics.progress": after}), bar:
            assert sum(len(part) for part in lazy.windows(adata.X, size=2)) == 12
        (line,) = capsys.readouterr().out.splitlines()
        assert "12/12" in line


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(True, 3), ("true", 3), (1, 3), (False, None), ("False", None), (0, None), ("20", 20)],
)
def test_the_configuration(value, seconds, capsys) -> None:
    with dask.config.set({"lazyomics.progress": value}):
        assert config.progress_after() == seconds
        lo.pp.calculate_qc_metrics(small(), percent_top=None)
    assert capsys.readouterr().out == ""
    with dask.config.set({"lazyomics.progress": "often"}), pytest.raises(ValueError, match="often"):
        config.progress_after()


def test_a_failure_is_not_shown_as_complete(capsys) -> None:
    def fail(block):
        if len(block):
            raise RuntimeError("broken")
        return block

    with lo.ProgressBar(), pytest.raises(RuntimeError, match="broken"):
        da.ones((4, 3), chunks=2).map_blocks(fail, dtype="f8").compute()
    assert "failed after" in capsys.readouterr().out
