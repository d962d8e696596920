"""Writes deploy/grafana/dashboards anew: `python -m tools.dashboards`. A test compares them with the code."""

from __future__ import annotations

from pathlib import Path

from tools.dashboards.board import UIDS, rendered
from tools.dashboards.drift import BOARD as DRIFT
from tools.dashboards.line import BOARD as LINE
from tools.dashboards.models import BOARD as MODELS
from tools.dashboards.pipeline import BOARD as PIPELINE
from tools.dashboards.plant import BOARD as PLANT
from tools.dashboards.station import BOARD as STATION

HOME = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
BOARDS = (PLANT, LINE, STATION, MODELS, DRIFT, PIPELINE)


def files() -> dict[Path, str]:
    """Every generated file and its text."""
    return {HOME / f"{UIDS[board.title].removeprefix('verdictline-')}.json": rendered(board) for board in BOARDS}


def main() -> None:
    """Write them, remove what is no longer generated."""
    wanted = files()
    HOME.mkdir(parents=True, exist_ok=True)
    for path in set(HOME.glob("*.json")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
