"""The tables of docs/drift.md, from the bench's JSON: what the page says was measured is what was measured.

    python -m streams.workbench.drift_bench.report bench.json docs/drift.md

replaces the text between the marks; all other text stays.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from streams.workbench.drift_bench.rows import LEFT_OUT, shown


def target_table(found: dict[str, Any]) -> str:
    """Targets with goal, value, standard error and, where there is one, the stretch goal."""
    lines = ["| # | what | goal | found | ± se | met | stretch | runs |", "|---|---|---|---|---|---|---|---|"]
    for row in found["targets"]:
        stretch = "" if row["stretch"] is None else f"{shown(row, 'stretch')}: {_met(row['stretch_met'])}"
        goal = f"{row['sense'].replace('<=', '≤').replace('>=', '≥')} {shown(row, 'goal')}"
        cells = (row["id"], row["name"], goal, shown(row, "value"), shown(row, "se"), _met(row["met"]), stretch, str(row["runs"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def peer_table(found: dict[str, Any]) -> str:
    """Detectors at equal mean run length."""
    delays, jumps = found["peers"][0]["median_delay"], found["peers"][0]["called_drift"]
    heads = ("detector", "runs", "ARL0", *delays, *(f"defects {name} %" for name in jumps))
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for peer in found["peers"]:
        arl0 = "–" if peer["arl0"] is None else f"{peer['arl0']:.1e}"
        late = ("never" if value is None else f"{value:.0f}" for value in peer["median_delay"].values())
        wrong = (f"{100 * value:.0f} %" for value in peer["called_drift"].values())
        lines.append(f"| {' | '.join((peer['name'], str(peer['runs']), arl0, *late, *wrong))} |")
    return "\n".join(lines)


def notes(found: dict[str, Any]) -> str:
    """What the rows add in words, and what was missed."""
    rows = found["targets"]
    missed = [row["id"] for row in rows if not row["met"]]
    stretched = [row["id"] for row in rows if row["stretch_met"] is False]
    lines = [
        f"{len(rows) - len(missed)} of {len(rows)} rows met, in {found['runs']} runs and {found['seconds']:.0f} s.",
        f"Missed: {', '.join(missed) or 'none'}. Stretch values missed: {', '.join(stretched) or 'none'}.",
        "",
        *(f"* {row['id']}: {row['note']}" for row in rows if row["note"] and LEFT_OUT not in row["note"]),
        *(f"* {note}" for note in found["notes"]),
    ]
    return "\n".join(lines)


BLOCKS = {"targets": target_table, "peers": peer_table, "notes": notes}


def written(page: str, found: dict[str, Any]) -> str:
    """The page with its blocks replaced. Raises ValueError where a block has no marks."""
    for name, block in BLOCKS.items():
        inside = re.search(f"(<!-- bench: {name} -->\n).*?(<!-- end -->)", page, re.DOTALL)
        if not inside:
            raise ValueError(f"the page has no block {name}")
        before, after = page[: inside.end(1)], page[inside.start(2) :]
        page = f"{before}{block(found)}\n{after}"
    return page


def _met(value: bool) -> str:
    return "yes" if value else "**no**"


def main() -> None:
    """Read the JSON, write the page."""
    source, page = map(Path, sys.argv[1:])
    page.write_text(written(page.read_text(encoding="utf-8"), json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
