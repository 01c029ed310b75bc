"""Write the pages of the API reference from the lists of public names."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import lazyomics

__all__ = ["SPACES", "public_names", "write"]

# Namespace, title of its page.
SPACES = {
    "pp": "Preprocessing: `pp`",
    "tl": "Tools: `tl`",
    "pl": "Plots: `pl`",
    "get": "Values: `get`",
    "metrics": "Metrics: `metrics`",
    "ml": "Batches for learning: `ml`",
    "datasets": "Data sets: `datasets`",
    "experimental.pp": "Experimental preprocessing: `experimental.pp`",
    "external.pp": "External preprocessing: `external.pp`",
    "external.pl": "External plots: `external.pl`",
    "atac.pp": "Preprocessing of peaks: `atac.pp`",
    "atac.tl": "Components of peaks: `atac.tl`",
    "prot.pp": "Proteins: `prot.pp`",
    "logging": "Messages: `logging`",
}
CLASSES = ("AnnData", "MuData", "Raw")
# Classes that are not in the package itself: their objects are attributes.
HOMES = {"Raw": "container.Raw", "Settings": "options.Settings"}
# Sections of the page of the package itself; what no section names is under the last one.
SECTIONS = {
    "Objects": CLASSES,
    "Open and read": ("read", "read_*"),
    "Write": ("write", "write_*"),
    "Join": ("concat",),
    "Forms of files": ("repack", "transpose_storage", "add_gene_major"),
    "Settings and messages": (
        *("settings", "Settings", "Verbosity", "set_figure_params", "ProgressBar"),
    ),
    "What happens": ("explain", "show_versions"),
}
APART = {"config", "errors", "logging", "__version__"}
INDEX = """\
API reference
=============

Everything public is here: the names in ``__all__`` of the package and its namespaces. Parameters,
defaults and results of verbs that scanpy or muon also have are theirs. The notes say how often a
verb reads X and how much memory it takes.

.. code-block:: python

   import lazyomics as lo

.. toctree::
   :maxdepth: 1

"""


def public_names(space: str) -> list[str]:
    """List the public functions and classes of a namespace.

    Parameters
    ----------
    space
        Namespace, ``"pp"`` for example.

    Returns
    -------
    Names, without those of modules in between.
    """
    module = import_module(f"lazyomics.{space}")
    return [name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)]


def write(folder: Path) -> None:
    """Write the index and a page for each namespace.

    Parameters
    ----------
    folder
        Folder of the pages.

    Raises
    ------
    RuntimeError
        If a public name would be on no page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"lazyomics": _package_page()}
    for space, title in SPACES.items():
        pages[space] = _space_page(space, title)
    pages["errors"] = _errors_page()
    pages["config"] = _config_page()
    for name, text in pages.items():
        _write_if_new(folder / f"{name}.rst", text)
    toc = "".join(f"   {name}\n" for name in pages)
    _write_if_new(folder / "index.rst", INDEX + toc)
    _check_spaces()
    for path in folder.glob("lazyomics.*.rst"):  # of an earlier build, which had other names
        if path.stem not in _pages_of_names():
            path.unlink()


def _package_names() -> list[str]:
    left = [name for name in lazyomics.__all__ if name not in APART]
    left = [name for name in left if not isinstance(getattr(lazyomics, name), ModuleType)]
    return [*left, "Raw", "Settings"]


def _pages_of_names() -> set[str]:
    """Names of the pages that autosummary makes."""
    names = {f"lazyomics.{_place(name)}" for name in _package_names()}
    return names | {f"lazyomics.{space}.{name}" for space in SPACES for name in public_names(space)}


def _package_page() -> str:
    left = _package_names()
    lines = [_heading("Package: `lazyomics`"), ".. currentmodule:: lazyomics\n"]
    for title, patterns in SECTIONS.items():
        names = [name for name in left if any(_fits(name, pattern) for pattern in patterns)]
        left = [name for name in left if name not in names]
        lines.append(_heading(title, "-"))
        lines.append(_summary([_place(name) for name in names]))
    if left:
        lines += [_heading("More", "-"), _summary(left)]
    return "\n".join(lines)


def _fits(name: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern


def _place(name: str) -> str:
    return HOMES.get(name, name)


def _space_page(space: str, title: str) -> str:
    module = import_module(f"lazyomics.{space}")
    lines = [_heading(title), f".. automodule:: lazyomics.{space}\n   :no-members:\n"]
    names = public_names(space)
    constants = [name for name in names if not _documented(getattr(module, name))]
    lines.append(f".. currentmodule:: lazyomics.{space}\n")
    lines.append(_summary([name for name in names if name not in constants]))
    return "\n".join(lines)


def _documented(value: Any) -> bool:
    return inspect.isclass(value) or callable(value)


def _errors_page() -> str:
    names = lazyomics.errors.__all__
    classes = [name for name in names if inspect.isclass(getattr(lazyomics.errors, name))]
    lines = [_heading("Errors and warnings: `errors`"), ".. automodule:: lazyomics.errors\n"]
    lines.append("   :no-members:\n\n.. currentmodule:: lazyomics.errors\n")
    lines += [f".. autoclass:: {name}\n   :show-inheritance:\n" for name in classes]
    return "\n".join(lines).replace("errors\n\n   :no", "errors\n   :no")


def _config_page() -> str:
    return "\n".join(
        [_heading("Options: `config`"), ".. automodule:: lazyomics.config\n   :no-members:\n"]
    )


def _summary(names: list[str]) -> str:
    lines = [".. autosummary::", "   :toctree: .", "   :nosignatures:", ""]
    return "\n".join([*lines, *(f"   {name}" for name in names), ""])


def _heading(title: str, line: str = "=") -> str:
    title = title.replace("`", "``")
    return f"{title}\n{line * len(title)}\n"


def _check_spaces() -> None:
    inner = {
        name
        for name in lazyomics.__all__
        if isinstance(getattr(lazyomics, name), ModuleType) and name not in APART
    }
    if missing := inner - {space.partition(".")[0] for space in SPACES}:
        raise RuntimeError(f"docs/generate/api_pages.py: SPACES lacks {sorted(missing)}")


def _write_if_new(path: Path, text: str) -> None:
    """Leave a file alone that is as it should be, so that Sphinx does not read it again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
