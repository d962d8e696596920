"""Writes docs/report.schema.json: the JSON Schema of `verdictline report --json`. Run: python -m tools.report_schema"""

from __future__ import annotations

from pathlib import Path

from streams.wiring.report.compose import json_schema

HOME = Path(__file__).parents[1] / "docs" / "report.schema.json"

if __name__ == "__main__":
    HOME.write_text(json_schema(), encoding="utf-8")
