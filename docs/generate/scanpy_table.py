"""Write the tables of what scanpy and muon have and what stands for it here."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import lazyomics as lo

__all__ = ["write"]

# Their namespace, ours. The empty name is the package itself.
SCANPY = {
    "": "",
    "pp": "pp",
    "tl": "tl",
    "pl": "pl",
    "get": "get",
    "metrics": "metrics",
    "datasets": "datasets",
    "queries": "queries",
    "experimental.pp": "experimental.pp",
    "external.pp": "external.pp",
    "external.tl": "external.tl",
    "external.pl": "external.pl",
    "external.exporting": "external.exporting",
}
MUON = {
    "": "",
    "pp": "pp",
    "tl": "tl",
    "pl": "pl",
    "atac": "",
    "atac.pp": "pp",
    "atac.tl": "tl",
    "atac.pl": "pl",
    "prot": "",
    "prot.pp": "pp",
}
# Names that are public by accident, or are no functions.
NO_FUNCTIONS = {
    "annotate_doc_types",
    "doctest_needs",
    "initialise_default_files",
    "locate_file",
    "locate_fragments",
    "locate_genome",
    "AnnDataFileManager",
    "ModDict",
    "MuDataFileManager",
}
OBJECTS = {"adata", "data", "mdata", "adatas", "anndata"}
NOT_APPLIED = {
    "scanpy.Neighbors": "`lo.pp.neighbors`",
    "scanpy.read_visium": "`scanpy.read_visium`, then `lo.AnnData.from_anndata`",
    "scanpy.pl.DotPlot": "`lo.pl.dotplot`",
    "scanpy.pl.MatrixPlot": "`lo.pl.matrixplot`",
    "scanpy.pl.StackedViolin": "an object in memory: `adata.to_anndata()`",
    "scanpy.tl.sim": "`scanpy.tl.sim`, then `lo.AnnData.from_anndata`",
    "muon.read_zarr": "`muon.read_zarr`, then `lo.MuData.from_mudata`",
    "muon.write_zarr": "`mdata.to_mudata().write_zarr(path)`",
    "muon.read_anndata": '`lo.read("file.h5mu/rna")`',
    "muon.write_anndata": '`adata.write_h5ad("file.h5mu", mod)`',
    "muon.set_options": "no options of this kind",
    "muon.pp.sample_obs": "`mdata[rows]`",
}
COST = r"{}: (.*?)\.?(?=\.\s|\n\n|$)"
COST_OF = ("Passes over X", "Peak memory")
HEADER = """\
| {package} | lazyomics | passes over X | peak memory |
|---|---|---|---|
"""
ROLE = re.compile(r":(\w+):`")


def write(folder: Path) -> None:
    """Write ``scanpy_table.md`` and ``muon_table.md``, to be included in a page.

    Parameters
    ----------
    folder
        Folder of the tables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package, spaces in {"scanpy": SCANPY, "muon": MUON}.items():
        parts = []
        for theirs, ours in spaces.items():
            rows = "".join(_row(*entry) for entry in _compared(package, theirs, ours))
            if rows:
                title = f"{package}.{theirs}" if theirs else f"{package}, the package itself"
                parts.append(f"### {title}\n\n{HEADER.format(package=package)}{rows}")
        (folder / f"{package}_table.md").write_text("\n".join(parts), encoding="utf-8")


def _compared(package: str, theirs: str, ours: str) -> Iterator[tuple[str, str, str, str]]:
    """Name, what stands for it, passes and memory, for each public function of a namespace."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: Any = import_module(package)
        for part in theirs.split(".") if theirs else ():
            inner = getattr(module, part, None)
            module = inner or import_module(f"{module.__name__}.{part}")
        found = {
            name: value
            for name in dir(module)
            if not name.startswith("_") and callable(value := getattr(module, name))
        }
    roots = (package, "anndata", "mudata") if not theirs else (package,)
    for name, value in found.items():
        home = getattr(value, "__module__", None) or ""
        if name in NO_FUNCTIONS or not home.startswith(roots):
            continue
        full = f"{package}.{theirs}.{name}" if theirs else f"{package}.{name}"
        counterpart = _counterpart(ours, name)
        if counterpart is None:
            yield full, _way(full, value), "", ""
        else:
            place = f"{ours}.{name}" if ours else name
            yield full, f"{{obj}}`lo.{place} <lazyomics.{place}>`", *_costs(counterpart)


def _counterpart(space: str, name: str) -> Any:
    """Object of the same name here; None if there is none."""
    try:
        module = import_module(f"lazyomics.{space}") if space else lo
    except ImportError:
        return None
    return getattr(module, name) if name in module.__all__ else None


def _way(full: str, function: Callable[..., Any]) -> str:
    """Say how to go on with a function that has no counterpart."""
    if full in NOT_APPLIED:
        return NOT_APPLIED[full]
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except ValueError:
        first = None
    if first in OBJECTS and not inspect.isclass(function):
        return f"`apply({full}, …)`"
    return "not here: call it as it is"


def _costs(value: Any) -> tuple[str, str]:
    """Passes and memory, as the notes of a docstring have them."""
    notes = inspect.getdoc(value) or ""
    found = (re.search(COST.format(what), notes, re.DOTALL) for what in COST_OF)
    passes, memory = (" ".join(match[1].split()) if match else "" for match in found)
    return passes, memory


def _row(name: str, here: str, passes: str, memory: str) -> str:
    cells = (f"`{name}`", here, passes, memory)
    plain = (ROLE.sub(r"{\1}`", cell).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(plain)} |\n"
