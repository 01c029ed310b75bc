"""HTML that notebooks show: collapsible lists, without scripts, safe against markup in names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from lazyomics.lazy.explain import explain_matrix, size_text

__all__ = ["html_of_matrix", "page", "section", "swatches", "table"]

# Half-transparent greys suit light and dark pages.
STYLE = """
<style>
.lazyomics {font-family: sans-serif; font-size: 0.9em; line-height: 1.5; max-width: 60em}
.lazyomics .lz-head {border-bottom: 1px solid rgba(128,128,128,.4); padding: .2em 0;
 margin-bottom: .2em}
.lazyomics .lz-quiet {opacity: .65}
.lazyomics summary {cursor: pointer}
.lazyomics details > div {margin: 0 0 .4em 1.3em; max-height: 24em; overflow: auto}
.lazyomics table {border-collapse: collapse; margin: 0}
.lazyomics td {text-align: left; padding: 0 1.2em 0 0; vertical-align: top}
.lazyomics .lz-swatch {display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .6em;
 border: 1px solid rgba(128,128,128,.5)}
</style>
"""


def page(text: str, title: str, notes: Sequence[str], parts: Iterable[str]) -> str:
    """Put parts under a head line, with the plain text for pages that drop styles.

    Parameters
    ----------
    text
        What stands for it where HTML is not shown.
    title
        Begin of the head line.
    notes
        The rest of the head line.
    parts
        HTML, as `section` makes it.
    """
    quiet = "".join(f" · {escape(note)}" for note in notes)
    head = f'<div class="lz-head"><b>{escape(title)}</b><span class="lz-quiet">{quiet}</span></div>'
    body = "".join(parts)
    return f'{STYLE}<div class="lazyomics" title="{escape(text, quote=True)}">{head}{body}</div>'


def section(name: str, note: str, content: str) -> str:
    """Return a line that opens to some HTML, or a plain line if there is none."""
    line = f'<b>{escape(name)}</b> <span class="lz-quiet">{escape(note)}</span>'
    if not content:
        return f"<div>{line}</div>"
    return f"<details><summary>{line}</summary><div>{content}</div></details>"


def table(rows: Iterable[Sequence[str]], *, most: int = 200) -> str:
    """Return rows of cells that are HTML already; of more than ``most`` the first ones."""
    listed = list(rows)
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in listed[:most])
    lines = [f"<tr>{row}</tr>" for row in cells]
    if len(listed) > most:
        lines.append(f"<tr><td>… and {len(listed) - most:,} more</td></tr>")
    return f"<table>{''.join(lines)}</table>" if lines else ""


def swatches(names: Sequence[str], colors: Sequence[str] | None, *, most: int = 12) -> str:
    """Return names, each after its colour if there are as many."""
    shown = []
    for k, name in enumerate(names[:most]):
        color = "" if colors is None or len(colors) != len(names) else str(colors[k])
        mark = f'<span class="lz-swatch" style="background:{escape(color, quote=True)}"></span>'
        shown.append((mark if color else "&ensp;") + escape(str(name)))
    more = f" … and {len(names) - most:,} more" if len(names) > most else ""
    return "".join(shown) + more


def html_of_matrix(x: Any) -> str:
    """Return what a lazy matrix is made of. Reads row pointers and positions of chunks only."""
    plan = explain_matrix("", x)
    facts = [("shape", f"{plan.shape[0]:,} × {plan.shape[1]:,}"), ("stored as", plan.storage)]
    if plan.element is not None:
        facts.append(("read from", f"{plan.element[0]}:/{plan.element[1].lstrip('/')}"))
    facts.append(("selected", plan.selection))
    facts.append(("steps", " → ".join(plan.steps) or "none"))
    facts.append(("blocks", f"{plan.blocks:,}, the largest {size_text(plan.block_bytes)}"))
    if plan.chunks >= 0:
        cost = f"{plan.chunks:,} chunks, {size_text(plan.stored_bytes)} stored"
        facts.append(("one pass", cost))
    rows = [(escape(name), escape(value)) for name, value in facts]
    title = f"lazy matrix, {plan.shape[0]:,} × {plan.shape[1]:,}"
    return page(repr(x), title, [str(x.dtype), "nothing computed yet"], [table(rows)])
