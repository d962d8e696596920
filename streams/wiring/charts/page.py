"""Several charts and words as one HTML page without script: light and dark, fit for print."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:24px auto;max-width:800px;padding:0 16px;color:#1b1f24;background:#fff}"
    "h1{font-size:20px;margin:0 0 4px}p{margin:4px 0 16px;color:#5b6570}svg{max-width:100%;height:auto;margin:8px 0 20px}"
    "table{border-collapse:collapse;margin:8px 0 20px}td,th{padding:3px 14px 3px 0;text-align:left;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{color:#e8ebee;background:#161a1f}p{color:#a3adb7}}"
    "@media print{body{margin:0;max-width:none}svg{break-inside:avoid}}"
)


def page(title: str, lines: Sequence[str], charts: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> str:
    """title and lines: above the charts (SVG); rows: a table below them, the first row its heads."""
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    view = '<meta name="viewport" content="width=device-width,initial-scale=1">'
    words = "".join(f"<p>{escape(line)}</p>" for line in lines)
    body = f"<h1>{escape(title)}</h1>{words}{''.join(charts)}{_table(rows)}"
    return f"{head}{view}<style>{STYLE}</style></head><body>{body}</body></html>\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
