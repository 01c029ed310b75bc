"""Settings of Sphinx for the site; ``make html`` builds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import matplotlib
from generate import api_pages, gallery, prose, scanpy_table, source_links, tutorial_data

import lazyomics

matplotlib.use("Agg")
# Kernels of notebooks inherit the environment, and put figures into pages unless it says otherwise.
os.environ.pop("MPLBACKEND", None)

project = "lazyomics"
author = "lazyomics developers"
copyright = "lazyomics developers"
version = release = lazyomics.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.linkcode",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
]
templates_path = ["templates"]
exclude_patterns = ["generate", "templates", "generated/*_table.md"]
nitpicky = True
# What is linked to by name in prose must be there. Annotations name types of other packages, and
# types that are not public.
nitpick_ignore_regex = [("py:class", ".*"), (r"py:.*", r"(?!lazyomics).*")]

# Pages are read on GitHub, too: anchors are those that GitHub makes of headings.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_links_external_new_tab = False

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_execution_excludepatterns = tutorial_data.pages_without_data()
# Nothing tells the language of the cells of a page that was not run.
suppress_warnings = ["myst-nb.lexer"] if nb_execution_excludepatterns else []

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "groupwise"
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "sphinx_book_theme"
html_title = f"lazyomics {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {
    "repository_url": source_links.REPOSITORY,
    "repository_branch": source_links.BRANCH,
    "path_to_docs": "docs",
    "use_repository_button": True,
    "use_issues_button": True,
    "use_edit_page_button": False,
    "use_download_button": False,
    "show_toc_level": 2,
    "home_page_in_toc": True,
}
html_copy_source = False
html_show_sourcelink = False
linkcode_resolve = source_links.linkcode_resolve


def drop_missing_pages(app: Any, page: str, source: list[str]) -> None:
    """Take pages out of the list of the user guide that are not written yet, in place."""
    if page == "guide/index" and not (HERE / "cli.md").exists():
        source[0] = source[0].replace("../cli\n", "")


def setup(app: Any) -> dict[str, bool]:
    """Write the pages that are made of the code before Sphinx looks for pages."""
    made = HERE / "generated"
    api_pages.write(made / "api")
    scanpy_table.write(made)
    gallery.write(made / "gallery")
    app.connect("autodoc-process-docstring", prose.indent_returns, priority=1)
    app.connect("source-read", source_links.link_to_repository)
    app.connect("source-read", drop_missing_pages)
    app.connect("source-read", tutorial_data.say_what_was_not_run)
    return {"parallel_read_safe": False}
