"""write_zarr: objects as new zarr stores, matrices block by block."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lazyomics.container.anndata import AnnData
from lazyomics.container.annotated import is_url, local_name
from lazyomics.container.categories import strings_to_categoricals, text_stays
from lazyomics.container.frames import FrameSlot
from lazyomics.container.mudata import MuData
from lazyomics.container.raw import RawParts
from lazyomics.errors import require
from lazyomics.io.zarr.stores import METADATA, zarr_package
from lazyomics.io.zarr.values import ZarrLayout, marks, write_value

__all__ = ["write_store"]


def write_store(
    data: AnnData | MuData,
    store: Any,
    *,
    chunks: tuple[int, ...] | None = None,
    convert_strings_to_categoricals: bool = True,
    zarr_format: int = 3,
    compressors: Any = "auto",
    chunk_bytes: int | str | None = None,
    shard_bytes: int | str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Stream an object to a new store; see :meth:`lazyomics.AnnData.write_zarr`."""
    if zarr_format not in (2, 3):
        raise ValueError(f"zarr_format is 2 or 3, found {zarr_format!r}")
    if shard_bytes is not None and zarr_format == 2:
        raise ValueError("shard_bytes is for zarr_format=3: format 2 has no shards")
    layout = ZarrLayout.of(zarr_format, compressors, chunk_bytes, shard_bytes, chunks)
    with (
        text_stays(not convert_strings_to_categoricals),
        _quiet(),
        _new_root(store, zarr_format, storage_options) as root,
    ):
        if isinstance(data, MuData):
            _fill_mudata(root, data, layout)
        else:
            write_anndata(root, data, layout)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what zarr says of types and metadata that other programs may not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _new_root(
    store: Any, zarr_format: int, storage_options: Mapping[str, Any] | None
) -> Iterator[Any]:
    """Open an empty store; a local one is put in its place when the block ends well."""
    zarr = zarr_package("write_zarr")
    is_path = isinstance(store, str | os.PathLike)
    name = os.fspath(store) if is_path else ""
    local = local_name(name)
    if not is_path or (local is None and is_url(name)):
        if is_path:
            require("fsspec", extra="remote", purpose="a zarr store on a server")
        elif storage_options:
            raise ValueError("storage_options are for the URL of a store")
        options = {"storage_options": dict(storage_options)} if storage_options else {}
        if isinstance(store, zarr.Group):
            root = store
        else:
            root = zarr.open_group(store, mode="w", zarr_format=zarr_format, **options)
        yield root
        zarr.consolidate_metadata(root.store, path=root.path or None)
        return
    if storage_options:
        raise ValueError(f"{store} is local: storage_options are for stores on servers")
    target = Path(os.path.realpath(local or name))
    _check_target(target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".lazyomics-") as aside:
        made = Path(aside) / target.name
        if target.suffix == ".zip":
            folder = Path(aside) / "folder.zarr"
            yield (root := zarr.open_group(folder, mode="w", zarr_format=zarr_format))
            zarr.consolidate_metadata(root.store)
            _pack(folder, made)
        else:
            yield (root := zarr.open_group(made, mode="w", zarr_format=zarr_format))
            zarr.consolidate_metadata(root.store)
        _put_in_place(made, target, Path(aside))


def _check_target(target: Path) -> None:
    """Refuse to replace what is no zarr store."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist")
    if target.is_dir() and any(target.iterdir()):
        if not any((target / name).is_file() for name in METADATA):
            raise FileExistsError(
                f"{target} is a folder that is no zarr store: it is not replaced. Give another name"
            )
    elif target.is_file() and target.suffix != ".zip":
        raise FileExistsError(f"{target} is a file, expected the name of a folder or .zip")


def _pack(folder: Path, target: Path) -> None:
    """Put a store into a zip file, uncompressed, as its chunks are compressed."""
    import zipfile

    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as packed:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            packed.write(path, path.relative_to(folder).as_posix())


def _put_in_place(made: Path, target: Path, aside: Path) -> None:
    """Rename what is complete; an old store is taken away last."""
    if target.is_dir():
        os.rename(target, aside / "replaced")
        try:
            os.rename(made, target)
        except OSError:
            os.rename(aside / "replaced", target)
            raise
        shutil.rmtree(aside / "replaced", ignore_errors=True)
    else:
        os.replace(made, target)


def write_anndata(group: Any, adata: AnnData, layout: ZarrLayout) -> None:
    """Write all parts of an object into an empty group, matrices last."""
    adata._align_tables(strict=True)
    group.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    later: list[Callable[[], None]] = []
    _write_frame(group, "obs", adata._obs, layout)
    _write_frame(group, "var", adata._var, layout)
    for mapping in adata._mappings():
        _write_dict(group, mapping.name, mapping.stored(), layout, later)
    _write_dict(group, "uns", adata._uns.stored(), layout)
    if not adata._x.is_absent:
        write_value(group, "X", adata._x.held, layout, later)
    if adata._raw is not None:
        _write_raw(group, adata._raw, layout, later)
    for write in later:
        write()


def _write_raw(group: Any, raw: RawParts, layout: ZarrLayout, later: Any) -> None:
    made = group.create_group("raw", attributes=marks("raw"))
    if not raw.x.is_absent:
        write_value(made, "X", raw.x.held, layout, later)
    _write_frame(made, "var", raw.var, layout)
    _write_dict(made, "varm", raw.varm.stored(), layout)


def _write_frame(group: Any, name: str, slot: FrameSlot, layout: ZarrLayout) -> None:
    stored: Any = slot.stored
    if stored is not None and getattr(stored, "only", None) is None:
        frame = stored.load()  # nobody looked at it: its columns of text stay text
    else:
        frame = strings_to_categoricals(slot.frame)
    write_value(group, name, frame, layout)


def _write_dict(
    group: Any, name: str, values: Mapping[str, Any], layout: ZarrLayout, later: Any = None
) -> None:
    made = group.create_group(name, attributes=marks("dict"))
    for key, value in values.items():
        write_value(made, key, value, layout, later)


def _fill_mudata(root: Any, mdata: MuData, layout: ZarrLayout) -> None:
    import lazyomics

    for name, axis in mdata._axes.items():
        if not axis.is_current(mdata.mod):
            mdata._update_axis(name)
    mdata._align_tables(strict=True)
    for name, axis in mdata._axes.items():
        _write_frame(root, name, axis.table, layout)
        for mapping in (axis.arrays, axis.pairs):
            values = mapping.stored()
            kept = {k: mapping[k] if k in axis.maps else v for k, v in values.items()}
            _write_dict(root, mapping.name, kept, layout)
        _write_dict(root, f"{name}map", dict(axis.maps.items()), layout)
    _write_dict(root, "uns", mdata.uns.stored(), layout)
    group = root.create_group("mod")
    encoder = {"encoder": "lazyomics", "encoder-version": lazyomics.__version__}
    for mod, adata in mdata.mod.items():
        made = group.create_group(mod)
        write_anndata(made, adata, layout)
        made.attrs.update(encoder)
    group.attrs["mod-order"] = [str(mod) for mod in mdata.mod]
    root.attrs.update(
        {"axis": mdata.axis, "encoding-type": "MuData", "encoding-version": "0.1.0", **encoder}
    )
