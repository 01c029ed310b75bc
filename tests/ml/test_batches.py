"""Batches hold the values of their rows, whatever they come from."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lazyomics as lo
from lazyomics.errors import ShapeError

N, GENES = 300, 20
SMALL = {"memory": "40 kB", "block_size": 8}


def adata_of(kind: str = "csr", n: int = N, start: int = 0) -> lo.AnnData:
    x = sp.random(n, GENES, 0.3, format="csr", dtype="f4", random_state=start)
    made = lo.AnnData({"csr": x, "dense": x.toarray(), "csc": x.tocsc()}[kind])
    made.obs["number"] = np.arange(start, start + n)
    made.obs["kind"] = pd.Categorical.from_codes(np.arange(n) % 3, ["a", "b", "c"])
    made.obs["text"] = np.where(np.arange(n) % 2, "x", "y")
    made.obsm["place"] = np.arange(2.0 * n).reshape(n, 2)
    made.layers["counts"] = x.copy()
    return made


@pytest.fixture(params=["csr", "dense"])
def opened(request, tmp_path):
    path = tmp_path / "x.h5ad"
    adata_of(request.param).write(path)
    return lo.read_h5ad(path)


def dense(x):
    return x.toarray() if sp.issparse(x) else np.asarray(x)


def assert_right(batches, whole, numbers) -> list[int]:
    seen = []
    for batch in batches:
        assert len(batch["rows"]) <= batches.batch_size
        np.testing.assert_array_equal(dense(batch["X"]), whole[batch["rows"]])
        np.testing.assert_array_equal(batch["number"], numbers[batch["rows"]])
        seen += batch["rows"].tolist()
    return seen


@pytest.mark.parametrize("dense_batches", [False, True])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_has_every_cell_once(opened, shuffle, dense_batches) -> None:
    whole, numbers = dense(opened.X.compute()), opened.obs["number"].to_numpy()
    chosen = lo.ml.batches(
        opened, 32, obs=["number"], shuffle=shuffle, dense=dense_batches, **SMALL
    )
    assert len(chosen) == 10
    first, second = (assert_right(chosen, whole, numbers) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(N))
    assert (first == second == list(range(N))) is not shuffle
    assert chosen.epoch == 2
    batch = next(iter(chosen))
    assert isinstance(batch["X"], np.ndarray) or not dense_batches
    assert batch["X"].dtype == np.float32


def test_steps_and_selections_are_followed(opened) -> None:
    lo.pp.normalize_total(opened)
    lo.pp.log1p(opened)
    part = opened[::-2, opened.var_names[3:9]]
    whole = dense(part.X.compute())
    chosen = lo.ml.batches(part, 16, obs=["number"], **SMALL)
    seen = assert_right(chosen, whole, part.obs["number"].to_numpy())
    assert sorted(seen) == list(range(N // 2))


def test_fields_and_codes(opened) -> None:
    fields = {"place": "obsm/place", "counts": "layers/counts"}
    opened.obs.loc[opened.obs_names[5], "kind"] = np.nan
    chosen = lo.ml.batches(opened, 50, obs=["kind", "text"], fields=fields, **SMALL)
    assert list(chosen.categories["kind"]) == ["a", "b", "c"]
    for batch in chosen:
        rows = batch["rows"]
        np.testing.assert_array_equal(batch["place"], opened.obsm["place"][rows])
        np.testing.assert_array_equal(
            dense(batch["counts"]), dense(opened.layers["counts"].compute())[rows]
        )
        expected = np.where(rows == 5, -1, rows % 3)
        np.testing.assert_array_equal(batch["kind"], expected)
        names = np.asarray(chosen.categories["text"])[batch["text"]]
        np.testing.assert_array_equal(names, np.where(rows % 2, "x", "y"))


def test_several_files_with_their_own_categories(tmp_path) -> None:
    parts = []
    for k, n in enumerate((40, 3, 90)):
        part = adata_of(n=n, start=100 * k)
        if k == 1:
            part.obs["kind"] = pd.Categorical(["c", "new", "a"])
        part.write(tmp_path / f"{k}.h5ad")
        parts.append(lo.read_h5ad(tmp_path / f"{k}.h5ad"))
    whole = np.concatenate([dense(p.X.compute()) for p in parts])
    numbers = np.concatenate([p.obs["number"] for p in parts])
    kinds = np.concatenate([p.obs["kind"].astype(str) for p in parts])
    chosen = lo.ml.batches(parts, 16, obs=["number", "kind"], memory="20 kB", block_size=4)
    assert sorted(assert_right(chosen, whole, numbers)) == list(range(133))
    for batch in chosen:
        names = np.asarray(chosen.categories["kind"])[batch["kind"]]
        np.testing.assert_array_equal(names, kinds[batch["rows"]])


def test_ranks_and_workers_share_the_cells(opened) -> None:
    ranks = [lo.ml.batches(opened, 16, rank=r, ranks=3, **SMALL) for r in range(3)]
    seen = [[batch["rows"] for batch in rank] for rank in ranks]
    assert sorted(np.concatenate([rows for rank in seen for rows in rank])) == list(range(N))
    even = [lo.ml.batches(opened, 16, rank=r, ranks=7, drop_last=True, **SMALL) for r in range(7)]
    assert {len(list(rank)) for rank in even} == {len(even[0])} == {N // 7 // 16}
    workers = [lo.ml.batches(opened, 16, **SMALL).shard(k, 4) for k in range(4)]
    rows = [batch["rows"] for worker in workers for batch in worker]
    assert sorted(np.concatenate(rows)) == list(range(N))


@pytest.mark.parametrize("stop", [1, 5, 9])
def test_going_on_where_it_stopped(opened, stop) -> None:
    def made():
        return lo.ml.batches(opened, 32, seed=4, **SMALL)

    chosen = made()
    list(chosen)
    everything = [batch["rows"] for batch in chosen]
    other = made()
    other.epoch = 1
    running = iter(other)
    for _ in range(stop):
        next(running)
    state = pickle.loads(pickle.dumps(other.state_dict()))
    assert state == {"epoch": 1, "batch": stop}
    running.close()
    resumed = made()
    resumed.load_state_dict(state)
    rest = [batch["rows"] for batch in resumed]
    assert len(rest) == len(everything) - stop
    for found, expected in zip(rest, everything[stop:], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert resumed.state_dict() == {"epoch": 2, "batch": 0}


def test_weights(opened) -> None:
    rare = np.where(np.arange(N) < 30, 9.0, 1.0)
    for weights in (rare, list(rare)):
        rows = np.concatenate(
            [b["rows"] for b in lo.ml.batches(opened, 50, weights=weights, **SMALL)]
        )
        assert len(rows) == N
        assert (rows < 30).mean() == pytest.approx(0.5, abs=0.12)
    opened.obs["few"] = pd.Categorical(np.where(np.arange(N) < 30, "few", "many"))
    rows = np.concatenate([b["rows"] for b in lo.ml.batches(opened, 50, weights="few", **SMALL)])
    assert (rows < 30).mean() == pytest.approx(0.5, abs=0.12)


def test_rows_are_read_once_in_an_epoch(opened, monkeypatch) -> None:
    """Beside the blocks that two buffers share; and by one thread, which ends with the epoch."""
    from lazyomics.ml.batches import Batches

    read = []
    monkeypatch.setattr(
        Batches,
        "_read",
        lambda self, rows, _read=Batches._read: read.append(rows) or _read(self, rows),
    )
    running = iter(lo.ml.batches(opened, 32, **SMALL))
    next(running)
    assert 1 <= len(read) <= 3
    running.close()
    assert not [t for t in threading.enumerate() if "lazyomics-batches" in t.name]
    read.clear()
    list(lo.ml.batches(opened, 32, **SMALL))
    assert sorted(np.concatenate(read)) == list(range(N))


def test_what_is_refused(opened) -> None:
    other = adata_of()
    other.var_names = [f"other{k}" for k in range(GENES)]
    for expected, message, made in (
        (TypeError, "takes an AnnData", lambda: lo.ml.batches(np.ones((3, 2)))),
        (ValueError, "none", lambda: lo.ml.batches([])),
        (ShapeError, "other genes", lambda: lo.ml.batches([opened, other])),
        (KeyError, "no column 'nix'", lambda: lo.ml.batches(opened, obs="nix")),
        (KeyError, "nix", lambda: lo.ml.batches(opened, layer="nix")),
        (KeyError, "nix", lambda: lo.ml.batches(opened, fields={"a": "obsm/nix"})),
        (ValueError, "a field is", lambda: lo.ml.batches(opened, fields={"a": "uns/nix"})),
        (ValueError, "twice", lambda: lo.ml.batches(opened, obs="kind", fields={"kind": "X"})),
        (ValueError, "batch_size", lambda: lo.ml.batches(opened, 0)),
        (ValueError, "rank must", lambda: lo.ml.batches(opened, 8, rank=2, ranks=2)),
        (ValueError, "give at least", lambda: lo.ml.batches(opened, 200, memory="1 kB")),
        (ValueError, "shape", lambda: lo.ml.batches(opened, 8, weights=[1.0, 2.0])),
        (
            ValueError,
            "without missing",
            lambda: lo.ml.batches(opened, 8, weights=np.full(N, np.nan)),
        ),
        (ValueError, "shard must", lambda: lo.ml.batches(opened, 8).shard(2, 2)),
    ):
        with pytest.raises(expected, match=message):
            made()


def test_a_matrix_by_genes_is_warned_of(tmp_path) -> None:
    adata_of("csc").write(tmp_path / "x.h5ad")
    adata = lo.read_h5ad(tmp_path / "x.h5ad")
    with pytest.warns(UserWarning, match="transpose_storage"):
        chosen = lo.ml.batches(adata, 100, obs="number")
    assert_right(chosen, dense(adata.X.compute()), adata.obs["number"].to_numpy())


@pytest.mark.parametrize(("workers", "dense_batches"), [(0, True), (0, False), (2, True)])
def test_torch(tmp_path, workers, dense_batches) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader

    adata_of().write(tmp_path / "x.h5ad")
    opened = lo.read_h5ad(tmp_path / "x.h5ad")
    whole = dense(opened.X.compute())
    chosen = lo.ml.batches(opened, 32, obs="kind", dense=dense_batches, **SMALL)
    dataset = lo.ml.torch_dataset(chosen)
    context = "spawn" if workers else None
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, multiprocessing_context=context
    )
    dataset.set_epoch(1)
    found = list(loader)
    for batch in found:
        x = batch["X"] if dense_batches else batch["X"].to_dense()
        assert (batch["X"].layout == torch.sparse_csr) is not dense_batches
        np.testing.assert_array_equal(x.numpy(), whole[batch["rows"].numpy()])
        assert batch["kind"].dtype == torch.int64
    rows = [batch["rows"].tolist() for batch in found]
    assert sorted(sum(rows, [])) == list(range(N))  # noqa: RUF017
    dataset.load_state_dict({"epoch": 1, "batch": 3})
    assert [batch["rows"].tolist() for batch in loader] == rows[3:]
    dataset.set_epoch(0)
    assert next(iter(loader))["rows"].tolist() != rows[0]
