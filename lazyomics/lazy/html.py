"""HTML that notebooks show: collapsible lists, without scripts, safe against markup in names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from lazyomics.lazy.explain import MatrixPlan, Plan, explain_matrix, size_text

__all__ = ["counted", "html_of_matrix", "html_of_plan", "page", "section", "swatches", "table"]

# Half-transparent greys suit light and dark pages. Notebooks have rules for tables of their own,
# which these outweigh.
STYLE = """
<style>
.lazyomics {font-family: sans-serif; font-size: 0.9em; line-height: 1.5; max-width: 60em}
.lazyomics .lz-head {border-bottom: 1px solid rgba(128,128,128,.4); padding: .2em 0;
 margin-bottom: .2em}
.lazyomics .lz-quiet {opacity: .75}
.lazyomics .lz-head, .lazyomics summary, .lazyomics .lz-long {overflow-wrap: anywhere}
.lazyomics summary {cursor: pointer}
.lazyomics details > div {margin: 0 0 .4em 1.3em; max-height: 24em; overflow: auto}
div.lazyomics table {border-collapse: collapse; margin: 0 !important; border: 0; font-size: 1em;
 table-layout: auto}
div.lazyomics table tr {background: none !important}
div.lazyomics table td {text-align: left !important; padding: 0 1.2em 0 0; vertical-align: top;
 border: 0; max-width: 44em; white-space: normal}
.lazyomics .lz-name {white-space: nowrap}
.lazyomics .lz-swatch {display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .6em;
 border: 1px solid rgba(128,128,128,.5)}
</style>
"""
LONG_WORD = 30
_COLOR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+")  # nothing that would fetch an address


def page(title: str, notes: Sequence[str], parts: Iterable[str]) -> str:
    """Put parts under a head line.

    Parameters
    ----------
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
    return f'{STYLE}<div class="lazyomics">{head}{body}</div>'


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number and what it counts: ``counted(1, "column")`` is ``'1 column'``."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def section(name: str, note: str, content: str) -> str:
    """Return a line that opens to some HTML, or a plain line if there is none."""
    line = f'<b>{escape(name)}</b> <span class="lz-quiet">{escape(note)}</span>'
    if not content:
        return f"<div>{line}</div>"
    return f"<details><summary>{line}</summary><div>{content}</div></details>"


def table(rows: Iterable[Sequence[str]], *, most: int = 200) -> str:
    """Return rows of cells that are HTML already; of more than ``most`` the first ones."""
    listed = list(rows)
    lines = [f"<tr>{''.join(map(_cell, row))}</tr>" for row in listed[:most]]
    if len(listed) > most:
        lines.append(f"<tr><td>… and {len(listed) - most:,} more</td></tr>")
    return f"<table>{''.join(lines)}</table>" if lines else ""


def _cell(content: str) -> str:
    """Break words only where one is so long that it would push the rest away."""
    longest = max(map(len, content.split()), default=0)
    return f'<td class="lz-long">{content}</td>' if longest > LONG_WORD else f"<td>{content}</td>"


def swatches(names: Sequence[str], colors: Sequence[str] | None, *, most: int = 12) -> str:
    """Return names, each after its colour if there are as many."""
    shown = []
    for k, name in enumerate(names[:most]):
        color = "" if colors is None or len(colors) != len(names) else str(colors[k])
        mark = ""
        if _COLOR.fullmatch(color):
            mark = f'<span class="lz-swatch" style="background:{color}"></span>'
        shown.append(f' <span class="lz-name">{mark or "&ensp;"}{escape(str(name))}</span>')
    more = f" … and {len(names) - most:,} more" if len(names) > most else ""
    return "".join(shown) + more


def html_of_matrix(x: Any) -> str:
    """Return what a lazy matrix is made of. Reads row pointers and positions of chunks only."""
    plan = explain_matrix("", x)
    title = f"lazy matrix, {plan.shape[0]:,} × {plan.shape[1]:,}"
    return page(title, [str(x.dtype), "nothing computed yet"], [_facts(plan)])


def html_of_plan(plan: Plan) -> str:
    """Return what a pass over each of some lazy matrices reads and holds."""
    if not plan.matrices:
        return page("plan", [repr(plan)], [])
    parts = [f"<div><b>{escape(m.name)}</b><div>{_facts(m)}</div></div>" for m in plan.matrices]
    return page("one pass over all", [plan.in_all()], parts)


def _facts(plan: MatrixPlan) -> str:
    facts = [("shape", f"{plan.shape[0]:,} × {plan.shape[1]:,}"), ("stored as", plan.storage)]
    if plan.element is not None:
        facts.append(("read from", f"{plan.element[0]}:/{plan.element[1].lstrip('/')}"))
    facts.append(("selected", plan.selection))
    facts.append(("steps", " → ".join(plan.steps) or "none"))
    facts.append(("blocks", f"{plan.blocks:,}, the largest {size_text(plan.block_bytes)}"))
    if plan.chunks >= 0:
        cost = f"{plan.chunks:,} chunks, {size_text(plan.stored_bytes)} stored"
        facts.append(("one pass", cost))
    return table((escape(name), escape(value)) for name, value in facts)
